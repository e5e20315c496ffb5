"""A process that answers by UDP."""

from __future__ import annotations

import gc
import os
import signal
import socket
import time
from collections.abc import Sequence

from seaway.dns.serving import turns
from seaway.dns.serving.assembly import Assembly, Port, read_file
from seaway.dns.serving.datagrams import Datagrams
from seaway.dns.serving.reactor import Reactor
from seaway.dns.serving.zonelink import ZoneLink
from seaway.dns.settings import Settings
from seaway.dns.zone.denials import Denials

DRAIN = 1.0  # seconds at the end for what is on its way
Group = tuple[str, int]


def run(settings: Settings, sockets: Sequence[tuple[Group, socket.socket]], zone: socket.socket, token: bytes) -> None:
    """Until SIGTERM; then what has come is answered."""
    reactor = Reactor()
    ended = _on_term(reactor)
    assembly = Assembly(settings, reactor, False, read_file)
    link = ZoneLink(zone, reactor, assembly.outline, assembly.void, assembly.counts, assembly.looped)
    assembly.build(link)
    assembly.watch_loops(token, link.tell_loop)
    faces = []
    for group, sock in sockets:
        port = assembly.ports[group]
        sock.setblocking(False)
        face = Datagrams(sock, port.engine, port.clients, reactor, assembly.tally, Denials(assembly.outline))
        assembly.denials.append((port, face, face.denials))
        port.sinks.append(face)
        port.table.hots.append(face.hot)
        faces.append((port, face))
        reactor.watch(sock, face.readable)
    _shorten(assembly, faces)

    parent = os.getppid()

    def second() -> None:
        if os.getppid() != parent:
            os._exit(1)  # nobody is to stay when the supervisor is killed
        assembly.second()
        reactor.later(1.0, second)

    def hosts() -> None:
        assembly.read_hosts()
        _shorten(assembly, faces)
        reactor.later(assembly.hosts_interval, hosts)

    reactor.later(1.0, second)
    if assembly.hosts_interval:
        reactor.later(assembly.hosts_interval, hosts)
    turns.answer_first()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    reactor.run()
    _drain(reactor, faces)
    ended.close()


def _shorten(assembly: Assembly, faces: list[tuple[Port, Datagrams]]) -> None:
    """The short way for random names, where nothing in the blocks could say otherwise."""
    for port, face in faces:
        alone = port.blocks.denies_alone(assembly.outline.origins)
        face.short = face.denials.short if alone else None


def _on_term(reactor: Reactor) -> socket.socket:
    """SIGTERM and SIGINT stop the loop; the signal's byte wakes it."""
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: reactor.stop())

    def woken() -> None:
        reading.recv(64)

    reactor.watch(reading, woken)
    return writing


def _drain(reactor: Reactor, faces: list[tuple[Port, Datagrams]]) -> None:
    """Answers what the sockets still hold, and waits a moment for what is on its way to upstreams. A socket that nobody reads
    after this one is closed the moment it is empty."""
    for _, face in faces:
        reactor.forget(face.sock)
    end = time.monotonic() + DRAIN
    while True:
        for _, face in faces:
            for _ in range(100):
                face.readable()
        if time.monotonic() > end or not any(port.engine.running for port, _ in faces):
            break
        while any(port.engine.running for port, _ in faces) and time.monotonic() < end:
            reactor.turn(0.05)
    for _, face in faces:
        face.sock.close()


def main(settings: Settings, sockets: Sequence[tuple[Group, socket.socket]], zone: socket.socket, token: bytes) -> None:
    """The child's whole life; what it raises is its parent's to tell."""
    run(settings, sockets, zone, token)
    os._exit(0)
