"""The kernel's IPVS by generic netlink (linux/ip_vs.h): virtual servers and their destinations."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from seaway.proxy.ipvs.servers import Address
from seaway.proxy.kernel import KernelError
from seaway.proxy.table import Backend

GENERIC, CONTROLLER, GET_FAMILY = 16, 16, 3
REQUEST, ACK, DUMP = 1, 4, 0x300
ERROR, DONE = 2, 3
NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE, NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = range(1, 9)
SERVICE, DEST = 1, 2  # IPVS_CMD_ATTR_
FAMILY, PROTOCOL, ADDRESS, PORT, SCHEDULER, FLAGS, TIMEOUT, NETMASK = 1, 2, 3, 4, 6, 7, 8, 9  # IPVS_SVC_ATTR_
D_ADDRESS, D_PORT, D_METHOD, D_WEIGHT, D_UPPER, D_LOWER, D_ACTIVE, D_INACTIVE, D_FAMILY = 1, 2, 3, 4, 5, 6, 7, 8, 11
PERSISTENT = 1
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
NAMES = {number: name for name, number in PROTOCOLS.items()}
KERNEL = {4: socket.AF_INET, 6: socket.AF_INET6}


class Destination(NamedTuple):
    """`connections`: those that the kernel still knows of it, active or not."""

    end: Backend
    weight: int
    connections: int


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += max((length + 3) & ~3, 4)


def _address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text).ljust(16, b"\0")


def _text(family: int, data: bytes) -> str:
    return socket.inet_ntop(KERNEL[family], data[: 4 if family == 4 else 16])


class Ipvs:
    """One socket, opened at first use."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._family = 0

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, GENERIC)
            self._socket.settimeout(10)
            self._socket.bind((0, 0))
            try:
                answers = self._ask(CONTROLLER, GET_FAMILY, 0, attribute(2, b"IPVS\0"), 1)
            except KernelError as e:
                self._socket = None
                raise KernelError("this kernel has no IPVS (modprobe ip_vs)") from e
            (self._family,) = struct.unpack("=H", dict(attributes(answers[0]))[1])
        return self._socket

    def _ask(self, kind: int, command: int, flags: int, body: bytes, version: int = 1) -> list[bytes]:
        """The attributes of each answer."""
        assert self._socket is not None
        message = struct.pack("=BBH", command, version, 0) + body
        self._socket.send(struct.pack("=IHHII", 16 + len(message), kind, REQUEST | ACK | flags, 1, 0) + message)
        found: list[bytes] = []
        while True:
            data, at = self._socket.recv(1 << 18), 0
            while at < len(data):
                length, what = struct.unpack_from("=IH", data, at)
                if what == DONE:
                    return found
                if what == ERROR:
                    (code,) = struct.unpack_from("=i", data, at + 16)
                    if code:
                        error = KernelError(f"IPVS command {command}: {os.strerror(-code)}")
                        error.__cause__ = OSError(-code, os.strerror(-code))
                        raise error
                    return found
                found.append(data[at + 20 : at + length])
                at += (length + 3) & ~3

    def _command(self, command: int, body: bytes, tolerate: int = 0) -> None:
        self._open()
        try:
            self._ask(self._family, command, 0, body)
        except KernelError as e:
            if not (isinstance(e.__cause__, OSError) and e.__cause__.errno == tolerate):
                raise

    @staticmethod
    def _service(place: Address) -> bytes:
        family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
        return (
            attribute(FAMILY, struct.pack("=H", family))
            + attribute(PROTOCOL, struct.pack("=H", PROTOCOLS[place.protocol]))
            + attribute(ADDRESS, _address(place.address))
            + attribute(PORT, struct.pack("!H", place.port))
        )

    def put(self, place: Address, scheduler: str, seconds: int, new: bool) -> None:
        """Makes or changes a virtual server."""
        mask = struct.pack("=I", 128) if ":" in place.address else b"\xff" * 4
        more = attribute(SCHEDULER, scheduler.encode() + b"\0")
        more += attribute(FLAGS, struct.pack("=II", PERSISTENT if seconds else 0, 0xFFFFFFFF))
        more += attribute(TIMEOUT, struct.pack("=I", seconds)) + attribute(NETMASK, mask)
        body = attribute(SERVICE, self._service(place) + more)
        self._command(NEW_SERVICE if new else SET_SERVICE, body, errno.EEXIST)

    def remove(self, place: Address) -> None:
        self._command(DEL_SERVICE, attribute(SERVICE, self._service(place)), errno.ESRCH)

    def _destination(self, end: Backend, weight: int) -> bytes:
        family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
        numbers = (
            (D_METHOD, 0),
            (D_WEIGHT, weight),
            (D_UPPER, 0),
            (D_LOWER, 0),
        )  # masquerading: the kernel's word for NAT
        return attribute(
            DEST,
            attribute(D_ADDRESS, _address(end[0]))
            + attribute(D_PORT, struct.pack("!H", end[1]))
            + b"".join(attribute(kind, struct.pack("=I", value)) for kind, value in numbers)
            + attribute(D_FAMILY, struct.pack("=H", family)),
        )

    def put_destination(self, place: Address, end: Backend, weight: int, new: bool) -> None:
        body = attribute(SERVICE, self._service(place)) + self._destination(end, weight)
        self._command(NEW_DEST if new else SET_DEST, body, errno.EEXIST if new else errno.ENOENT)

    def remove_destination(self, place: Address, end: Backend) -> None:
        body = attribute(SERVICE, self._service(place)) + self._destination(end, 0)
        self._command(DEL_DEST, body, errno.ENOENT)

    def servers(self, family: int) -> dict[Address, tuple[str, int]]:
        """address -> (scheduler, seconds) of the virtual servers there are."""
        self._open()
        found = {}
        for answer in self._ask(self._family, GET_SERVICE, DUMP, b""):
            tree = dict(attributes(dict(attributes(answer)).get(SERVICE, b"")))
            if ADDRESS not in tree or struct.unpack("=H", tree[FAMILY])[0] != KERNEL[family]:
                continue
            (number,), (port,) = struct.unpack("=H", tree[PROTOCOL]), struct.unpack("!H", tree[PORT])
            (flags, _), (seconds,) = struct.unpack("=II", tree[FLAGS]), struct.unpack("=I", tree[TIMEOUT])
            place = Address(_text(family, tree[ADDRESS]), NAMES.get(number, str(number)), port)
            found[place] = (tree[SCHEDULER].rstrip(b"\0").decode(), seconds if flags & PERSISTENT else 0)
        return found

    def destinations(self, family: int, place: Address) -> list[Destination]:
        self._open()
        found = []
        for answer in self._ask(self._family, GET_DEST, DUMP, attribute(SERVICE, self._service(place))):
            tree = dict(attributes(dict(attributes(answer)).get(DEST, b"")))
            if D_ADDRESS in tree:
                (port,), (weight,) = struct.unpack("!H", tree[D_PORT]), struct.unpack("=I", tree[D_WEIGHT])
                counts = [struct.unpack("=I", tree[kind])[0] for kind in (D_ACTIVE, D_INACTIVE)]
                found.append(Destination((_text(family, tree[D_ADDRESS]), port), weight, sum(counts)))
        return found
