"""The addresses of this network namespace (rtnetlink): where node ports are served by range."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

from seaway import netlink
from seaway.proxy.kernel import KernelError

GETADDR = 22
ADDRESS, LOCAL = 1, 2  # IFA_ADDRESS, IFA_LOCAL
LINK_SCOPE = 253
IFADDRMSG = struct.Struct("=BBBBI")


def local() -> tuple[str, ...]:
    """Every address of either family, link-local ones apart: no node port is served there."""
    try:
        with netlink.Link(socket.NETLINK_ROUTE) as link:
            return tuple(found(link.dump(GETADDR, IFADDRMSG.pack(0, 0, 0, 0, 0))))
    except OSError as e:
        raise KernelError(f"the node's addresses cannot be read: {e}") from e


def found(bodies: Iterable[bytes]) -> list[str]:
    """The addresses in RTM_NEWADDR messages."""
    texts = []
    for body in bodies:
        family, _, _, scope, _ = IFADDRMSG.unpack_from(body)
        if scope != LINK_SCOPE and family in (socket.AF_INET, socket.AF_INET6):
            attributes = dict(netlink.attributes(body[IFADDRMSG.size :]))
            raw = attributes.get(LOCAL) or attributes.get(ADDRESS)
            if raw:
                texts.append(socket.inet_ntop(family, raw))
    return texts
