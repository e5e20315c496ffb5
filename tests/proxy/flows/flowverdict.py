"""Whether what was seen is what a case says; pure. `probe` is what to try, `problems` judges what came back."""

from __future__ import annotations

from typing import Any, NamedTuple

import flowdata
from flowdata import CROWD, SITES, Expected, Flow

Tree = dict[str, Any]
PATIENCE = 10.0  # an answer that does not come within this is missing; a virtual machine may stand still for seconds
SILENCE = 1.7  # a refusal over IPv6 may take 1.03 s: a SYN's retransmission


class Seen(NamedTuple):
    """One connection that was answered: by whom, at which port, which source it saw, which address the client had."""

    name: str
    port: int
    peer: str
    own: str


class Observation(NamedTuple):
    """Answers by client address, and how many connections ended otherwise. `oddities`: what should never be."""

    answers: dict[str, list[Seen]]
    refused: int
    silent: int
    oddities: tuple[str, ...]


def tries(expected: Expected, sticky: bool) -> tuple[int, int]:
    """(least, most) connections: enough that a wrong endpoint would show, and that a right one is not missed (less than one
    in 10^9 for a random choice)."""
    if sticky:
        return 10, 10
    if expected.verdict == "REJECT":
        return 2, 2
    if expected.verdict:
        return 1, 1
    count = len(expected.endpoints)
    return 10, 10 if count == 1 else 30 * count


def probe(key: int, flow: Flow, expected: Expected) -> Tree:
    """The request to an agent."""
    least, most = tries(expected, flow.sticky)
    if flow.client == "crowd":
        least = most = 3
    return {
        "key": key,
        "protocol": flow.protocol,
        "family": flow.family,
        "to": [list(d) for d in flow.destinations],
        "sources": list(flow.sources),
        "members": sorted(list(e) for e in expected.endpoints) if not flow.sticky else [],
        "least": least,
        "most": most,
        "timeout": SILENCE if expected.verdict == "DROP" else PATIENCE,
    }


def observation(result: Tree) -> Observation:
    answers = {source: [Seen(*row) for row in rows] for source, rows in result["answers"].items()}
    return Observation(answers, result["refused"], result["silent"], tuple(result["oddities"]))


def verdict_of(seen: Observation) -> str:
    """In one line, for people."""
    rows = [row for rows in seen.answers.values() for row in rows]
    names = " ".join(f"{n}:{p}" for n, p in sorted({(r.name, r.port) for r in rows}))
    others = [f"{seen.refused} refused"] * bool(seen.refused) + [f"{seen.silent} silent"] * bool(seen.silent)
    return ", ".join([f"{len(rows)} from {names}"] * bool(rows) + others) or "nothing"


def problems(flow: Flow, expected: Expected, seen: Observation) -> list[str]:
    """What differs; empty where all is as it must be."""
    rows = [row for rows in seen.answers.values() for row in rows]
    found = list(seen.oddities)
    names = {(r.name, r.port) for r in rows}
    if expected.verdict in ("DROP", "REJECT"):
        right = (seen.silent if expected.verdict == "DROP" else seen.refused) and not rows
        wrong = seen.refused if expected.verdict == "DROP" else seen.silent
        return found if right and not wrong else [*found, f"expected {expected.verdict}, seen {verdict_of(seen)}"]
    if seen.refused or seen.silent or not rows:
        found.append(f"expected answers, seen {verdict_of(seen)}")
    if expected.verdict == "NETWORK":
        if {n for n, _ in names} - {"network"}:
            found.append(f"expected to leave the node, seen {verdict_of(seen)}")
        return found
    if names - expected.endpoints:
        found.append(f"answered by {_said(names - expected.endpoints)}, not of {_said(expected.endpoints)}")
    if flow.sticky:
        for source, own in seen.answers.items():
            if len({(r.name, r.port) for r in own}) > 1:
                found.append(f"{source or flow.client} did not stay: {' '.join(r.name for r in own)}")
    if (not flow.sticky or flow.client == "crowd") and expected.endpoints - names and not found:
        found.append(f"{_said(expected.endpoints - names)} never answered, seen {verdict_of(seen)}")
    return found + sorted({p for r in rows for p in _source(flow, expected, r)})


def _said(names: Any) -> str:
    return " ".join(f"{n}:{p}" for n, p in sorted(names))


def _source(flow: Flow, expected: Expected, row: Seen) -> list[str]:
    """Whether the endpoint saw the source that it must have seen."""
    how = expected.masquerade
    if how == "any" or row.name not in SITES:
        return []
    client = flowdata.CLIENTS[flow.client]
    masqueraded = how == "yes" or (how == "hairpin" and row.name == client)
    if masqueraded:
        # Each way out of the node has an address of its own: pods' veths one, the link to the other node another.
        ways = ("node.leg",) if SITES[row.name].node == flowdata.NODE else ("node.second",)
        if row.name == "node":
            ways = ("node", "node.leg", "node.second")
        right = {SITES[way].addresses[flow.family] for way in ways}
    else:
        right = {row.own}
    if row.peer in right:
        return []
    kind = "masqueraded" if masqueraded else "kept"
    return [f"source not {kind}: {row.name} saw {row.peer}, the client was {row.own}"]


def ports(flows: tuple[Flow, ...]) -> tuple[list[int], list[int]]:
    """(ports that endpoints listen on, ports that the network beyond answers on)."""
    inner = {p for f in flows for e in (f.expected, *f.modes.values()) for _, p in e.endpoints}
    outer = {p for f in flows for _, p in f.destinations}
    return sorted(inner | {8080, 8081}), sorted(outer)


def beyond(flows: tuple[Flow, ...]) -> list[str]:
    """Addresses that the network beyond the node has: every destination that is no site's own."""
    own = {a for s in SITES.values() for a in s.addresses.values()} | {a for c in CROWD.values() for a in c}
    return sorted({a for f in flows for a, _ in f.destinations} - own)
