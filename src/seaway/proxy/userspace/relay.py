"""Relays: listening sockets whose connections and datagrams are carried to an endpoint, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from seaway.proxy.kernel import KernelError
from seaway.proxy.table import Backend, Facts
from seaway.proxy.userspace.choice import Chooser
from seaway.proxy.userspace.translate import Ends, RelayKey

# Seconds for an endpoint to take a connection before the next is tried, in rounds: a busy machine is no dead endpoint
# (pkg/proxy/userspace EndpointDialTimeouts, the last of which was 2 s).
CONNECT = (1.0, 2.0)
DATAGRAMS = 10.0  # seconds without a datagram after which a client's next one may go elsewhere
CHUNK = 1 << 16
Choose = Callable[[str], list[Backend]]


def _listen(protocol: str, address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    found = socket.socket(family, kind)
    try:
        found.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            found.listen(1024)
    except OSError as e:
        found.close()
        raise KernelError(f"a relay cannot listen on {address}: {e.strerror}") from e
    found.setblocking(False)
    return found


class _Streams(asyncio.Protocol):
    """One side of a carried connection: writes what it reads to its peer, slows down with it, ends with it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _Streams | None = None
        self.early: list[bytes] = []
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def join(self, peer: _Streams) -> None:
        """From now on bytes go to `peer`, those that came early first."""
        self.peer = peer
        assert peer.transport is not None
        for data in self.early:
            peer.transport.write(data)
        self.early.clear()
        if self.ended:
            self._end_peer()

    def data_received(self, data: bytes) -> None:
        if self.peer is None or self.peer.transport is None:
            self.early.append(data)
        else:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        self._end_peer()
        return True  # the other direction goes on

    def _end_peer(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self.peer.transport.write_eof()
            if self.peer.ended and self.transport is not None:
                self.transport.close()
                self.peer.transport.close()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None and self.peer.transport is not None:
            if exc is not None:
                self.peer.transport.abort()
            else:
                self.peer.transport.close()


class _Client(_Streams):
    """The client's side: chooses an endpoint once it is there."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self.relay = relay
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.relay.connections += 1
        assert self.transport is not None
        self.transport.pause_reading()
        self.task = asyncio.ensure_future(self._connect(self.transport.get_extra_info("peername")[0]))

    async def _connect(self, client: str) -> None:
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        order = self.relay.order(client)
        for backend, patience in [(backend, patience) for patience in CONNECT for backend in order]:
            try:
                async with asyncio.timeout(patience):
                    _, far = await loop.create_connection(_Streams, *backend)
            except (OSError, TimeoutError):
                continue
            if self.transport.is_closing():
                assert far.transport is not None
                far.transport.abort()
                return
            self.relay.stay(client, backend)
            far.join(self)
            self.join(far)
            self.transport.resume_reading()
            return
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.relay.connections -= 1
        super().connection_lost(exc)


class _Datagrams(asyncio.DatagramProtocol):
    """The listening side of UDP: a connected socket to an endpoint for each client."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.transport: asyncio.DatagramTransport | None = None
        self.clients: dict[Any, _Answers] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # no subclass of it, in Python 3.11

    def datagram_received(self, data: bytes, addr: Any) -> None:
        there = self.clients.get(addr)
        order = self.relay.order_for(addr[0], there.backend if there is not None else None)
        if there is not None and there.backend in order:
            there.send(data)
            return
        if there is not None:
            there.end()
        if order:
            self.clients[addr] = _Answers(self, addr, order[0], data)
            self.relay.stay(addr[0], order[0])


class _Answers(asyncio.DatagramProtocol):
    """A client's socket to its endpoint; ends when nothing has come for a while."""

    def __init__(self, front: _Datagrams, client: Any, backend: Backend, first: bytes) -> None:
        self.front, self.client, self.backend = front, client, backend
        self.transport: asyncio.DatagramTransport | None = None
        self.waiting = [first]
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(DATAGRAMS, self.end)
        self.task = asyncio.ensure_future(loop.create_datagram_endpoint(lambda: self, remote_addr=backend))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # no subclass of it, in Python 3.11
        for data in self.waiting:
            self.transport.sendto(data)
        self.waiting.clear()

    def send(self, data: bytes) -> None:
        self._touch()
        if self.transport is None:
            self.waiting.append(data)
        else:
            self.transport.sendto(data)

    def _touch(self) -> None:
        self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(DATAGRAMS, self.end)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._touch()
        if self.front.transport is not None:
            self.front.transport.sendto(data, self.client)

    def error_received(self, exc: Exception) -> None:
        self.end()  # the endpoint refuses: the client's next datagram goes to another

    def end(self) -> None:
        self.timer.cancel()
        self.task.cancel()
        if self.front.clients.get(self.client) is self:
            del self.front.clients[self.client]
        if self.transport is not None:
            self.transport.close()


class Relay:
    """One listening socket, and what it may choose from."""

    def __init__(self, key: RelayKey, address: str, chooser: Chooser) -> None:
        self.key, self.chooser = key, chooser
        self.ends, self.facts = Ends((), (), 0), Facts(4)
        self.connections = 0
        self.socket = _listen(key.protocol, address)
        self.at: Backend = self.socket.getsockname()[:2]
        self.server: asyncio.Server | None = None
        self.datagrams: _Datagrams | None = None

    def order(self, client: str) -> list[Backend]:
        return self.chooser.order(self.ends, self.facts, client, time.monotonic())

    def order_for(self, client: str, had: Backend | None) -> list[Backend]:
        """The endpoints of a datagram: the one that the client has, while it may have it."""
        ends = self.ends
        if had is not None and (had in ends.everywhere or had in ends.outside):
            return [had]
        return self.order(client)

    def stay(self, client: str, backend: Backend) -> None:
        self.chooser.stay(self.ends, client, backend, time.monotonic())

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        if self.key.protocol == "tcp":
            self.server = await loop.create_server(lambda: _Client(self), sock=self.socket)
        else:
            _, self.datagrams = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=self.socket)

    def stop(self) -> None:
        """No new connections; those that are there go on."""
        if self.server is not None:
            self.server.close()
        if self.datagrams is not None:
            for answers in list(self.datagrams.clients.values()):
                answers.end()
            if self.datagrams.transport is not None:
                self.datagrams.transport.close()


class Relays:
    """All relays, in a thread with a loop of its own: they carry on while the proxy plans."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()
        self._open: dict[RelayKey, Relay] = {}
        self._ended: list[Relay] = []
        self._choosers: dict[tuple[str, str], Chooser] = {}

    def places(self) -> dict[RelayKey, Backend]:
        """Where each relay listens."""
        return {key: relay.at for key, relay in self._open.items()}

    def open(self, key: RelayKey, address: str) -> None:
        """Opens a relay where there is none yet; KernelError where it cannot listen."""
        if key in self._open:
            return
        relay = Relay(key, address, self._choosers.setdefault(key[:2], Chooser()))
        self._open[key] = relay
        asyncio.run_coroutine_threadsafe(relay.start(), self._loop).result(5)

    def set(self, key: RelayKey, ends: Ends, facts: Facts) -> None:
        """What a relay chooses from, from its next client on."""
        relay = self._open[key]
        relay.ends, relay.facts = ends, facts

    def close(self, key: RelayKey) -> None:
        relay = self._open.pop(key, None)
        if relay is not None:
            self._ended = [r for r in (*self._ended, relay) if r.connections]
            if not any(k[:2] == key[:2] for k in self._open):
                self._choosers.pop(key[:2], None)
            self._loop.call_soon_threadsafe(relay.stop)

    def connections(self) -> int:
        """How many connections are being carried."""
        self._ended = [r for r in self._ended if r.connections]
        return sum(r.connections for r in (*self._open.values(), *self._ended))

    def end(self) -> None:
        for key in list(self._open):
            self.close(key)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
