"""Upstreams of `seaway dns` that die, and the ways to them; TLS that it serves."""

from __future__ import annotations

from typing import Any

import pytest
from dnsprocess import judge, played

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    return played("dnsupstreams.py")


def test_of_a_silent_upstream_known_names_are_answered_at_once_and_others_within_bounds(found) -> None:
    judge(found, "silent_upstream")


def test_of_a_dead_upstream_known_names_are_answered_at_once_and_others_within_bounds(found) -> None:
    judge(found, "killed_upstream")


def test_with_one_of_two_upstreams_every_question_is_answered(found) -> None:
    judge(found, "one_of_two")


def test_upstreams_are_asked_by_tcp_and_tls_and_again_where_udp_is_too_small(found) -> None:
    judge(found, "ways_to_upstreams")


def test_tls_is_served_and_client_certificates_demanded(found) -> None:
    judge(found, "served_tls")
