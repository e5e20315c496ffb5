"""UDP: the hot path. A packet whose bytes are known is answered by one look-up; the rest goes to the engine."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from seaway.dns import wire
from seaway.dns.access import Clients
from seaway.dns.resolving.engine import Clock, Engine
from seaway.dns.table import Hot, Labels
from seaway.dns.tally import DURATIONS, Tally
from seaway.dns.wire import UDP_LIMIT
from seaway.dns.zone.denials import Denials

BATCH = 64  # packets before others have their turn
PACKET = 2048


class Datagrams:
    """A UDP socket of one port. `denials` is its short way for names that cannot be, `short` that way where it may be gone:
    without it all goes the long way."""

    proto = "udp"
    limit = UDP_LIMIT

    def __init__(
        self, sock: socket.socket, engine: Engine, clients: Clients, clock: Clock, tally: Tally, denials: Denials
    ) -> None:
        self.sock, self.engine, self.clients, self._clock, self._tally = sock, engine, clients, clock, tally
        zone = wire.to_text(engine.blocks.plans[0].zones[0])
        self._quick = tally.histogram("duration", (zone,), DURATIONS)
        self.family = "2" if sock.family == socket.AF_INET6 else "1"
        self.hot: Hot = {}
        self.counted: dict[Labels, int] = {}
        self.denials = denials
        self.short: Callable[[bytes], bytes | None] | None = None
        self._send = sock.sendto

    def send(self, reply: bytes, address: tuple[object, ...]) -> None:
        try:
            self._send(reply, address)
        except OSError:  # its port is 0, the network is gone, the buffer is full: it asks again
            self._tally.add("unsent", ())

    def readable(self) -> None:
        """Answers what has come, at most BATCH packets."""
        receive, send, left_of = self.sock.recvfrom, self._send, self.clients.left
        hot, short = self.hot.get, self.short
        began = now = self._clock.now
        quick = 0
        try:
            for _ in range(BATCH):
                data, address = receive(PACKET)
                client = address[0]
                left = left_of.get(client, 0)
                if left > 0:
                    left_of[client] = left - 1
                    query = data[2:]
                    image = hot(query)
                    if image is not None:
                        if image.until > now:
                            hits = image.hits = image.hits + 1
                            quick += 1
                            if image.count == 1:
                                send(data[:2] + image.images, address)  # type: ignore[operator]
                            else:
                                send(data[:2] + image.images[hits % image.count], address)  # type: ignore[operator]
                            continue
                    elif short is not None and (reply := short(data)) is not None:
                        quick += 1
                        send(data[:2] + reply, address)
                        continue
                elif not self.clients.admit(client):
                    self._tally.add("limited", ())
                    self._refuse(data, address)
                    continue
                self.engine.handle(data, self, address)
        except BlockingIOError:
            pass
        except OSError:
            self._tally.add("unsent", ())
        if quick:
            took = time.monotonic() - began
            self._quick.observe(took / quick, quick)

    def _refuse(self, data: bytes, address: tuple[object, ...]) -> None:
        """More than the client's limit: a short answer, so that it asks another server and does not wait."""
        if len(data) >= 12 and not data[2] & 0x80:
            self.send(data[:2] + bytes((0x80 | data[2] & 0x79, 5)) + bytes(8), address)
