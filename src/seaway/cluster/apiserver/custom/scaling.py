"""The scale subresource of a custom resource: where its replicas are (registry/customresource etcd.go); pure."""

from __future__ import annotations

from typing import Any

import msgspec

Tree = dict[str, Any]


class NotThere(ValueError):
    """A value of the wrong type at a path; the text is Go's."""


def _go(value: Any) -> tuple[str, str]:
    """A value and its type as Go prints them."""
    if isinstance(value, bool):
        return ("true" if value else "false"), "bool"
    if isinstance(value, int):
        return str(value), "int64"
    if isinstance(value, float):
        return f"{value:g}", "float64"
    if isinstance(value, str):
        return value, "string"
    if isinstance(value, list):
        return msgspec.json.encode(value).decode(), "[]interface {}"
    return ("<nil>", "<nil>") if value is None else (msgspec.json.encode(value).decode(), "map[string]interface {}")


def path_of(text: str) -> list[str]:
    return text.removeprefix(".").split(".")


def nested(tree: Tree, text: str, wanted: type) -> Any:
    """The value at a path, None where there is none (unstructured.NestedInt64, NestedString)."""
    value: Any = tree
    path = path_of(text)
    for at, name in enumerate(path):
        if not isinstance(value, dict):
            shown, kind = _go(value)
            where = "." + ".".join(path[:at])
            raise NotThere(f"{where} accessor error: {shown} is of the type {kind}, expected map[string]interface{{}}")
        if name not in value:
            return None
        value = value[name]
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        shown, kind = _go(value)
        expected = "int64" if wanted is int else "string"
        where = "." + ".".join(path)
        raise NotThere(f"{where} accessor error: {shown} is of the type {kind}, expected {expected}")
    return value


def is_set(scale: Tree, tree: Tree) -> bool:
    """Whether an object says how many replicas it wants."""
    return nested(tree, scale["specReplicasPath"], int) is not None


def scale_of(scale: Tree, tree: Tree) -> Tree:
    """autoscaling/v1 Scale of an object; NotThere where there is something else in the place of its replicas."""
    wanted = nested(tree, scale["specReplicasPath"], int)
    status: Tree = {"replicas": nested(tree, scale["statusReplicasPath"], int) or 0}
    selector = nested(tree, scale["labelSelectorPath"], str) if scale.get("labelSelectorPath") else None
    if selector:
        status["selector"] = selector
    meta = tree["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {n: meta[n] for n in names if n in meta},
        "spec": {"replicas": wanted} if wanted else {},
        "status": status,
    }


def with_replicas(scale: Tree, tree: Tree, count: int) -> Tree:
    """The object with another number of replicas, in place; NotThere where something else is in the way."""
    value: Any = tree
    *parents, last = path_of(scale["specReplicasPath"])
    for at, name in enumerate(parents):
        value = value.setdefault(name, {})
        if not isinstance(value, dict):
            where = "." + ".".join(parents[: at + 1])
            raise NotThere(f"value cannot be set because {where} is not a map[string]interface{{}}")
    value[last] = count
    return tree
