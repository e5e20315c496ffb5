"""What server-side apply knows of a type: how its lists and maps merge; pure.

Made from OpenAPI schemas by the rules of k8s.io/kube-openapi/pkg/schemaconv: `x-kubernetes-list-type` with its keys,
`x-kubernetes-map-type`, and where there is no list type the strategic patch's strategy and merge key. `of` takes any schema
with a function that finds definitions, so that custom resources fit as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from seaway.api import facts

Schema = dict[str, Any]
Find = Callable[[str], Schema]
SCALAR, LIST, MAP, DEDUCED = "scalar", "list", "map", "deduced"


class Type:
    """`atomic`: owned as a whole. `keys`: of a list of maps, none for a set. `expected`: a scalar's JSON type."""

    __slots__ = ("_children", "_element", "_fields", "_find", "atomic", "defaults", "expected", "keys", "kind")

    def __init__(
        self,
        kind: str,
        find: Find,
        atomic: bool = False,
        keys: tuple[str, ...] = (),
        fields: dict[str, Schema] | None = None,
        element: Schema | None = None,
        expected: str = "",
        defaults: dict[str, Any] | None = None,
    ) -> None:
        self.kind, self.atomic, self.keys, self.expected = kind, atomic, keys, expected
        self.defaults = defaults or {}
        self._find, self._fields, self._element = find, fields or {}, element
        self._children: dict[str, Type] = {}

    def has_field(self, name: str) -> bool:
        """Whether a map is a struct that declares a field."""
        return name in self._fields

    def child(self, name: str) -> Type | None:
        """The type of a field or map value, None where the type does not declare it."""
        found = self._children.get(name)
        if found is None and name in self._fields:
            found = self._children[name] = of(self._fields[name], self._find)
        return found if found is not None else self.element()

    def element(self) -> Type | None:
        """The type of a list's elements or a map's values."""
        found = self._children.get("*")
        if found is None and self._element is not None:
            found = self._children["*"] = of(self._element, self._find)
        return found


def _nothing(name: str) -> Schema:
    return {}


ANYTHING = Type(DEDUCED, _nothing)
ANY_MAP = Type(MAP, _nothing, element={})
ANY_LIST = Type(LIST, _nothing, atomic=True, element={})
ANY_SCALAR = Type(SCALAR, _nothing)


def deduced(value: Any) -> Type:
    """The type of a value whose schema says nothing: maps merge, lists do not."""
    return ANY_MAP if isinstance(value, dict) else ANY_LIST if isinstance(value, list) else ANY_SCALAR


def of(schema: Schema, find: Find) -> Type:
    """The type of a schema."""
    if "allOf" in schema and len(schema["allOf"]) == 1:
        schema = {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}}
    if "$ref" in schema:
        name = schema["$ref"]
        if len(schema) == 1 or not {"x-kubernetes-map-type", "x-kubernetes-list-type"} & set(schema):
            return _named(name, find)
        schema = {**find(name), **{k: v for k, v in schema.items() if k != "$ref"}}
    return _from(schema, find)


def _from(schema: Schema, find: Find) -> Type:
    kind = schema.get("type")
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return Type(SCALAR, find, expected="any")
    if kind == "array":
        return _list(schema, find)
    if kind == "object" or "properties" in schema or "additionalProperties" in schema:
        values = schema.get("additionalProperties")
        element = values if isinstance(values, dict) else None
        properties = schema.get("properties") or {}
        if element is None and (schema.get("x-kubernetes-preserve-unknown-fields") or not properties):
            element = {}
        return Type(MAP, find, schema.get("x-kubernetes-map-type") == "atomic", (), properties, element)
    if kind in ("string", "integer", "number", "boolean"):
        return Type(SCALAR, find, expected=str(kind))
    return ANYTHING


def _list(schema: Schema, find: Find) -> Type:
    items = schema.get("items") or {}
    kind, keys = schema.get("x-kubernetes-list-type"), tuple(schema.get("x-kubernetes-list-map-keys") or ())
    if kind is None and "merge" in str(schema.get("x-kubernetes-patch-strategy", "")).split(","):
        key = schema.get("x-kubernetes-patch-merge-key")
        kind, keys = ("map", (key,)) if key else ("set", ())
    if kind not in ("map", "set"):
        return Type(LIST, find, atomic=True, element=items)
    defaults: dict[str, Any] = {}
    if kind == "map":
        name = items.get("$ref", "")
        target = find(name) if name else items
        declared = facts.DEFAULTS.get(name, {})
        for key in keys:
            default = declared.get(key, (target.get("properties") or {}).get(key, {}).get("default"))
            if default is not None:
                defaults[key] = default
    return Type(LIST, find, False, keys if kind == "map" else (), None, items, defaults=defaults)


QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def _named(name: str, find: Find) -> Type:
    return _definition(name) if find is _builtin else _from(find(name), find)


def _builtin(name: str) -> Schema:
    return facts.definitions().get(name, {})


@functools.cache
def _definition(name: str) -> Type:
    """The type of a built-in definition."""
    if name == QUANTITY:
        return Type(SCALAR, _builtin, expected="any")
    return _from(_builtin(name), _builtin)


def builtin(definition: str) -> Type:
    """The type of a built-in kind."""
    return _definition(definition)


def of_custom(schema: Schema) -> Type:
    """The type of a schema whose references are to built-in definitions, as custom resources have for their metadata."""
    return of(schema, _builtin)
