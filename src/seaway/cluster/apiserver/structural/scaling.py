"""Replicas of the scale subresource of a custom resource (registry/customresource/validator.go); pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes
from seaway.cluster.apiserver.structural.gotext import is_float, printed
from seaway.cluster.apiserver.structural.nodes import Tree

LARGEST = 2**31 - 1


class Misplaced(Exception):
    """A value on a path that is of another type; the text is unstructured.NestedInt64's."""


def spec_causes(tree: Tree, scale: Tree) -> list[Cause]:
    return _replica_causes(tree, scale.get("specReplicasPath") or "")


def status_causes(tree: Tree, scale: Tree) -> list[Cause]:
    found = _replica_causes(tree, scale.get("statusReplicasPath") or "")
    path = scale.get("labelSelectorPath")
    if path:
        try:
            _nested(tree, path, str, "string")
        except Misplaced as e:
            found.append(causes.invalid(path, "", str(e)))
    return found


def _replica_causes(tree: Tree, path: str) -> list[Cause]:
    try:
        replicas = _nested(tree, path, int, "int64") or 0
    except Misplaced as e:
        return [causes.invalid(path, 0, str(e))]
    if replicas < 0:
        return [causes.invalid(path, replicas, "should be a non-negative integer")]
    if replicas > LARGEST:
        return [causes.invalid(path, replicas, f"should be less than or equal to {LARGEST}")]
    return []


def _nested(tree: Tree, path: str, type_: type, go: str) -> Any:
    """The value at a path, None where there is none."""
    names = path.removeprefix(".").split(".")
    value: Any = tree
    for i, name in enumerate(names):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Misplaced(_told(names[: i + 1], value, "map[string]interface{}"))
        if name not in value:
            return None
        value = value[name]
    if not isinstance(value, type_) or isinstance(value, bool) or (type_ is int and is_float(value)):
        raise Misplaced(_told(names, value, go))
    return value


def _told(names: list[str], value: Any, wanted: str) -> str:
    return f".{'.'.join(names)} accessor error: {printed(value)} is of the type {_go_type(value)}, expected {wanted}"


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float)):
        return "float64" if is_float(value) else "int64"
    if value is None:
        return "<nil>"
    return "map[string]interface {}" if isinstance(value, dict) else "[]interface {}"
