"""The scores as a table with upstream's weights: which of the nodes that a pod may go to is best; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seaway.api.selectors import Selector
from seaway.cluster.scheduler import fit, interpod, resources, spread
from seaway.cluster.scheduler.snapshot import NodeInfo, PodInfo, Snapshot

Scores = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Scoring:
    """What every score reads. `services`: the selectors of the pod's Services together."""

    pod: PodInfo
    snapshot: Snapshot
    nodes: list[NodeInfo]
    services: Selector


def _normalized(raw: Scores, reverse: bool) -> Scores:
    """helper.DefaultNormalizeScore: the highest becomes 100, or 0 where fewer is better."""
    most = max(raw.values(), default=0)
    if not most:
        return dict.fromkeys(raw, 100 if reverse else 0)
    return {name: 100 - 100 * score // most if reverse else 100 * score // most for name, score in raw.items()}


def _taints(s: Scoring) -> Scores | None:
    return _normalized({n.name: fit.dislikes(s.pod.tree, n.tree) for n in s.nodes}, True)


def _node_affinity(s: Scoring) -> Scores | None:
    return _normalized({n.name: fit.preference(s.pod.tree, n.tree) for n in s.nodes}, False)


def _interpod(s: Scoring) -> Scores | None:
    raw = interpod.scores(s.pod, s.snapshot, s.nodes)
    return None if raw is None else interpod.normalize(raw)


def _spread(s: Scoring) -> Scores | None:
    return spread.scores(s.pod, s.snapshot, s.nodes, s.services)


def _least(s: Scoring) -> Scores | None:
    return {n.name: resources.least_allocated(s.pod.scored, n.scored, n.allocatable) for n in s.nodes}


def _balanced(s: Scoring) -> Scores | None:
    return {n.name: resources.balanced(s.pod.requests, n.used, n.allocatable) for n in s.nodes}


SCORES: tuple[tuple[str, int, Callable[[Scoring], Scores | None]], ...] = (
    ("TaintToleration", 3, _taints),
    ("NodeAffinity", 2, _node_affinity),
    ("PodTopologySpread", 2, _spread),
    ("InterPodAffinity", 2, _interpod),
    ("NodeResourcesFit", 1, _least),
    ("NodeResourcesBalancedAllocation", 1, _balanced),
)


def best(scoring: Scoring) -> str:
    """The node with the highest sum. Of equals the one with the fewest pods, then the first by name: upstream draws
    lots, which would give small clusters lopsided layouts."""
    total = dict.fromkeys((n.name for n in scoring.nodes), 0)
    for _, weight, score in SCORES:
        for name, value in (score(scoring) or {}).items():
            total[name] += weight * value
    return min(scoring.nodes, key=lambda n: (-total[n.name], len(n.pods), n.name)).name
