"""Addresses of a program's own on the loopback interface, by rtnetlink. The edge to the kernel's addresses.

They carry a mark, so that what a killed process has left is found again: the label of IPv4 addresses, and for both families the
protocol number that kernels from 5.18 on keep.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from typing import NamedTuple

from seaway.netlink import CREATE, EXCL, Link, attribute, attributes

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
IFADDRMSG = struct.Struct("=BBBBI")  # family, length of the prefix, flags, scope, interface
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO = 1, 2, 3, 6, 8, 11
IFA_F_NODAD, IFA_F_PERMANENT = 0x02, 0x80
SCOPE_UNIVERSE, SCOPE_HOST = 0, 254
FOREVER = 0xFFFFFFFF
LABEL = "lo:seaway-dns"  # IFNAMSIZ: at most 15 letters
TIMEOUT = 5.0
PROTO = 83  # no other program's; 1 to 3 are the kernel's own
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Held(NamedTuple):
    """An address of the loopback interface. `ours`: whether it carries the mark."""

    address: Address
    ours: bool


def add(address: Address) -> bool:
    """Puts an address there; False where it is there already. Nothing on this machine chooses it as its source: IPv4 by its
    scope, IPv6 since it is never preferred (RFC 6724 rule 3)."""
    body = _head(address, SCOPE_HOST if address.version == 4 else SCOPE_UNIVERSE)
    body += attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
    if address.version == 4:
        body += attribute(IFA_LABEL, LABEL.encode() + b"\0")
    else:
        body += attribute(IFA_FLAGS, struct.pack("=I", IFA_F_NODAD | IFA_F_PERMANENT))
        body += attribute(IFA_CACHEINFO, struct.pack("=IIII", 0, FOREVER, 0, 0))
    body += attribute(IFA_PROTO, bytes((PROTO,)))
    return _done(RTM_NEWADDR, CREATE | EXCL, body, f"address {address}", errno.EEXIST)


def remove(address: Address) -> bool:
    """Takes an address away; False where it is not there."""
    body = _head(address, 0) + attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
    return _done(RTM_DELADDR, 0, body, f"address {address}", errno.EADDRNOTAVAIL)


def held() -> list[Held]:
    """All addresses of the loopback interface."""
    found = []
    with Link(socket.NETLINK_ROUTE, TIMEOUT) as link:
        for body in link.dump(RTM_GETADDR, IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
            family, _, _, _, index = IFADDRMSG.unpack_from(body)
            row = dict(attributes(body[IFADDRMSG.size :]))
            raw = row.get(IFA_LOCAL) or row.get(IFA_ADDRESS)
            if raw and index == _index() and family in (socket.AF_INET, socket.AF_INET6):
                labelled = row.get(IFA_LABEL, b"").rstrip(b"\0") == LABEL.encode()
                ours = labelled or row.get(IFA_PROTO, b"\0")[:1] == bytes((PROTO,))
                found.append(Held(ipaddress.ip_address(raw), ours))
    return found


def take_away() -> None:
    """Of the marked ones nothing stays."""
    for row in held():
        if row.ours:
            remove(row.address)


def _index() -> int:
    return socket.if_nametoindex("lo")


def _head(address: Address, scope: int) -> bytes:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return IFADDRMSG.pack(family, address.max_prefixlen, IFA_F_PERMANENT, scope, _index())


def _done(kind: int, flags: int, body: bytes, what: str, tolerated: int) -> bool:
    with Link(socket.NETLINK_ROUTE, TIMEOUT) as link:
        try:
            link.ask(kind, body, flags)
        except OSError as e:
            if e.errno == tolerated:
                return False
            hint = " (it needs NET_ADMIN)" if e.errno == errno.EPERM else ""
            raise OSError(e.errno, f"{what} on the loopback interface: {e.strerror}{hint}") from None
    return True
