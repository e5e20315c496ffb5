"""What proxies ask about requests, and what they are told."""

from __future__ import annotations

import pytest

from seaway.envoy.counting.buckets import Buckets, Limit
from seaway.envoy.counting.questions import MOST_DESCRIPTORS, Entries, answer, read, text

MINUTE = Limit(2, 60)


def of(rule: str, *more: tuple[str, str], limit: Limit = MINUTE) -> Entries:
    return (("limit", text(limit, rule)), *more)


def test_a_descriptor_says_its_limit_itself() -> None:
    found = read(of("HTTPRoute/shop/web/rules[0]", limit=Limit(100, 3600, 20)))
    assert found is not None and found[1] == Limit(100, 3600, 20)


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (("generic_key", "1/1s+0 x"),),
        *(((("limit", t),)) for t in ("", "x", "0/1s+0 x", "1/0s+0 x", "-1/1s+0 x", "1/1s+0", "1/1+0 x", "99999999999/1s+0 x", "1/1s+1e9 x", "٣/1s+0 x")),
        of("x", ("spared", "allowed")),
        of("x", ("spared", "")),
    ],
)
def test_what_is_no_limit_limits_nothing(entries: Entries) -> None:
    assert read(entries) is None
    buckets = Buckets()
    found = [answer(buckets, [entries], 1, 0.0) for _ in range(5)]
    assert all(a.allowed and a.verdicts == (None,) and a.headers == () for a in found) and len(buckets) == 0


def test_rules_clients_and_values_have_buckets_of_their_own() -> None:
    different = [
        of("a"),
        of("b"),
        of("a", limit=Limit(3, 60)),
        of("a", ("remote_address", "10.0.0.1")),
        of("a", ("remote_address", "10.0.0.2")),
        of("a", ("x-user", "10.0.0.1")),
        of("a", ("x", "yz"), ("q", "1")),
        of("a", ("x", "y"), ("zq", "1")),
        of("a", ("x", "y\0q1"), ("q", "1")),
        of("a", ("x", "\udcff")),
    ]
    keys = [found[0] for entries in different if (found := read(entries))]
    assert len(set(keys)) == len(different)
    assert {len(k) for k in keys} == {16}, "whatever a client writes"


def test_who_is_not_spared_is_counted() -> None:
    buckets = Buckets()
    asked = [of("a", ("spared", "denied"))]
    assert [answer(buckets, asked, 1, 0.0).allowed for _ in range(3)] == [True, True, False]


def test_a_client_is_told_of_the_bucket_that_has_least_left() -> None:
    buckets = Buckets()
    asked = [of("a", limit=Limit(100, 60)), of("a", ("remote_address", "10.0.0.1"))]
    first = answer(buckets, asked, 1, 0.0)
    assert dict(first.headers) == {"x-ratelimit-limit": "2", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "30"}
    answer(buckets, asked, 0, 0.0)
    refused = answer(buckets, asked, 1, 0.5)
    assert not refused.allowed
    assert dict(refused.headers) == {
        "x-ratelimit-limit": "2",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "30",
        "retry-after": "30",
    }
    assert [v and v.allowed for v in refused.verdicts] == [True, False]


def test_a_bucket_that_is_named_twice_gives_once_and_a_question_is_bounded() -> None:
    buckets = Buckets()
    assert [answer(buckets, [of("a"), of("a")], 1, 0.0).allowed for _ in range(3)] == [True, True, False]
    found = answer(buckets, [of(str(i)) for i in range(1_000)], 1, 0.0)
    assert len(found.verdicts) == MOST_DESCRIPTORS
    assert answer(buckets, [of("b")], 1 << 40, 0.0).allowed is False
