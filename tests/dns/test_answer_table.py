"""What is known is bounded, and what is void is gone, every image of it too."""

from __future__ import annotations

import random
from math import inf

import pytest
from packets import name

from seaway.dns import table as tables
from seaway.dns.answer import Answer
from seaway.dns.table import VARIANTS, Hot, Image, Table, key_of
from seaway.dns.wire import AA, NXDOMAIN, RA, A

LABELS = (b"\0", 1, 0, 1, 30, 46, False)


def zone_answer(*owners: bytes, body: bytes = b"x" * 16) -> Answer:
    return Answer(AA, (1, 0, 0), body, owners=owners)


def forwarded(until: float = 100.0, positive: bool = True, owners: tuple[bytes, ...] = ()) -> Answer:
    return Answer(RA | (0 if positive else NXDOMAIN), (1 if positive else 0, 0, 0), b"x" * 16, owners=owners, until=until)


def key(number: int) -> bytes:
    return key_of(name(f"n{number}.test"), A, False, False)


def image(until: float = inf, size: int = 40, number: int = 1) -> Image:
    return Image(tuple(bytes(size) for _ in range(number)), until, LABELS)


def made(positive: int = 100, denials: int = 50, sinks: int = 1) -> tuple[Table, list[Hot]]:
    table = Table(positive, denials)
    for _ in range(sinks):
        table.hots.append({})
    return table, table.hots


def test_keys_tell_questions_apart() -> None:
    a, b = name("a.test"), name("b.test")
    keys = {key_of(n, kind, do, cd) for n in (a, b) for kind in (1, 28) for do in (False, True) for cd in (False, True)}
    assert len(keys) == 16
    assert all(k[:-3] in (a, b) for k in keys)


def test_what_was_forwarded_is_bounded_by_the_numbers_of_cache_and_the_oldest_goes() -> None:
    table, _ = made(10, 5)
    for i in range(30):
        table.keep(key(i), forwarded())
        table.keep(key(100 + i), forwarded(positive=False))
        assert table.sizes() == (min(i + 1, 10), min(i + 1, 5))
    assert [i for i in range(30) if table.get(key(i))] == list(range(20, 30))
    assert [i for i in range(30) if table.get(key(100 + i))] == list(range(25, 30))
    assert table.evictions == 20 + 25


def test_what_is_kept_anew_is_not_the_oldest_any_more() -> None:
    table, _ = made(3)
    for i in (1, 2, 3, 1, 4):
        table.keep(key(i), forwarded())
    assert [i for i in range(5) if table.get(key(i))] == [1, 3, 4]


def test_a_name_that_turns_into_a_denial_leaves_the_other_number() -> None:
    table, _ = made()
    table.keep(key(1), forwarded())
    table.keep(key(1), forwarded(positive=False))
    assert table.sizes() == (0, 1)
    table.keep(key(1), zone_answer(b"web"))
    assert table.sizes() == (0, 0)
    assert len(table) == 1


def test_the_zones_answers_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ZONE_ANSWERS", 20)
    table, _ = made()
    for i in range(100):
        table.keep(key(i), zone_answer(b"o%d" % i))
    assert len(table) == 20
    assert table.evictions == 0, "that is no cache of CoreDNS's"
    assert len(table._answers_of) == 20


def test_a_limit_of_none_keeps_nothing() -> None:
    table, _ = made(0, 0)
    table.keep(key(1), forwarded(owners=(b"web",)))
    assert len(table) == 0
    assert not table._answers_of


def test_images_are_bounded_in_bytes_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ZONE_BYTES", 100_000)
    table, (hot,) = made()
    known = table.keep(key(1), zone_answer(b"web"))
    for i in range(5000):
        table.heat(known, hot, b"query %d" % i, image())
        assert table._zone_bytes == sum(one.size for one in hot.values()) <= 100_000
    assert b"query 4999" in hot
    assert b"query 0" not in hot


def test_odd_queries_without_end_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """EDNS sizes make 65,536 queries of one: neither images nor the lists of what they were made of grow without bounds."""
    monkeypatch.setattr(tables, "ZONE_BYTES", 100_000)
    table, (hot,) = made()
    known = table.keep(key(1), zone_answer(b"web", b"other"))
    most = 0
    for i in range(20_000):
        table.heat(known, hot, b"query %d" % (i % 3000), image())
        most = max(most, len(table._images_of[b"web"]))
    assert most < 3 * len(hot) + 100
    table.void([b"web"])
    assert not hot
    assert table._zone_bytes == 0


def test_a_forwarded_answer_has_few_images() -> None:
    table, (hot,) = made()
    known = table.keep(key(1), forwarded())
    for i in range(100):
        table.heat(known, hot, b"query %d" % i, image(101.0))
    assert sorted(hot) == sorted(b"query %d" % i for i in range(100 - VARIANTS, 100))
    table.drop(key(1))
    assert not hot


def test_the_turn_and_the_count_go_on_from_image_to_image() -> None:
    table, (hot,) = made()
    known = table.keep(key(1), forwarded())
    first = image(101.0, number=3)
    assert table.heat(known, hot, b"q", first) == 0
    turns = [first.turn() for _ in range(4)]
    assert len(turns) == 4
    second = image(102.0, number=3)
    assert table.heat(known, hot, b"q", second) == 4
    assert (second.hits, second.told) == (4, 4)
    assert table.counted == {LABELS: 4}
    second.turn()
    table.drop(key(1))
    assert table.counted == {LABELS: 5}, "no reply goes uncounted"


def test_void_takes_the_answers_and_images_of_an_owner_and_no_others() -> None:
    table, (first, second) = made(sinks=2)
    web = table.keep(key(1), zone_answer(b"web"))
    db = table.keep(key(2), zone_answer(b"db"))
    both = table.keep(key(3), zone_answer(b"web", b"db"))
    walked = table.keep(key(4), forwarded(owners=(b"web", b"web")))
    plain = table.keep(key(5), forwarded())
    for hot in (first, second):
        for known, query in ((web, b"1"), (db, b"2"), (both, b"3")):
            table.heat(known, hot, query, image())
        for known, query in ((walked, b"4"), (plain, b"5")):
            table.heat(known, hot, query, image(100.0))
    table.void([b"web"])
    assert [i for i in range(1, 6) if table.get(key(i))] == [2, 5]
    assert sorted(first) == sorted(second) == [b"2", b"5"]
    table.clear_zone()
    assert [i for i in range(1, 6) if table.get(key(i))] == [5]
    table.clear()
    assert len(table) == 0
    assert not first
    assert not second


def test_an_image_outlives_its_answer_and_ends_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ZONE_ANSWERS", 1)
    table, (hot,) = made()
    table.heat(table.keep(key(1), zone_answer(b"web")), hot, b"1", image())
    table.keep(key(2), zone_answer(b"db"))
    assert table.get(key(1)) is None
    assert b"1" in hot
    table.void([b"web"])
    assert not hot


def test_nothing_void_is_ever_reachable_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random work. What an answer was made of is another only when one of that was void: the zone's tests prove it."""
    monkeypatch.setattr(tables, "ZONE_BYTES", 30_000)
    monkeypatch.setattr(tables, "ZONE_ANSWERS", 15)
    chance = random.Random(8)
    table, hots = made(12, 6, sinks=2)
    said: dict[int, Answer] = {}  # by the number of the question
    voided = 0
    for _ in range(8000):
        number = chance.randrange(60)
        match chance.randrange(12):
            case 0:
                gone = {b"o%d" % chance.randrange(16) for _ in range(chance.randrange(1, 3))}
                table.void(sorted(gone))
                void = {n for n, answer in said.items() if gone & set(answer.owners)}
                for hot in hots:
                    assert not void & {int(query.split()[0]) for query in hot}
                assert not any(table.get(key(n)) for n in void)
                voided += len(void)
                said = {n: answer for n, answer in said.items() if n not in void}
            case 1:
                table.drop(key(number))
            case _:
                if number not in said:
                    owners = tuple(b"o%d" % chance.randrange(16) for _ in range(number % 4))
                    of_zone = bool(owners) and chance.random() < 0.6
                    said[number] = (
                        zone_answer(*owners) if of_zone else forwarded(positive=chance.random() < 0.7, owners=owners)
                    )
                known = table.get(key(number)) or table.keep(key(number), said[number])
                until = inf if known.answer.until == inf else 100.0
                # A query's bytes hold its question: no other name has the same.
                table.heat(known, chance.choice(hots), b"%d %d" % (number, chance.randrange(20)), image(until))
        assert sum(map(len, (table._zone, table._positive, table._denials))) == len(table)
    assert voided > 1000
    sizes = sum(one.size for hot in hots for one in hot.values() if one.until == inf)
    assert table._zone_bytes == sizes <= 30_000
    for owner, keys in table._answers_of.items():
        assert keys
        for each in keys:
            known = table.get(each)
            assert known is not None
            assert owner in known.answer.owners
    table.clear()
    assert not table._known
    assert not table._answers_of
    assert not table._images_of
    assert not any(hots)
    assert table._zone_bytes == 0
