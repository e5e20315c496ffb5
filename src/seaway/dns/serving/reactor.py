"""The loop of a worker: sockets and timers, no more, so that the way from a packet to its answer is short. The edge to epoll."""

from __future__ import annotations

import heapq
import itertools
import logging
import select
import socket
import time
from collections.abc import Callable

log = logging.getLogger("dns")
Call = Callable[[], None]


class Timer:
    """What `later` gives: `cancel` keeps it from being called."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def cancel(self) -> None:
        self.call = None


class Reactor:
    """`now`: monotonic seconds, as they were when the loop last woke."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self._poll = select.epoll()
        self._reads: dict[int, Call] = {}
        self._writes: dict[int, Call] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._running = True

    def watch(self, sock: socket.socket, read: Call, write: Call | None = None) -> None:
        """Calls `read` while there is something to read, `write` while there is room; again to change."""
        fd = sock.fileno()
        mask = select.EPOLLIN | (select.EPOLLOUT if write else 0)
        if fd in self._reads:
            self._poll.modify(fd, mask)
        else:
            self._poll.register(fd, mask)
        self._reads[fd] = read
        if write:
            self._writes[fd] = write
        else:
            self._writes.pop(fd, None)

    def forget(self, sock: socket.socket) -> None:
        fd = sock.fileno()
        if self._reads.pop(fd, None) is not None:
            self._writes.pop(fd, None)
            self._poll.unregister(fd)

    def later(self, seconds: float, call: Call) -> Timer:
        timer = Timer(call)
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        """Until `stop`."""
        while self._running:
            self.turn(60.0)

    def turn(self, most: float) -> None:
        """Waits for something to do, at most `most` seconds, and does it."""
        reads, writes, timers = self._reads, self._writes, self._timers
        if timers:
            most = min(most, max(timers[0][0] - time.monotonic(), 0.0))
        events = self._poll.poll(most, 64)
        self.now = time.monotonic()
        for fd, mask in events:
            try:
                if mask & select.EPOLLOUT and (call := writes.get(fd)):
                    call()
                if mask & ~select.EPOLLOUT and (call := reads.get(fd)):
                    call()
            except Exception:
                log.exception("a socket's turn failed")
        while timers and timers[0][0] <= self.now:
            timer = heapq.heappop(timers)[2]
            if timer.call is not None:
                try:
                    timer.call()
                except Exception:
                    log.exception("a timer failed")
