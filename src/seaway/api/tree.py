"""Reading and making objects as trees: keys, owners, times, conditions. Nothing here keeps state or looks at a clock."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

Tree = dict[str, Any]


class Key(NamedTuple):
    """The identity of an object within its resource; `namespace` is empty for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(tree: Mapping[str, Any]) -> Key:
    meta = tree.get("metadata") or {}
    return Key(meta.get("namespace") or "", meta.get("name") or "")


def get(tree: Any, *path: str | int) -> Any:
    """The value at a path, None where a step is missing."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(tree, list) or step >= len(tree):
                return None
            tree = tree[step]
        elif isinstance(tree, dict):
            tree = tree.get(step)
        else:
            return None
    return tree


def copied(value: Any) -> Any:
    """A copy that shares nothing. Trees are dicts, lists and scalars: copy.deepcopy, which knows less, is five times as slow."""
    if type(value) is dict:
        return {k: copied(v) if type(v) is dict or type(v) is list else v for k, v in value.items()}
    if type(value) is list:
        return [copied(v) if type(v) is dict or type(v) is list else v for v in value]
    return value


def labels(tree: Mapping[str, Any]) -> dict[str, str]:
    return (tree.get("metadata") or {}).get("labels") or {}


def controller_of(tree: Mapping[str, Any]) -> Tree | None:
    """The ownerReference with controller: true."""
    for ref in (tree.get("metadata") or {}).get("ownerReferences") or ():
        if ref.get("controller"):
            found: Tree = ref
            return found
    return None


def owner_reference(api_version: str, kind: str, owner: Mapping[str, Any]) -> Tree:
    """A controller's reference to its owner, as client-go's NewControllerRef makes it."""
    meta = owner["metadata"]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def stamp(seconds: float) -> str:
    """metav1.Time: RFC 3339, whole seconds, UTC."""
    return _stamp(int(seconds))


@functools.lru_cache(16)
def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_micro(seconds: float) -> str:
    """metav1.MicroTime."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(text: str | None) -> float | None:
    """A metav1.Time or MicroTime in seconds since the epoch."""
    if not text:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def condition(tree: Mapping[str, Any], kind: str) -> Tree | None:
    for found in get(tree, "status", "conditions") or ():
        if found.get("type") == kind:
            entry: Tree = found
            return entry
    return None


def is_true(tree: Mapping[str, Any], kind: str) -> bool:
    found = condition(tree, kind)
    return bool(found) and found is not None and found.get("status") == "True"


def with_condition(conditions: Iterable[Tree], new: Tree) -> list[Tree]:
    """Conditions with `new` in the place of the one of its type; the transition time moves only with the status."""
    result, placed = [], False
    for old in conditions:
        if old.get("type") != new["type"]:
            result.append(old)
            continue
        placed = True
        if old.get("status") == new["status"] and "lastTransitionTime" in old:
            new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
        result.append(new)
    if not placed:
        result.append(new)
    return result
