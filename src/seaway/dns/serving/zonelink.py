"""A worker's end of the link to the control process: questions to the zone, and what changed in it."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable

from seaway.dns import link
from seaway.dns.answer import Answer
from seaway.dns.upstreams.datagrams import Loop
from seaway.dns.zone.outline import Outline

log = logging.getLogger("dns")
PATIENCE = 3.0  # seconds for the control process: it may have died, another is on its way
AGAIN = 0.5
SWEEP = 0.25
ROOM = 1 << 18  # bytes: more than any message
Then = Callable[[Answer | None], None]


class ZoneLink:
    """`void` is called with the owners whose answers end, None for all of them; `counts` gives the worker's counts,
    `looped` is told of an upstream that leads back here."""

    def __init__(
        self,
        sock: socket.socket,
        loop: Loop,
        outline: Outline,
        void: Callable[[list[bytes] | None], None],
        counts: Callable[[], list[bytes]],
        looped: Callable[[str, int], None],
    ) -> None:
        self._looped = looped
        self._sock, self._loop, self._outline, self._void, self._counts = sock, loop, outline, void, counts
        self._asked: dict[tuple[bytes, int], tuple[float, list[Then]]] = {}  # when each was asked, and who waits
        self._sweeping = False
        self._room = memoryview(bytearray(ROOM))  # a buffer made anew for each message would cost more than it holds
        self._nonce = 0
        self._names: list[tuple[bytes, bytes]] | None = None
        self._whole = False
        sock.setblocking(False)
        loop.watch(sock, self._readable)
        self._hello()

    def ask(self, name: bytes, kind: int, then: Then) -> None:
        key = (name, kind)
        asked = self._asked.get(key)
        if asked is not None:
            asked[1].append(then)
            return
        if not self._send(link.Ask(name, kind)):
            then(None)
            return
        self._asked[key] = (self._loop.now, [then])
        if not self._sweeping:
            self._sweeping = True
            self._loop.later(SWEEP, self._sweep)

    def tell_loop(self, host: str, port: int) -> None:
        self._send(link.Looped(host, port))

    def _sweep(self) -> None:
        """Gives up what has waited too long; one timer for all, since most are told at once."""
        now = self._loop.now
        late = [key for key, (when, _) in self._asked.items() if now - when >= PATIENCE]
        for key in late:
            for then in self._asked.pop(key)[1]:
                then(None)
        self._sweeping = bool(self._asked)
        if self._sweeping:
            self._loop.later(SWEEP, self._sweep)

    def _hello(self) -> None:
        """Until the whole list of names has come."""
        if self._whole:
            return
        self._nonce = int.from_bytes(os.urandom(4), "big")
        self._send(link.Hello(self._nonce))
        self._loop.later(AGAIN, self._hello_again)

    def _hello_again(self) -> None:
        if not self._whole and self._names is None:
            self._hello()
        elif not self._whole:
            self._loop.later(AGAIN, self._hello_again)

    def _send(self, message: link.FromWorker) -> bool:
        try:
            self._sock.send(link.encode(message))
            return True
        except OSError as e:
            if e.errno not in (errno.EAGAIN, errno.EPIPE, errno.ECONNREFUSED, errno.ENOBUFS):
                log.warning("the control process cannot be asked: %s", e)
            return False

    def _readable(self) -> None:
        for _ in range(64):
            try:
                size = self._sock.recv_into(self._room)
            except BlockingIOError:
                return
            except OSError:
                return
            if not size:
                self._loop.forget(self._sock)  # the supervisor is gone, and this process is about to be
                return
            self._take(link.from_control(self._room[:size]))

    def _take(self, message: link.FromControl) -> None:
        if isinstance(message, link.Told):
            asked = self._asked.pop((message.name, message.kind), None)
            for then in asked[1] if asked else ():
                then(_answer(message))
        elif isinstance(message, link.Change):
            if self._whole:
                come = zip(message.come, message.addresses, strict=True)
                self._outline.change(come, message.gone, message.serial)
                self._void(message.owners)
        elif isinstance(message, link.Names):
            self._take_names(message)
        elif isinstance(message, link.Looped):
            self._looped(message.host, message.port)
        else:
            for i, part in enumerate(parts := self._counts()):
                self._send(link.Stats(message.token, part, i == len(parts) - 1))

    def _take_names(self, message: link.Names) -> None:
        if message.nonce not in (self._nonce, 0):
            return
        if message.first:
            self._names = []
        if self._names is None:
            return
        self._names += zip(message.services, message.addresses, strict=True)
        if message.last:
            self._outline.replace(self._names, message.serial)
            self._names, self._whole = None, True
            self._void(None)


def _answer(told: link.Told) -> Answer | None:
    if not told.known:
        return None
    return Answer(told.flags, told.counts, told.body, told.run, told.owners, target=told.target)
