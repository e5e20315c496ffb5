"""Which endpoints a policy leaves (pkg/proxy/topology.go CategorizeEndpoints; KEP-1669); pure.

Every traffic-policy decision lives here; what comes after only renders.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seaway.services.resolve import Endpoint


class Choice(NamedTuple):
    """`endpoints` may answer; `anywhere`: whether any endpoint of the cluster could (REJECT or DROP hangs on it)."""

    endpoints: tuple[Endpoint, ...]
    anywhere: bool


def _usable(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Ready ones, else those that terminate but still serve."""
    ready = tuple(e for e in endpoints if e.ready)
    return ready or tuple(e for e in endpoints if e.serving and e.terminating)


def hinted(endpoints: Sequence[Endpoint], node: str, zone: str) -> tuple[Endpoint, ...]:
    """Ready endpoints that hints assign to this node, else to this zone; all of them where hints are incomplete."""
    ready = tuple(e for e in endpoints if e.ready)
    if ready and all(e.for_nodes for e in ready):
        own = tuple(e for e in ready if node in e.for_nodes)
        if own:
            return own
    if ready and zone and all(e.for_zones for e in ready):
        own = tuple(e for e in ready if zone in e.for_zones)
        if own:
            return own
    return ready


def cluster_choice(endpoints: Sequence[Endpoint], node: str, zone: str) -> Choice:
    """Policy Cluster: everywhere, hints obeyed."""
    chosen = hinted(endpoints, node, zone) or _usable(endpoints)
    return Choice(chosen, bool(chosen))


def local_choice(endpoints: Sequence[Endpoint], node: str) -> Choice:
    """Policy Local: this node's endpoints only."""
    return Choice(_usable([e for e in endpoints if e.node == node]), bool(_usable(endpoints)))
