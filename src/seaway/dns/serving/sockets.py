"""The sockets that queries come in by: opened once, by the supervisor, and kept over reloads and the death of who reads them, so
that what has come waits for the next."""

from __future__ import annotations

import ipaddress
import logging
import socket
from typing import NamedTuple

from seaway.dns.serving import own
from seaway.dns.settings import Settings

log = logging.getLogger("dns")
ROOM = 4 << 20  # bytes of queries that may wait
SO_RCVBUFFORCE = 33


class Place(NamedTuple):
    """`worker`: whose it is of those that share the port by UDP; 0 for TCP."""

    transport: str  # dns, tls
    port: int
    host: str
    stream: bool
    worker: int


class BadAddress(OSError):
    """A port that cannot be opened; the text says what to do."""


def places(settings: Settings, workers: int) -> list[Place]:
    """Every socket that the settings ask for."""
    found: list[Place] = []
    unspecified = ("0.0.0.0", *(("::",) if own.has_ipv6() else ()))
    everywhere = (*unspecified, *_each())
    for block in settings.blocks:
        if block.transport == "dns":
            for host in block.binds or everywhere:
                found += [Place("dns", block.port, host, False, i) for i in range(workers)]
        # A connection knows the address that was asked, and two listeners of a port would be in each other's way.
        found += [Place(block.transport, block.port, host, True, 0) for host in block.binds or unspecified]
    return list(dict.fromkeys(found))


def _each() -> tuple[str, ...]:
    """Each address by itself where there are several of a family: a reply must come from the address that was asked, and a
    socket for all of them leaves the choice to the routes."""
    hosts: list[str] = []
    addresses = [ipaddress.ip_address(a) for a in own.addresses()]
    for version in (4, 6):
        of_family = [str(a) for a in addresses if a.version == version]
        hosts += of_family if len(of_family) > 1 else []
    return tuple(hosts)


def opened(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    kind = socket.SOCK_STREAM if place.stream else socket.SOCK_DGRAM
    sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if place.stream:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
            except OSError:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        sock.bind((place.host, place.port))
        if place.stream:
            sock.listen(1024)
    except OSError as e:
        sock.close()
        shown = f"[{place.host}]" if ":" in place.host else place.host
        hint = "; ports below 1024 need NET_BIND_SERVICE" if isinstance(e, PermissionError) else ""
        raise BadAddress(e.errno, f"{shown}:{place.port} cannot be opened: {e.strerror}{hint}") from None
    sock.setblocking(False)
    return sock
