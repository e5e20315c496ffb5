"""What a node says about a pod by itself: cordon, taints, nodeSelector and node affinity; pure.

Kubernetes' plugins NodeUnschedulable, TaintToleration and NodeAffinity. The DaemonSet controller asks the same questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seaway.api.selectors import Requirement
from seaway.api.tree import get, labels

Tree = dict[str, Any]
UNSCHEDULABLE_TAINT: Tree = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
UNSCHEDULABLE = "node(s) were unschedulable"
UNTOLERATED = "node(s) had untolerated taint(s)"  # since v1.35 without naming the taint
UNMATCHED = "node(s) didn't match Pod's node affinity/selector"
REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Toleration.ToleratesTaint (k8s.io/api/core/v1)."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == "Equal" and (toleration.get("value") or "") == (taint.get("value") or "")


def tolerated(pod: Tree, taint: Mapping[str, Any]) -> bool:
    return any(tolerates(t, taint) for t in pod["spec"].get("tolerations") or ())


def untolerated(pod: Tree, node: Tree, effects: Iterable[str] = ("NoSchedule", "NoExecute")) -> Tree | None:
    """The first taint of these effects that the pod does not tolerate."""
    for taint in get(node, "spec", "taints") or ():
        if taint.get("effect") in effects and not tolerated(pod, taint):
            found: Tree = taint
            return found
    return None


def unschedulable_problem(pod: Tree, node: Tree) -> str:
    """A cordoned node takes only pods that tolerate its taint."""
    cordoned = get(node, "spec", "unschedulable")
    return UNSCHEDULABLE if cordoned and not tolerated(pod, UNSCHEDULABLE_TAINT) else ""


def taint_problem(pod: Tree, node: Tree) -> str:
    return unschedulable_problem(pod, node) or (UNTOLERATED if untolerated(pod, node) else "")


def expression_matches(term: Mapping[str, Any], have: Mapping[str, str]) -> bool:
    return Requirement(term["key"], term["operator"], tuple(term.get("values") or ())).matches(have)


def term_matches(term: Mapping[str, Any], node: Tree) -> bool:
    """One NodeSelectorTerm; an empty one matches nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    have = labels(node)
    names = {"metadata.name": node["metadata"]["name"]}
    return all(expression_matches(e, have) for e in expressions) and all(expression_matches(f, names) for f in fields)


def affinity_problem(pod: Tree, node: Tree) -> str:
    """nodeSelector and required node affinity must both hold."""
    selector = pod["spec"].get("nodeSelector")
    if selector:
        have = labels(node)
        if any(have.get(k) != v for k, v in selector.items()):
            return UNMATCHED
    required = get(pod, "spec", "affinity", "nodeAffinity", REQUIRED)
    if required is None or any(term_matches(t, node) for t in required.get("nodeSelectorTerms") or ()):
        return ""
    return UNMATCHED


def named_nodes(pod: Tree) -> set[str] | None:
    """The nodes that required affinity names by metadata.name in each of its terms; None where any may do
    (NodeAffinity.PreFilter): the others need not be looked at."""
    terms = get(pod, "spec", "affinity", "nodeAffinity", REQUIRED, "nodeSelectorTerms")
    if not terms:
        return None
    found: set[str] = set()
    for term in terms:
        names: set[str] | None = None
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In":
                values = set(field.get("values") or ())
                names = values if names is None else names & values
        if names is None:
            return None
        found |= names
    return found


def preference(pod: Tree, node: Tree) -> int:
    """The sum of the weights of the preferred terms that the node matches."""
    terms = get(pod, "spec", "affinity", "nodeAffinity", PREFERRED) or ()
    total = 0
    for term in terms:
        wanted = term.get("preference") or {}
        if term.get("weight") and term_matches(wanted, node):
            total += int(term["weight"])
    return total


def dislikes(pod: Tree, node: Tree) -> int:
    """How many PreferNoSchedule taints the pod does not tolerate."""
    return sum(
        1
        for taint in get(node, "spec", "taints") or ()
        if taint.get("effect") == "PreferNoSchedule" and not tolerated(pod, taint)
    )
