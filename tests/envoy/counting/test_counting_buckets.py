"""Buckets: what they let through, how they fill, that there are never too many of them."""

from __future__ import annotations

import random

import pytest

from seaway.envoy.counting.buckets import Buckets, Limit

NOW = 1_000_000.0


def taken(buckets: Buckets, limit: Limit, times: int, now: float = NOW, key: bytes = b"a") -> list[bool]:
    return [buckets.take([(key, limit)], 1, now)[0].allowed for _ in range(times)]


@pytest.mark.parametrize("limit", [Limit(1, 1), Limit(3, 60), Limit(10, 1), Limit(7, 3600, 5), Limit(1, 86400, 1), Limit(10_000, 1)])
def test_a_full_bucket_holds_its_requests_and_its_burst_to_the_one(limit: Limit) -> None:
    assert taken(Buckets(), limit, limit.size + 3) == [True] * limit.size + [False] * 3


def test_a_bucket_fills_evenly_and_never_over_its_size() -> None:
    buckets, limit = Buckets(), Limit(6, 60, 2)
    assert taken(buckets, limit, 9) == [True] * 8 + [False]
    assert taken(buckets, limit, 1, NOW + 9.99) == [False]
    assert taken(buckets, limit, 2, NOW + 10.01) == [True, False]
    assert taken(buckets, limit, 4, NOW + 40.01) == [True] * 3 + [False]
    assert taken(buckets, limit, 10, NOW + 100_000) == [True] * 8 + [False] * 2


def test_a_refusal_takes_nothing_and_says_when_to_come_back() -> None:
    buckets, limit = Buckets(), Limit(2, 60)
    first = buckets.take([(b"a", limit)], 1, NOW)[0]
    assert (first.remaining, first.seconds, first.size) == (1, 30.0, 2)
    taken(buckets, limit, 1)
    for _ in range(50):
        refused = buckets.take([(b"a", limit)], 1, NOW + 10)[0]
        assert (refused.allowed, refused.remaining) == (False, 0) and refused.seconds == pytest.approx(20)
    assert taken(buckets, limit, 1, NOW + 30.001) == [True]


def test_of_several_buckets_all_give_or_none_does() -> None:
    buckets, small, large = Buckets(), Limit(1, 60), Limit(5, 60)

    def ask(key: bytes) -> list[bool]:
        return [v.allowed for v in buckets.take([(key, small), (b"all", large)], 1, NOW)]

    assert ask(b"x") == [True, True]
    assert [ask(b"x") for _ in range(10)] == [[False, True]] * 10
    assert [ask(k) for k in (b"p", b"q", b"r", b"s")] == [[True, True]] * 4
    assert ask(b"t") == [True, False]
    assert [v.remaining for v in buckets.take([(b"t", small), (b"u", small)], 1, NOW)] == [0, 0]


def test_several_hits_are_taken_at_once() -> None:
    buckets, limit = Buckets(), Limit(10, 60)
    assert [buckets.take([(b"a", limit)], hits, NOW)[0].allowed for hits in (7, 4, 3, 1)] == [True, False, True, False]
    assert buckets.take([(b"b", limit)], 11, NOW)[0].allowed is False


def test_there_are_never_more_than_the_bound_and_the_longest_unused_go_first() -> None:
    buckets, limit = Buckets(100), Limit(1, 3600)
    for i in range(1_000):
        assert taken(buckets, limit, 1, NOW + i * 0.001, b"%d" % i) == [True]
        if i > 10:
            assert taken(buckets, limit, 1, NOW + i * 0.001, b"7") == [False], "asked for, it stays"
        assert len(buckets) <= 100
    assert taken(buckets, limit, 1, NOW + 1, b"999") == [False]
    assert taken(buckets, limit, 1, NOW + 1, b"500") == [True], "forgotten"


def test_full_buckets_are_not_kept() -> None:
    buckets = Buckets()
    for i in range(500):
        taken(buckets, Limit(10, 1), 1, NOW, b"%d" % i)
    assert len(buckets) == 500
    taken(buckets, Limit(10, 1), 1, NOW + 5, b"new")
    assert len(buckets) == 1


def test_over_any_time_no_more_pass_than_the_bucket_and_its_rate() -> None:
    chance = random.Random(3)
    for _ in range(50):
        limit = Limit(chance.randint(1, 50), chance.choice((1, 60, 3600)), chance.randint(0, 20))
        buckets, now, passed = Buckets(), NOW, 0
        for _ in range(300):
            now += chance.expovariate(limit.requests / limit.seconds * 2)
            passed += sum(taken(buckets, limit, chance.randint(1, 5), now))
            most = limit.size + (now - NOW) / limit.interval
            assert passed <= most + 1e-6
        assert passed >= (limit.size + (now - NOW) / limit.interval) * 0.5, "and it is made use of"
