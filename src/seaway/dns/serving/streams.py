"""The process that answers by TCP (RFC 7766) and TLS (RFC 7858): apart from the workers, so that neither handshakes nor slow
readers delay an answer by UDP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import cast

import uvloop

from seaway.dns.resolving.engine import Engine
from seaway.dns.serving.assembly import Assembly, Port, read_file
from seaway.dns.serving.zonelink import ZoneLink
from seaway.dns.settings import Settings, Tls
from seaway.dns.table import Hot, Labels
from seaway.dns.wire import TCP_LIMIT

log = logging.getLogger("dns")
IDLE = 10.0  # seconds without a query
CONNECTIONS = 2000  # of all clients
PER_CLIENT = 200
HELD = 256 << 10  # bytes of replies that a slow reader may be owed before its queries wait
Group = tuple[str, int]


class Loop:
    """asyncio's loop in the form that upstreams and the link know."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: set[int] = set()

    @property
    def now(self) -> float:
        return time.monotonic()

    def watch(self, sock: socket.socket, read: Callable[[], None], write: Callable[[], None] | None = None) -> None:
        fd = sock.fileno()
        self._loop.add_reader(fd, read)
        if write is not None:
            self._loop.add_writer(fd, write)
        elif fd in self._watched:
            self._loop.remove_writer(fd)
        self._watched.add(fd)

    def forget(self, sock: socket.socket) -> None:
        fd = sock.fileno()
        if fd in self._watched:
            self._watched.discard(fd)
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)

    def later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, call)


class Face:
    """A listener of one port: what its connections share. Exact queries are not kept: a connection costs more than a look-up."""

    limit = TCP_LIMIT

    def __init__(self, port: Port, proto: str, family: str, loop: asyncio.AbstractEventLoop) -> None:
        self.port, self.proto, self.family, self.loop = port, proto, family, loop
        self.hot: Hot = {}
        self.counted: dict[Labels, int] = {}
        self.open: set[Stream] = set()
        self.clients: dict[str, int] = {}

    def send(self, reply: bytes, address: tuple[object, ...]) -> None:
        stream = address[2]
        assert isinstance(stream, Stream)
        stream.reply(reply)


class Stream(asyncio.Protocol):
    """One connection: any number of queries, answers as they come, in any order."""

    def __init__(self, face: Face, engine: Engine) -> None:
        self._face, self._engine = face, engine
        self._data = bytearray()
        self._transport: asyncio.Transport | None = None
        self._address: tuple[object, ...] = ()
        self._idle: asyncio.TimerHandle | None = None
        self._owed = 0  # queries without a reply yet
        self._asked_all = False
        self.held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast(asyncio.Transport, transport)  # uvloop's are not of asyncio's class
        face = self._face
        peer = made.get_extra_info("peername") or ("", 0)
        self._address = (peer[0], peer[1], self)
        used = face.clients.get(peer[0], 0)
        if len(face.open) >= CONNECTIONS or used >= PER_CLIENT:
            made.abort()
            return
        face.clients[peer[0]] = used + 1
        face.open.add(self)
        self._transport = made
        made.set_write_buffer_limits(HELD)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        face, client = self._face, str(self._address[0])
        face.open.discard(self)
        left = face.clients.get(client, 1) - 1
        if left:
            face.clients[client] = left
        else:
            face.clients.pop(client, None)
        if self._idle:
            self._idle.cancel()

    def _wait(self) -> None:
        if self._idle:
            self._idle.cancel()
        self._idle = self._face.loop.call_later(IDLE, self.close)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self.held:
            self._take()

    def _take(self) -> None:
        buffer = self._data
        while len(buffer) >= 2 and not self.held and self._transport is not None:
            size = int.from_bytes(buffer[:2], "big")
            if size < 12:  # no query is shorter: this is not DNS
                self.close()
                return
            if len(buffer) < 2 + size:
                return
            query = bytes(buffer[2 : 2 + size])
            del buffer[: 2 + size]
            self._wait()
            self._owed += 1
            if not self._face.port.clients.admit(str(self._address[0])):
                self.reply(query[:2] + bytes((0x80 | query[2] & 0x79, 5)) + bytes(8))
                continue
            self._engine.handle(query, self._face, self._address)

    def reply(self, data: bytes) -> None:
        self._owed -= 1
        if self._transport is not None:
            self._transport.write(len(data).to_bytes(2, "big") + data)
            if self._asked_all and not self._owed:
                self._transport.close()

    def pause_writing(self) -> None:
        """A slow reader's queries wait until it has read what it is owed."""
        self.held = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.held = False
        if self._transport is not None:
            self._transport.resume_reading()
            self._take()

    def eof_received(self) -> bool:
        """It has asked all: what is on its way is still answered. True keeps the connection until then."""
        self._asked_all = True
        return self._owed > 0

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort() if self.held else self._transport.close()


def context_of(tls: Tls) -> ssl.SSLContext:
    """For clients. `client_auth` as CoreDNS's tls plugin has it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["dot"])
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.authority:
        context.load_verify_locations(tls.authority)
    if tls.client_auth in ("require", "require_and_verify"):
        context.verify_mode = ssl.CERT_REQUIRED
    elif tls.client_auth == "verify_if_given":
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def run(settings: Settings, sockets: Sequence[tuple[Group, socket.socket]], zone: socket.socket, token: bytes) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    assembly = Assembly(settings, Loop(loop), True, read_file)
    link = ZoneLink(zone, assembly.loop, assembly.outline, assembly.void, assembly.counts, assembly.looped)
    assembly.build(link)
    assembly.watch_loops(token, link.tell_loop)
    faces, servers = [], []
    for group, sock in sockets:
        port = assembly.ports[group]
        block = port.blocks.plans[0].block
        secure = context_of(block.tls) if group[0] == "tls" and block.tls else None
        family = "2" if sock.family == socket.AF_INET6 else "1"
        face = Face(port, "tls" if secure else "tcp", family, loop)
        port.sinks.append(face)
        port.table.hots.append(face.hot)
        faces.append(face)
        make = _maker(face)
        patience = 5.0 if secure else None
        servers.append(await loop.create_server(make, sock=sock, ssl=secure, ssl_handshake_timeout=patience, backlog=1024))
    ticking = asyncio.ensure_future(_tick(assembly))
    await stop.wait()
    ticking.cancel()
    for server in servers:
        server.close()
    end = loop.time() + 1.0
    while any(port.engine.running for port in assembly.ports.values()) and loop.time() < end:
        await asyncio.sleep(0.02)
    for face in faces:
        for stream in list(face.open):
            stream.close()
    await asyncio.sleep(0.05)


def _maker(face: Face) -> Callable[[], Stream]:
    return lambda: Stream(face, face.port.engine)


async def _tick(assembly: Assembly) -> None:
    looked, parent = time.monotonic(), os.getppid()
    while True:
        await asyncio.sleep(1.0)
        if os.getppid() != parent:
            os._exit(1)  # nobody is to stay when the supervisor is killed
        assembly.second()
        interval = assembly.hosts_interval
        if interval and time.monotonic() - looked >= interval:
            looked = time.monotonic()
            assembly.read_hosts()


def main(settings: Settings, sockets: Sequence[tuple[Group, socket.socket]], zone: socket.socket, token: bytes) -> None:
    """The child's whole life; what it raises is its parent's to tell."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(run(settings, sockets, zone, token))
    os._exit(0)
