"""Virtual servers of Services; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from seaway.proxy.table import Backend, Facts, Refusal, ServiceTable, Split, Way

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "fo", "ovf", "mh")


class Address(NamedTuple):
    """Where a virtual server listens: address, protocol, port."""

    address: str
    protocol: str
    port: int


class Server(NamedTuple):
    """`seconds`: how long a client stays with its endpoint, 0 for not at all."""

    scheduler: str
    seconds: int
    ends: tuple[Backend, ...]


def of_way(way: Way | None, scheduler: str) -> Server | None:
    """The virtual server of a way in; None where packets are dropped. A way that is refused, for want of endpoints, keeps its own
    for connections that are open: new ones do not come as far."""
    if way is None:
        return None
    chosen = way.scheduler if way.scheduler in SCHEDULERS else scheduler
    answer = way.answer
    if isinstance(answer, Refusal):
        return Server(chosen, 0, ()) if answer.verdict == "reject" else None
    ends = answer.local if isinstance(answer, Split) else answer.backends
    return Server(chosen, answer.affinity, ends) if ends else None


def places(key: Any, facts: Facts) -> list[Address]:
    """Where a key is served: an address, or a node port on each of the node's addresses."""
    if len(key) == 3:
        return [Address(*key)]
    return [Address(a, key[0], key[1]) for a in sorted(facts.node_addresses)]


def of_table(table: ServiceTable, scheduler: str) -> dict[Address, Server]:
    """Every virtual server. An address of a Service goes before a node port on the same."""
    found: dict[Address, Server] = {}
    for key, way in (*table.node_ports.items(), *table.vips.items()):
        server = of_way(way, scheduler)
        if server is not None:
            found.update({place: server for place in places(key, table.facts)})
    return found


def of_changes(
    changes: Mapping[Any, tuple[Way | None, Way | None]], facts: Facts, scheduler: str
) -> dict[Address, Server | None]:
    """What the places of changed ways are to be."""
    found: dict[Address, Server | None] = {}
    for key, (_, new) in changes.items():
        server = of_way(new, scheduler)
        found.update({place: server for place in places(key, facts)})
    return found
