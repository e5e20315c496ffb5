"""Topology spread constraints (plugin PodTopologySpread; KEPs 895, 3022, 3094, 3243): how evenly pods must lie; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log
from typing import Any

from seaway.api.selectors import Requirement, Selector, label_selector
from seaway.cluster.scheduler import fit
from seaway.cluster.scheduler.snapshot import NodeInfo, PodInfo, Snapshot

Tree = dict[str, Any]
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
UNEVEN = "node(s) didn't match pod topology spread constraints"
UNLABELLED = f"{UNEVEN} (missing required label)"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint, read. `honor_affinity`, `honor_taints`: whether nodes that the pod cannot use are left out."""

    key: str
    max_skew: int
    min_domains: int
    selector: Selector
    honor_affinity: bool = True
    honor_taints: bool = False
    owner: str = ""  # only pods of this controller

    def counts(self, pod: PodInfo, node: NodeInfo) -> bool:
        if self.honor_affinity and fit.affinity_problem(pod.tree, node.tree):
            return False
        return not (self.honor_taints and fit.untolerated(pod.tree, node.tree))

    def matching(self, pod: PodInfo, node: NodeInfo) -> int:
        """Pods of this constraint on a node; those on their way out do not count (KEP-895)."""
        return sum(
            1
            for other in node.pods.values()
            if other.namespace == pod.namespace
            and (not self.owner or other.owner == self.owner)
            and not other.terminating
            and self.selector.matches(other.labels)
        )


def of(pod: PodInfo, when: str) -> tuple[Constraint, ...]:
    """The pod's constraints of one kind: DoNotSchedule or ScheduleAnyway."""
    found = []
    for tree in pod.tree["spec"].get("topologySpreadConstraints") or ():
        if tree.get("whenUnsatisfiable", "DoNotSchedule") != when:
            continue
        selector = label_selector(tree.get("labelSelector"))
        if selector is None:
            selector = Selector((Requirement("", "In", ()),))  # nothing matches an absent selector
        # KEP-3243: the values that the pod itself has for these keys; keys that it lacks are left out.
        more = tuple(
            Requirement(k, "In", (pod.labels[k],))
            for k in tree.get("matchLabelKeys") or ()
            if k in pod.labels and not any(r.key == k for r in selector.requirements)
        )
        found.append(
            Constraint(
                tree["topologyKey"],
                int(tree.get("maxSkew") or 1),
                int(tree.get("minDomains") or 1),
                Selector(selector.requirements + more),
                tree.get("nodeAffinityPolicy", "Honor") != "Ignore",
                tree.get("nodeTaintsPolicy", "Ignore") == "Honor",
            )
        )
    return tuple(found)


def defaults(pod: PodInfo, services: Selector) -> tuple[Constraint, ...]:
    """The cluster's own, for pods of a Service or a controller that name none (defaultingType: System). `services`: the
    selectors of the pod's Services together; a controller's selector means the pods that it owns."""
    if not services.requirements and not pod.owner:
        return ()
    return tuple(Constraint(key, skew, 1, services, owner=pod.owner) for key, skew in ((HOSTNAME, 3), (ZONE, 5)))


@dataclass(frozen=True, slots=True)
class State:
    """How many matching pods each domain holds, by constraint."""

    pod: PodInfo
    constraints: tuple[Constraint, ...]
    domains: tuple[Mapping[str, int], ...]


def prepare(pod: PodInfo, snapshot: Snapshot) -> State:
    constraints = of(pod, "DoNotSchedule")
    domains: tuple[dict[str, int], ...] = tuple({} for _ in constraints)
    for node in snapshot.nodes.values() if constraints else ():
        if any(c.key not in node.labels for c in constraints):
            continue
        for constraint, counts in zip(constraints, domains, strict=True):
            if constraint.counts(pod, node):
                value = node.labels[constraint.key]
                counts[value] = counts.get(value, 0) + constraint.matching(pod, node)
    return State(pod, constraints, domains)


def problem(state: State, node: NodeInfo) -> tuple[str, bool]:
    """Why the pod would lie too unevenly; True: no preemption there would help."""
    for constraint, counts in zip(state.constraints, state.domains, strict=True):
        value = node.labels.get(constraint.key)
        if value is None:
            return UNLABELLED, True
        # With fewer domains than minDomains the global minimum counts as 0 (KEP-3022).
        least = min(counts.values(), default=1 << 31) if len(counts) >= constraint.min_domains else 0
        itself = 1 if constraint.selector.matches(state.pod.labels) else 0
        if counts.get(value, 0) + itself - least > constraint.max_skew:
            return UNEVEN, False
    return "", False


def scores(pod: PodInfo, snapshot: Snapshot, nodes: list[NodeInfo], services: Selector) -> dict[str, int] | None:
    """Scores by node, normalized: fewer matching pods are better; None without soft constraints."""
    named = bool(pod.tree["spec"].get("topologySpreadConstraints"))
    constraints = of(pod, "ScheduleAnyway") if named else defaults(pod, services)
    if not constraints:
        return None
    # The system's defaults do not need every label: nodes without zones are spread by name.
    ignored = {n.name for n in nodes if named and any(c.key not in n.labels for c in constraints)}
    counted = [n for n in nodes if n.name not in ignored]
    totals: list[dict[str, int]] = []
    weights: list[float] = []
    for constraint in constraints:
        per_host = constraint.key == HOSTNAME
        values: dict[str, int] = {} if per_host else {n.labels.get(constraint.key, ""): 0 for n in counted}
        weights.append(log((len(counted) if per_host else len(values)) + 2))
        totals.append(values)
        if per_host:
            continue
        for node in snapshot.nodes.values():
            if named and any(c.key not in node.labels for c in constraints):
                continue
            value = node.labels.get(constraint.key, "")
            if value in values and constraint.counts(pod, node):
                values[value] += constraint.matching(pod, node)
    raw: dict[str, int] = {}
    for node in counted:
        score = 0.0
        for constraint, values, weight in zip(constraints, totals, weights, strict=True):
            if constraint.key not in node.labels:
                continue
            count = (
                constraint.matching(pod, node) if constraint.key == HOSTNAME else values[node.labels[constraint.key]]
            )
            score += count * weight + (constraint.max_skew - 1)
        raw[node.name] = round(score)
    return _normalized(raw, ignored)


def _normalized(raw: Mapping[str, int], ignored: Iterable[str]) -> dict[str, int]:
    low, high = min(raw.values(), default=0), max(raw.values(), default=0)
    found = {name: 100 if not high else 100 * (high + low - score) // high for name, score in raw.items()}
    return {**found, **dict.fromkeys(ignored, 0)}
