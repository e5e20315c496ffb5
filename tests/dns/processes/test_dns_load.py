"""What `seaway dns` counts, holds, and says."""

from __future__ import annotations

from typing import Any

import pytest
from dnsprocess import judge, played

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    return played("dnsload.py")


def test_each_query_is_counted_once_under_corednss_names(found) -> None:
    judge(found, "counts_add_up")


def test_memory_and_files_stay_flat_over_a_hundred_thousand_queries(found) -> None:
    judge(found, "memory_stays_flat")


def test_missing_rights_are_named_with_the_next_step(found) -> None:
    judge(found, "no_rights")


def test_what_is_wrong_at_the_start_is_one_line_that_names_it(found) -> None:
    judge(found, "messages")
