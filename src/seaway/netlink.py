"""Netlink (RFC 3549, linux/netlink.h): messages and their attributes as values, pure, and the one socket that carries them.

What the messages say belongs to those who ask: in `proxy` `conntrack`, `addresses`, `ipvs/netlink`, `ipvs/device`,
`ebpf/sockets`; in `dns` `serving/loopback`.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
NOOP, ERROR, DONE, OVERRUN = 1, 2, 3, 4
REQUEST, ACK, DUMP_INTERRUPTED, DUMP = 0x1, 0x4, 0x10, 0x300
EXCL, CREATE = 0x200, 0x400
NESTED, KIND = 0x8000, 0x3FFF  # NLA_F_NESTED, NLA_TYPE_MASK
BUFFER, LARGEST = 1 << 16, 1 << 24
BATCH = 64  # requests in one send: their acknowledgements wait in a receive buffer of 200 KB
AGAIN = 10  # times that a dump is begun anew


class Message(NamedTuple):
    kind: int
    flags: int
    sequence: int
    body: bytes


class Request(NamedTuple):
    """`flags` beside NLM_F_REQUEST and NLM_F_ACK."""

    kind: int
    body: bytes
    flags: int = 0


class Restart(Exception):
    """A dump has to be begun anew: the kernel's table changed under it, or a message was larger than the buffer."""


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", len(payload) + 4, kind) + payload + b"\0" * (-len(payload) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind without its flags, payload) of each; what is cut off at the end is none."""
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > len(data):
            return
        yield kind & KIND, data[at + 4 : at + length]
        at += (length + 3) & ~3


def encode(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    message = HEADER.pack(HEADER.size + len(body), kind, flags | REQUEST, sequence, 0) + body
    return message + b"\0" * (-len(message) % 4)


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one read; OSError (EBADMSG) where the text is none."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, at)
        if length < HEADER.size or at + length > len(data):
            raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
        yield Message(kind, flags, sequence, data[at + HEADER.size : at + length])
        at += (length + 3) & ~3


def code(message: Message) -> int:
    """The errno in an error, an acknowledgement (0) or the end of a dump."""
    return -int.from_bytes(message.body[:4], sys.byteorder, signed=True)


def fail(number: int) -> None:
    if number:
        raise OSError(number, os.strerror(number))


class Reading:
    """What the answers to one dump add up to: fed with messages until `take` says that the last has come."""

    def __init__(self, sequence: int) -> None:
        self.bodies: list[bytes] = []
        self._sequence, self._torn = sequence, False

    def take(self, data: bytes) -> bool:
        for message in messages(data):
            if message.sequence != self._sequence or message.kind == NOOP:
                continue  # the rest of an answer that nobody waited for
            self._torn = self._torn or bool(message.flags & DUMP_INTERRUPTED)
            if message.kind == OVERRUN:
                fail(errno.ENOBUFS)
            if message.kind in (DONE, ERROR):
                fail(code(message))
                if self._torn:
                    raise Restart
                return True
            self.bodies.append(message.body)
        return False


class Link:
    """A socket of one netlink protocol, opened at first use in the network namespace of that thread, and anew after an error. Of
    several threads one talks at a time. The kernel's refusals are OSError."""

    def __init__(self, protocol: int, timeout: float = 10.0) -> None:
        self._protocol, self._timeout = protocol, timeout
        self._socket: socket.socket | None = None
        self._sequence = 0
        self._buffer = bytearray(BUFFER)
        self._lock = threading.Lock()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, kind: int, body: bytes, flags: int = 0) -> list[bytes]:
        """One request: the bodies of its answers, which an acknowledgement ends."""
        answers, (number,) = self._send_all([Request(kind, body, flags)])
        fail(number)
        return answers

    def each(self, requests: Sequence[Request]) -> list[int]:
        """Many requests, a batch at a time: the errno of each, 0 where it is done."""
        found: list[int] = []
        for start in range(0, len(requests), BATCH):
            found += self._send_all(requests[start : start + BATCH])[1]
        return found

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of a whole table, all of one state of it where the kernel can tell (NLM_F_DUMP_INTR)."""
        with self._lock:
            for _ in range(AGAIN):
                try:
                    return self._dump(kind, body)
                except Restart:
                    continue
                except OSError:
                    self.close()
                    raise
        raise OSError(errno.EAGAIN, "the table changes faster than it can be read")

    def _dump(self, kind: int, body: bytes) -> list[bytes]:
        self._sequence += 1
        reading = Reading(self._sequence)
        self._open().send(encode(kind, ACK | DUMP, self._sequence, body))
        while True:
            if reading.take(self._receive()):
                return reading.bodies

    def _send_all(self, requests: Sequence[Request]) -> tuple[list[bytes], list[int]]:
        """(bodies of answers, errno of each request)."""
        with self._lock:
            first = self._sequence + 1
            self._sequence += len(requests)
            text = b"".join(encode(r.kind, r.flags | ACK, first + i, r.body) for i, r in enumerate(requests))
            bodies: list[bytes] = []
            ends: dict[int, int] = {}
            try:
                self._open().send(text)
                while len(ends) < len(requests):
                    for message in messages(self._receive()):
                        if not first <= message.sequence < first + len(requests) or message.kind == NOOP:
                            continue
                        if message.kind in (ERROR, DONE):
                            ends[message.sequence] = code(message)
                        else:
                            bodies.append(message.body)
            except Restart:
                self.close()
                raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE)) from None
            except OSError:
                self.close()
                raise
            return bodies, [ends[first + i] for i in range(len(requests))]

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self._protocol)
            self._socket.settimeout(self._timeout)
            self._socket.bind((0, 0))
        return self._socket

    def _receive(self) -> bytes:
        """One read. Of what was larger than the buffer the rest is lost: it grows, and the socket with the unread rest goes."""
        length = self._open().recv_into(self._buffer, 0, socket.MSG_TRUNC)
        if length <= len(self._buffer):
            return bytes(memoryview(self._buffer)[:length])
        self.close()
        if length > LARGEST:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        self._buffer = bytearray(length * 2)
        raise Restart
