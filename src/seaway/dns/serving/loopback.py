"""Addresses of a program's own on the loopback interface, by rtnetlink. The edge to the kernel's addresses.

They carry a mark, so that what a killed process has left is found again: the label of IPv4 addresses, and for both families the
protocol number that kernels from 5.18 on keep.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR, NLMSG_ERROR, NLMSG_DONE = 20, 21, 22, 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x300, 0x200, 0x400
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO = 1, 2, 3, 6, 8, 11
IFA_F_NODAD, IFA_F_PERMANENT = 0x02, 0x80
SCOPE_UNIVERSE, SCOPE_HOST = 0, 254
FOREVER = 0xFFFFFFFF
LABEL = "lo:seaway-dns"  # IFNAMSIZ: at most 15 letters
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
    body += _attribute(IFA_LOCAL, address.packed) + _attribute(IFA_ADDRESS, address.packed)
    if address.version == 4:
        body += _attribute(IFA_LABEL, LABEL.encode() + b"\0")
    else:
        body += _attribute(IFA_FLAGS, struct.pack("=I", IFA_F_NODAD | IFA_F_PERMANENT))
        body += _attribute(IFA_CACHEINFO, struct.pack("=IIII", 0, FOREVER, 0, 0))
    body += _attribute(IFA_PROTO, bytes((PROTO,)))
    return _done(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body, f"address {address}", errno.EEXIST)


def remove(address: Address) -> bool:
    """Takes an address away; False where it is not there."""
    body = _head(address, 0) + _attribute(IFA_LOCAL, address.packed) + _attribute(IFA_ADDRESS, address.packed)
    return _done(RTM_DELADDR, 0, body, f"address {address}", errno.EADDRNOTAVAIL)


def held() -> list[Held]:
    """All addresses of the loopback interface."""
    found = []
    with _socket() as sock:
        for family in (socket.AF_INET, socket.AF_INET6):
            sock.send(struct.pack("=IHHIIBBBBI", 24, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 0, 0, family, 0, 0, 0, 0))
            for kind, body in _messages(sock):
                if kind == RTM_NEWADDR and struct.unpack_from("=I", body, 4)[0] == _index():
                    row = dict(_attributes(body[8:]))
                    raw = row.get(IFA_LOCAL) or row.get(IFA_ADDRESS)
                    if raw:
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
    return struct.pack("=BBBBI", family, address.max_prefixlen, IFA_F_PERMANENT, scope, _index())


def _attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data + b"\0" * (-length % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    sock.settimeout(5)
    sock.bind((0, 0))
    return sock


def _messages(sock: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Up to the end of a dump or to an acknowledgement, that included."""
    while True:
        data = sock.recv(1 << 17)
        at = 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            yield kind, data[at + 16 : at + length]
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                return
            at += (length + 3) & ~3


def _done(kind: int, flags: int, body: bytes, what: str, tolerated: int) -> bool:
    with _socket() as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, 0, 0) + body)
        for reply, said in _messages(sock):
            if reply == NLMSG_ERROR:
                code = -struct.unpack_from("=i", said)[0]
                if code and code != tolerated:
                    hint = " (it needs NET_ADMIN)" if code == errno.EPERM else ""
                    raise OSError(code, f"{what} on the loopback interface: {os.strerror(code)}{hint}")
                return not code
    return False
