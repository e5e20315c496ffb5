"""A table for the kernel in which relays stand for endpoints; pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import msgspec

from seaway.proxy.table import CLUSTER, Backend, Change, Delta, Facts, Refusal, Split, Target, Way

PROTOCOLS = ("tcp", "udp")  # Python has no SCTP sockets, and many kernels neither


class RelayKey(NamedTuple):
    """A relay serves a Service port, apart for its ClusterIP and for the ways from outside: their policies may differ."""

    title: str
    protocol: str
    inside: bool


class Ends(NamedTuple):
    """What a relay may choose from: pods and the node `everywhere`, outsiders `outside`. `affinity` in seconds."""

    everywhere: tuple[Backend, ...]
    outside: tuple[Backend, ...]
    affinity: int


def relay_of(key: Any, way: Way | None) -> tuple[RelayKey, Ends] | None:
    """The relay that a way needs; None where nothing is to be relayed."""
    if way is None or isinstance(way.answer, Refusal):
        return None
    protocol = key[1] if len(key) == 3 else key[0]
    if protocol not in PROTOCOLS:
        return None
    answer = way.answer
    if isinstance(answer, Split):
        ends = Ends(answer.everywhere, answer.local, answer.affinity)
    else:
        ends = Ends(answer.backends, answer.backends, answer.affinity)
    return RelayKey(answer.title, str(protocol), way.kind == CLUSTER), ends


def facts(plain: Facts) -> Facts:
    """No source is masqueraded on the way to a relay: it must see who comes."""
    return msgspec.structs.replace(plain, masquerade=False)


def way(key: Any, plain: Way | None, relays: Mapping[RelayKey, Backend]) -> Way | None:
    """The way with a relay in the place of its endpoints."""
    if plain is None or isinstance(plain.answer, Refusal):
        return plain
    found = relay_of(key, plain)
    title = plain.answer.title
    if found is None:
        return msgspec.structs.replace(plain, answer=Refusal("reject", title), serving=())
    relay = (relays[found[0]],)
    answer: Target | Split = Target(relay, False, title)
    if isinstance(plain.answer, Split):
        answer = Split(relay, relay if plain.answer.local else (), title)
    return msgspec.structs.replace(plain, answer=answer, serving=relay if plain.serving else ())


def delta(plain: Delta, before: Mapping[RelayKey, Backend], after: Mapping[RelayKey, Backend]) -> Delta:
    """A change as the kernel sees it: most changes of endpoints are none."""

    def changes(found: Mapping[Any, Change]) -> dict[Any, Change]:
        both = {k: (way(k, old, before), way(k, new, after)) for k, (old, new) in found.items()}
        return {k: pair for k, pair in both.items() if pair[0] != pair[1]}

    return Delta(changes(plain.vips), changes(plain.node_ports), plain.cluster_ips)


def touched(plain: Delta) -> dict[Hashable, Change]:
    """All ways of a change by key."""
    found: dict[Hashable, Change] = {key: both for key, both in plain.vips.items()}
    for port, both in plain.node_ports.items():
        found[port] = both
    return found
