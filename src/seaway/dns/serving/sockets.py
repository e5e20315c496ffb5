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
    """`worker`: whose it is of those that share the port by UDP; 0 for TCP. Not `must`: another program may have it."""

    transport: str  # dns, tls
    port: int
    host: str
    stream: bool
    worker: int
    must: bool = True


class BadAddress(OSError):
    """A port that cannot be opened; the text says what to do."""


def places(settings: Settings, workers: int) -> list[Place]:
    """Every socket that the settings ask for."""
    found: list[Place] = []
    all_hosts = ("0.0.0.0", *(("::",) if own.has_ipv6() else ()))
    each = _each()
    for block in settings.blocks:
        if block.transport == "dns":
            found += [Place("dns", block.port, h, False, i) for h in block.binds or all_hosts for i in range(workers)]
            if not block.binds:
                found += [Place("dns", block.port, h, False, i, False) for h in each for i in range(workers)]
        # A connection knows the address that was asked, and two listeners of a port would be in each other's way.
        found += [Place(block.transport, block.port, host, True, 0) for host in block.binds or all_hosts]
    return list(dict.fromkeys(found))


def _each() -> list[str]:
    """Each address by itself, where there are several of a family: a reply by UDP must come from the address that was asked,
    and a socket for all of them leaves the choice to the routes."""
    addresses = [ipaddress.ip_address(a) for a in own.addresses()]
    by_family = [[str(a) for a in addresses if a.version == version] for version in (4, 6)]
    return [host for hosts in by_family if len(hosts) > 1 for host in hosts]


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
