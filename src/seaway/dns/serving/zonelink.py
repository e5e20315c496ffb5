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
        self._asked: dict[tuple[bytes, int], list[Then]] = {}
        self._nonce = 0
        self._names: list[tuple[bytes, bytes]] | None = None
        self._whole = False
        sock.setblocking(False)
        loop.watch(sock, self._readable)
        self._hello()

    def ask(self, name: bytes, kind: int, then: Then) -> None:
        key = (name, kind)
        waiting = self._asked.get(key)
        if waiting is not None:
            waiting.append(then)
            return
        waiting = self._asked[key] = [then]
        if not self._send(link.Ask(name, kind)):
            del self._asked[key]
            then(None)
            return
        self._loop.later(PATIENCE, lambda: self._give_up(key, waiting))

    def tell_loop(self, host: str, port: int) -> None:
        self._send(link.Looped(host, port))

    def _give_up(self, key: tuple[bytes, int], waiting: list[Then]) -> None:
        if self._asked.get(key) is waiting:
            del self._asked[key]
            for then in waiting:
                then(None)

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
                data = self._sock.recv(1 << 20)
            except BlockingIOError:
                return
            except OSError:
                return
            if not data:
                self._loop.forget(self._sock)  # the supervisor is gone, and this process is about to be
                return
            self._take(link.from_control(data))

    def _take(self, message: link.FromControl) -> None:
        if isinstance(message, link.Told):
            for then in self._asked.pop((message.name, message.kind), ()):
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
