"""Which nodes a pod fits, and which of them is best; pure (pkg/scheduler/framework/plugins).

Filters: cordoned nodes, taints, nodeSelector and required node affinity, resources, host ports. Score: the node with the
fewest pods of the same owner, then with the most room. Pod affinity, topology spread and preemption are a later issue's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from seaway.api import quantities
from seaway.api.tree import controller_of, get, labels

Tree = dict[str, Any]
SCORED = ("cpu", "memory")


def requests(pod: Tree) -> dict[str, Fraction]:
    """What a pod asks for: the sum of its containers, or its largest init container, whichever is more."""
    total: dict[str, Fraction] = {}
    for container in pod["spec"].get("containers") or ():
        for name, amount in (get(container, "resources", "requests") or {}).items():
            total[name] = total.get(name, Fraction(0)) + quantities.parse(amount)
    for container in pod["spec"].get("initContainers") or ():
        for name, amount in (get(container, "resources", "requests") or {}).items():
            total[name] = max(total.get(name, Fraction(0)), quantities.parse(amount))
    total["pods"] = Fraction(1)
    return total


def host_ports(pod: Tree) -> set[tuple[str, int]]:
    return {
        (p.get("protocol", "TCP"), p["hostPort"])
        for c in pod["spec"].get("containers") or ()
        for p in c.get("ports") or ()
        if p.get("hostPort")
    }


@dataclass(slots=True)
class NodeLoad:
    """A node and what runs on it."""

    node: Tree
    used: dict[str, Fraction] = field(default_factory=dict)
    ports: set[tuple[str, int]] = field(default_factory=set)
    owners: dict[str, int] = field(default_factory=dict)

    def add(self, pod: Tree, sign: int = 1) -> None:
        for name, amount in requests(pod).items():
            self.used[name] = self.used.get(name, Fraction(0)) + sign * amount
        if sign > 0:
            self.ports |= host_ports(pod)
        else:
            self.ports -= host_ports(pod)
        owner = (controller_of(pod) or {}).get("uid", "")
        self.owners[owner] = self.owners.get(owner, 0) + sign


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def taints_of(node: Tree) -> list[Tree]:
    found = list(get(node, "spec", "taints") or ())
    if get(node, "spec", "unschedulable") and not any(t["key"] == "node.kubernetes.io/unschedulable" for t in found):
        found.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    return found


def taint_problem(pod: Tree, node: Tree) -> str:
    for taint in taints_of(node):
        if taint.get("effect") == "PreferNoSchedule":
            continue
        if not any(tolerates(t, taint) for t in pod["spec"].get("tolerations") or ()):
            if taint["key"] == "node.kubernetes.io/unschedulable":
                return "node(s) were unschedulable"
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    return ""


def _expression(term: Mapping[str, Any], have: Mapping[str, str]) -> bool:
    key, op = term["key"], term["operator"]
    values: list[str] = list(term.get("values") or ())
    value = have.get(key)
    if op == "In":
        return value in values
    if op == "NotIn":
        return value not in values
    if op == "Exists":
        return value is not None
    if op == "DoesNotExist":
        return value is None
    try:
        number, bound = int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return number > bound if op == "Gt" else number < bound


def affinity_problem(pod: Tree, node: Tree) -> str:
    have = labels(node)
    problem = "node(s) didn't match Pod's node affinity/selector"
    if any(have.get(k) != v for k, v in (pod["spec"].get("nodeSelector") or {}).items()):
        return problem
    terms = get(
        pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"
    )
    if terms is None:
        return ""
    fields = {"metadata.name": node["metadata"]["name"]}
    for term in terms:
        expressions, names = term.get("matchExpressions") or (), term.get("matchFields") or ()
        if (
            (expressions or names)
            and all(_expression(e, have) for e in expressions)
            and all(_expression(e, fields) for e in names)
        ):
            return ""
    return problem


def problems(pod: Tree, load: NodeLoad) -> list[str]:
    """Why a pod does not fit a node; empty where it does."""
    problem = taint_problem(pod, load.node) or affinity_problem(pod, load.node)
    if problem:
        return [problem]
    if host_ports(pod) & load.ports:
        return ["node(s) didn't have free ports for the requested pod ports"]
    found = []
    have = get(load.node, "status", "allocatable") or {}
    for name, amount in requests(pod).items():
        if amount and load.used.get(name, Fraction(0)) + amount > quantities.parse(have.get(name, "0")):
            found.append("Too many pods" if name == "pods" else f"Insufficient {name}")
    return found


def score(pod: Tree, load: NodeLoad) -> tuple[Any, ...]:
    """Lower is better: few siblings, few mere dislikes, much room left."""
    owner = (controller_of(pod) or {}).get("uid", "")
    have = get(load.node, "status", "allocatable") or {}
    share = Fraction(0)
    for name in SCORED:
        total = quantities.parse(have.get(name, "0"))
        if total:
            share += (load.used.get(name, Fraction(0)) + requests(pod).get(name, Fraction(0))) / total
    disliked = sum(
        1
        for t in taints_of(load.node)
        if t.get("effect") == "PreferNoSchedule"
        and not any(tolerates(x, t) for x in pod["spec"].get("tolerations") or ())
    )
    siblings = load.owners.get(owner, 0) if owner else 0
    return disliked, siblings, share, load.used.get("pods", Fraction(0)), load.node["metadata"]["name"]


def choose(pod: Tree, loads: Mapping[str, NodeLoad]) -> tuple[str, str]:
    """(node, "") or ("", the message of FailedScheduling)."""
    fitting: list[NodeLoad] = []
    reasons: dict[str, int] = {}
    for load in loads.values():
        found = problems(pod, load)
        if not found:
            fitting.append(load)
        for reason in found:
            reasons[reason] = reasons.get(reason, 0) + 1
    if fitting:
        return str(min(fitting, key=lambda load: score(pod, load)).node["metadata"]["name"]), ""
    told = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return (
        "",
        f"0/{len(loads)} nodes are available: {told or 'no nodes'}."
        if loads
        else "no nodes available to schedule pods",
    )
