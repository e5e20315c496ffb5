"""What upstreams say: taken as it is within bounds, and Unusable where it is not what it claims to be."""

from __future__ import annotations

import random

import dns.message
import pytest
from packets import ID, name, read, sections

from seaway.dns import relayed
from seaway.dns.answer import Answer, aged, image
from seaway.dns.relayed import Unusable, answers
from seaway.dns.settings import Cache
from seaway.dns.wire import AA, AD, FIXED, HEADER, IN, OPT, PAIR, QR, RA, TC, skip_name

NOW = 1000.0
QUESTION = name("www.test") + PAIR.pack(1, IN)
OPT_RECORD = b"\0" + FIXED.pack(OPT, 1232, 0, 0)


def message(*rows: str, flags: str = "QR RD RA", rcode: str = "NOERROR", edns: bool = True) -> bytes:
    """An upstream's message, made by dnspython: rows are `SECTION OWNER TTL TYPE DATA`."""
    lines = ["id 4660", "opcode QUERY", f"rcode {rcode}", f"flags {flags}"]
    if edns:
        lines += ["edns 0", "payload 1232"]
    lines += [";QUESTION", "www.test. IN A"]
    for section in ("ANSWER", "AUTHORITY", "ADDITIONAL"):
        lines.append(f";{section}")
        for row in rows:
            where, owner, ttl, rest = row.split(" ", 3)
            if where == section.lower():
                lines.append(f"{owner} {ttl} IN {rest}")
    made = dns.message.from_text("\n".join(lines))
    return made.to_wire()


def taken(data: bytes, rules: Cache | None = None) -> Answer:
    assert answers(data, QUESTION)
    return relayed.read(data, QUESTION, rules or Cache(), NOW)


def told(answer: Answer, asked: str = "www.test", size: int = 0) -> tuple[list[str], list[str], list[str]]:
    query = read(asked, size=size)
    return sections(query.id + image(query, answer, 65535))


WHOLE = (
    "answer www.test. 300 CNAME a.cdn.test.", "answer a.cdn.test. 60 A 192.0.2.1", "answer a.cdn.test. 60 A 192.0.2.2",
    "authority cdn.test. 900 NS ns.cdn.test.", "additional ns.cdn.test. 900 A 192.0.2.53",
)  # fmt: skip


def test_an_answer_is_passed_on_without_the_upstreams_opt() -> None:
    for edns in (True, False):
        assert told(taken(message(*WHOLE, edns=edns))) == (
            ["a.cdn.test. 60 A 192.0.2.1", "a.cdn.test. 60 A 192.0.2.2", "www.test. 300 CNAME a.cdn.test."],
            ["cdn.test. 900 NS ns.cdn.test."],
            ["ns.cdn.test. 900 A 192.0.2.53"],
        )


def test_every_ttl_counts_down() -> None:
    answer = taken(message(*WHOLE))
    assert [row.split()[1] for part in told(aged(answer, NOW + 59.5)) for row in part] == ["1", "1", "241", "841", "841"]
    assert (answer.born, answer.until) == (NOW, NOW + 60)


def test_the_askers_letters_stand_before_what_was_asked_in_lower_case() -> None:
    found = told(taken(message("answer www.test. 60 A 192.0.2.1")), "WwW.tEST")
    assert found[0] == ["WwW.tEST. 60 A 192.0.2.1"]


def test_addresses_take_turns_only_where_they_stand_together() -> None:
    assert taken(message("answer www.test. 9 A 192.0.2.1", "answer www.test. 9 A 192.0.2.2")).run == (0, 16, 2)
    assert taken(message(*WHOLE)).run[2] == 2
    assert taken(message("answer www.test. 9 A 192.0.2.1")).run == (0, 0, 0)
    apart = message("answer www.test. 9 A 192.0.2.1", "answer www.test. 9 TXT x", "answer www.test. 9 A 192.0.2.2", edns=False)
    assert len(told(taken(apart))[0]) == 3


@pytest.mark.parametrize(
    ("flags", "kept"),
    [("QR RD RA", RA), ("QR RD", 0), ("QR AA RD RA AD", RA | AD), ("QR TC RD RA", RA | TC)],
)
def test_flags_are_the_upstreams_but_not_its_authority(flags: str, kept: int) -> None:
    answer = taken(message("answer www.test. 60 A 192.0.2.1", flags=flags))
    assert answer.flags == kept
    assert not answer.flags & AA


TTLS = [
    # TTL of the record, rules, what is said, how long it is kept
    (60, Cache(), 60, 60),
    (1, Cache(), 5, 5),
    (0, Cache(), 5, 5),
    (0, Cache(min_ttl=0), 0, 0),
    (86400, Cache(), 3600, 3600),
    (86400, Cache(max_ttl=30), 30, 30),
    (0x7FFFFFFF, Cache(max_ttl=0x7FFFFFFF), 0x7FFFFFFF, 0x7FFFFFFF),
]


@pytest.mark.parametrize(("ttl", "rules", "said", "kept"), TTLS)
def test_ttls_are_within_the_bounds_of_cache(ttl: int, rules: Cache, said: int, kept: int) -> None:
    answer = taken(message(f"answer www.test. {ttl} A 192.0.2.1"), rules)
    assert told(answer)[0] == [f"www.test. {said} A 192.0.2.1"]
    assert answer.until == NOW + kept


def test_a_ttl_with_the_highest_bit_is_none() -> None:
    # RFC 2181 8: treated as if it were zero
    data = bytearray(message("answer www.test. 60 A 192.0.2.1", edns=False))
    data[-10:-6] = b"\xff\xff\xff\xff"
    assert told(taken(bytes(data)))[0] == ["www.test. 5 A 192.0.2.1"]


def test_the_least_ttl_holds_for_all() -> None:
    answer = taken(message("answer www.test. 3000 CNAME b.test.", "answer b.test. 20 A 192.0.2.1"))
    assert answer.until == NOW + 20


SOA = "authority test. {ttl} SOA ns.test. host.test. 1 2 3 4 {minimum}"
NEGATIVE = [
    # rcode, TTL of the SOA, its minimum, rules, kept
    ("NXDOMAIN", 300, 60, Cache(), 60),  # RFC 2308 5: the lesser of both
    ("NXDOMAIN", 60, 300, Cache(), 60),
    ("NOERROR", 60, 300, Cache(), 60),
    ("NXDOMAIN", 86400, 86400, Cache(), 1800),
    ("NXDOMAIN", 1, 1, Cache(), 5),
    ("NXDOMAIN", 900, 900, Cache(denial_max_ttl=7), 7),
    ("NOERROR", 0, 0, Cache(denial_min_ttl=0), 0),
]


@pytest.mark.parametrize(("rcode", "ttl", "minimum", "rules", "kept"), NEGATIVE)
def test_a_denial_is_kept_as_long_as_its_soa_says(rcode: str, ttl: int, minimum: int, rules: Cache, kept: int) -> None:
    answer = taken(message(SOA.format(ttl=ttl, minimum=minimum), rcode=rcode), rules)
    assert answer.until == NOW + kept
    assert answer.is_denial
    if kept:  # and the SOA is given that TTL, so that who asks keeps it no longer than we do
        assert told(answer)[1][0].split()[1] == str(kept)
        assert told(aged(answer, NOW + kept - 0.5))[1][0].split()[1] == "1"


def test_a_denial_without_soa_is_not_kept() -> None:
    # RFC 2308 5
    for rcode in ("NXDOMAIN", "NOERROR"):
        assert taken(message(rcode=rcode)).until == NOW
        assert taken(message("authority test. 60 NS ns.test.", rcode=rcode)).until == NOW


@pytest.mark.parametrize(("rcode", "kept"), [("SERVFAIL", 5.0), ("REFUSED", 0), ("NOTIMP", 0), ("FORMERR", 0)])
def test_failures_are_kept_for_a_moment_or_not_at_all(rcode: str, kept: float) -> None:
    answer = taken(message(rcode=rcode))
    assert answer.until == NOW + kept
    assert answer.flags & 15 == {"SERVFAIL": 2, "REFUSED": 5, "NOTIMP": 4, "FORMERR": 1}[rcode]


def build(*, an: tuple[bytes, ...] = (), ns: tuple[bytes, ...] = (), ar: tuple[bytes, ...] = (), tail: bytes = b"") -> bytes:
    head = HEADER.pack(0x1234, QR | RA, 1, len(an), len(ns), len(ar))
    return head + QUESTION + b"".join((*an, *ns, *ar)) + tail


A_ROW = b"\xc0\x0c" + FIXED.pack(1, IN, 60, 4) + b"\xc0\0\2\1"
NS_ROW = b"\xc0\x10" + FIXED.pack(2, IN, 60, 5) + b"\x02ns\xc0\x10"


def test_an_opt_amid_additional_records_is_taken_out() -> None:
    glue = b"\x02ns\xc0\x10" + FIXED.pack(1, IN, 60, 4) + b"\xc0\0\2\x35"
    last = told(taken(build(an=(A_ROW,), ns=(NS_ROW,), ar=(glue, OPT_RECORD))))
    assert last == (["www.test. 60 A 192.0.2.1"], ["test. 60 NS ns.test."], ["ns.test. 60 A 192.0.2.53"])
    for extra in (glue, b"\xc0\x3c" + glue[5:], b"\xc0\x41" + glue[5:]):  # pointing behind the OPT, too
        for size in (0, 1232):
            found = told(taken(build(an=(A_ROW,), ns=(NS_ROW,), ar=(OPT_RECORD, extra))), size=size)
            assert found[:2] == last[:2]
            assert found[2] == [], "what stood behind it is left out"


UNUSABLE = {
    "no question": HEADER.pack(0x1234, QR, 0, 0, 0, 0) + QUESTION,
    "two questions": HEADER.pack(0x1234, QR, 2, 0, 0, 0) + QUESTION * 2,
    "fewer records than it says": HEADER.pack(0x1234, QR, 1, 2, 0, 0) + QUESTION + A_ROW,
    "a record cut short": build(an=(A_ROW[:-1],)),
    "a record without a head": build(an=(A_ROW[:6],)),
    "an owner without an end": build(an=(b"\x3fa",)),
    "half a pointer": build(an=(b"\xc0",)),
    "a reserved label": build(an=(b"\x41" + A_ROW,)),
    "two OPT": build(ar=(OPT_RECORD, OPT_RECORD)),
    "OPT as an answer": build(an=(OPT_RECORD,)),
    "OPT as an authority": build(an=(A_ROW,), ns=(OPT_RECORD,)),
    "an rcode of 12 bits": build(ar=(b"\0" + FIXED.pack(OPT, 1232, 1 << 24, 0),)),
    "counts beyond all": HEADER.pack(0x1234, QR, 1, 65535, 65535, 65535) + QUESTION + A_ROW * 3,
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_reply_that_is_not_what_it_says_is_unusable(case: str) -> None:
    with pytest.raises(Unusable):
        relayed.read(UNUSABLE[case], QUESTION, Cache(), NOW)


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (build(an=(A_ROW,)), True),
        (build(), True),
        (build()[:-1], False),
        (b"", False),
        (b"\x12\x34\x80", False),
        (HEADER.pack(0x1234, 0x0100, 1, 0, 0, 0) + QUESTION, False),  # a query
        (HEADER.pack(0x1234, QR, 1, 0, 0, 0) + QUESTION.upper(), False),  # each letter counts
        (HEADER.pack(0x1234, QR, 1, 0, 0, 0) + name("www.best") + PAIR.pack(1, IN), False),
        (HEADER.pack(0x1234, QR, 1, 0, 0, 0) + name("www.test") + PAIR.pack(28, IN), False),
        (HEADER.pack(0x1234, QR, 1, 0, 0, 0) + name("www.test") + PAIR.pack(1, 3), False),
    ],
)
def test_a_reply_is_one_to_the_question_that_was_sent(data: bytes, good: bool) -> None:
    assert answers(data, QUESTION) is good


def test_no_reply_raises_anything_but_unusable() -> None:
    chance = random.Random(5)
    models = [
        message(*WHOLE),
        message(SOA.format(ttl=60, minimum=30), rcode="NXDOMAIN"),
        message("answer www.test. 60 MX 10 mx.test.", "answer www.test. 60 TXT hello", "additional mx.test. 60 AAAA 2001:db8::1"),
        build(an=(A_ROW, A_ROW), ns=(NS_ROW,), ar=(A_ROW, OPT_RECORD, A_ROW)),
    ]
    query = read("www.test", size=1232)
    good = unusable = 0
    for _ in range(15_000):
        data = bytearray(chance.choice(models))
        for _ in range(chance.randrange(4)):
            at = chance.randrange(4, 12) if chance.random() < 0.2 else chance.randrange(12 + len(QUESTION), len(data))
            data[at] = chance.choice((0, 1, 2, 41, 0x3F, 0x40, 0xC0, 0xFF, chance.randrange(256)))
        if chance.random() < 0.2:
            del data[chance.randrange(12 + len(QUESTION), len(data) + 1) :]
        try:
            answer = relayed.read(bytes(data), QUESTION, Cache(), NOW)
        except Unusable:
            unusable += 1
            continue
        good += 1
        # What was taken can be said, at any time and within any limit.
        for limit, later in ((65535, 0.0), (chance.randrange(40, 200), 77.0)):
            reply = query.id + image(query, aged(answer, NOW + later), limit)
            assert len(reply) <= limit
            _, _, _, an, ns, ar = HEADER.unpack_from(reply)
            assert _walked(reply, an + ns + ar) == len(reply), "counts and bytes agree"
        assert NOW <= answer.until <= NOW + 3600
    assert good > 2000
    assert unusable > 2000


def _walked(reply: bytes, records: int) -> int:
    at = skip_name(reply, 12) + 4
    for _ in range(records):
        at = skip_name(reply, at)
        at += 10 + FIXED.unpack_from(reply, at)[3]
    return at


def test_the_id_is_not_part_of_an_answer() -> None:
    assert taken(build(an=(A_ROW,))) == taken(ID[::-1] + build(an=(A_ROW,))[2:])
