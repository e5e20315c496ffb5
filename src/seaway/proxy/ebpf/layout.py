"""The bytes of the maps' keys and values, as sockets.c declares them; pure."""

from __future__ import annotations

import ipaddress
import struct

from seaway.proxy.table import Backend

NUMBERS = {"tcp": 6, "udp": 17}
CANDIDATE, SERVING = 1, 2
SLOT = struct.Struct("=II")
SERVICE = struct.Struct("=IIII")
BITS = struct.Struct("=I")
COOKIE = struct.Struct("=Q")


def address(text: str) -> bytes:
    """Sixteen bytes, IPv4 in the first four."""
    return ipaddress.ip_address(text).packed.ljust(16, b"\0")


def vip(where: str, protocol: str, port: int) -> bytes:
    """struct vip."""
    return address(where) + struct.pack("!HBB", port, NUMBERS[protocol], 6 if ":" in where else 4)


def family_of(key: bytes) -> int:
    """Of a key that begins with a struct vip."""
    return key[19]


def backend(end: Backend) -> bytes:
    """struct backend."""
    return address(end[0]) + struct.pack("!HH", end[1], 0)


def flow(cookie: int, end: Backend) -> bytes:
    """struct flow: which address a socket has used for an endpoint."""
    return COOKIE.pack(cookie) + backend(end) + bytes(4)
