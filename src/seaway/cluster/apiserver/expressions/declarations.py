"""CEL types of structural schemas with the sizes that cost estimates need (apiserver/pkg/cel/common/schemas.go)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seaway.cluster.apiserver.expressions.escaping import escaped
from seaway.cluster.apiserver.expressions.values import (
    EvaluationError,
    MapList,
    SetList,
    parse_date,
    parse_duration,
    parse_timestamp,
)

Tree = dict[str, Any]
View = Callable[[Any], Any]
LARGEST_REQUEST = 3 * 1024 * 1024
DURATION_SIZE = DATETIME_SIZE = 32
DATE_SIZE = 12
NAME_SIZE = 253


@dataclass(eq=False, slots=True)
class Decl:
    """A type: `most` is the largest size, `least` the smallest serialized one; `properties` by identifier, `names` back."""

    kind: str
    least: int
    most: int = 0
    element: Decl | None = None
    properties: dict[str, Decl] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    schema: Tree = field(default_factory=dict)
    message: str = ""
    view: View | None = None
    deep: View | None = None
    root: bool = False  # of a whole object


def string_decl(most: int = 0) -> Decl:
    return Decl("string", 2, most)


def declare(schema: Tree, root: bool = False) -> Decl | None:
    """The type of a schema; None where expressions may not see it. `root`: of a whole object, embedded ones too."""
    decl = _declare(schema, root)
    if decl is not None:
        decl.schema = schema
        decl.root = root
        decl.view = _view(decl)
        decl.deep = _deep(decl)
    return decl


def _declare(schema: Tree, root: bool) -> Decl | None:
    if schema.get("x-kubernetes-int-or-string"):
        longest = schema.get("maxLength")
        return Decl("dyn", 1, LARGEST_REQUEST - 2 if longest is None else max(longest, 0) * 4)
    if root:
        schema = with_metadata(schema)
    match schema.get("type"):
        case "array":
            return _array(schema)
        case "object":
            if isinstance(schema.get("additionalProperties"), dict):
                return _map(schema)
            return _object(schema)
        case "string":
            return _string(schema)
        case "boolean":
            return Decl("bool", 4)
        case "number":
            return Decl("double", 1)
        case "integer":
            return Decl("int", 1)
    return None


def _array(schema: Tree) -> Decl | None:
    items = schema.get("items")
    if not isinstance(items, dict):
        return None
    element = declare(items, bool(items.get("x-kubernetes-embedded-resource")))
    if element is None:
        return None
    most = schema.get("maxItems")
    most = max(most, 0) if most is not None else (LARGEST_REQUEST - 2) // (element.least + 1)
    return Decl("list", 2, most, element)


def _map(schema: Tree) -> Decl | None:
    values = schema["additionalProperties"]
    element = declare(values, bool(values.get("x-kubernetes-embedded-resource")))
    if element is None:
        return None
    most = schema.get("maxProperties")
    most = max(most, 0) if most is not None else (LARGEST_REQUEST - 2) // (element.least + 6)
    return Decl("map", 2, most, element)


def _object(schema: Tree) -> Decl:
    found = Decl("object", 2)
    needed = set(schema.get("required") or ())
    for name, property in (schema.get("properties") or {}).items():
        decl = declare(property, bool(property.get("x-kubernetes-embedded-resource")))
        if decl is None:
            continue
        identifier = escaped(name)
        if identifier is not None:
            found.properties[identifier] = decl
            found.names[identifier] = name
        if name in needed and property.get("default") is None:
            found.least += len(name.encode()) + decl.least + 4
    return found


def _string(schema: Tree) -> Decl:
    longest = schema.get("maxLength")
    match schema.get("format"):
        case "byte":
            return Decl("bytes", 2, LARGEST_REQUEST - 2 if longest is None else max(longest, 0))
        case "duration":
            return Decl("duration", 3, DURATION_SIZE)
        case "date":
            return Decl("timestamp", DATE_SIZE, DATE_SIZE)
        case "date-time":
            return Decl("timestamp", 21, DATETIME_SIZE)
    if longest is not None:
        return string_decl(max(longest, 0) * 4)
    if schema.get("enum"):
        return string_decl(max((len(v.encode()) for v in schema["enum"] if isinstance(v, str)), default=0))
    return string_decl(LARGEST_REQUEST - 2)


def with_metadata(schema: Tree) -> Tree:
    """A schema of a whole object: apiVersion, kind, metadata.name and metadata.generateName are always there."""
    properties = dict(schema.get("properties") or {})
    given = (properties.get("metadata") or {}).get("properties") or {}
    inner: Tree = {}
    for name, most in (("name", NAME_SIZE), ("generateName", NAME_SIZE - 1)):
        limit = (given.get(name) or {}).get("maxLength")
        inner[name] = {"type": "string", "maxLength": most if limit is None else min(limit, most)}
    properties["kind"] = properties["apiVersion"] = {"type": "string"}
    properties["metadata"] = {"type": "object", "properties": inner}
    return {**schema, "properties": properties}


def _view(decl: Decl) -> View | None:
    """How a raw value becomes a value of this type when it is selected; None: it is one."""
    match decl.kind:
        case "double":
            return _double
        case "bytes":
            return _bytes
        case "duration":
            return _duration
        case "timestamp":
            return _date if decl.schema.get("format") == "date" else _timestamp
        case "list":
            assert decl.element is not None
            return _list_view(decl.schema, decl.element.view)
        case "map":
            assert decl.element is not None
            return _map_view(decl.element.view)
    return None


def _deep(decl: Decl) -> View | None:
    """As `view`, but objects inside are viewed too: what equality of whole objects needs."""
    if decl.kind == "object":
        parts = [(decl.names[n], p.deep) for n, p in decl.properties.items() if p.deep is not None]
        return _object_view(tuple((n, v) for n, v in parts if v is not None)) if parts else None
    if decl.kind == "list":
        assert decl.element is not None
        return _list_view(decl.schema, decl.element.deep)
    if decl.kind == "map":
        assert decl.element is not None
        return _map_view(decl.element.deep)
    return decl.view


def _list_view(schema: Tree, inner: View | None) -> View | None:
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return lambda v: SetList(_each(v, inner)) if isinstance(v, list) else v
        case "map":
            keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
            return lambda v: MapList(_each(v, inner), keys) if isinstance(v, list) else v
    if inner is None:
        return None
    return lambda v: _each(v, inner) if isinstance(v, list) else v


def _each(items: list[Any], inner: View | None) -> list[Any]:
    return items if inner is None else [inner(x) for x in items]


def _map_view(inner: View | None) -> View | None:
    if inner is None:
        return None
    return lambda v: {k: inner(x) for k, x in v.items()} if isinstance(v, dict) else v


def _object_view(parts: tuple[tuple[str, View], ...]) -> View:
    def view(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        found = dict(value)
        for name, inner in parts:
            if name in found:
                found[name] = inner(found[name])
        return found

    return view


def _double(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as e:
        raise EvaluationError(f"Invalid byte formatted string {value}: {e}") from e


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = parse_duration(value)
    if found is None:
        raise EvaluationError(f'Invalid duration formatted string {value}: time: invalid duration "{value}"')
    return found


def _timestamp(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = parse_timestamp(value)
    if found is None:
        raise EvaluationError(f"Invalid date-time formatted string {value}")
    return found


def _date(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = parse_date(value)
    if found is None:
        raise EvaluationError(f"Invalid date formatted string {value}")
    return found
