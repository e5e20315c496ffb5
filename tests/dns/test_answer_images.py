"""Answers as bytes and the replies made of them: whatever is asked, in whatever letters, within whatever limit."""

from __future__ import annotations

import ipaddress
import random

import dns.message
import pytest
from packets import ID, decoded, flags, name, read, sections

from seaway.dns import wire
from seaway.dns.answer import (
    TURNS,
    Answer,
    aged,
    expand,
    failure,
    image,
    images,
    joined,
    minimal,
    of_records,
    turned,
    wire_records,
)
from seaway.dns.wire import AA, CD, NXDOMAIN, RA, RD, TC, TO_QUESTION, TXT


def addresses(*texts: str, ttl: int = 5, owner: bytes = TO_QUESTION) -> list[bytes]:
    return [wire.address(ipaddress.ip_address(t).packed, ttl, owner) for t in texts]


def many(number: int) -> Answer:
    return of_records(AA, addresses(*(f"10.0.{i >> 8}.{i & 255}" for i in range(number))))


def said(query: wire.Query, answer: Answer, limit: int = 1232, turn: int = 0) -> bytes:
    return query.id + image(query, answer, limit, turn)


def test_the_askers_letters_are_echoed() -> None:
    query = read("wEb.Shop.TEST")
    reply = said(query, many(2))
    assert decoded(reply).question[0].name.to_text() == "wEb.Shop.TEST."
    assert sections(reply)[0] == ["wEb.Shop.TEST. 5 A 10.0.0.0", "wEb.Shop.TEST. 5 A 10.0.0.1"]


@pytest.mark.parametrize(
    ("asked", "answered", "told"),
    [
        (0, AA, "QR AA"),
        (RD, AA, "QR AA RD"),
        (RD, RA, "QR RD RA"),
        (RD | CD, RA | wire.AD, "QR RD RA AD CD"),
        (RD | wire.AD | TC, 0, "QR RD"),
    ],
)
def test_flags_are_the_answers_and_the_askers_own(asked: int, answered: int, told: str) -> None:
    assert flags(said(read("a.test", flags=asked), failure(answered))) == told


def test_edns_is_answered_where_it_was_asked() -> None:
    assert decoded(said(read("a.test"), many(1))).edns == -1
    reply = decoded(said(read("a.test", size=4096, do=True), many(1)))
    assert (reply.edns, reply.payload, bool(reply.ednsflags & 0x8000)) == (0, wire.UDP_LIMIT, True)


def test_an_rcode_alone_is_a_reply() -> None:
    reply = decoded(said(read("a.test", size=1232), failure(wire.REFUSED)))
    assert (reply.rcode(), reply.answer, reply.authority, reply.additional) == (wire.REFUSED, [], [], [])


def mixed() -> Answer:
    """Records of every section, of several sizes."""
    texts = [wire.record(TO_QUESTION, TXT, 5, bytes((n,)) + b"x" * n) for n in (3, 90, 40)]
    server = b"\x02ns\x04test\0"
    authority = [wire.record(b"\x04test\0", wire.NS, 5, server), wire.record(b"\x04test\0", wire.NS, 5, b"\x01b" + server)]
    return of_records(RA, [*addresses("192.0.2.1", "192.0.2.2", "192.0.2.3"), *texts], authority, addresses("192.0.2.9", owner=server))


@pytest.mark.parametrize("size", [0, 1232])
def test_no_limit_is_ever_passed_and_tc_says_what_is_missing(size: int) -> None:
    query, answer = read("a.test", size=size), mixed()
    whole = said(query, answer, 65535)
    assert [len(s) for s in sections(whole)] == [6, 2, 1]
    seen: set[tuple[int, ...]] = set()
    for limit in range(len(whole) + 2, 34, -1):
        reply = said(query, answer, limit, limit % 3)
        assert len(reply) <= limit
        message = decoded(reply)  # which fails where counts and bytes do not agree
        counts = tuple(len(s) for s in sections(reply))
        assert bool(message.flags & TC) is (counts[0] < 6), limit
        assert (message.edns == 0) is bool(size), "the OPT record is never what is cut"
        seen.add(counts)
    # Record by record from the end.
    assert seen == {(6, 2, 1), (6, 2, 0), (6, 1, 0), *((n, 0, 0) for n in range(7))}


def test_a_denial_without_room_for_its_soa_says_so() -> None:
    answer = of_records(AA | NXDOMAIN, [], [wire.record(b"\x04test\0", wire.SOA, 5, b"\0\0" + bytes(20))])
    query = read("a.test")
    assert flags(said(query, answer, 512)) == "QR AA RD"
    assert flags(said(query, answer, 40)) == "QR AA TC RD"


@pytest.mark.parametrize("number", [2, 3, 7, TURNS])
def test_each_turn_is_a_rotation_and_each_address_is_first_once(number: int) -> None:
    query, answer = read("a.test"), many(number)
    made = images(query, answer, 1232)
    orders = [_in_order(ID + one) for one in made]
    first = orders[0]
    assert orders == [first[i:] + first[:i] for i in range(number)]


def _in_order(reply: bytes) -> list[str]:
    return [data.to_text() for one in dns.message.from_wire(reply, one_rr_per_rrset=True).answer for data in one]


def test_what_stands_behind_the_addresses_keeps_its_place() -> None:
    answer = mixed()
    assert answer.run == (0, 16, 3)
    for turn in range(7):
        body = turned(answer, turn)
        assert body[48:] == answer.body[48:]
        assert sorted(body[i : i + 16] for i in (0, 16, 32)) == sorted(answer.body[i : i + 16] for i in (0, 16, 32))


def test_one_address_and_unlike_records_take_no_turns() -> None:
    assert many(1).run == (0, 0, 0)
    assert len(images(read("a.test"), many(1), 1232)) == 1
    assert of_records(0, [wire.record(TO_QUESTION, TXT, 5, b"\x01a"), *addresses("192.0.2.1", "192.0.2.2")]).run == (0, 0, 0)
    assert of_records(0, addresses("192.0.2.1", "192.0.2.2", "2001:db8::1")).run == (0, 16, 2)


def test_images_are_bounded_whatever_the_number_of_addresses() -> None:
    query = read("a.test", size=1232)
    assert len(images(query, many(30), 1232)) == TURNS
    made = images(query, many(500), 1232)
    assert len(made) == 4  # long ones are few
    assert all(len(one) + 2 <= 1232 for one in made)
    assert len({one for one in made}) == 4


def test_ttls_count_down_and_end_at_zero() -> None:
    body = b"".join(addresses("192.0.2.1", ttl=30) + addresses("192.0.2.2", ttl=3))
    answer = Answer(RA, (2, 0, 0), body, ttls=(6, 22), born=100.0, until=130.0)
    for passed, told in ((0.0, (30, 3)), (0.99, (30, 3)), (1.0, (29, 2)), (3.5, (27, 0)), (29.9, (1, 0)), (400.0, (0, 0))):
        now = aged(answer, 100.0 + passed)
        assert sections(said(read("a.test"), now))[0] == sorted(
            (f"a.test. {told[0]} A 192.0.2.1", f"a.test. {told[1]} A 192.0.2.2")
        )
        assert now.born == 100.0 + int(passed)
        assert now.until == 130.0
    assert aged(answer, 99.0) is answer
    zone = many(2)
    assert aged(zone, 1e9) is zone, "the cluster's own do not age"


def test_ageing_twice_is_ageing_once() -> None:
    answer = Answer(RA, (1, 0, 0), b"".join(addresses("192.0.2.1", ttl=60)), ttls=(6,), born=10.0, until=70.0)
    chance = random.Random(7)
    for _ in range(200):
        early, late = sorted((chance.uniform(10, 80), chance.uniform(10, 80)))
        assert aged(aged(answer, early), late).body == aged(answer, late).body


def test_minimal_leaves_the_answer_alone() -> None:
    answer = mixed()._replace(ttls=(6, 22, 38, 54), born=1.0, until=9.0)
    less = minimal(answer)
    reply = sections(said(read("a.test"), less))
    assert [len(s) for s in reply] == [6, 0, 0]
    assert reply[0] == sections(said(read("a.test"), answer))[0]
    assert minimal(less) is less
    denial = of_records(AA | NXDOMAIN, [], [wire.record(b"\x04test\0", wire.SOA, 5, b"\0\0" + bytes(20))])
    assert minimal(denial) is denial, "a denial needs its SOA"


ALIAS = wire.record(TO_QUESTION, wire.CNAME, 5, name("www.outside.test"))


def upstream(*records: bytes, flags: int = RA, born: float = 100.0, keep: float = 30.0) -> Answer:
    answer = of_records(flags, records, owners=())
    ttls, at = [], 0
    for record in records:
        ttls.append(at + (6 if record.startswith(b"\xc0") else wire.skip_name(record, 0) + 4))
        at += len(record)
    return answer._replace(ttls=tuple(ttls), born=born, until=born + keep)


def test_an_alias_and_its_target_are_one_answer() -> None:
    first = of_records(AA, [ALIAS], owners=(b"svc",))._replace(target=name("www.outside.test"))
    target = wire.record(TO_QUESTION, wire.CNAME, 60, b"\x03cdn\xc0\x10")
    at = 12 + len(name("www.outside.test")) + 4  # where the alias' record begins in the upstream's message
    last = wire.address(b"\xc0\0\2\1", 30, (0xC000 | (at + 12)).to_bytes(2, "big"))
    answer = joined(first, name("www.outside.test"), upstream(target, last))
    reply = said(read("Out.Shop.test"), answer)
    assert sections(reply)[0] == [
        "Out.Shop.test. 5 CNAME www.outside.test.",
        "cdn.outside.test. 30 A 192.0.2.1",
        "www.outside.test. 60 CNAME cdn.outside.test.",
    ]
    assert answer.owners == (b"svc",)
    assert (answer.born, answer.until) == (100.0, 130.0)
    assert answer.target == b""
    later = sections(said(read("out.shop.test"), aged(answer, 110.0)))[0]
    assert [row.split()[1] for row in later] == ["20", "5", "50"], "the alias is the cluster's own, and keeps its TTL"


def test_an_alias_to_what_was_cut_short_says_so() -> None:
    first = of_records(AA, [ALIAS], owners=(b"svc",))
    answer = joined(first, name("www.outside.test"), upstream(*addresses("192.0.2.1"), flags=RA | TC))
    assert answer.flags & TC


def test_names_in_the_data_are_written_out() -> None:
    target = name("www.outside.test")  # at 12; "outside" at 16
    pointer = b"\xc0\x10"
    records = [
        wire.record(TO_QUESTION, wire.MX, 9, b"\0\x0a\x02mx" + pointer),
        wire.record(TO_QUESTION, wire.SRV, 9, b"\0\0\0\1\0\x50\x03srv" + pointer),
        wire.record(TO_QUESTION, wire.NS, 9, b"\x02ns" + pointer),
        wire.record(TO_QUESTION, wire.SOA, 9, b"\x02ns" + pointer + b"\x04host" + pointer + bytes(19) + b"\x07"),
        wire.record(TO_QUESTION, wire.PTR, 9, pointer),
    ]
    found = wire_records(upstream(*records), target)
    for record in found:
        assert b"\xc0" not in record
        assert record.startswith(target)
    reply = said(read("a.test"), of_records(RA, found))
    assert [row.partition(" 9 ")[2] for row in sections(reply)[0]] == [
        "MX 10 mx.outside.test.",
        "NS ns.outside.test.",
        "PTR outside.test.",
        "SOA ns.outside.test. host.outside.test. 0 0 0 0 7",
        "SRV 0 1 80 srv.outside.test.",
    ]


LOOPS = [
    (b"\xc0\x00", 0),  # to itself
    (b"\x01a\xc0\x00", 0),  # to its own beginning: without an end
    (b"\xc0\x02\xc0\x00", 0),  # forwards
    (b"\xc0\x02\xc0\x00", 2),
    (b"\x40a\0", 0),  # a reserved label type
    (b"\x80a\0", 0),
    (b"\x3f" + b"a" * 63 + (b"\x3f" + b"a" * 63) * 3 + b"\0", 0),  # 257 bytes
]


@pytest.mark.parametrize(("message", "at"), LOOPS)
def test_a_name_that_does_not_end_is_refused(message: bytes, at: int) -> None:
    with pytest.raises(ValueError):
        expand(message, at)


def test_any_bytes_end() -> None:
    chance = random.Random(3)
    good = 0
    for _ in range(10_000):
        data = bytes(chance.choices(b"\0\1\2\xc0\xc1a", k=chance.randrange(1, 60)))
        try:
            found, after = expand(data, chance.randrange(len(data)))
        except (ValueError, IndexError):
            continue
        good += 1
        assert len(found) <= 255
        assert 0 < after <= len(data)
        assert wire.name_of(wire.to_name(found)) == found.lower()
    assert good > 2000
