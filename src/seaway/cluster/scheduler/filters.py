"""The filters as a table, in upstream's order: which nodes a pod may go to, and in which words the others refuse; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seaway.cluster.scheduler import fit, interpod, resources, spread
from seaway.cluster.scheduler.snapshot import NodeInfo, PodInfo, Snapshot, ports_collide

PORTS = "node(s) didn't have free ports for the requested pod ports"


@dataclass(frozen=True, slots=True)
class Cycle:
    """A pod, and what is counted over all nodes before each is looked at (PreFilter)."""

    pod: PodInfo
    spread: spread.State
    interpod: interpod.State


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a node lacks. `hopeless` (UnschedulableAndUnresolvable): taking pods away from it would not help."""

    plugin: str
    reasons: tuple[str, ...]
    hopeless: bool


Filter = Callable[[Cycle, NodeInfo], tuple[list[str], bool]]


def prepare(pod: PodInfo, snapshot: Snapshot) -> Cycle:
    return Cycle(pod, spread.prepare(pod, snapshot), interpod.prepare(pod, snapshot))


def _one(problem: str, hopeless: bool) -> tuple[list[str], bool]:
    return ([problem] if problem else []), hopeless


def _ports(cycle: Cycle, node: NodeInfo) -> tuple[list[str], bool]:
    wanted = cycle.pod.ports
    return _one(PORTS if wanted and ports_collide(wanted, node.ports) else "", False)


FILTERS: tuple[tuple[str, Filter], ...] = (
    ("NodeUnschedulable", lambda c, n: _one(fit.unschedulable_problem(c.pod.tree, n.tree), True)),
    ("TaintToleration", lambda c, n: _one(fit.UNTOLERATED if fit.untolerated(c.pod.tree, n.tree) else "", True)),
    ("NodeAffinity", lambda c, n: _one(fit.affinity_problem(c.pod.tree, n.tree), True)),
    ("NodePorts", _ports),
    ("NodeResourcesFit", lambda c, n: resources.problems(c.pod.requests, n.used, n.allocatable)),
    ("PodTopologySpread", lambda c, n: _one(*spread.problem(c.spread, n))),
    ("InterPodAffinity", lambda c, n: _one(*interpod.problem(c.interpod, n))),
)


def refusal(cycle: Cycle, node: NodeInfo) -> Refusal | None:
    """The first filter that refuses."""
    for name, check in FILTERS:
        reasons, hopeless = check(cycle, node)
        if reasons:
            return Refusal(name, tuple(reasons), hopeless)
    return None


def refusal_with_nominated(cycle: Cycle, node: NodeInfo, snapshot: Snapshot) -> Refusal | None:
    """As `refusal`, where room that preemption made for pods of the same or a higher priority counts as taken; and the
    pod must fit without them too, for they may never come (RunFilterPluginsWithNominatedPods)."""
    pod = cycle.pod
    waiting = [
        other
        for other in snapshot.nominated.get(node.name, ())
        if other.uid != pod.uid and other.priority >= pod.priority and other.uid not in node.pods
    ]
    if waiting:
        full = node.copy()
        for other in waiting:
            full.add(other)
        found = refusal(prepare(pod, snapshot.with_node(full)), full)
        if found is not None:
            return found
    return refusal(cycle, node)
