"""The wire, checked by an independent library: what is read, what is refused, what is written."""

from __future__ import annotations

import random
import struct

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from seaway.dns import message
from seaway.dns.message import BadMessage, Query
from seaway.dns.zone import CNAME, NS, PTR, SRV, TXT, A, Record

ORIGIN = (b"cluster", b"local")


def wire(name: str = "Web.shop.svc.cluster.local.", kind: str = "A", **options: object) -> bytes:
    return dns.message.make_query(name, kind, id=0x1234, **options).to_wire()


def test_a_query_is_read_with_its_case_kept_and_its_name_lowered() -> None:
    found = message.read(wire(use_edns=-1))
    assert found == Query(0x1234, 0x0100, (b"Web", b"shop", b"svc", b"cluster", b"local"),
                          ("web", "shop", "svc", "cluster", "local"), 1, 1, 512, False)


@pytest.mark.parametrize(("said", "size"), [(None, 512), (0, 512), (512, 512), (900, 900), (1232, 1232), (4096, 1232)])
def test_the_size_a_client_takes_is_bounded_by_ours(said: int | None, size: int) -> None:
    """RFC 6891 6.2.3: values below 512 are 512."""
    options = {"use_edns": -1} if said is None else {"use_edns": 0, "payload": said}
    found = message.read(wire(**options))
    assert (found.size, found.edns) == (size, said is not None)


def changed(at: int, form: str, *values: int) -> bytes:
    packet = bytearray(wire(use_edns=-1))
    struct.pack_into(form, packet, at, *values)
    return bytes(packet)


LABEL = b"\x3f" + b"a" * 63
HEAD = wire(use_edns=-1)[:12]


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (changed(2, "!H", 0x2800), dns.rcode.NOTIMP),  # opcode UPDATE
        (changed(2, "!H", 0x1000), dns.rcode.NOTIMP),  # opcode STATUS
        (changed(4, "!H", 0), dns.rcode.FORMERR),
        (changed(4, "!H", 2), dns.rcode.FORMERR),
        (changed(6, "!H", 1), dns.rcode.FORMERR),
        (changed(8, "!H", 1), dns.rcode.FORMERR),
        (changed(12, "!B", 64), dns.rcode.FORMERR),  # a label of 64 bytes
        (changed(12, "!H", 0xC00C), dns.rcode.FORMERR),  # a question that points at itself
        (wire(use_edns=-1)[:-1], dns.rcode.FORMERR),
        (wire(use_edns=-1)[:14], dns.rcode.FORMERR),
        (HEAD, dns.rcode.FORMERR),
        (HEAD + LABEL * 4 + b"\0\0\1\0\1", dns.rcode.FORMERR),  # a name of 257 bytes
    ],
)
def test_what_cannot_be_answered_is_told_so(packet: bytes, code: int) -> None:
    with pytest.raises(BadMessage) as caught:
        message.read(packet)
    reply = dns.message.from_wire(caught.value.reply)
    assert (reply.id, reply.rcode(), bool(reply.flags & dns.flags.QR)) == (0x1234, code, True)


@pytest.mark.parametrize("packet", [b"", b"\x12", HEAD[:11], changed(2, "!H", 0x8000), changed(2, "!H", 0xFFFF)])
def test_there_is_no_answer_to_a_fragment_or_an_answer(packet: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        message.read(packet)
    assert caught.value.reply == b""


def test_a_name_of_255_bytes_is_the_longest() -> None:
    longest = HEAD + LABEL * 3 + b"\x3d" + b"b" * 61 + b"\0\0\1\0\1"
    assert sum(len(label) + 1 for label in message.read(longest).labels) + 1 == 255


def written(answers: list[bytes], code: int = 0, limit: int = 65535, authority: tuple = (), additional: tuple = (),
            **options: object) -> tuple[bytes, dns.message.Message]:
    raw = message.write(message.read(wire(**options)), code, answers, list(authority), list(additional), limit)
    return raw, dns.message.from_wire(raw)


def test_each_type_of_record_reads_as_it_was_meant() -> None:
    rows = [Record(A, "10.96.0.5"), Record(28, "fd00::5"), Record(TXT, "1.1.0", 28800), Record(PTR, ("web", "shop", "svc")),
            Record(NS, ("ns", "dns")), Record(CNAME, ("example", "org")), Record(SRV, (80, ("web", "shop", "svc")))]
    _, found = written([message.resource(b"\xc0\x0c", r, ORIGIN) for r in rows])
    assert [(dns.rdatatype.to_text(s.rdtype), s.ttl, str(s[0])) for s in found.answer] == [
        ("A", 5, "10.96.0.5"), ("AAAA", 5, "fd00::5"), ("TXT", 28800, '"1.1.0"'),
        ("PTR", 5, "web.shop.svc.cluster.local."), ("NS", 5, "ns.dns.cluster.local."), ("CNAME", 5, "example.org."),
        ("SRV", 5, "0 100 80 web.shop.svc.cluster.local.")]
    assert {str(s.name) for s in found.answer} == {"Web.shop.svc.cluster.local."}


def test_the_soa_says_how_long_no_is_no() -> None:
    _, found = written([], 3, authority=(message.soa(ORIGIN, 7),))
    (soa,) = found.authority
    assert str(soa.name) == "cluster.local." and soa.ttl == soa[0].minimum == 5  # RFC 2308 5: the smaller of the two
    assert (soa[0].serial, found.rcode()) == (7, dns.rcode.NXDOMAIN)


@pytest.mark.parametrize("desired", [True, False])
def test_recursion_desired_is_copied_and_never_available(desired: bool) -> None:
    query = dns.message.make_query("web.shop.svc.cluster.local.", "A")
    query.flags = dns.flags.RD if desired else 0
    found = dns.message.from_wire(message.write(message.read(query.to_wire()), 0, [], [], [], 512))
    assert bool(found.flags & dns.flags.RD) == desired and not found.flags & dns.flags.RA
    assert query.is_response(found)


def test_edns_is_answered_where_it_was_asked() -> None:
    assert written([], use_edns=0, payload=4096)[1].edns == 0
    assert written([], use_edns=-1)[1].edns == -1


@pytest.mark.parametrize("count", range(1, 60, 7))
@pytest.mark.parametrize("limit", [512, 700, 1232])
def test_an_answer_is_whole_or_truncated_and_never_over_the_limit(count: int, limit: int) -> None:
    rows = [message.resource(b"\xc0\x0c", Record(A, f"10.0.0.{i}"), ORIGIN) for i in range(count)]
    raw, found = written(rows, limit=limit, use_edns=0)
    whole = len(written(rows, use_edns=0)[0])
    assert len(raw) <= limit and found.edns == 0
    assert bool(found.flags & dns.flags.TC) == (whole > limit)
    if whole <= limit:
        assert len(found.answer[0]) == count


def test_additional_records_are_left_out_before_an_answer_is_truncated() -> None:
    row = message.resource(b"\xc0\x0c", Record(A, "10.0.0.1"), ORIGIN)
    raw, found = written([row], limit=512, additional=tuple([row] * 40))
    assert len(raw) <= 512 and not found.flags & dns.flags.TC and len(found.answer) == 1 and not found.additional


def test_random_bytes_are_read_or_refused_and_nothing_else() -> None:
    chooser = random.Random(1)
    for _ in range(5000):
        packet = HEAD[:4] * (chooser.random() < 0.5) + chooser.randbytes(chooser.randrange(64))
        try:
            message.read(packet)
        except BadMessage as e:
            assert len(e.reply) in (0, 12)
            assert not e.reply or not packet[2] & 0x80
