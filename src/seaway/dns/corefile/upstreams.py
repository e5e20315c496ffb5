"""Where a `forward` sends queries: addresses, files and host names as upstreams (plugin/pkg/parse/host.go); pure."""

from __future__ import annotations

from typing import NamedTuple

from seaway.dns.corefile.lines import Line
from seaway.dns.corefile.quantities import host_port, is_address, port_number
from seaway.dns.corefile.scope import Scope
from seaway.dns.corefile.zones import transport
from seaway.dns.presentation import name
from seaway.dns.settings import PORT, TLS_PORT, Upstream

_PORTS = {"dns": PORT, "tls": TLS_PORT}


class Targets(NamedTuple):
    """`files` are resolv.conf files, read when the server starts and at each reload."""

    upstreams: tuple[Upstream, ...]
    files: tuple[str, ...]


def targets(line: Line, texts: tuple[str, ...], scope: Scope) -> Targets:
    upstreams: dict[tuple[str, int], Upstream] = {}
    files: list[str] = []
    left_out: list[str] = []
    for text in texts:
        kind, rest = transport(text)
        if kind in ("https", "https3", "quic", "grpc", "unix"):
            if kind in ("https3", "quic", "grpc", "unix"):
                raise line.error(f"{text!r}: queries cannot be forwarded by {kind}; write tls://ADDRESS or an address")
            left_out.append(text)
            continue
        for one in _one(line, text, kind, rest, scope, files):
            upstreams.setdefault((one.host, one.port), one)
    if not upstreams and not files:
        if left_out:
            raise line.error(f"{left_out[0]!r}: DNS over HTTPS is not supported; write tls:// in its place")
        raise line.error("no upstream is left to ask")
    for text in left_out:
        scope.ignore(line, f"{text} is not asked: DNS over HTTPS is not supported")
    return Targets(tuple(upstreams.values()), tuple(dict.fromkeys(files)))


def _one(line: Line, text: str, kind: str, rest: str, scope: Scope, files: list[str]) -> list[Upstream]:
    """The upstreams of one text; a file is added to `files` instead."""
    if not rest:
        raise line.error(f"{text!r} is not an upstream: there is no address in it")
    host, port_text, server_name = _split(rest)
    tls = kind == "tls"
    literal = is_address(host)
    if not literal:
        path = rest.strip("[]")
        if _is_file(path, scope):
            files.append(path)
            return []
    port = _PORTS[kind] if port_text is None else port_number(port_text)
    if port is None:
        raise line.error(f"{text!r}: {port_text!r} is not a port")
    if literal:
        return [Upstream(host, port, tls, server_name if tls else "")]
    try:
        valid = bool(name(host)) and "/" not in host and ":" not in host
    except ValueError:
        valid = False
    if not valid:
        raise line.error(f"{text!r} is not an address, a file that is there, or a host name")
    found = scope.outside.addresses(host)
    if not found:
        raise line.error(f"the host {host!r} cannot be resolved, nor is there a file of this name; write its address")
    return [Upstream(address, port, tls, server_name if tls else "") for address in found]


def _is_file(path: str, scope: Scope) -> bool:
    """Whether a text names a file; one with a / can be nothing else, even if it is not there yet."""
    return path.startswith("/") or ("*" not in path and path in scope.outside.matching(path))


def _split(text: str) -> tuple[str, str | None, str]:
    """Host, port and the name behind a %: the server's name of a TLS upstream, the interface of a link-local address."""
    pair = host_port(text)
    host, port = pair if pair else (text.removeprefix("[").removesuffix("]"), None)
    host, percent, scoped = host.rpartition("%")
    if not percent:
        return scoped, port, ""
    if host.lower().startswith("fe80:"):
        return f"{host}%{scoped}", port, ""
    return host, port, scoped
