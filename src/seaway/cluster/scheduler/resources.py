"""What pods ask for and what nodes have, in whole numbers (cpu in thousandths): NodeResourcesFit and its scores; pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

from seaway.api import quantities
from seaway.api.tree import get

Tree = dict[str, Any]
Amounts = dict[str, int]
# What a container without requests counts as in scores, so that nodes are not filled with such pods (pkg/scheduler/util).
ASSUMED = {"cpu": 100, "memory": 200 << 20}
MAX = 100


def amounts(tree: Mapping[str, Any]) -> Amounts:
    """A ResourceList in whole numbers, rounded up: cpu in thousandths."""
    return {k: ceil(quantities.parse(v) * (1000 if k == "cpu" else 1)) for k, v in tree.items()}


def change(total: Amounts, by: Mapping[str, int], sign: int) -> None:
    for name, amount in by.items():
        total[name] = total.get(name, 0) + sign * amount


def _most(total: Amounts, other: Mapping[str, int]) -> None:
    for name, amount in other.items():
        total[name] = max(total.get(name, 0), amount)


def _of_container(pod: Tree, container: Tree, assumed: Mapping[str, int]) -> Amounts:
    asked = amounts(get(container, "resources", "requests") or {})
    for name, amount in (_allocated(pod, container["name"]) or {}).items():
        asked[name] = max(asked.get(name, 0), amount)
    for name, amount in assumed.items():
        asked.setdefault(name, amount)
    return asked


def _allocated(pod: Tree, name: str) -> Amounts:
    """What a resize has not given back yet (KEP-1287): the kubelet's word counts beside the spec's."""
    for status in get(pod, "status", "containerStatuses") or ():
        if status.get("name") == name:
            return amounts(status.get("allocatedResources") or get(status, "resources", "requests") or {})
    return {}


def requests(pod: Tree, assumed: Mapping[str, int] | None = None) -> Amounts:
    """What a pod needs at once (PodRequests, KEP-753): its containers and sidecars together, or an init container with
    the sidecars before it, whichever is more; pod-level requests in their place (KEP-2837); and the overhead."""
    spec, assumed = pod["spec"], assumed or {}
    total: Amounts = {}
    for container in spec.get("containers") or ():
        change(total, _of_container(pod, container, assumed), 1)
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = _of_container(pod, container, assumed)
        if container.get("restartPolicy") == "Always":
            change(total, asked, 1)
            change(sidecars, asked, 1)
            now = sidecars
        else:
            now = dict(sidecars)
            change(now, asked, 1)
        _most(largest, now)
    _most(total, largest)
    total.update(amounts(get(spec, "resources", "requests") or {}))
    change(total, amounts(spec.get("overhead") or {}), 1)
    if not assumed:
        total["pods"] = 1
    return total


def scored(pod: Tree) -> Amounts:
    """What a pod counts as in scores."""
    return {k: v for k, v in requests(pod, ASSUMED).items() if k in ASSUMED}


def problems(asked: Mapping[str, int], used: Mapping[str, int], have: Mapping[str, int]) -> tuple[list[str], bool]:
    """Why a pod does not fit into what is left; True: it would not fit the empty node either."""
    found, hopeless = [], False
    order = sorted(
        asked,
        key=lambda n: (
            n != "pods",
            ("cpu", "memory", "ephemeral-storage").index(n) if n in ("cpu", "memory", "ephemeral-storage") else 9,
            n,
        ),
    )
    for name in order:
        amount, there = asked[name], have.get(name, 0)
        if amount <= 0 or used.get(name, 0) + amount <= there:
            continue
        found.append("Too many pods" if name == "pods" else f"Insufficient {name}")
        hopeless = hopeless or (amount > there and name != "pods")
    return found, hopeless


def least_allocated(asked: Mapping[str, int], used: Mapping[str, int], have: Mapping[str, int]) -> int:
    """More room left is better (leastAllocatedScorer)."""
    score = weight = 0
    for name in ASSUMED:
        there = have.get(name, 0)
        if not there:
            continue
        wanted = used.get(name, 0) + asked.get(name, 0)
        score += 0 if wanted > there else (there - wanted) * MAX // there
        weight += 1
    return score // weight if weight else 0


def balanced(asked: Mapping[str, int], used: Mapping[str, int], have: Mapping[str, int]) -> int:
    """Evenly used resources are better (balancedResourceScorer)."""
    shares = [min((used.get(name, 0) + asked.get(name, 0)) / have[name], 1.0) for name in ASSUMED if have.get(name)]
    if len(shares) < 2:
        return MAX
    middle = sum(shares) / len(shares)
    spread = (
        abs(shares[0] - shares[1]) / 2
        if len(shares) == 2
        else sqrt(sum((s - middle) ** 2 for s in shares) / len(shares))
    )
    return int((1 - spread) * MAX)
