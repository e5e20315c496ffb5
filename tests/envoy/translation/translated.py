"""Pieces of the intermediate representation for tests, in few words."""

from __future__ import annotations

from collections.abc import Mapping

from proxied import Backend

from seaway.routing.ir import (
    Action,
    Chain,
    Cluster,
    End,
    Endpoints,
    Forward,
    Host,
    Match,
    PathMatch,
    Pieces,
    Rule,
    Socket,
    Source,
    Target,
)

TABLE = "http-80"
GATEWAY = Source("Gateway", "shop", "edge", "http")


def source(name: str, rule: int = 0) -> Source:
    return Source("HTTPRoute", "shop", name, f"rules[{rule}]")


def to(*clusters: str, **more: object) -> Forward:
    return Forward(tuple(Target(c) for c in clusters), **more)  # type: ignore[arg-type]


def rule(path: str, action: Action, kind: str = "prefix", name: str = "web", **more: object) -> Rule:
    """A rule for a path; `method`, `headers`, `query` and `grpc` belong to its match, everything else to itself."""
    match = {k: more.pop(k) for k in ("method", "headers", "query", "grpc") if k in more}
    return Rule(Match(PathMatch(kind, path), **match), action, source(name), **more)  # type: ignore[arg-type]


def host(domain: str, *rules: Rule) -> Host:
    return Host(domain, rules)


def http(port: int, *hosts: Host, backends: Mapping[str, Backend] | None = None, table: str = TABLE) -> Pieces:
    """A plaintext socket with its hosts, and backends as clusters `shop/NAME/80`."""
    backends = backends or {}
    return Pieces(
        sockets={f"tcp-{port}": Socket(port, "tcp", (Chain("http", GATEWAY, table=table),))},
        hosts={table: {h.domain: h for h in hosts}},
        clusters={f"shop/{n}/80": Cluster(f"shop/{n}/80") for n in backends},
        endpoints={f"shop/{n}/80": Endpoints(f"shop/{n}/80", (End("127.0.0.1", b.port),)) for n, b in backends.items()},
    )
