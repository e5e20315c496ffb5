"""The kernel's table of UDP flows: read whole, forgotten one by one; netlink without a library (ctnetlink is small, and the
library's reading of it took sixty times as long)."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Protocol

from seaway.proxy.flows import Flow
from seaway.proxy.kernel import KernelError

NETLINK_NETFILTER = 12
GET, DELETE = 0x101, 0x102  # subsystem ctnetlink, IPCTNL_MSG_CT_GET and _DELETE
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
ERROR, DONE = 2, 3
TUPLE_ORIG, TUPLE_REPLY, ID, ZONE, FILTER = 1, 2, 12, 18, 25
NESTED = 0x8000
UDP = 17
PROTO_NUM = 1 << 3  # of the filter's flags: only flows of the tuple's protocol
FAMILIES = {4: (socket.AF_INET, 1, 2), 6: (socket.AF_INET6, 3, 4)}  # family, CTA_IP_*_SRC and _DST
ENOENT = 2


class Conntrack(Protocol):
    def udp(self, family: int) -> list[Flow]: ...

    def forget(self, family: int, flow: Flow) -> None: ...


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", len(payload) + 4, kind) + payload + b"\0" * (-len(payload) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _end(family: int, tuple_: bytes, far: bool) -> tuple[str, int]:
    """Address and port of a tuple's destination (`far`), or its source."""
    kernel, source, destination = FAMILIES[family]
    address, port = "", 0
    for kind, payload in _attributes(tuple_):
        inner = dict(_attributes(payload))
        if kind == 1:  # CTA_TUPLE_IP
            raw = inner.get(destination if far else source)
            address = socket.inet_ntop(kernel, raw) if raw else ""
        elif kind == 2 and (raw := inner.get(3 if far else 2)):  # CTA_TUPLE_PROTO: _DST_PORT, _SRC_PORT
            (port,) = struct.unpack("!H", raw)
    return address, port


class KernelConntrack:
    """One socket, opened at first use."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def _send(self, kind: int, flags: int, family: int, payload: bytes) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
            self._socket.settimeout(5)
            self._socket.bind((0, 0))
        body = struct.pack("=BBH", FAMILIES[family][0], 0, 0) + payload
        self._socket.send(struct.pack("=IHHII", len(body) + 16, kind, REQUEST | flags, 1, 0) + body)

    def _replies(self) -> Iterator[bytes]:
        """Bodies after the nfgenmsg, until the kernel says that it is done; OSError for its error."""
        assert self._socket is not None
        while True:
            data = self._socket.recv(1 << 18)
            at = 0
            while at < len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind == DONE:
                    return
                if kind == ERROR:
                    (code,) = struct.unpack_from("=i", data, at + 16)
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return
                yield data[at + 20 : at + length]
                at += (length + 3) & ~3

    def _ask(self, kind: int, flags: int, family: int, payload: bytes) -> list[bytes]:
        try:
            self._send(kind, flags, family, payload)
            return list(self._replies())
        except OSError:
            self._close()
            raise

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def udp(self, family: int) -> list[Flow]:
        """Every UDP flow of a family; KernelError where the kernel does not say."""
        wanted = _attribute(TUPLE_ORIG | NESTED, _attribute(2 | NESTED, _attribute(1, bytes([UDP]))))
        flags = _attribute(FILTER | NESTED, _attribute(1, struct.pack("=I", PROTO_NUM)) + _attribute(2, bytes(4)))
        try:
            return list(map_flows(family, self._ask(GET, DUMP, family, wanted + flags)))
        except OSError as e:
            raise KernelError(f"the kernel's UDP flows cannot be read: {e}") from e

    def forget(self, family: int, flow: Flow) -> None:
        """Ends a flow; one that has ended meanwhile is no error."""
        try:
            self._ask(DELETE, ACK, family, flow.handle)
        except OSError as e:
            if e.errno != ENOENT:
                raise KernelError(f"a UDP flow to {flow.address}:{flow.port} cannot be ended: {e}") from e


def map_flows(family: int, bodies: list[bytes]) -> Iterator[Flow]:
    """The flows of ctnetlink messages."""
    for body in bodies:
        found = dict(_attributes(body))
        origin, reply = found.get(TUPLE_ORIG), found.get(TUPLE_REPLY)
        if origin is None or reply is None:
            continue
        handle = _attribute(TUPLE_ORIG | NESTED, origin)
        handle += b"".join(_attribute(kind, found[kind]) for kind in (ID, ZONE) if kind in found)
        address, port = _end(family, origin, True)
        yield Flow(address, port, _end(family, reply, False), handle, _end(family, origin, False))


class NoConntrack:
    """For tests, and where flows are none of ours."""

    def __init__(self, flows: list[Flow] | None = None) -> None:
        self.flows = flows or []
        self.forgotten: list[Flow] = []

    def udp(self, family: int) -> list[Flow]:
        return [f for f in self.flows if (":" in f.address) == (family == 6)]

    def forget(self, family: int, flow: Flow) -> None:
        self.forgotten.append(flow)
        self.flows = [f for f in self.flows if f != flow]
