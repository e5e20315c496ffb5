"""Zones and keys: names in lower case, networks as reverse zones, transports and ports (plugin/normalize.go); pure."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from seaway.dns.corefile.lines import Line
from seaway.dns.corefile.tokens import Token
from seaway.dns.presentation import name
from seaway.dns.settings import PORT, TLS_PORT, Name

_TRANSPORTS = ("dns", "tls", "quic", "grpc", "https3", "https", "unix")
_DEFAULT_PORTS = {"dns": PORT, "tls": TLS_PORT, "quic": TLS_PORT, "grpc": 443, "https": 443, "https3": 443}


class Key(NamedTuple):
    """A key of a server block: the zones that it stands for, on one port of one transport."""

    transport: str
    zones: tuple[Name, ...]
    port: int


def transport(text: str) -> tuple[str, str]:
    """`tls://9.9.9.9` is ("tls", "9.9.9.9"); without one: dns."""
    for word in _TRANSPORTS:
        if text.startswith(word + "://"):
            return word, text[len(word) + 3 :]
    return "dns", text


def zones_of(text: str) -> tuple[tuple[Name, ...], int | None]:
    """The zones that a text stands for, with the port after it. A network is its reverse zones: one, or, where its mask ends
    within a label, as many as it takes."""
    host, colon, port = text.rpartition(":")
    found: int | None = None
    if colon and not port:
        raise ValueError(f"a port must follow the colon of {text!r}")
    if colon and port.isdigit():
        found = int(port)
        text = host
        if found > 65535:
            raise ValueError(f"{port} is not a port: ports end at 65535")
    if "/" in text:
        return _networks(text), found
    if ":" in text:
        wrong = text.rpartition(":")[2] if found is None else text
        raise ValueError(f"{wrong!r} is not a port: write a key as ZONE:PORT, and one key for each port")
    return (name(text),), found


def _networks(text: str) -> tuple[Name, ...]:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return (name(text),)
    if text[0] == ":" or (text[0] == "0" and ":" in text):
        raise ValueError(f"{text!r} is not a network that has a reverse zone")
    step = 8 if network.version == 4 else 4
    bits = -(-network.prefixlen // step) * step
    pieces = network.subnets(new_prefix=bits) if bits > network.prefixlen else iter((network,))
    return tuple(_reverse(piece) for piece in pieces)


def _reverse(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Name:
    labels = tuple(network.network_address.reverse_pointer.split("."))
    step = 8 if network.version == 4 else 4
    return labels[(network.max_prefixlen - network.prefixlen) // step :]


def key(token: Token) -> Key:
    """A key of a server block."""
    kind, rest = transport(token.text)
    if kind == "unix" or "://" in rest:
        raise token.error(f"{token.text!r} is not a key: its transport is one of dns, tls, quic, grpc, https, https3")
    try:
        if not rest:
            raise ValueError("there is no zone; the root is .")
        if rest.startswith(":") and "/" not in rest:
            raise ValueError(f"there is no zone before the port; for all zones write .{rest}")
        zones, port = zones_of(rest)
    except ValueError as e:
        raise token.error(f"key {token.text!r}: {e}") from None
    return Key(kind, zones, _DEFAULT_PORTS[kind] if port is None else port)


def zones(args: tuple[str, ...], line: Line) -> tuple[Name, ...]:
    """The zones that arguments of a plugin stand for; transports and ports in them have no meaning."""
    found: list[Name] = []
    for text in args:
        try:
            found += zones_of(transport(text)[1])[0]
        except ValueError as e:
            raise line.error(str(e)) from None
    return tuple(dict.fromkeys(found))


def fallthrough(line: Line) -> tuple[Name, ...]:
    """The zones of a `fallthrough` property: all, if it names none."""
    return zones(line.args, line) or ((),)


def written(zone: Name) -> str:
    """A zone as a person reads it."""
    return ".".join(zone) or "."


def is_reverse(zone: Name) -> bool:
    return zone[-2:] in (("in-addr", "arpa"), ("ip6", "arpa"))
