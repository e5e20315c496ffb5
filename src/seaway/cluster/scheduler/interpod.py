"""Pod affinity and anti-affinity (plugin InterPodAffinity): near whom a pod must or would like to be; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from seaway.cluster.scheduler.snapshot import NodeInfo, PodInfo, Snapshot, Term

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
HARD_WEIGHT = 1  # hardPodAffinityWeight's default
Place = tuple[str, str]  # topology key, value


@dataclass(frozen=True, slots=True)
class State:
    """Where the pods are that matter to one pod: counted once, before its nodes are looked at."""

    pod: PodInfo
    wanted: Counter[Place]  # pods that match all its affinity terms
    avoided: Counter[Place]  # pods that match an anti-affinity term of it
    guarded: Counter[Place]  # pods whose anti-affinity it matches
    first: bool  # it matches its own affinity: without any such pod anywhere it may be the first


def _at(node: NodeInfo, terms: Iterable[Term], into: Counter[Place]) -> None:
    for term in terms:
        value = node.labels.get(term.topology)
        if value is not None:
            into[(term.topology, value)] += 1


def prepare(pod: PodInfo, snapshot: Snapshot) -> State:
    wanted: Counter[Place] = Counter()
    avoided: Counter[Place] = Counter()
    guarded: Counter[Place] = Counter()
    names = snapshot.namespace_labels
    for node in snapshot.nodes.values():
        for other in node.pods.values():
            if other.anti_affinity:
                _at(node, (t for t in other.anti_affinity if t.matches(pod, names)), guarded)
            if pod.affinity and all(t.matches(other, names) for t in pod.affinity):
                _at(node, pod.affinity, wanted)
            if pod.anti_affinity:
                _at(node, (t for t in pod.anti_affinity if t.matches(other, names)), avoided)
    first = bool(pod.affinity) and all(t.matches(pod, names) for t in pod.affinity)
    return State(pod, wanted, avoided, guarded, first)


def problem(state: State, node: NodeInfo) -> tuple[str, bool]:
    """Why the pod may not be on the node; True: no preemption there would help."""
    have = node.labels
    for term in state.pod.affinity:
        if term.topology not in have:
            return AFFINITY, True
    lonely = any(not state.wanted[(t.topology, have[t.topology])] for t in state.pod.affinity)
    if lonely and (state.wanted or not state.first):
        return AFFINITY, True
    for term in state.pod.anti_affinity:
        if term.topology in have and state.avoided[(term.topology, have[term.topology])] > 0:
            return ANTI_AFFINITY, False
    for (key, value), count in state.guarded.items():
        if count > 0 and have.get(key) == value:
            return EXISTING, False
    return "", False


def scores(pod: PodInfo, snapshot: Snapshot, nodes: Iterable[NodeInfo]) -> dict[str, int] | None:
    """Raw scores by node; None where no preference is at play (PreScore: Skip)."""
    names = snapshot.namespace_labels
    total: Counter[Place] = Counter()
    constrained = bool(pod.preferred or pod.preferred_anti)

    def weigh(node: NodeInfo, term: Term, weight: int) -> None:
        value = node.labels.get(term.topology)
        if value is not None and weight:
            total[(term.topology, value)] += weight

    for node in snapshot.nodes.values():
        for other in node.pods.values():
            if not constrained and not (other.affinity or other.preferred or other.preferred_anti):
                continue
            for term in pod.preferred:
                if term.matches(other, names):
                    weigh(node, term, term.weight)
            for term in pod.preferred_anti:
                if term.matches(other, names):
                    weigh(node, term, -term.weight)
            for term in other.affinity:
                if term.matches(pod, names):
                    weigh(node, term, HARD_WEIGHT)
            for term in other.preferred:
                if term.matches(pod, names):
                    weigh(node, term, term.weight)
            for term in other.preferred_anti:
                if term.matches(pod, names):
                    weigh(node, term, -term.weight)
    if not total:
        return None
    return {
        node.name: sum(weight for (key, value), weight in total.items() if node.labels.get(key) == value)
        for node in nodes
    }


def normalize(raw: dict[str, int]) -> dict[str, int]:
    """The lowest becomes 0, the highest 100."""
    low, high = min(raw.values(), default=0), max(raw.values(), default=0)
    return {name: int(100 * (score - low) / (high - low)) if high > low else 0 for name, score in raw.items()}
