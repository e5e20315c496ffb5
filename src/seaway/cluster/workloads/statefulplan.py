"""What a StatefulSet does next: pods made in order, scaled away in reverse, replaced from the highest ordinal; pure
(pkg/controller/statefulset/stateful_set_control.go)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seaway.api.tree import get
from seaway.client.rest import kind_of
from seaway.cluster.workloads.podfacts import is_available, is_finished, is_terminating, phase
from seaway.cluster.workloads.rollout import amount
from seaway.cluster.workloads.statefulpods import (
    claim_patches,
    has_stale_claim,
    identity_patch,
    in_range,
    is_running_and_ready,
    is_unavailable,
    missing_claims,
    ordinal,
    pod_of,
    replicas,
    revision_of,
    start,
)
from seaway.controllers.writes import Create, Delete, Patch

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Revision:
    """A ControllerRevision's name, and the template that it stands for."""

    name: str
    template: Tree


@dataclass(slots=True)
class Step:
    """The writes of a turn, in order, and events to tell: (severity, reason, message)."""

    writes: list[Create | Patch | Delete] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    deleted: int = 0


def strategy(owner: Tree) -> str:
    return str(get(owner, "spec", "updateStrategy", "type") or "RollingUpdate")


def partition(owner: Tree) -> int:
    return int(get(owner, "spec", "updateStrategy", "rollingUpdate", "partition") or 0)


def _version(owner: Tree, number: int, current: Revision, update: Revision) -> Revision:
    """Which revision a missing pod is made at: below the partition, the one that is there (newVersionedStatefulSetPod)."""
    if strategy(owner) != "RollingUpdate":
        return update
    if get(owner, "spec", "updateStrategy", "rollingUpdate") is None:
        kept = get(owner, "status", "currentReplicas") or 0
    else:
        kept = partition(owner)
    return current if number < start(owner) + kept else update


def plan(
    owner: Tree, pods: list[Tree], current: Revision, update: Revision, claims: dict[str, Tree], now: float
) -> Step:
    """`pods`: all that it owns; `claims`: the PersistentVolumeClaims of its namespace by name."""
    step, meta = Step(), owner["metadata"]
    if meta.get("deletionTimestamp"):
        return step
    ordered = owner["spec"].get("podManagementPolicy") != "Parallel"
    there = {ordinal(p): p for p in pods if in_range(owner, p)}
    condemned = sorted((p for p in pods if ordinal(p) >= 0 and not in_range(owner, p)), key=ordinal, reverse=True)
    first = start(owner)
    numbers = range(first, first + replicas(owner))
    for number in numbers:
        pod = there.get(number)
        if pod is None:
            version = _version(owner, number, current, update)
            made = pod_of(owner, version.template, number, version.name)
            if has_stale_claim(owner, made, claims):
                if ordered:
                    return step
                continue
            step.writes += missing_claims(owner, made, claims)
            step.writes.append(Create(kind_of("pods"), meta["namespace"], made))
            if ordered:
                return step
            continue
        if _keep(owner, pod, claims, ordered, now, step):
            return step
    for pod in condemned:
        step.writes += claim_patches(owner, pod, claims)
    unhealthy = _first_unhealthy(owner, [there[n] for n in numbers if n in there], condemned, now)
    for pod in condemned:
        if is_terminating(pod):
            if ordered:
                return step
            continue
        if ordered and is_unavailable(owner, pod, now) and pod is not unhealthy:
            return step
        _delete(pod, step)
        if ordered:
            return step
    if strategy(owner) == "OnDelete" or len(there) < len(numbers):
        return step
    _update(owner, [there[n] for n in numbers], update, now, step)
    return step


def _keep(owner: Tree, pod: Tree, claims: dict[str, Tree], ordered: bool, now: float, step: Step) -> bool:
    """Sees to a pod that is there; True where nothing beyond it may be done yet (processReplica)."""
    meta = owner["metadata"]
    if is_finished(pod) and not is_terminating(pod):
        name, of = pod["metadata"]["name"], f"{meta['namespace']}/{meta['name']}"
        if phase(pod) == "Failed":
            text = f"StatefulSet {of} is recreating failed Pod {name}"
            step.events.append(("Warning", "RecreatingFailedPod", text))
        else:
            text = f"StatefulSet {of} is recreating terminated Pod {name}"
            step.events.append(("Normal", "RecreatingTerminatedPod", text))
        _delete(pod, step)
        return ordered
    if phase(pod) == "Pending":
        step.writes += missing_claims(owner, pod, claims)
    if ordered and is_unavailable(owner, pod, now):
        return True
    identity = identity_patch(pod)
    if identity:
        step.writes.append(identity)
    step.writes += claim_patches(owner, pod, claims)
    return False


def _first_unhealthy(owner: Tree, kept: list[Tree], condemned: list[Tree], now: float) -> Tree | None:
    """The unhealthy pod of the lowest ordinal: it alone may be scaled away while it is not ready."""
    for pod in [*kept, *reversed(condemned)]:
        if is_unavailable(owner, pod, now):
            return pod
    return None


def _delete(pod: Tree, step: Step) -> None:
    meta = pod["metadata"]
    step.writes.append(Delete(kind_of("pods"), meta["namespace"], meta["name"], meta["uid"]))


def max_unavailable(owner: Tree) -> int:
    """One, where nothing else is said; percentages are rounded down, to no less than one."""
    value = get(owner, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable")
    return max(amount(value, replicas(owner), False), 1) if value is not None else 1


def _update(owner: Tree, kept: list[Tree], update: Revision, now: float, step: Step) -> None:
    """Old pods go from the highest ordinal down to the partition, as many as may be unavailable. One that is unavailable
    already takes no more than its own place."""
    limit = max_unavailable(owner)
    missing = sum(1 for p in kept if is_unavailable(owner, p, now))
    taken = sum(
        1 for p in kept if is_unavailable(owner, p, now) and (is_terminating(p) or revision_of(p) == update.name)
    )
    for pod in reversed(kept[min(partition(owner), len(kept)) :]):
        if taken >= limit:
            return
        if is_terminating(pod) or revision_of(pod) == update.name:
            continue
        if not is_unavailable(owner, pod, now):
            if missing >= limit:
                continue
            missing += 1
        taken += 1
        _delete(pod, step)
        step.deleted += 1


def status(
    owner: Tree, pods: list[Tree], current: Revision, update: Revision, collisions: int, now: float, deleted: int = 0
) -> Tree:
    """Counts and revisions; when all pods are at the new revision and ready it becomes the current one
    (completeRollingUpdate). `deleted`: pods that this turn's update takes away."""
    before, wanted = owner.get("status") or {}, replicas(owner)
    least = owner["spec"].get("minReadySeconds") or 0
    standing = [p for p in pods if not is_terminating(p)]
    counts = {
        "readyReplicas": sum(1 for p in pods if is_running_and_ready(p)),
        "currentReplicas": max(sum(1 for p in standing if revision_of(p) == current.name) - deleted, 0),
        "updatedReplicas": sum(1 for p in standing if revision_of(p) == update.name),
    }
    found: Tree = {k: v for k, v in before.items() if k not in counts}
    found["observedGeneration"] = owner["metadata"].get("generation", 0)
    found["replicas"] = len(pods)
    found["availableReplicas"] = sum(1 for p in pods if phase(p) == "Running" and is_available(p, least, now))
    found.update(currentRevision=current.name, updateRevision=update.name, collisionCount=collisions)
    if strategy(owner) == "RollingUpdate" and (
        counts["updatedReplicas"] == counts["readyReplicas"] == found["replicas"] == wanted
    ):
        counts["currentReplicas"] = counts["updatedReplicas"]
        found["currentRevision"] = update.name
    found.update({k: v for k, v in counts.items() if v})
    return found
