"""DNS messages on the wire (RFC 1035, EDNS0 RFC 6891): what a server needs to read a query and write its answer; pure."""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

from seaway.dns import zone

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
UDP_LIMIT = 1232
IN = 1


class Query(NamedTuple):
    """A question. `labels` as asked, `name` in lower case; `size` is what the client takes by UDP; `edns` whether it said so."""

    id: int
    flags: int
    labels: tuple[bytes, ...]
    name: tuple[str, ...]
    kind: int
    cls: int
    size: int
    edns: bool


class BadMessage(ValueError):
    """Not a query that can be answered. `reply` is the FORMERR to send, empty where there is nobody to answer."""

    def __init__(self, reply: bytes = b"") -> None:
        super().__init__("bad message")
        self.reply = reply


def _error(data: bytes, code: int) -> bytes:
    return data[:2] + struct.pack("!HHHHH", 0x8000 | (struct.unpack_from("!H", data, 2)[0] & 0x7900) | code, 0, 0, 0, 0)


def read(data: bytes) -> Query:
    """One query; BadMessage for anything else. An answer is never answered."""
    if len(data) < 12:
        raise BadMessage
    ident, flags, questions, answers, authorities, additional = struct.unpack_from("!6H", data)
    if flags & 0x8000:
        raise BadMessage
    if (flags >> 11) & 15:
        raise BadMessage(_error(data, NOTIMP))
    if questions != 1 or answers or authorities or additional > 2:
        raise BadMessage(_error(data, FORMERR))
    labels, at, length = [], 12, 0
    try:
        while size := data[at]:
            if size > 63:
                raise BadMessage(_error(data, FORMERR))
            labels.append(data[at + 1 : at + 1 + size])
            at += 1 + size
            length += 1 + size
            if length > 254 or at >= len(data):
                raise BadMessage(_error(data, FORMERR))
        kind, cls = struct.unpack_from("!HH", data, at + 1)
    except (IndexError, struct.error):
        raise BadMessage(_error(data, FORMERR)) from None
    at += 5
    size, edns = 512, False
    if additional and len(data) >= at + 11 and data[at] == 0 and struct.unpack_from("!H", data, at + 1)[0] == 41:
        size, edns = max(struct.unpack_from("!H", data, at + 3)[0], 512), True
    name = tuple(label.decode("latin-1").lower() for label in labels)
    return Query(ident, flags, tuple(labels), name, kind, cls, min(size, UDP_LIMIT), edns)


def wire_name(labels: tuple[bytes, ...]) -> bytes:
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def _target(name: zone.Name, origin: tuple[bytes, ...]) -> bytes:
    return wire_name(tuple(label.encode("latin-1") for label in name) + origin)


def _data(record: zone.Record, origin: tuple[bytes, ...]) -> bytes:
    if record.kind in (zone.A, zone.AAAA):
        return ipaddress.ip_address(str(record.data)).packed
    if record.kind == zone.PTR or record.kind == zone.NS:
        return _target(record.data, origin)
    if record.kind == zone.CNAME:
        return _target(record.data, ())
    if record.kind == zone.TXT:
        raw: bytes = str(record.data).encode()
        return bytes((len(raw),)) + raw
    port, target = record.data
    return struct.pack("!HHH", 0, 100, port) + _target(target, origin)


def resource(owner: bytes, record: zone.Record, origin: tuple[bytes, ...]) -> bytes:
    data = _data(record, origin)
    return owner + struct.pack("!HHIH", record.kind, IN, record.ttl, len(data)) + data


def soa(origin: tuple[bytes, ...], serial: int) -> bytes:
    """The zone's SOA, for negative answers (RFC 2308): kept for five seconds at most."""
    data = (
        wire_name((b"ns", b"dns", *origin))
        + wire_name((b"hostmaster", *origin))
        + struct.pack("!5I", serial, 7200, 1800, 86400, zone.TTL)
    )
    return wire_name(origin) + struct.pack("!HHIH", zone.SOA, IN, zone.TTL, len(data)) + data


def write(
    query: Query, code: int, answers: list[bytes], authority: list[bytes], additional: list[bytes], limit: int
) -> bytes:
    """The answer, truncated to `limit` bytes (RFC 1035 4.2.1: the TC bit says so)."""
    question = wire_name(query.labels) + struct.pack("!HH", query.kind, query.cls)
    opt = b"\0" + struct.pack("!HHIH", 41, UDP_LIMIT, 0, 0) if query.edns else b""
    flags = 0x8400 | (query.flags & 0x0100) | code

    def build(a: list[bytes], n: list[bytes], r: list[bytes], extra: int) -> bytes:
        head = struct.pack("!6H", query.id, flags | extra, 1, len(a), len(n), len(r) + (1 if opt else 0))
        return head + question + b"".join(a) + b"".join(n) + b"".join(r) + opt

    message = build(answers, authority, additional, 0)
    if len(message) > limit and additional:
        message = build(answers, authority, [], 0)  # additional records may be left out without a word
    if len(message) > limit:
        message = build([], [], [], 0x0200)
    return message
