"""The kernel's table of UDP flows (ctnetlink): read whole, forgotten one by one. Without a library: its reading of it took sixty
times as long."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from seaway.netlink import NESTED, Link, Request, attribute, attributes
from seaway.proxy.flows import Flow
from seaway.proxy.kernel import NETLINK_NETFILTER, KernelError

GET, DELETE = 0x101, 0x102  # subsystem ctnetlink, IPCTNL_MSG_CT_GET and _DELETE
TUPLE_ORIG, TUPLE_REPLY, ID, ZONE, FILTER = 1, 2, 12, 18, 25
UDP = 17
PROTO_NUM = 1 << 3  # of the filter's flags: only flows of the tuple's protocol
FAMILIES = {4: (socket.AF_INET, 1, 2), 6: (socket.AF_INET6, 3, 4)}  # family, CTA_IP_*_SRC and _DST


class Conntrack(Protocol):
    def udp(self, family: int) -> list[Flow]: ...

    def forget(self, family: int, flows: Sequence[Flow]) -> None: ...


def _end(family: int, tuple_: bytes, far: bool) -> tuple[str, int]:
    """Address and port of a tuple's destination (`far`), or its source."""
    kernel, source, destination = FAMILIES[family]
    address, port = "", 0
    for kind, payload in attributes(tuple_):
        inner = dict(attributes(payload))
        if kind == 1:  # CTA_TUPLE_IP
            raw = inner.get(destination if far else source)
            address = socket.inet_ntop(kernel, raw) if raw else ""
        elif kind == 2 and (raw := inner.get(3 if far else 2)):  # CTA_TUPLE_PROTO: _DST_PORT, _SRC_PORT
            (port,) = struct.unpack("!H", raw)
    return address, port


def _body(family: int, payload: bytes) -> bytes:
    """After a struct nfgenmsg."""
    return struct.pack("=BBH", FAMILIES[family][0], 0, 0) + payload


class KernelConntrack:
    """One socket, opened at first use."""

    def __init__(self) -> None:
        self._link = Link(NETLINK_NETFILTER)

    def udp(self, family: int) -> list[Flow]:
        """Every UDP flow of a family; KernelError where the kernel does not say."""
        wanted = attribute(TUPLE_ORIG | NESTED, attribute(2 | NESTED, attribute(1, bytes([UDP]))))
        flags = attribute(FILTER | NESTED, attribute(1, struct.pack("=I", PROTO_NUM)) + attribute(2, bytes(4)))
        try:
            return list(map_flows(family, self._link.dump(GET, _body(family, wanted + flags))))
        except OSError as e:
            raise KernelError(f"the kernel's UDP flows cannot be read: {e}") from e

    def forget(self, family: int, flows: Sequence[Flow]) -> None:
        """Ends flows; one that has ended meanwhile is no error."""
        try:
            ends = self._link.each([Request(DELETE, _body(family, flow.handle)) for flow in flows])
        except OSError as e:
            raise KernelError(f"{len(flows)} UDP flows cannot be ended: {e}") from e
        refused = [(f, code) for f, code in zip(flows, ends, strict=True) if code not in (0, errno.ENOENT)]
        for flow, code in refused[:1]:
            raise KernelError(f"a UDP flow to {flow.address}:{flow.port} cannot be ended: {os.strerror(code)}")


def map_flows(family: int, bodies: Iterable[bytes]) -> Iterator[Flow]:
    """The flows of ctnetlink messages, each after its struct nfgenmsg."""
    for body in bodies:
        found = dict(attributes(body[4:]))
        origin, reply = found.get(TUPLE_ORIG), found.get(TUPLE_REPLY)
        if origin is None or reply is None:
            continue
        handle = attribute(TUPLE_ORIG | NESTED, origin)
        handle += b"".join(attribute(kind, found[kind]) for kind in (ID, ZONE) if kind in found)
        address, port = _end(family, origin, True)
        yield Flow(address, port, _end(family, reply, False), handle, _end(family, origin, False))


class NoConntrack:
    """For tests, and where flows are none of ours."""

    def __init__(self, flows: list[Flow] | None = None) -> None:
        self.flows = flows or []
        self.forgotten: list[Flow] = []

    def udp(self, family: int) -> list[Flow]:
        return [f for f in self.flows if (":" in f.address) == (family == 6)]

    def forget(self, family: int, flows: Sequence[Flow]) -> None:
        self.forgotten += flows
        self.flows = [f for f in self.flows if f not in flows]
