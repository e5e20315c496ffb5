"""Raw rtnetlink: the dozen messages that routed veths need, encoded by hand because start-up time is made of them.

A `Batch` collects messages; `commit` sends them in one system call and checks every acknowledgement.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable, Iterator

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWNEIGH = (
    16,
    17,
    20,
    24,
    25,
    26,
    28,
)
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x100, 0x200, 0x400
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO, IFLA_NET_NS_PID, IFLA_NET_NS_FD = 1, 3, 4, 18, 19, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_F_NODAD, IFA_F_PERMANENT = 1, 2, 8, 0x02, 0x80
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_MULTIPATH = 1, 4, 5, 7, 9
NDA_DST, NDA_LLADDR, NUD_PERMANENT = 1, 2, 0x80
RT_TABLE_MAIN, RTPROT_STATIC, SCOPE_UNIVERSE, SCOPE_LINK, RTN_UNICAST, RTNH_F_ONLINK = 254, 4, 0, 253, 1, 4
RTN_UNREACHABLE, NLM_F_DUMP = 7, 0x300

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data + b"\0" * (-length % 4)


def text_attribute(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def number_attribute(kind: int, number: int) -> bytes:
    return attribute(kind, struct.pack("=I", number))


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def family(address: Address | Network) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((0, 0))
    return sock


class Batch:
    """Messages for the network namespace that the process is in when it commits."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, bytes, frozenset[int]]] = []

    def _add(self, what: str, kind: int, flags: int, body: bytes, tolerate: Iterable[int] = ()) -> None:
        header = struct.pack("=IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, 0, 0)
        self._messages.append((what, header + body, frozenset(tolerate)))

    def veth(self, name: str, mac: str, peer: str, peer_mac: str, peer_fd: int, mtu: int = 1500) -> None:
        """A veth pair: `name` here, `peer` in the namespace behind the file descriptor."""
        inner = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0)
        inner += text_attribute(IFLA_IFNAME, peer) + attribute(IFLA_ADDRESS, mac_bytes(peer_mac))
        inner += number_attribute(IFLA_MTU, mtu) + number_attribute(IFLA_NET_NS_FD, peer_fd)
        info = text_attribute(IFLA_INFO_KIND, "veth") + attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, inner))
        body = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0)
        body += text_attribute(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, mac_bytes(mac))
        body += number_attribute(IFLA_MTU, mtu) + attribute(IFLA_LINKINFO, info)
        self._add(f"veth {name}", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)

    def up(self, index: int) -> None:
        self._add(f"link {index} up", RTM_NEWLINK, 0, struct.pack("=BBHiII", 0, 0, 0, index, 1, 1))

    def remove_link(self, name: str) -> None:
        body = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + text_attribute(IFLA_IFNAME, name)
        self._add(f"remove {name}", RTM_DELLINK, 0, body, (errno.ENODEV,))

    def address(self, index: int, address: Address) -> None:
        """A host address (/32 or /128), without duplicate address detection."""
        body = struct.pack("=BBBBI", family(address), address.max_prefixlen, IFA_F_PERMANENT, 0, index)
        body += attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
        if address.version == 6:
            body += number_attribute(IFA_FLAGS, IFA_F_NODAD | IFA_F_PERMANENT)
        self._add(f"address {address}", RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body, (errno.EEXIST,))

    def neighbour(self, index: int, address: Address, mac: str) -> None:
        """A permanent neighbour: no ARP, no NDP, no place in the host's neighbour table limits."""
        body = struct.pack("=BxxxiHBB", family(address), index, NUD_PERMANENT, 0, 0)
        body += attribute(NDA_DST, address.packed) + attribute(NDA_LLADDR, mac_bytes(mac))
        self._add(f"neighbour {address}", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body)

    def route(
        self,
        destination: Network,
        index: int,
        gateway: Address | None = None,
        source: Address | None = None,
        remove: bool = False,
    ) -> None:
        scope = SCOPE_UNIVERSE if gateway or destination.version == 6 else SCOPE_LINK
        body = struct.pack(
            "=BBBBBBBBI",
            family(destination),
            destination.prefixlen,
            0,
            0,
            RT_TABLE_MAIN,
            RTPROT_STATIC,
            scope,
            RTN_UNICAST,
            RTNH_F_ONLINK if gateway else 0,
        )
        if destination.prefixlen:
            body += attribute(RTA_DST, destination.network_address.packed)
        body += number_attribute(RTA_OIF, index)
        if gateway:
            body += attribute(RTA_GATEWAY, gateway.packed)
        if source:
            body += attribute(RTA_PREFSRC, source.packed)
        if remove:
            self._add(f"remove route {destination}", RTM_DELROUTE, 0, body, (errno.ESRCH,))
        else:
            self._add(f"route {destination}", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body)

    def _route(
        self, what: str, message: int, destination: Network, kind: int, attributes: bytes, tolerate: Iterable[int] = ()
    ) -> None:
        body = struct.pack(
            "=BBBBBBBBI",
            family(destination),
            destination.prefixlen,
            0,
            0,
            RT_TABLE_MAIN,
            RTPROT_STATIC,
            SCOPE_UNIVERSE,
            kind,
            0,
        )
        body += attribute(RTA_DST, destination.network_address.packed) + attributes
        self._add(f"{what} {destination}", message, NLM_F_CREATE | NLM_F_REPLACE, body, tolerate)

    def unreachable(self, destination: Network) -> None:
        """A range that answers `no route to host`, but for more specific routes."""
        self._route("unreachable", RTM_NEWROUTE, destination, RTN_UNREACHABLE, b"")

    def multipath(self, destination: Network, hops: Iterable[tuple[int, Address]]) -> None:
        """A route through one of several (interface, gateway), chosen by the flow."""
        rows = b""
        for index, gateway in hops:
            via = attribute(RTA_GATEWAY, gateway.packed)
            rows += struct.pack("=HBBi", 8 + len(via), RTNH_F_ONLINK, 0, index) + via
        self._route("route", RTM_NEWROUTE, destination, RTN_UNICAST, attribute(RTA_MULTIPATH, rows))

    def withdraw(self, destination: Network) -> None:
        """Removes the route to exactly this destination, if there is one."""
        self._route("withdraw", RTM_DELROUTE, destination, 0, b"", (errno.ESRCH,))

    def commit(self, session: socket.socket | None = None) -> None:
        """Sends everything in order; raises OSError that names the first message refused. `session`: a socket of `Router`."""
        messages, self._messages = self._messages, []
        if not messages:
            return
        with contextlib.ExitStack() as stack:
            sock = session or stack.enter_context(_socket())
            for start in range(0, len(messages), 200):
                part = messages[start : start + 200]
                raw = b"".join(m[:8] + struct.pack("=I", number) + m[12:] for number, (_, m, _) in enumerate(part))
                sock.send(raw)
                self._acknowledge(sock, part)

    @staticmethod
    def _acknowledge(sock: socket.socket, part: list[tuple[str, bytes, frozenset[int]]]) -> None:
        waiting = len(part)
        failed: tuple[int, str] | None = None
        while waiting:
            data = sock.recv(1 << 16)
            while data:
                length, kind, _, number, _ = struct.unpack_from("=IHHII", data)
                if kind == 2:  # NLMSG_ERROR: 0 is an acknowledgement
                    waiting -= 1
                    code = -struct.unpack_from("=i", data, 16)[0]
                    what, _, tolerated = part[number]
                    if code and code not in tolerated and failed is None:
                        failed = (code, what)
                data = data[(length + 3) & ~3 :]
        if failed:
            raise OSError(failed[0], f"rtnetlink: {failed[1]}: {os.strerror(failed[0])}")


class Router:
    """A session with the network namespace that the process is in now, kept wherever it goes later."""

    def __init__(self) -> None:
        self._sock = _socket()

    def commit(self, batch: Batch) -> None:
        batch.commit(self._sock)

    def host_routes(self) -> list[Address]:
        """The destinations of all static host routes (/32 and /128)."""
        found: list[Address] = []
        for kind, length in ((socket.AF_INET, 32), (socket.AF_INET6, 128)):
            body = struct.pack("=BBBBBBBBI", kind, 0, 0, 0, 0, 0, 0, 0, 0)
            self._sock.send(
                struct.pack("=IHHII", 16 + len(body), RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, 0, 0) + body
            )
            found += self._addresses(length)
        return found

    def _addresses(self, length: int) -> Iterator[Address]:
        while True:
            data = self._sock.recv(1 << 17)
            while data:
                size, kind, _, _, _ = struct.unpack_from("=IHHII", data)
                if kind == 3:  # NLMSG_DONE
                    return
                if kind == RTM_NEWROUTE and data[17] == length and data[21] == RTPROT_STATIC:
                    at = 28
                    while at < size:
                        long, name = struct.unpack_from("=HH", data, at)
                        if name == RTA_DST:
                            yield ipaddress.ip_address(data[at + 4 : at + long])
                        at += (long + 3) & ~3
                data = data[(size + 3) & ~3 :]


def index_of(name: str) -> int:
    return socket.if_nametoindex(name)
