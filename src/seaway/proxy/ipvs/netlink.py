"""The kernel's IPVS by generic netlink (linux/ip_vs.h): virtual servers and their destinations."""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

from seaway.netlink import Link, attribute, attributes
from seaway.proxy.ipvs.servers import Address
from seaway.proxy.kernel import KernelError
from seaway.proxy.table import Backend

GENERIC, CONTROLLER, GET_FAMILY = 16, 16, 3
NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE, NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = range(1, 9)
SET_CONFIG, GET_CONFIG = 12, 13
SERVICE, DEST, TIMEOUTS = 1, 2, (4, 5, 6)  # IPVS_CMD_ATTR_; the times of TCP, of TCP after a FIN, of UDP
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


def _address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text).ljust(16, b"\0")


def _text(family: int, data: bytes) -> str:
    return socket.inet_ntop(KERNEL[family], data[: 4 if family == 4 else 16])


def _body(command: int, payload: bytes) -> bytes:
    """After a struct genlmsghdr."""
    return struct.pack("=BBH", command, 1, 0) + payload


class Ipvs:
    """One socket, opened at first use."""

    def __init__(self) -> None:
        self._link = Link(GENERIC)
        self._family = 0

    def _number(self) -> int:
        """The number that the kernel has given to its IPVS."""
        if not self._family:
            try:
                answers = self._link.ask(CONTROLLER, _body(GET_FAMILY, attribute(2, b"IPVS\0")))
            except OSError as e:
                raise KernelError("this kernel has no IPVS (modprobe ip_vs)") from e
            (self._family,) = struct.unpack("=H", dict(attributes(answers[0][4:]))[1])
        return self._family

    def _listed(self, command: int, body: bytes) -> list[bytes]:
        """The attributes of each answer."""
        try:
            return [answer[4:] for answer in self._link.dump(self._number(), _body(command, body))]
        except OSError as e:
            raise KernelError(f"IPVS command {command}: {e.strerror}") from e

    def _command(self, command: int, body: bytes, tolerate: int = 0) -> None:
        try:
            self._link.ask(self._number(), _body(command, body))
        except OSError as e:
            if e.errno != tolerate:
                raise KernelError(f"IPVS command {command}: {e.strerror}") from e

    def set_timeouts(self, seconds: tuple[int, int, int]) -> None:
        """How long connections are known that nothing passes: of TCP, of TCP after a FIN, of UDP; 0 leaves the kernel's own."""
        pairs = [(kind, n) for kind, n in zip(TIMEOUTS, seconds, strict=True) if n]
        if pairs:
            self._command(SET_CONFIG, b"".join(attribute(kind, struct.pack("=I", n)) for kind, n in pairs))

    def timeouts(self) -> tuple[int, ...]:
        """What holds."""
        try:
            (answer,) = self._link.ask(self._number(), _body(GET_CONFIG, b""))
        except OSError as e:
            raise KernelError(f"IPVS command {GET_CONFIG}: {e.strerror}") from e
        tree = dict(attributes(answer[4:]))
        return tuple(struct.unpack("=I", tree[kind])[0] for kind in TIMEOUTS)

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
        found = {}
        for answer in self._listed(GET_SERVICE, b""):
            tree = dict(attributes(dict(attributes(answer)).get(SERVICE, b"")))
            if ADDRESS not in tree or struct.unpack("=H", tree[FAMILY])[0] != KERNEL[family]:
                continue
            (number,), (port,) = struct.unpack("=H", tree[PROTOCOL]), struct.unpack("!H", tree[PORT])
            (flags, _), (seconds,) = struct.unpack("=II", tree[FLAGS]), struct.unpack("=I", tree[TIMEOUT])
            place = Address(_text(family, tree[ADDRESS]), NAMES.get(number, str(number)), port)
            found[place] = (tree[SCHEDULER].rstrip(b"\0").decode(), seconds if flags & PERSISTENT else 0)
        return found

    def destinations(self, family: int, place: Address) -> list[Destination]:
        found = []
        for answer in self._listed(GET_DEST, attribute(SERVICE, self._service(place))):
            tree = dict(attributes(dict(attributes(answer)).get(DEST, b"")))
            if D_ADDRESS in tree:
                (port,), (weight,) = struct.unpack("!H", tree[D_PORT]), struct.unpack("=I", tree[D_WEIGHT])
                counts = [struct.unpack("=I", tree[kind])[0] for kind in (D_ACTIVE, D_INACTIVE)]
                found.append(Destination((_text(family, tree[D_ADDRESS]), port), weight, sum(counts)))
        return found
