"""Messages as bytes: which packets are queries, what is said to those that are not, and names that bytes may deceive about."""

from __future__ import annotations

import ipaddress
import random
from contextlib import suppress

import dns.message
import pytest
from packets import ID, name, packet, read

from seaway.dns import wire
from seaway.dns.wire import AD, CD, IN, OPT, QR, RD, TC, BadMessage

LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])
HEAD = "1234 0100 0001 0000 0000 0000"
ASKED = "01 61 04 74657374 00 0001 0001"  # a.test. A IN
PLAIN_OPT = "00 0029 04d0 00000000 0000"


def raw(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def test_a_plain_query_is_read() -> None:
    query = read("Web.Shop.Test", "AAAA")
    assert query == wire.Query(
        ID, RD, name("Web.Shop.Test") + b"\0\x1c\0\x01", name("web.shop.test"), 28, IN, False, 512, False, False
    )
    assert read("web.shop.test").plain  # the same letters again for all who ask


@pytest.mark.parametrize(
    ("size", "do", "taken"),
    [(1232, False, 1232), (4096, True, 4096), (100, False, 512), (512, False, 512), (65535, True, 65535)],
)
def test_edns_says_what_the_client_takes(size: int, do: bool, taken: int) -> None:
    # RFC 6891 6.2.5: values lower than 512 are treated as 512
    query = read("a.test", size=size, do=do)
    assert (query.edns, query.size, query.do, query.plain) == (True, taken, do, True)


GOOD = {
    "the root": ("1234 0100 0001 0000 0000 0000", "00 0002 0001", True),
    "no recursion desired": ("1234 0000 0001 0000 0000 0000", ASKED, True),
    "AD and CD": ("1234 0130 0001 0000 0000 0000", ASKED, True),
    "bytes behind it": (HEAD, ASKED + "ffff", False),
    "an OPT with an option": ("1234 0100 0001 0000 0000 0001", ASKED + "00 0029 04d0 00000000 0004 000a 0000", False),
    "an OPT and bytes behind it": ("1234 0100 0001 0000 0000 0001", ASKED + PLAIN_OPT + "00", False),
    "an OPT before a record": ("1234 0100 0001 0000 0000 0002", ASKED + PLAIN_OPT + "c00c 0001 0001 00000000 0000", False),
    "an OPT behind a record": ("1234 0100 0001 0000 0000 0002", ASKED + "c00c 0001 0001 00000000 0000" + PLAIN_OPT, False),
    "a record in the authority section": ("1234 0100 0001 0000 0001 0000", ASKED + "c00c 0006 0001 00000000 0000", False),
    "class ANY": (HEAD, "01 61 00 0001 00ff", True),
    "octets that are no letters": (HEAD, "03 00ff2e 00 0001 0001", True),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_query_is_read(case: str) -> None:
    head, rest, plain = GOOD[case]
    query = wire.read(raw(head + rest))
    assert query.id == ID
    assert query.plain is plain
    assert query.edns is ("OPT" in case)


FORMERR, NOTIMP = "FORMERR", "NOTIMP"
BAD = {
    "nothing": ("", "", ""),
    "less than a head": ("1234 0100 0001 0000 0000 00", "", ""),
    "an answer": ("1234 8100 0001 0000 0000 0000", ASKED, ""),
    "an answer that is broken": ("1234 8100 0009 0000 0000 0000", "", ""),
    "an inverse query": ("1234 0900 0001 0000 0000 0000", ASKED, NOTIMP),
    "a status query": ("1234 1100 0001 0000 0000 0000", ASKED, NOTIMP),
    "NOTIFY": ("1234 2000 0001 0000 0000 0000", ASKED, NOTIMP),
    "UPDATE": ("1234 2800 0001 0000 0000 0000", ASKED, NOTIMP),
    "no question": ("1234 0100 0000 0000 0000 0000", "", FORMERR),
    "two questions": ("1234 0100 0002 0000 0000 0000", ASKED + ASKED, FORMERR),
    "a question that is missing": (HEAD, "", FORMERR),
    "a name without an end": (HEAD, "01 61", FORMERR),
    "a label beyond the end": (HEAD, "3f 61", FORMERR),
    "no type": (HEAD, "01 61 00", FORMERR),
    "no class": (HEAD, "01 61 00 0001", FORMERR),
    "half a class": (HEAD, "01 61 00 0001 00", FORMERR),
    "a pointer in the question": (HEAD, "01 61 c00c 0001 0001", FORMERR),
    "a pointer to itself": (HEAD, "c00c 0001 0001", FORMERR),
    "an extended label": (HEAD, "41 61 00 0001 0001", FORMERR),
    "a name of 256 bytes": (HEAD, "3f" + "61" * 63 + ("3f" + "62" * 63) * 2 + "3e" + "63" * 62 + "00 0001 0001", FORMERR),
    "two OPT": ("1234 0100 0001 0000 0000 0002", ASKED + PLAIN_OPT + PLAIN_OPT, FORMERR),
    "an OPT with a name": ("1234 0100 0001 0000 0000 0001", ASKED + "c00c 0029 04d0 00000000 0000", FORMERR),
    "an OPT that is the answer": ("1234 0100 0001 0001 0000 0000", ASKED + PLAIN_OPT, FORMERR),
    "an OPT in the authority section": ("1234 0100 0001 0000 0001 0000", ASKED + PLAIN_OPT, FORMERR),
    "an OPT longer than the packet": ("1234 0100 0001 0000 0000 0001", ASKED + "00 0029 04d0 00000000 0001", FORMERR),
    "half an OPT": ("1234 0100 0001 0000 0000 0001", ASKED + "00 0029 04", FORMERR),
    "an OPT that is missing": ("1234 0100 0001 0000 0000 0001", ASKED, FORMERR),
    "two answers": ("1234 0100 0001 0002 0000 0000", ASKED, FORMERR),
    "three additional records": ("1234 0100 0001 0000 0000 0003", ASKED, FORMERR),
    "a pointer cut short": ("1234 0100 0001 0000 0000 0001", ASKED + "c0", FORMERR),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_query_is_told_so_or_not_answered(case: str) -> None:
    head, rest, told = BAD[case]
    data = raw(head + rest)
    with pytest.raises(BadMessage) as failed:
        wire.read(data)
    reply = failed.value.reply
    if not told:
        assert reply == b""
        return
    assert len(reply) == 12, "never longer than what was sent"
    assert reply[:2] == ID
    assert int.from_bytes(reply[2:4], "big") == QR | (int.from_bytes(data[2:4], "big") & 0x7900) | getattr(wire, told)
    assert reply[4:] == bytes(8)


def test_a_name_of_255_bytes_is_one() -> None:
    assert len(read(LONGEST).name) == 255


def test_an_unknown_edns_version_is_told_ours() -> None:
    # RFC 6891 6.1.3: BADVERS, and the version that we do speak
    with pytest.raises(BadMessage) as failed:
        wire.read(raw("1234 0100 0001 0000 0000 0001" + ASKED + "00 0029 04d0 00070000 0000"))
    reply = dns.message.from_wire(failed.value.reply)
    assert (reply.rcode(), reply.edns, reply.question[0].to_text()) == (16, 0, "a.test. IN A")
    assert len(failed.value.reply) <= len(ASKED) + 12 + 11
    assert failed.value.word == "BADVERS", "the header alone says NOERROR"


def test_no_bytes_raise_anything_but_bad_message() -> None:
    chance = random.Random(14)
    models = [
        packet("web.shop.svc.cluster.local"),
        packet("WEB.test", "SRV", size=1232, do=True, flags=RD | AD | CD),
        packet(LONGEST, size=4096, options=raw("000a 0008 0102030405060708")),
        raw("1234 0100 0001 0001 0001 0002" + ASKED + "c00c 0001 0001 00000000 0004 01020304" * 2 + PLAIN_OPT),
    ]
    read_well = refused = 0
    for _ in range(20_000):
        data = bytearray(chance.choice(models)) if chance.random() < 0.9 else bytearray(chance.randbytes(chance.randrange(80)))
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.choice((0, 1, 0x3F, 0x40, 0xC0, 0xFF, chance.randrange(256)))
        if chance.random() < 0.2:
            del data[chance.randrange(len(data) + 1) :]
        try:
            query = wire.read(bytes(data))
        except BadMessage as e:
            refused += 1
            if e.reply:
                assert e.reply[2] & 0x80
                assert e.reply[:2] == data[:2]
                assert len(e.reply) <= len(data) + 11
            continue
        read_well += 1
        assert query.name == query.question[:-4].lower()
        assert len(query.name) <= 255
        assert query.question == data[12 : 12 + len(query.question)]
        assert not query.plain or data[12 : 12 + len(query.name)] == query.name
    assert read_well > 2000
    assert refused > 2000


BELOW = [
    (b"\x03web\x04test\0", b"\x04test\0", True),
    (b"\x04test\0", b"\x04test\0", True),
    (b"\x04test\0", b"\0", True),
    (b"\0", b"\0", True),
    (b"\0", b"\x04test\0", False),
    (b"\x05xtest\0", b"\x04test\0", False),
    (b"\x06x\x04test\0", b"\x04test\0", False),  # one label that holds what looks like another
    (b"\x01a\x06x\x04test\0", b"\x04test\0", False),
    (b"\x02\x01a\x04test\0", b"\x04test\0", True),  # a label that looks like more is one
    (b"\x02\x01a\x04test\0", b"\x01a\x04test\0", False),
]


@pytest.mark.parametrize(("asked", "zone", "below"), BELOW)
def test_a_name_is_below_a_zone_label_by_label(asked: bytes, zone: bytes, below: bool) -> None:
    assert wire.is_below(asked, zone) is below


def test_is_below_agrees_with_labels_whatever_the_bytes() -> None:
    chance = random.Random(1)
    agreed = 0
    for _ in range(5000):
        labels = [bytes(chance.choices(b"\x01\x02a", k=chance.randrange(1, 5))) for _ in range(chance.randrange(1, 5))]
        tail = [bytes(chance.choices(b"\x01\x02a", k=chance.randrange(1, 3))) for _ in range(chance.randrange(1, 3))]
        if chance.random() < 0.5:
            labels = labels[: len(labels) - len(tail)] + tail
        asked, zone = (b"".join(bytes((len(one),)) + one for one in parts) + b"\0" for parts in (labels, tail))
        truly = labels[-len(tail) :] == tail
        assert wire.is_below(asked, zone) is truly
        agreed += truly
    assert agreed > 1000


@pytest.mark.parametrize("text", ["192.0.2.7", "0.0.0.0", "255.255.255.255", "2001:db8::5", "::", "fd00:10:96::a"])
def test_a_reverse_name_and_its_address_are_each_others(text: str) -> None:
    packed = ipaddress.ip_address(text).packed
    assert wire.reverse_address(wire.reverse_name(packed)) == packed


@pytest.mark.parametrize(
    "asked",
    [
        "in-addr.arpa", "2.0.192.in-addr.arpa", "1.7.2.0.192.in-addr.arpa", "256.2.0.192.in-addr.arpa", "07.2.0.192.in-addr.arpa",
        "a.2.0.192.in-addr.arpa", "7.2.0.192.in-addr.test", "7.2.0.192.ip6.arpa", "0.ip6.arpa", "g" + ".0" * 31 + ".ip6.arpa",
        "00" + ".0" * 31 + ".ip6.arpa", " ." * 24 + "0.0.0.0.0.0.0.0.ip6.arpa",
    ],
)  # fmt: skip
def test_a_name_that_stands_for_no_address_has_none(asked: str) -> None:
    assert wire.reverse_address(name(asked)) is None


def test_the_two_kinds_of_reverse_names_refuse_octets_beyond_ascii() -> None:
    assert wire.reverse_address(b"\x01\xff\x012\x010\x03192\x07in-addr\x04arpa\0") is None
    assert wire.reverse_address(b"\x01\xff" + b"\x010" * 31 + b"\x03ip6\x04arpa\0") is None


@pytest.mark.parametrize("text", ["a.test.", ".", r"a\.b.test.", r"\000\255.test.", "xn--bcher-kva.test."])
def test_text_and_bytes_of_a_name_are_each_others(text: str) -> None:
    assert wire.to_text(wire.from_text(text)) == text
    assert wire.name_of(wire.to_name(wire.from_text(text))) == wire.from_text(text)


def test_the_opt_record_answers_what_was_sent() -> None:
    assert wire.opt(read("a.test")) == b""
    plain, signed = wire.opt(read("a.test", size=4096)), wire.opt(read("a.test", size=4096, do=True))
    assert wire.FIXED.unpack_from(plain, 1) == (OPT, wire.UDP_LIMIT, 0, 0)
    assert wire.FIXED.unpack_from(signed, 1) == (OPT, wire.UDP_LIMIT, 0x8000, 0)  # RFC 3225 3


def test_a_query_keeps_its_flags() -> None:
    for flags in (0, RD, CD, RD | AD | CD, TC):
        with suppress(BadMessage):
            assert read("a.test", flags=flags).flags == flags
