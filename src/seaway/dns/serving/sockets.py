"""The sockets that queries come in by: opened once, by the supervisor, and kept over reloads and the death of who reads them, so
that what has come waits for the next."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Iterable
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

    def __str__(self) -> str:
        return str(self.args[1])


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


def pages(settings: Settings) -> list[str]:
    """The addresses (HOST:PORT) of health, readiness and metrics."""
    return list(dict.fromkeys(a for a in (settings.health, settings.ready, settings.metrics) if a))


def check_free(wanted: Iterable[Place], addresses: Iterable[str]) -> None:
    """BadAddress where another program has one of these: sockets that share a port would share its queries too."""
    for place in wanted:
        if place.must and not place.worker:
            opened(place, alone=True).close()
    for address in addresses:
        page(address).close()


def page(address: str) -> socket.socket:
    """A listener for HTTP; HOST may be empty for all addresses, or a name."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        if not host:
            both = own.has_ipv6()
            family = socket.AF_INET6 if both else socket.AF_INET
            sock = socket.create_server(("", int(port)), family=family, dualstack_ipv6=both)
        else:
            family, _, _, _, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
            sock = socket.create_server(where[:2], family=family)
    except OSError as e:
        raise _bad(address if host else f"*:{port}", e) from None
    sock.setblocking(False)
    return sock


def opened(place: Place, alone: bool = False) -> socket.socket:
    """`alone`: not beside sockets of others, nor of our own."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    kind = socket.SOCK_STREAM if place.stream else socket.SOCK_DGRAM
    sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if place.stream:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not alone:  # a reload may open one address of those that are open already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if not place.stream:
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
        raise _bad(f"{shown}:{place.port}" if place.port else shown, e) from None
    sock.setblocking(False)
    return sock


DISCARD = 9


def take_no_more(place: Place, sock: socket.socket) -> None:
    """What comes from now on goes to other sockets of the port; what has come can still be read. A connected UDP socket takes
    from its peer only. One of all addresses is left as it is: connected, it would answer from the wrong one."""
    if not place.stream and not ipaddress.ip_address(place.host).is_unspecified:
        try:
            sock.connect((place.host, DISCARD))
        except OSError as e:
            log.debug("%s: %s", place.host, e)


HINTS = {
    errno.EACCES: "; ports below 1024 need NET_BIND_SERVICE",
    errno.EADDRINUSE: "; another program answers there: end it, or name another address or port",
    errno.EADDRNOTAVAIL: "; this machine has no such address",
}


def _bad(shown: str, e: OSError) -> BadAddress:
    text = os.strerror(e.errno) if e.errno in HINTS else e.strerror or str(e)
    return BadAddress(e.errno or 0, f"{shown} cannot be opened: {text}{HINTS.get(e.errno or 0, '')}")
