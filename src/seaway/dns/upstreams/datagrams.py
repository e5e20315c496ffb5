"""Upstreams by UDP: connected sockets with ports of the kernel's choice, changed often, ids from the kernel's randomness. A
forger must hit address, port, id and question at once (RFC 5452)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Protocol

from seaway.dns import relayed
from seaway.dns.resolving.engine import Timer
from seaway.dns.settings import Upstream

PORTS = 8  # sockets in use at once
USES = 400  # questions that a socket sends before another takes its place
PENDING = 4096  # on their way by one socket
PACKET = 4096
Then = Callable[[bytes | None], None]


class Loop(Protocol):
    """What the sockets need of a loop."""

    @property
    def now(self) -> float: ...

    def watch(self, sock: socket.socket, read: Callable[[], None], write: Callable[[], None] | None = None) -> None: ...

    def forget(self, sock: socket.socket) -> None: ...

    def later(self, seconds: float, call: Callable[[], None]) -> Timer: ...


class Ids:
    """Random numbers by the handful: a call of the kernel for each would cost as much as the packet."""

    def __init__(self) -> None:
        self._left = b""
        self._at = 0

    def next(self) -> bytes:
        """Three bytes: two for an id, one for a choice."""
        at = self._at
        if at + 3 > len(self._left):
            self._left, at = os.urandom(3072), 0
        self._at = at + 3
        return self._left[at : at + 3]


class Port:
    """One socket and what it waits for: id -> (question, then)."""

    __slots__ = ("pending", "retired", "sock", "uses")

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.uses, self.retired = sock, 0, False
        self.pending: dict[bytes, tuple[bytes, Then]] = {}


class UdpWay:
    """To one upstream."""

    def __init__(self, upstream: Upstream, loop: Loop, ids: Ids, source: str = "") -> None:
        self._upstream, self._loop, self._ids, self._source = upstream, loop, ids, source
        self._family = socket.AF_INET6 if ":" in upstream.host else socket.AF_INET
        self._ports: list[Port | None] = [None] * PORTS

    def ask(self, message: bytes, question: bytes, then: Then) -> object:
        chance = self._ids.next()
        slot = chance[2] % PORTS
        port = self._ports[slot]
        try:
            if port is None or port.uses >= USES:
                port = self._fresh(slot)
            ident = chance[:2]
            while ident in port.pending:
                ident = self._ids.next()[:2]
            if len(port.pending) >= PENDING:
                raise OSError("too many questions on their way")
            port.sock.send(ident + message)
        except OSError:
            self._loop.later(0, lambda: then(None))
            return None
        port.uses += 1
        port.pending[ident] = (question, then)
        return (port, ident)

    def drop(self, ticket: object) -> None:
        if isinstance(ticket, tuple):
            port, ident = ticket
            port.pending.pop(ident, None)
            if port.retired and not port.pending:
                self._close(port)

    def _fresh(self, slot: int) -> Port:
        sock = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if self._source:
                sock.bind((self._source, 0))
            sock.connect((self._upstream.host, self._upstream.port))
        except OSError:
            sock.close()
            raise
        old = self._ports[slot]
        if old is not None:
            old.retired = True
            if not old.pending:
                self._close(old)
        port = self._ports[slot] = Port(sock)
        self._loop.watch(sock, lambda: self._readable(port))
        return port

    def _close(self, port: Port) -> None:
        if port.sock.fileno() >= 0:
            self._loop.forget(port.sock)
            port.sock.close()

    def _readable(self, port: Port) -> None:
        try:
            for _ in range(64):
                message = port.sock.recv(PACKET)
                found = port.pending.get(message[:2])
                if found is None or not relayed.answers(message, found[0]):
                    continue  # late, or forged
                del port.pending[message[:2]]
                found[1](message)
                if port.retired and not port.pending:
                    self._close(port)
                    return
        except BlockingIOError:
            return
        except OSError:  # ICMP said that nobody is there
            pending, port.pending = list(port.pending.values()), {}
            for _, then in pending:
                then(None)
            if port.retired:
                self._close(port)
