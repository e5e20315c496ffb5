"""DNS messages as bytes (RFC 1035, EDNS0 RFC 6891): names, queries strictly read, records and replies; pure.

A name on the wire is kept as bytes, length octets and all, in lower case (length octets are below "A", so `bytes.lower` may
have the whole). Replies are built without their first two bytes, the id: one image serves every asker of a question.
"""

from __future__ import annotations

import ipaddress
from struct import Struct
from typing import NamedTuple

from seaway.dns import presentation
from seaway.dns.settings import Name

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
A, NS, CNAME, SOA, PTR, HINFO, MX, TXT, AAAA, SRV, OPT = 1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 41
IXFR, AXFR, ANY = 251, 252, 255
IN = 1
QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
UDP_LIMIT, TCP_LIMIT, LEGACY_LIMIT = 1232, 65535, 512
TO_QUESTION = b"\xc0\x0c"

HEADER = Struct("!6H")
PAIR = Struct("!HH")
FIXED = Struct("!HHIH")  # type, class, TTL, length of the data


class Query(NamedTuple):
    """A question. `question` is name, type and class as asked; `name` in lower case; `size` what the client takes by UDP;
    `plain` False where its wire form has what others will not repeat (capitals, options)."""

    id: bytes
    flags: int
    question: bytes
    name: bytes
    kind: int
    cls: int
    edns: bool
    size: int
    do: bool
    plain: bool


class BadMessage(ValueError):
    """Not a query that can be answered. `reply` is what to send back, empty where there is nobody to answer; `word` its rcode."""

    def __init__(self, reply: bytes = b"", word: str = "") -> None:
        super().__init__("bad message")
        self.reply = reply
        self.word = word or (presentation.rcode_word(reply[3] & 15) if reply else "")


def name_of(labels: Name) -> bytes:
    """A name in the settings' form to its bytes."""
    return b"".join(bytes((len(raw),)) + raw for raw in (label.encode("latin-1").lower() for label in labels)) + b"\0"


def to_name(name: bytes) -> Name:
    return tuple(label.decode("latin-1") for label in labels_of(name))


def from_text(text: str) -> bytes:
    """`Example.com` or `example.com.` to its bytes, in lower case; ValueError where it is no name."""
    return name_of(presentation.name(text))


def labels_of(name: bytes) -> list[bytes]:
    found, at = [], 0
    while size := name[at]:
        found.append(name[at + 1 : at + 1 + size])
        at += 1 + size
    return found


def to_text(name: bytes) -> str:
    """With the dot at the end; what is not printable is escaped."""
    return presentation.text(to_name(name))


def is_below(name: bytes, zone: bytes) -> bool:
    """Whether a name is a zone's, label by label: bytes alone may deceive, a label may hold what looks like others."""
    if not name.endswith(zone):
        return False
    at, end = 0, len(name) - len(zone)
    while at < end:
        at += 1 + name[at]
    return at == end


def _error(data: bytes, code: int) -> bytes:
    """The head of a query that cannot be read, turned into an answer."""
    return HEADER.pack(int.from_bytes(data[:2], "big"), QR | (int.from_bytes(data[2:4], "big") & 0x7900) | code, 0, 0, 0, 0)


def skip_name(data: bytes, at: int) -> int:
    """The offset after a name that may be compressed; IndexError beyond the end, ValueError for a reserved label."""
    while size := data[at]:
        if size >= 0xC0:
            if at + 1 >= len(data):
                raise IndexError
            return at + 2
        if size > 63:
            raise ValueError("a reserved label type")
        at += 1 + size
    return at + 1


def read(data: bytes) -> Query:
    """One query; BadMessage for anything else. An answer is never answered."""
    if len(data) < 12:
        raise BadMessage
    _, flags, questions, answers, authorities, additional = HEADER.unpack_from(data)
    if flags & QR:
        raise BadMessage
    if flags & 0x7800:
        raise BadMessage(_error(data, NOTIMP))
    if questions != 1 or answers > 1 or authorities > 1 or additional > 2:
        raise BadMessage(_error(data, FORMERR))
    at = 12
    try:
        while size := data[at]:
            if size > 63:
                raise BadMessage(_error(data, FORMERR))
            at += 1 + size
        at += 1
        kind, cls = PAIR.unpack_from(data, at)
    except Exception as e:
        if isinstance(e, BadMessage):
            raise
        raise BadMessage(_error(data, FORMERR)) from None
    if at - 12 > 255:
        raise BadMessage(_error(data, FORMERR))
    name, question = data[12:at].lower(), data[12 : at + 4]
    at += 4
    if not (answers or authorities or additional):
        plain = at == len(data) and question[:-4] == name
        return Query(data[:2], flags, question, name, kind, cls, False, LEGACY_LIMIT, False, plain)
    return _extended(data, at, (flags, answers + authorities, additional), (question, name, kind, cls))


def _extended(data: bytes, at: int, head: tuple[int, int, int], asked: tuple[bytes, bytes, int, int]) -> Query:
    """The rest of a query that has more than its question: the OPT record is found among what there is."""
    flags, before, additional = head
    question, name, kind, cls = asked
    found: tuple[int, int, int] | None = None
    try:
        for i in range(before + additional):
            root = data[at] == 0
            at = skip_name(data, at)
            rtype, rclass, ttl, length = FIXED.unpack_from(data, at)
            at += 10 + length
            if at > len(data):
                raise IndexError
            if rtype == OPT:
                if found is not None or not root or i < before:
                    raise ValueError("OPT out of place")
                found = (rclass, ttl, length)
    except Exception:
        raise BadMessage(_error(data, FORMERR)) from None
    if found is None:
        return Query(data[:2], flags, question, name, kind, cls, False, LEGACY_LIMIT, False, False)
    size, ttl, length = found
    if (ttl >> 16) & 0xFF:  # an EDNS version that we do not speak
        head_bytes = HEADER.pack(int.from_bytes(data[:2], "big"), QR | (flags & RD), 1, 0, 0, 1)
        raise BadMessage(head_bytes + question + b"\0" + FIXED.pack(OPT, UDP_LIMIT, (BADVERS >> 4) << 24, 0), "BADVERS")
    do = bool(ttl & 0x8000)
    plain = not length and before == 0 and additional == 1 and at == len(data) and question[:-4] == name
    return Query(data[:2], flags, question, name, kind, cls, True, max(size, LEGACY_LIMIT), do, plain)


def opt(query: Query) -> bytes:
    """Our OPT record for an asker that sent one."""
    return (OPT_DO if query.do else OPT_PLAIN) if query.edns else b""


OPT_PLAIN = b"\0" + FIXED.pack(OPT, UDP_LIMIT, 0, 0)
OPT_DO = b"\0" + FIXED.pack(OPT, UDP_LIMIT, 0x8000, 0)


def record(owner: bytes, kind: int, ttl: int, data: bytes) -> bytes:
    return owner + FIXED.pack(kind, IN, ttl, len(data)) + data


def address(packed: bytes, ttl: int, owner: bytes = TO_QUESTION) -> bytes:
    """An A or AAAA record of an address of 4 or 16 bytes."""
    return record(owner, A if len(packed) == 4 else AAAA, ttl, packed)


def reverse_address(name: bytes) -> bytes | None:
    """The address that a name below in-addr.arpa or ip6.arpa stands for; None where it stands for none."""
    labels = labels_of(name)
    try:
        if len(labels) == 6 and labels[4:] == [b"in-addr", b"arpa"]:
            return ipaddress.IPv4Address(b".".join(reversed(labels[:4])).decode()).packed
        if len(labels) == 34 and labels[32:] == [b"ip6", b"arpa"] and all(_is_nibble(label) for label in labels[:32]):
            return bytes.fromhex(b"".join(reversed(labels[:32])).decode())
    except ValueError:
        pass
    return None


def _is_nibble(label: bytes) -> bool:
    return len(label) == 1 and label in b"0123456789abcdef"


def reverse_name(packed: bytes) -> bytes:
    """The name of an address's PTR record."""
    return from_text(ipaddress.ip_address(packed).reverse_pointer)
