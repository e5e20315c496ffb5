"""SCTP without sockets (the kernel here has none): INIT and INIT ACK chunks of RFC 9260 as bytes; pure.

The INIT ACK's state cookie carries what the endpoint says.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

PROTOCOL = 132
INIT, INIT_ACK, COOKIE = 1, 2, 7


class Init(NamedTuple):
    """A read INIT chunk: ports and the initiate tag."""

    of: int
    to: int
    tag: int


def _table() -> tuple[int, ...]:
    found = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        found.append(number)
    return tuple(found)


_CRC = _table()


def crc32c(data: bytes) -> int:
    """RFC 9260 appendix A."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _packet(of: int, to: int, tag: int, chunk: bytes) -> bytes:
    bare = struct.pack("!HHI", of, to, tag) + b"\0" * 4 + chunk
    return bare[:8] + struct.pack("<I", crc32c(bare)) + bare[12:]


def _chunk(kind: int, tag: int, parameters: bytes = b"") -> bytes:
    body = struct.pack("!IIHHI", tag, 65536, 1, 1, 1) + parameters
    return struct.pack("!BBH", kind, 0, 4 + len(body)) + body + b"\0" * (-len(body) % 4)


def init(of: int, to: int, tag: int) -> bytes:
    """A packet with an INIT chunk; its verification tag is 0 (RFC 9260 8.5.1)."""
    return _packet(of, to, 0, _chunk(INIT, tag))


def init_ack(received: Init, cookie: bytes) -> bytes:
    """The answer to an INIT."""
    parameter = struct.pack("!HH", COOKIE, 4 + len(cookie)) + cookie
    return _packet(received.to, received.of, received.tag, _chunk(INIT_ACK, received.tag ^ 0x5A5A5A5A or 1, parameter))


def read_init(packet: bytes) -> Init | None:
    if len(packet) < 32 or packet[12] != INIT:
        return None
    of, to = struct.unpack_from("!HH", packet)
    return Init(of, to, struct.unpack_from("!I", packet, 16)[0])


def read_init_ack(packet: bytes, of: int, to: int, tag: int) -> bytes | None:
    """The cookie of the INIT ACK that this client waits for; None for anything else."""
    if len(packet) < 36 or packet[12] != INIT_ACK or struct.unpack_from("!HHI", packet) != (of, to, tag):
        return None
    kind, length = struct.unpack_from("!HH", packet, 32)
    return packet[36 : 32 + length] if kind == COOKIE else None
