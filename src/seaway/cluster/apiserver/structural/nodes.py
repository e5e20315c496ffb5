"""The structure of a schema, compiled once: what pruning, defaulting and the checks of lists and embedded resources walk; pure.

Value validations (minimum, pattern, anyOf...) are no part of it (apiextensions-apiserver pkg/apiserver/schema/structural.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Tree = dict[str, Any]
META_FIELDS = frozenset(("apiVersion", "kind", "metadata"))


class Node:
    """A structural schema. `default` is None where there is none: a default of null is none."""

    __slots__ = (
        "additional",
        "default",
        "defaulted",
        "embedded",
        "has_embedded",
        "has_list_types",
        "is_map",
        "items",
        "list_keys",
        "list_type",
        "nullable",
        "preserve",
        "properties",
    )

    def __init__(self, schema: Tree, embedded: bool = False) -> None:
        self.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        self.embedded = embedded or bool(schema.get("x-kubernetes-embedded-resource"))
        self.nullable = bool(schema.get("nullable"))
        self.default: Any = schema.get("default")
        self.list_type: str = schema.get("x-kubernetes-list-type") or ""
        self.list_keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        self.properties: Mapping[str, Node] = {k: Node(v) for k, v in (schema.get("properties") or {}).items()}
        items = schema.get("items")
        self.items: Node | None = Node(items) if isinstance(items, dict) else None
        values = schema.get("additionalProperties")
        self.is_map = values is not None
        self.additional: Node | None = Node(values) if isinstance(values, dict) else None
        # What a walk can skip: subtrees in which it has nothing to do.
        self.defaulted = tuple((k, n) for k, n in self.properties.items() if n.default is not None)
        below = [*self.properties.values(), *(n for n in (self.items, self.additional) if n is not None)]
        self.has_list_types: bool = self.list_type in ("set", "map") or any(n.has_list_types for n in below)
        self.has_embedded: bool = self.embedded or any(n.has_embedded for n in below)

    def child(self, name: str) -> Node | None:
        """The node of a field, by property or as a value of a map."""
        found = self.properties.get(name)
        return found if found is not None else self.additional
