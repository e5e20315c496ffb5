"""What fleets do, as rows for people: who is asked for what, what happens then, and which object says so; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from seaway.routing.ir import Action, Chain, Endpoints, Fleet, Forward, Host, Match, Pieces, Redirect, Rule, Target

PREFIX = {"exact": "=", "prefix": "", "regex": "~"}


class Row(NamedTuple):
    """A line. `what`: method, path, headers and parameters; `leads`: backends with their weights and ready endpoints, or the
    answer; `source`: the object and the part of it."""

    fleet: str
    port: str
    host: str
    what: str
    leads: str
    source: str


def rows(fleets: Mapping[Fleet, Pieces | None]) -> list[Row]:
    """Everything that is programmed, in the order in which requests meet it."""
    found = []
    for fleet, pieces in sorted(fleets.items()):
        if pieces is not None:
            found += _of_fleet(fleet, pieces)
    return found


def _title(fleet: Fleet) -> str:
    return f"{fleet.namespace}/{fleet.name}" if fleet.namespace else f"{fleet.kind}/{fleet.name}"


def _of_fleet(fleet: Fleet, pieces: Pieces) -> list[Row]:
    found = []
    ends = {name: e for name, e in pieces.endpoints.items() if e is not None}
    for socket in sorted((s for s in pieces.sockets.values() if s is not None), key=lambda s: (s.port, s.transport)):
        tables: dict[str, list[Chain]] = {}
        for chain in socket.chains:
            if chain.table:
                tables.setdefault(chain.table, []).append(chain)
            elif chain.stream is not None:
                where = f"{socket.port}/{socket.transport}"
                names = ",".join(chain.names) or "*"
                how = "any" if chain.tls is None and not chain.names else "TLS" if chain.tls else "TLS passed through"
                leads = _targets(chain.stream.targets, ends)
                found.append(Row(_title(fleet), where, names, how, leads, chain.stream.source.title))
        for table in sorted(tables):
            where = f"{socket.port}/{'https' if any(c.tls for c in tables[table]) else 'http'}"
            for host in _ordered(pieces.hosts.get(table, {})):
                found += _of_host(_title(fleet), where, host, ends)
    return found


def _ordered(hosts: Mapping[str, Host | None]) -> list[Host]:
    """Exact names first, then wildcards, the longer before the shorter."""
    there = [h for h in hosts.values() if h is not None]
    return sorted(there, key=lambda h: (h.domain.startswith("*"), -len(h.domain) * h.domain.startswith("*"), h.domain))


def _of_host(fleet: str, where: str, host: Host, ends: Mapping[str, Endpoints]) -> list[Row]:
    if host.misdirected:
        return [Row(fleet, where, host.domain, "any", "421: it is another listener's", "")]
    if not host.rules and host.domain == "*":
        return []  # what nobody has spoken of
    if not host.rules:
        return [Row(fleet, where, host.domain, "any", "404: no rule", "")]
    return [
        Row(fleet, where, host.domain, match_text(rule.match), _action(rule.action, ends), _source(rule))
        for rule in host.rules
    ]


def _source(rule: Rule) -> str:
    return rule.source.title + (f" ({rule.name})" if rule.name else "")


def match_text(match: Match) -> str:
    """`GET /path header=value ?name=value`; `=` and `~` before what is exact and what is a regex."""
    words = [match.method] if match.method else []
    if match.grpc:
        words.append("gRPC")
    words.append(PREFIX[match.path.kind] + match.path.value)
    for sign, values in (("", match.headers), ("?", match.query)):
        for value in values:
            shown = {"exact": f"={value.value}", "regex": f"~{value.value}", "present": ""}[value.kind]
            words.append(f"{sign}{value.name}{shown}")
    return " ".join(words)


def _action(action: Action, ends: Mapping[str, Endpoints]) -> str:
    if isinstance(action, Forward):
        return _targets(action.targets, ends)
    if isinstance(action, Redirect):
        where = f"{action.scheme or 'scheme'}://{action.host or 'host'}{f':{action.port}' if action.port else ''}"
        return f"{action.code} to {where}{action.path if action.path_kind else '/path'}"
    return f"{action.code}{f': {action.body}' if action.body else ''}"


def _targets(targets: tuple[Target, ...], ends: Mapping[str, Endpoints]) -> str:
    words = []
    total = sum(t.weight for t in targets)
    for target in targets:
        share = f" {100 * target.weight / total:.0f}%" if len(targets) > 1 and total else ""
        if target.redirect is not None:
            words.append(f"{target.redirect.code}{share}")
        elif not target.cluster:
            words.append(f"500{share}: {target.why or 'no backend'}")
        else:
            known = ends.get(target.cluster)
            ready = f" ({len(known.ends)} ready)" if known is not None else ""
            words.append(f"{target.title or target.cluster}{share}{ready}")
    return ", ".join(words) or "500: no backend"
