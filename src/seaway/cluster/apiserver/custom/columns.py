"""Tables of custom resources: additionalPrinterColumns as upstream prints them (registry/customresource/tableconvertor); pure."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from seaway.cluster.apiserver.custom import jsonpath
from seaway.cluster.apiserver.tables.cells import Cell, Column, at, duration

Tree = dict[str, Any]
NAME_TEXT = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
AGE_TEXT = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented in "
    "RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
NAME = Column("Name", "string", 0, at("metadata", "name"), "name", NAME_TEXT)
AGE: Tree = {"name": "Age", "type": "date", "description": AGE_TEXT, "jsonPath": ".metadata.creationTimestamp"}


def _text(value: Any) -> str | None:
    """A value as jsonpath.PrintResults writes it: text bare, lists and maps as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return msgspec.json.encode(value, order="sorted").decode()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return "<no value>" if value is None else str(value)


def _since(value: Any, now: float) -> str | None:
    if not isinstance(value, str):
        return None
    if value in ("", "null"):
        return "<unknown>"
    try:
        moment = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return "<invalid>"
    if moment.tzinfo is None or "T" not in value:
        return "<invalid>"
    return duration(now - moment.timestamp())


def _cell(kind: str, path: str) -> Cell:
    def cell(tree: Tree, now: float) -> Any:
        value, found = jsonpath.first(path, tree)
        if not found:
            return None
        if kind == "string":
            return _text(value)
        if kind == "date":
            return _since(value, now)
        if kind == "boolean":
            return value if isinstance(value, bool) else None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return int(value) if kind == "integer" else value

    return cell


def columns(spec: list[Tree]) -> tuple[Column, ...]:
    """The columns of a version: Name, and what the definition says, or Age where it says nothing.

    A path that cannot be read falls back to the columns before it, as upstream's default does.
    """
    found = [NAME]
    for column in spec or [AGE]:
        path = str(column.get("jsonPath", ""))
        try:
            jsonpath.compiled(path)
        except jsonpath.BadPath:
            return tuple(found)
        told = column.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
        kind = str(column.get("type", ""))
        name, form = str(column.get("name", "")), str(column.get("format") or "")
        found.append(Column(name, kind, column.get("priority") or 0, _cell(kind, path), form, told))
    return tuple(found)
