"""What workload controllers read from pods, and pods made from a template; pure (pkg/controller, pkg/api/v1/pod)."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

from seaway.api.tree import condition, controller_of, get, is_true, owner_reference, seconds

Tree = dict[str, Any]
COST = "controller.kubernetes.io/pod-deletion-cost"


def phase(pod: Tree) -> str:
    return str(get(pod, "status", "phase") or "Pending")


def is_terminating(pod: Tree) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_finished(pod: Tree) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Tree) -> bool:
    return not is_finished(pod) and not is_terminating(pod)


def is_ready(pod: Tree) -> bool:
    return is_true(pod, "Ready")


def ready_since(pod: Tree) -> float | None:
    """When the Ready condition last changed; None where that is not said."""
    return seconds((condition(pod, "Ready") or {}).get("lastTransitionTime"))


def is_available(pod: Tree, min_ready: float, now: float) -> bool:
    """Ready, for at least minReadySeconds (podutil.IsPodAvailable)."""
    if not is_ready(pod):
        return False
    if not min_ready:
        return True
    since = ready_since(pod)
    return since is not None and now - since >= min_ready


def available_in(pods: Iterable[Tree], min_ready: float, now: float) -> float | None:
    """Seconds until the next ready pod becomes available; None where none is on its way (FindMinNextPodAvailabilityCheck)."""
    if not min_ready:
        return None
    waits = [
        since + min_ready - now
        for p in pods
        if is_ready(p) and not is_available(p, min_ready, now) and (since := ready_since(p)) is not None
    ]
    return max(min(waits), 0.0) if waits else None


def from_template(
    owner: Tree, api_version: str, kind: str, template: Tree, extra: dict[str, str] | None = None
) -> Tree:
    """A pod from a template, owned by its workload (GetPodFromTemplate)."""
    meta = template.get("metadata") or {}
    made: Tree = {
        "generateName": f"{owner['metadata']['name']}-",
        "namespace": owner["metadata"]["namespace"],
        "labels": {**(meta.get("labels") or {}), **(extra or {})},
        "ownerReferences": [owner_reference(api_version, kind, owner)],
    }
    if meta.get("annotations"):
        made["annotations"] = dict(meta["annotations"])
    if meta.get("finalizers"):
        made["finalizers"] = list(meta["finalizers"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": dict(template["spec"])}


def deletion_cost(pod: Tree) -> int:
    """The pod-deletion-cost annotation; what is no 32 bit number counts as 0 (pkg/apis/core/helper)."""
    text = (pod["metadata"].get("annotations") or {}).get(COST, "0")
    try:
        value = int(text)
    except ValueError:
        return 0
    return value if -(2**31) <= value < 2**31 else 0


def _restarts(pod: Tree) -> int:
    return max((s.get("restartCount", 0) for s in get(pod, "status", "containerStatuses") or ()), default=0)


def _bucket(age: float) -> int:
    """Ages are compared by their order of magnitude (LogarithmicScaleDown), in nanoseconds as upstream has them."""
    nanoseconds = age * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1


def deletion_order(pods: Iterable[Tree], related: Iterable[Tree], now: float) -> list[Tree]:
    """The pods that go first, first (ActivePodsWithRanks): unassigned, pending, unready, cheap, crowded, younger ones.

    `related`: the pods that are counted for crowding, those of all sets of the same owner.
    """
    crowd: dict[str, int] = {}
    for pod in related:
        if is_active(pod):
            node = pod["spec"].get("nodeName") or ""
            crowd[node] = crowd.get(node, 0) + 1

    def rank(pod: Tree) -> tuple[Any, ...]:
        node = pod["spec"].get("nodeName") or ""
        order = {"Pending": 0, "Unknown": 1}.get(phase(pod), 2)
        return bool(node), order, is_ready(pod), deletion_cost(pod), -crowd.get(node, 0)

    def compare(a: Tree, b: Tree) -> int:
        left, right = rank(a), rank(b)
        if left != right:
            return -1 if left < right else 1
        if is_ready(a):
            by_age = _younger(ready_since(a), ready_since(b), a, b, now)
            if by_age:
                return by_age
        if _restarts(a) != _restarts(b):
            return -1 if _restarts(a) > _restarts(b) else 1
        times = [seconds(p["metadata"].get("creationTimestamp")) for p in (a, b)]
        return _younger(times[0], times[1], a, b, now)

    return sorted(pods, key=functools.cmp_to_key(compare))


def _younger(left: float | None, right: float | None, a: Tree, b: Tree, now: float) -> int:
    """-1 where `a` is the younger one; equal ages are decided by uid, so that the order is total."""
    if left == right:
        return 0
    if left is None or right is None:
        return -1 if left is None else 1
    difference = _bucket(now - left) - _bucket(now - right)
    if difference:
        return -1 if difference < 0 else 1
    return -1 if str(a["metadata"].get("uid")) < str(b["metadata"].get("uid")) else 1


def owner_uid(pod: Tree) -> str:
    return str((controller_of(pod) or {}).get("uid", ""))


def failure_text(error: Exception) -> str:
    """What an error of the API says, without the request that it answers."""
    status = getattr(error, "status", None)
    return str(status.get("message")) if isinstance(status, dict) and status.get("message") else str(error)
