"""Preemption (plugin DefaultPreemption): which pods of lower priority would have to go, and from which node; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seaway.api.selectors import label_selector
from seaway.api.tree import condition, get
from seaway.cluster.scheduler import filters
from seaway.cluster.scheduler.filters import Refusal
from seaway.cluster.scheduler.snapshot import NodeInfo, PodInfo, Snapshot

Tree = dict[str, Any]
NO_VICTIMS = "No preemption victims found for incoming pod"
NEVER = "not eligible due to preemptionPolicy=Never."
UNDER_WAY = "not eligible due to a terminating pod on the nominated node."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node, who would have to leave it (the most important first), and how many budgets that would break."""

    node: str
    victims: tuple[PodInfo, ...]
    violations: int


def eligible(pod: PodInfo, snapshot: Snapshot, refusals: Mapping[str, Refusal]) -> str:
    """Why the pod may not preempt now; empty where it may (PodEligibleToPreemptOthers)."""
    if pod.tree["spec"].get("preemptionPolicy") == "Never":
        return NEVER
    nominated = pod.nominated
    refused = refusals.get(nominated)
    if nominated and not (refused and refused.hopeless):
        node = snapshot.nodes.get(nominated)
        if node and any(p.priority < pod.priority and _preempted(p) for p in node.pods.values()):
            return UNDER_WAY
    return ""


def _preempted(pod: PodInfo) -> bool:
    target = condition(pod.tree, "DisruptionTarget") or {}
    return pod.terminating and target.get("status") == "True" and target.get("reason") == "PreemptionByScheduler"


def importance(pod: PodInfo) -> tuple[int, str]:
    """Sorts the most important first: by priority, then who has run longer (util.MoreImportantPod)."""
    return -pod.priority, pod.started


def split_by_budgets(pods: Iterable[PodInfo], budgets: Iterable[Tree]) -> tuple[list[PodInfo], list[PodInfo]]:
    """(those whose eviction would break a budget, the others); the order is kept (filterPodsWithPDBViolation)."""
    known = [
        (b, label_selector(get(b, "spec", "selector")), [int(get(b, "status", "disruptionsAllowed") or 0)])
        for b in budgets
    ]
    breaking: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        broken = False
        for budget, selector, allowed in known:
            if budget["metadata"]["namespace"] != pod.namespace or not pod.labels or selector is None:
                continue
            if not selector.requirements or not selector.matches(pod.labels):
                continue
            if pod.name in (get(budget, "status", "disruptedPods") or {}):
                continue  # counted already by the API server
            allowed[0] -= 1
            broken = broken or allowed[0] < 0
        (breaking if broken else others).append(pod)
    return breaking, others


def victims(pod: PodInfo, node: NodeInfo, snapshot: Snapshot, budgets: Iterable[Tree]) -> Candidate | Refusal:
    """The fewest pods that must leave a node (SelectVictimsOnNode): all lower ones are taken away, then put back, the
    most important first and those under a full budget before the others, as long as the pod still fits."""
    lower = [p for p in node.pods.values() if p.priority < pod.priority]
    if not lower:
        return Refusal("", (NO_VICTIMS,), True)
    trial = node.copy()
    for other in lower:
        trial.remove(other.uid)

    def refused() -> Refusal | None:
        world = snapshot.with_node(trial)
        return filters.refusal_with_nominated(filters.prepare(pod, world), trial, world)

    problem = refused()
    if problem is not None:
        return problem
    breaking, others = split_by_budgets(sorted(lower, key=importance), budgets)
    gone: list[PodInfo] = []
    violations = 0
    for group in (breaking, others):
        for other in group:
            trial.add(other)
            if refused() is None:
                continue
            trial.remove(other.uid)
            gone.append(other)
            violations += group is breaking
    return Candidate(node.name, tuple(sorted(gone, key=importance)), violations)


def pick(candidates: Iterable[Candidate]) -> Candidate:
    """The node whose loss weighs least (pickOneNodeForPreemption): fewest broken budgets, the lowest of the highest
    priorities, the lowest sum, the fewest pods, the latest start; then the first by name."""

    def weight(c: Candidate) -> tuple[Any, ...]:
        highest = max((p.priority for p in c.victims), default=0)
        total = sum(p.priority + (1 << 31) for p in c.victims)
        earliest = min((p.started for p in c.victims if p.priority == highest), default="")
        return c.violations, highest, total, len(c.victims), _reversed(earliest), c.node

    return min(candidates, key=weight)


def _reversed(text: str) -> tuple[int, ...]:
    """Sorts texts the other way round."""
    return tuple(-ord(c) for c in text)


def search(
    pod: PodInfo, snapshot: Snapshot, refusals: Mapping[str, Refusal], budgets: Iterable[Tree]
) -> tuple[Candidate | None, dict[str, Refusal]]:
    """The best candidate, or why there is none on the nodes where preemption might have helped."""
    budgets = list(budgets)
    found: list[Candidate] = []
    why: dict[str, Refusal] = {}
    for name, refused in refusals.items():
        if refused.hopeless:
            continue
        result = victims(pod, snapshot.nodes[name], snapshot, budgets)
        if isinstance(result, Refusal):
            why[name] = result
        elif result.violations or result.victims:
            found.append(result)
    return (pick(found) if found else None), why
