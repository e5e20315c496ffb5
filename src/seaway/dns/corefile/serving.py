"""The lines that stand in a block and are the whole server's: health, ready, prometheus, reload, multisocket; pure.

The first block that has one decides; another address in another block is named as ignored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seaway.dns.corefile.lines import Directive, Line
from seaway.dns.corefile.quantities import duration, listener, one_of, whole
from seaway.dns.corefile.scope import Scope, only

RELOAD, JITTER, LAMEDUCK = 30.0, 15.0, 5.0
WORKERS_LIMIT = 1024


class Health(NamedTuple):
    """CoreDNS has no lameduck by default; then every restart loses queries, so here it has the default of the server."""

    address: str = ":8080"
    lameduck: float = LAMEDUCK


class Reload(NamedTuple):
    interval: float
    jitter: float


def health(found: Sequence[Directive], scope: Scope) -> Health:
    settings = Health()
    for directive in found:
        line = directive.line
        args = line.takes(0, 1, "health [HOST:PORT]")
        if args:
            settings = settings._replace(address=listener(line, args[0]))
        for one in directive.properties:
            if one.word != "lameduck":
                raise one.unknown(("lameduck",))
            (text,) = one.takes(1, 1, "lameduck DURATION")
            settings = settings._replace(lameduck=_not_negative(one, text))
    return settings


def ready(found: Sequence[Directive], scope: Scope) -> str:
    directive = only(found)
    args = directive.line.takes(0, 1, "ready [HOST:PORT]")
    for one in directive.properties:
        if one.word != "monitor":
            raise one.unknown(("monitor",))
        (text,) = one.takes(1, 1, "monitor until-ready|continuously")
        if one_of(one, text, ("until-ready", "continuously")) == "continuously":
            scope.ignore(one, "monitor continuously has no effect: once ready, the server stays so until it ends")
    return listener(directive.line, args[0]) if args else ":8181"


def prometheus(found: Sequence[Directive], scope: Scope) -> str:
    directive = only(found)
    args = directive.line.takes(0, 1, "prometheus [HOST:PORT]")
    for one in directive.properties:
        if one.word == "runtime_metrics":
            one.alone()
            scope.ignore(one, "runtime_metrics has no effect: there is no Go runtime")
        elif one.word == "tls":
            one.takes(1, 1, "tls FILE")
            scope.ignore(one, "tls has no effect: metrics are served without TLS")
        else:
            raise one.unknown(("runtime_metrics", "tls"))
    return listener(directive.line, args[0]) if args else "localhost:9153"


def reload(found: Sequence[Directive], scope: Scope) -> Reload:
    line = found[0].line
    found[0].no_properties()
    args = line.takes(0, 2, "reload [INTERVAL] [JITTER]")
    interval = duration(line, args[0], "the interval") if args else RELOAD
    if interval < 2:
        raise line.error("the interval must be at least 2s")
    jitter = duration(line, args[1], "the jitter") if len(args) > 1 else JITTER
    if jitter != 0 and jitter < 1:
        raise line.error("the jitter must be 0 or at least 1s")
    return Reload(interval, min(jitter, interval / 2))


def multisocket(found: Sequence[Directive], scope: Scope) -> int:
    """Processes that answer; 0: as many as the server would start by itself."""
    directive = only(found)
    directive.no_properties()
    args = directive.line.takes(0, 1, "multisocket [NUMBER]")
    return whole(directive.line, args[0], 1, WORKERS_LIMIT) if args else 0


def _not_negative(line: Line, text: str) -> float:
    seconds = duration(line, text)
    if seconds < 0:
        raise line.error(f"{line.word} cannot be negative: {text}")
    return seconds
