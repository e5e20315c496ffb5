"""The relay's part in its process's loop: which descriptors are its own, and what is to be done when they are ready."""

from __future__ import annotations

import select
import socket

from seaway.cluster.relay.datagrams import Datagrams
from seaway.cluster.relay.streams import Streams
from seaway.cluster.relay.upstreams import PORT, Upstreams


class Relay:
    """`poll` is the loop's; `listeners` are the sockets of `inside`; `path` is the machine's resolv.conf."""

    def __init__(self, poll: select.epoll, listeners: list[socket.socket], path: str, port: int = PORT) -> None:
        self._poll = poll
        self._watched: dict[int, int] = {}
        self._listeners = {s.fileno(): s for s in listeners}
        upstreams = Upstreams(path, port)
        self._datagrams = Datagrams(upstreams, lambda fd: self._watch(fd, select.EPOLLIN), self._unwatch)
        self._streams = Streams(upstreams, self._watch, self._unwatch)
        for fd in self._listeners:
            self._watch(fd, select.EPOLLIN)

    def _watch(self, fd: int, events: int) -> None:
        known = self._watched.get(fd)
        if known is None:
            self._poll.register(fd, events)
        elif known != events:
            self._poll.modify(fd, events)
        self._watched[fd] = events

    def _unwatch(self, fd: int) -> None:
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def ready(self, fd: int, events: int, now: float) -> None:
        """One of the descriptors may be read or written; those of others are left alone."""
        try:
            listener = self._listeners.get(fd)
            if listener is not None and listener.type == socket.SOCK_DGRAM:
                self._datagrams.read(listener, now)
            elif listener is not None:
                self._streams.accept(listener, now)
            elif self._datagrams.owns(fd):
                self._datagrams.answered(fd, now)
            elif self._streams.owns(fd):
                self._streams.ready(fd, events, now)
        except Exception:  # nobody starts this process again: a question may fail, the next one is answered
            import traceback  # here: it is large, and hardly ever needed

            traceback.print_exc()

    def expire(self, now: float) -> float | None:
        """What has had its time; seconds until the next such moment, None: there is none."""
        waits = [w for w in (self._datagrams.expire(now), self._streams.expire(now)) if w is not None]
        return min(waits, default=None)
