"""What Services put into the maps of the socket programs; pure.

A way in gets an id of its own each time its endpoints change: its endpoints are written under the new id, then the address is
given that id in one step, then the old ones go. No socket ever sees a count with too few endpoints behind it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seaway.proxy.ebpf import layout
from seaway.proxy.table import CLUSTER, Backend, Facts, Refusal, ServiceTable, Split, Way


class Wanted(NamedTuple):
    """One address: its endpoints, the name of its Service port for affinity, seconds, and the members with their bits."""

    ends: tuple[Backend, ...]
    sticky: int
    seconds: int
    members: tuple[tuple[Backend, int], ...]


def of_way(way: Way | None, facts: Facts) -> Wanted | None:
    """What a socket program can do for a way; None where the packets' rules must decide: refusals, source ranges (a socket has
    no source yet), what masquerade-all would masquerade, and policy Local where pods are not known."""
    if way is None or isinstance(way.answer, Refusal) or way.sources:
        return None
    if facts.masquerade_all and way.kind == CLUSTER:
        return None
    answer = way.answer
    if isinstance(answer, Split) and not facts.tells_pods:
        return None  # who cannot tell pods from others lets nobody through to all
    # Sockets of the cgroup are pods' and the node's own: policy Local lets both through to all endpoints.
    ends = answer.everywhere if isinstance(answer, Split) else answer.backends
    bits: dict[Backend, int] = {}
    if answer.affinity:
        bits.update({end: layout.CANDIDATE for end in ends})
    for end in way.serving:
        bits[end] = bits.get(end, 0) | layout.SERVING
    (sticky,) = struct.unpack("=I", hashlib.sha256(f"{answer.title}/{facts.family}".encode()).digest()[:4])
    return Wanted(ends, sticky if answer.affinity else 0, answer.affinity, tuple(sorted(bits.items())))


def addresses(key: Any, facts: Facts) -> list[bytes]:
    """The vips of a key: an address, or a node port on each of the node's addresses."""
    if len(key) == 3:
        return [layout.vip(*key)] if key[1] in layout.NUMBERS else []
    protocol, port = key
    return [layout.vip(a, protocol, port) for a in sorted(facts.node_addresses)] if protocol in layout.NUMBERS else []


def of_table(table: ServiceTable) -> dict[bytes, Wanted]:
    """Every address."""
    found: dict[bytes, Wanted] = {}
    for key, way in (*table.node_ports.items(), *table.vips.items()):
        wanted = of_way(way, table.facts)
        if wanted is not None:
            found.update({vip: wanted for vip in addresses(key, table.facts)})
    return found


def of_changes(changes: Mapping[Any, tuple[Way | None, Way | None]], facts: Facts) -> dict[bytes, Wanted | None]:
    """The addresses that a change touches, with what they are to have; None for nothing."""
    found: dict[bytes, Wanted | None] = {}
    for key, (_, new) in changes.items():
        wanted = of_way(new, facts)
        found.update({vip: wanted for vip in addresses(key, facts)})
    return found


def lost(changes: Iterable[tuple[Way | None, Way | None]]) -> set[Backend]:
    """UDP endpoints that no longer serve: sockets connected to them are to learn of it."""
    found: set[Backend] = set()
    for old, new in changes:
        found |= set(old.serving if old else ()) - set(new.serving if new else ())
    return found
