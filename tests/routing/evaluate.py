"""A tiny proxy in a function: what a fleet answers to a request, from the IR alone. It chooses as Envoy does: a chain by SNI, a
domain by the host (exact, the longest wildcard, all), then the first rule that matches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from routingworld import FleetWorld

from seaway.routing.ir import Chain, Forward, Host, Match, Redirect, Respond, Rule, ValueMatch


class Answer(NamedTuple):
    """`code` 0: the request went to `clusters` (those with weight); -1: there was no connection. `certificate`: the first that was
    shown."""

    code: int
    clusters: tuple[str, ...] = ()
    location: str = ""
    certificate: str = ""
    rule: Rule | None = None

    @property
    def cluster(self) -> str:
        return ",".join(self.clusters)


def evaluate(
    fleet: FleetWorld | None,
    host: str,
    path: str = "/",
    *,
    port: int = 0,
    scheme: str = "http",
    sni: str | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Answer:
    tls = scheme == "https"
    socket = fleet.sockets.get(f"tcp-{port or (443 if tls else 80)}") if fleet is not None else None
    if fleet is None or socket is None:
        return Answer(-1)
    chain = choose_chain(socket.chains, host if sni is None else sni, tls)
    if chain is None:
        return Answer(-1)
    certificate = chain.tls.certificates[0] if chain.tls is not None else ""
    found = choose_host(fleet.hosts.get(chain.table, {}), host)
    if found is None:
        return Answer(404, certificate=certificate)
    if found.misdirected:
        return Answer(421, certificate=certificate)
    seen = {**(headers or {}), ":authority": host}
    for rule in found.rules:
        if matches(rule.match, path, method, seen, query or {}):
            return _answer(rule, fleet, host, path, certificate)
    return Answer(404, certificate=certificate)


def choose_chain(chains: tuple[Chain, ...], sni: str, tls: bool) -> Chain | None:
    for name in (sni, *wider(sni)):
        for chain in chains:
            if name in chain.names and (tls or chain.tls is None):
                return chain
    return next((c for c in chains if not c.names and (c.tls is not None) == tls), None)


def choose_host(hosts: Mapping[str, Host], host: str) -> Host | None:
    name = re.sub(r":\d+$", "", host.lower())
    return next((hosts[d] for d in (name, *wider(name), "*") if d in hosts), None)


def wider(name: str) -> list[str]:
    """The wildcards that cover a name at any depth, the longest first."""
    labels = name.split(".")
    return ["*." + ".".join(labels[i:]) for i in range(1, len(labels))]


def matches(match: Match, path: str, method: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    if match.method and match.method != method:
        return False
    if match.grpc and not headers.get("content-type", "").startswith("application/grpc"):
        return False
    kind, value = match.path
    if kind == "exact" and path != value:
        return False
    if kind == "regex" and not re.fullmatch(value, path):
        return False
    if kind == "prefix" and value != "/" and path != value and not path.startswith(value + "/"):
        return False
    return all(_holds(m, headers) for m in match.headers) and all(_holds(m, query) for m in match.query)


def _holds(match: ValueMatch, values: Mapping[str, str]) -> bool:
    value = values.get(match.name)
    if value is None:
        return False
    if match.kind == "regex":
        return re.fullmatch(match.value, value) is not None
    return match.kind == "present" or value == match.value


def _answer(rule: Rule, fleet: FleetWorld, host: str, path: str, certificate: str) -> Answer:
    action = rule.action
    if isinstance(action, Respond):
        return Answer(action.code, (), dict(action.headers).get("location", ""), certificate, rule)
    if isinstance(action, Redirect):
        path = action.path if action.path_kind == "full" else path
        location = (
            f"{action.scheme or 'http'}://{action.host or host}{':' + str(action.port) if action.port else ''}{path}"
        )
        return Answer(action.code, location=location, certificate=certificate, rule=rule)
    assert isinstance(action, Forward)
    weighed = [t for t in action.targets if t.weight]
    if not weighed or not all(t.cluster for t in weighed):
        return Answer(500, certificate=certificate, rule=rule)
    clusters = tuple(t.cluster for t in weighed)
    missing = [c for c in clusters if c not in fleet.clusters]
    assert not missing, f"rules refer to clusters that are not there: {missing}"
    if not any(fleet.clusters[c].external or fleet.endpoints[c].ends for c in clusters):
        return Answer(503, clusters, certificate=certificate, rule=rule)
    return Answer(0, clusters, certificate=certificate, rule=rule)
