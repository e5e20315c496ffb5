"""Conditions of workloads' statuses, in upstream's order: one that changes moves to the end; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.api.tree import stamp

Tree = dict[str, Any]


def find(conditions: Iterable[Tree], kind: str) -> Tree | None:
    return next((c for c in conditions if c.get("type") == kind), None)


def make(kind: str, status: str, reason: str, message: str, now: float, **extra: Any) -> Tree:
    found = {"type": kind, "status": status, **extra, "lastTransitionTime": stamp(now)}
    if reason:
        found["reason"] = reason
    if message:
        found["message"] = message
    return found


def put(conditions: list[Tree], new: Tree) -> list[Tree]:
    """SetDeploymentCondition, SetCondition: nothing where status and reason are as before; the transition time moves
    with the status alone."""
    old = find(conditions, new["type"])
    if old is not None and old.get("status") == new["status"] and old.get("reason") == new.get("reason"):
        return conditions
    if old is not None and old.get("status") == new["status"] and "lastTransitionTime" in old:
        new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
    return [*(c for c in conditions if c.get("type") != new["type"]), new]


def without(conditions: list[Tree], kind: str) -> list[Tree]:
    return [c for c in conditions if c.get("type") != kind]
