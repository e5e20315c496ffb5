"""PodDisruptionBudget and PriorityClass (pkg/apis/policy, pkg/apis/scheduling); pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules, replicas
from seaway.cluster.apiserver.status import Cause, not_permitted, unlisted, unsupported, wrong

Tree = dict[str, Any]
SYSTEM = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
HIGHEST = 1000000000
SYSTEM_TEXT = "priority class names with 'system-' prefix are reserved for system use only. error: "


def validate_budget(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found: list[Cause] = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        names = ("minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy")
        shown = {n[0].upper() + n[1:]: spec.get(n) for n in names}
        found.append(wrong("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            found += int_or_percent_causes(f"spec.{name}", spec[name])
    found += fieldrules.selector_causes(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
        found.append(unsupported("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget")))
    return found


def int_or_percent_causes(path: str, value: Any) -> list[Cause]:
    """A number that is not below nothing, or a percentage of at most a hundred."""
    if isinstance(value, int):
        return [wrong(path, value, "must be greater than or equal to 0")] if value < 0 else []
    found = formats.causes(path, str(value), formats.percent)
    if not found and replicas.amount(value) > 100:
        found.append(wrong(path, value, "must not be greater than 100%"))
    return found


def validate_budget_status(tree: Tree, old: Tree) -> list[Cause]:
    status = tree.get("status") or {}
    return [
        wrong(f"status.{name}", status[name], "must be greater than or equal to 0")
        for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        if status.get(name, 0) < 0
    ]


# PriorityClasses


def default_priority(tree: Tree) -> None:
    if tree.get("preemptionPolicy") is None:
        tree["preemptionPolicy"] = "PreemptLowerPriority"


def validate_priority(tree: Tree) -> list[Cause]:
    name, value = tree["metadata"].get("name", ""), tree.get("value", 0)
    found: list[Cause] = []
    if name.startswith("system-"):
        problem = _system_problem(name, value, bool(tree.get("globalDefault")))
        if problem:
            found.append(not_permitted("metadata.name", SYSTEM_TEXT + problem))
    elif value > HIGHEST:
        found.append(not_permitted("value", f"maximum allowed value of a user defined priority is {HIGHEST}"))
    policy = tree.get("preemptionPolicy")
    if policy not in ("PreemptLowerPriority", "Never"):
        found.append(unlisted("preemptionPolicy", policy, ("PreemptLowerPriority", "Never")))
    return found


def _system_problem(name: str, value: int, default: bool) -> str:
    if name not in SYSTEM:
        return f"{name} is not a known system priority class"
    if value != SYSTEM[name]:
        return f"value of {name} PriorityClass must be {SYSTEM[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if default else ""


def revalidate_priority(tree: Tree, old: Tree) -> list[Cause]:
    found = []
    if tree.get("value", 0) != old.get("value", 0):
        found.append(not_permitted("value", "may not be changed in an update."))
    if tree.get("preemptionPolicy") != old.get("preemptionPolicy"):
        found.append(wrong("preemptionPolicy", tree.get("preemptionPolicy"), "field is immutable"))
    return found


def one_default(tree: Tree, old: Tree | None, others: Callable[[str], Iterable[Tree]]) -> str:
    """Why a class may not be the default: there is one (the Priority admission plugin)."""
    if not tree.get("globalDefault"):
        return ""
    for other in others("priorityclasses.scheduling.k8s.io"):
        name = other["metadata"]["name"]
        if other.get("globalDefault") and name != tree["metadata"].get("name"):
            return f"PriorityClass {name} is already marked as default. Only one default can exist"
    return ""
