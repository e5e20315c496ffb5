"""`seaway dns` takes new settings, begins and ends while it is asked all the time."""

from __future__ import annotations

from typing import Any

import pytest
from dnsprocess import judge, played

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    return played("dnsreloads.py")


def test_new_settings_are_taken_without_a_lost_query(found) -> None:
    judge(found, "new_settings")


def test_bad_settings_are_refused_once_and_the_old_go_on(found) -> None:
    judge(found, "bad_settings")


def test_a_changed_resolv_conf_is_taken(found) -> None:
    judge(found, "resolv_conf")


def test_it_is_ready_with_the_first_sync_and_says_what_it_waits_for(found) -> None:
    judge(found, "first_sync")


def test_it_goes_on_answering_at_the_end_and_says_so_at_once(found) -> None:
    judge(found, "lameduck")
