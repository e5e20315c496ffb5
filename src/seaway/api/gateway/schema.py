"""Builders of structural schemas: values in, trees out, with the keys that apiextensions.k8s.io/v1 knows.

In the fields of a record a name that ends with `!` is required.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Tree = dict[str, Any]


def rule(expression: str, message: str) -> Tree:
    """A rule in CEL, and what is told of a value that breaks it."""
    return {"message": message, "rule": expression}


def _with(node: Tree, **more: Any) -> Tree:
    """The node with those of `more` that say something."""
    return {**node, **{k: v for k, v in more.items() if v is not None}}


def ruled(node: Tree, *rules: Tree) -> Tree:
    return {**node, "x-kubernetes-validations": list(rules)} if rules else node


def defaulted(node: Tree, default: Any) -> Tree:
    return {**node, "default": default}


def told(node: Tree, description: str) -> Tree:
    return {**node, "description": description}


def text(
    least: int | None = None, most: int | None = None, pattern: str | None = None, form: str | None = None
) -> Tree:
    return _with({"type": "string"}, minLength=least, maxLength=most, pattern=pattern, format=form)


def choice(*values: str) -> Tree:
    return {"type": "string", "enum": list(values)}


def whole(least: int | None = None, most: int | None = None, form: str | None = "int32") -> Tree:
    return _with({"type": "integer"}, minimum=least, maximum=most, format=form)


def flag() -> Tree:
    return {"type": "boolean"}


def record(fields: Mapping[str, Tree], *rules: Tree) -> Tree:
    found: Tree = {"type": "object", "properties": {name.rstrip("!"): node for name, node in fields.items()}}
    required = sorted(name.rstrip("!") for name in fields if name.endswith("!"))
    return ruled({**found, "required": required} if required else found, *rules)


def listing(items: Tree, least: int | None, most: int | None, *rules: Tree, kind: str = "atomic") -> Tree:
    """A list that is replaced as one (atomic), or whose values differ (set)."""
    found: Tree = {"type": "array", "items": items, "x-kubernetes-list-type": kind}
    return ruled(_with(found, minItems=least, maxItems=most), *rules)


def unique(items: Tree, most: int | None, *rules: Tree) -> Tree:
    return listing(items, None, most, *rules, kind="set")


def keyed(items: Tree, keys: Sequence[str], least: int | None, most: int | None, *rules: Tree) -> Tree:
    """A list whose items are known by fields of theirs."""
    found = listing(items, least, most, *rules, kind="map")
    return {**found, "x-kubernetes-list-map-keys": list(keys)}


def mapping(values: Tree, most: int | None = None, *rules: Tree) -> Tree:
    return ruled(_with({"type": "object", "additionalProperties": values}, maxProperties=most), *rules)
