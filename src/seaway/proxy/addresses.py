"""The addresses of this network namespace (rtnetlink): where node ports are served by range."""

from __future__ import annotations

import socket
import struct

from seaway.proxy.kernel import KernelError

GETADDR, REQUEST_DUMP = 22, 0x301
ERROR, DONE = 2, 3
ADDRESS, LOCAL = 1, 2  # IFA_ADDRESS, IFA_LOCAL
LINK_SCOPE = 253


def local() -> tuple[str, ...]:
    """Every address of either family, link-local ones apart: no node port is served there."""
    found: list[str] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.settimeout(5)
        try:
            link.send(struct.pack("=IHHIIBBBBI", 24, GETADDR, REQUEST_DUMP, 1, 0, 0, 0, 0, 0, 0))
            while True:
                data = link.recv(1 << 16)
                if _read(data, found):
                    return tuple(found)
        except OSError as e:
            raise KernelError(f"the node's addresses cannot be read: {e}") from e


def _read(data: bytes, found: list[str]) -> bool:
    """Adds the addresses of a buffer of messages; whether the last has come."""
    at = 0
    while at < len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if kind in (DONE, ERROR):
            return True
        family, _, _, scope = struct.unpack_from("=BBBB", data, at + 16)
        if scope != LINK_SCOPE and family in (socket.AF_INET, socket.AF_INET6):
            attributes: dict[int, bytes] = {}
            inner = at + 24
            while inner + 4 <= at + length:
                size, name = struct.unpack_from("=HH", data, inner)
                attributes[name] = data[inner + 4 : inner + size]
                inner += max((size + 3) & ~3, 4)
            raw = attributes.get(LOCAL) or attributes.get(ADDRESS)
            if raw:
                found.append(socket.inet_ntop(family, raw))
        at += (length + 3) & ~3
    return False
