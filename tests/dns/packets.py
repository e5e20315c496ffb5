"""Queries as bytes, and replies read by dnspython: what the tests of the DNS server's parts share."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from seaway.dns import wire
from seaway.dns.presentation import TYPES
from seaway.dns.wire import FIXED, HEADER, IN, OPT, PAIR, RD

ID = b"\x12\x34"


def name(text: str) -> bytes:
    """A name's bytes with its capitals."""
    labels = [] if text == "." else text.removesuffix(".").split(".")
    return b"".join(bytes((len(one),)) + one.encode() for one in labels) + b"\0"


def packet(
    asked: str, kind: str | int = "A", *, flags: int = RD, size: int = 0, do: bool = False, cls: int = IN, options: bytes = b""
) -> bytes:
    """A query; with EDNS where `size` is given."""
    number = kind if isinstance(kind, int) else TYPES[kind]
    question = name(asked) + PAIR.pack(number, cls)
    opt = b"\0" + FIXED.pack(OPT, size, 0x8000 if do else 0, len(options)) + options if size else b""
    return ID + HEADER.pack(0, flags, 1, 0, 0, 1 if size else 0)[2:] + question + opt


def read(asked: str, kind: str | int = "A", **more: object) -> wire.Query:
    return wire.read(packet(asked, kind, **more))  # type: ignore[arg-type]


def decoded(reply: bytes) -> dns.message.Message:
    """A whole reply; it fails where there is a byte too many or too few."""
    return dns.message.from_wire(reply)


def sections(reply: bytes) -> tuple[list[str], list[str], list[str]]:
    """Records as `OWNER TTL TYPE DATA`, sorted."""
    message = dns.message.from_wire(reply, one_rr_per_rrset=True)
    return tuple(  # type: ignore[return-value]
        sorted(
            f"{one.name} {one.ttl} {dns.rdatatype.to_text(one.rdtype)} {data}" for one in section for data in one
        )
        for section in (message.answer, message.authority, message.additional)
    )


def rcode(reply: bytes) -> str:
    return dns.rcode.to_text(decoded(reply).rcode())


def flags(reply: bytes) -> str:
    return dns.flags.to_text(decoded(reply).flags)
