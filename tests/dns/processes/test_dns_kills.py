"""Each process of `seaway dns` is killed while it is asked all the time."""

from __future__ import annotations

from typing import Any

import pytest
from dnsprocess import judge, played

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    return played("dnskills.py")


def test_without_the_control_process_names_are_answered_until_another_is_there(found) -> None:
    judge(found, "killed_control")


def test_a_killed_worker_costs_no_more_than_a_second_try(found) -> None:
    judge(found, "killed_worker")


def test_a_killed_streams_process_costs_no_more_than_a_second_connection(found) -> None:
    judge(found, "killed_streams")


def test_what_changed_while_nobody_watched_is_known_afterwards(found) -> None:
    judge(found, "changed_while_control_is_down")


def test_nobody_outlives_the_first_process_and_the_ports_are_free(found) -> None:
    judge(found, "killed_supervisor")
