"""Zero values as Kubernetes writes them: an empty string or list is left out, a required number is written as 0; pure.

The recorded server encodes Go structs: what a field looks like when nobody set it follows from its type there
(`zero-facts.json`). `is_dropped` is asked while a body is read, so that defaults see an absent field; `complete` fills in
what is always written, before an object is stored.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

from seaway.api import facts

Tree = dict[str, Any]
Fill = Callable[[Any], None]

# Fields whose empty list says something other than their absence: rules judge it before anything is written.
EMPTY_IS_TOLD = {"io.k8s.api.autoscaling.v2.HPAScalingRules": frozenset({"policies"})}


def omitted(definition: str) -> frozenset[str]:
    """The fields of a definition that are not written when they are zero."""
    return frozenset(facts.zeros().get(definition, {}).get("omit", ())) - EMPTY_IS_TOLD.get(definition, frozenset())


def is_zero(value: Any) -> bool:
    """An empty string, list or map, 0 or false."""
    return value in ("", 0, [], {}) and value is not None


def complete(definition: str, tree: Tree) -> None:
    """Writes the zero values that are always there, in place."""
    _fill(definition)(tree)


@functools.cache
def _fill(definition: str) -> Fill:
    schema = facts.definitions().get(definition, {})
    always: Tree = facts.zeros().get(definition, {}).get("show", {})
    children: dict[str, Fill] = {}

    def fill(tree: Any) -> None:
        if not isinstance(tree, dict):
            return
        if not children:
            children.update({k: f for k, v in (schema.get("properties") or {}).items() if (f := _of(v))})
            children.setdefault("", lambda value: None)
        for name, value in always.items():
            if tree.get(name) is None or (value is None and tree[name] == []):  # stored, an empty list is none
                tree[name] = copy.copy(value)
        for name, value in tree.items():
            child = children.get(name)
            if child is not None and value is not None:
                child(value)

    return fill


def _of(schema: dict[str, Any]) -> Fill | None:
    """What fills the values of a field, None where nothing below it has values of its own."""
    if "$ref" in schema:
        name = schema["$ref"]
        return _fill(name) if facts.definitions().get(name, {}).get("properties") else None
    if schema.get("type") == "array":
        return _each(_of(schema.get("items") or {}))
    if isinstance(schema.get("additionalProperties"), dict):
        return _each(_of(schema["additionalProperties"]))
    return None


def _each(one: Fill | None) -> Fill | None:
    if one is None:
        return None

    def fill(values: Any) -> None:
        for value in values.values() if isinstance(values, dict) else values:
            one(value)

    return fill
