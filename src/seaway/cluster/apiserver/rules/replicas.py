"""What Deployment, ReplicaSet, ReplicationController, DaemonSet and StatefulSet share (pkg/apis/apps/validation)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from seaway.api.selectors import Selector
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules, pod_warnings
from seaway.cluster.apiserver.status import Cause, required, wrong

Tree = dict[str, Any]
POD_NAMES = "Pod names and hostnames"
TOO_FEW_READY = "cannot be greater than readyReplicas"
TOO_MANY = "cannot be greater than status.replicas"


def selector(spec: Tree, noun: str) -> list[Cause]:
    """A selector is required, and may not be empty."""
    tree = spec.get("selector")
    if tree is None:
        return [required("spec.selector")]
    found = fieldrules.selector_causes(tree, "spec.selector")
    if fieldrules.is_empty_selector(tree):
        found.append(wrong("spec.selector", {}, f"empty selector is invalid for {noun}"))
    return found


def compiled(spec: Tree) -> tuple[Selector | None, bool]:
    """(the selector, whether it can be made). No selector selects nothing, and can be made."""
    tree = spec.get("selector")
    found = fieldrules.compiled_selector(tree)
    return found, found is not None or tree is None


def immutable_selector(new: Tree, old: Tree) -> list[Cause]:
    """The selector is the workload's identity."""
    shown = fieldrules.selector_shown(new["spec"].get("selector"))
    return fieldrules.unchanged("spec.selector", new["spec"].get("selector"), old["spec"].get("selector"), shown)


def int_or_percent(path: str, value: Any) -> list[Cause]:
    if isinstance(value, str):
        return formats.causes(path, value, formats.percent)
    return fieldrules.not_negative(path, value)


def amount(value: Any) -> int:
    """The number before a percent sign, or the number."""
    if isinstance(value, str):
        form = re.fullmatch("([0-9]+)%?", value)
        return int(form[1][:18]) if form else 0
    return value or 0


def at_most_all(path: str, value: Any) -> list[Cause]:
    if isinstance(value, str) and not formats.percent(value) and amount(value) > 100:
        return [wrong(path, value, "must not be greater than 100%")]
    return []


def validate_status(
    status: Tree, names: tuple[str, ...], within: tuple[str, ...], ready: str = TOO_FEW_READY
) -> list[Cause]:
    """Counts: none below zero, none of `within` above `replicas`, available ones are ready."""
    found = fieldrules.not_negatives(status, "status", *names)
    total = status.get("replicas") or 0
    for name in within:
        value = status.get(name) or 0
        if value > total:
            found.append(wrong(f"status.{name}", value, TOO_MANY))
    available = status.get("availableReplicas") or 0
    if available > (status.get("readyReplicas") or 0):
        found.append(wrong("status.availableReplicas", available, ready))
    return found


def not_decremented(new: Tree, old: Tree) -> list[Cause]:
    """collisionCount only grows."""
    was, now = old.get("collisionCount"), new.get("collisionCount")
    if was is None or (now is not None and now >= was):
        return []
    return [wrong("status.collisionCount", now or 0, "cannot be decremented")]


def warnings(path: str = "spec.template", named: bool = True) -> Callable[[Tree, Tree | None], list[str]]:
    """Warnings about the template at a path: on create, and where an update changes the spec."""
    steps = path.split(".")

    def warn(tree: Tree, old: Tree | None) -> list[str]:
        if old is not None and tree.get("spec") == old.get("spec"):
            return []
        template = tree
        for step in steps:
            template = template.get(step) or {}
        name = (tree.get("metadata") or {}).get("name", "")
        found = pod_warnings.hostname(name, POD_NAMES) if named and old is None else []
        return found + pod_warnings.of_template(template, path)

    return warn
