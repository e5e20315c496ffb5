"""Whether a value has the shape of a Kubernetes type (the facts tables of v1.36); pure. What is wrong is told with its field."""

from __future__ import annotations

import json
from typing import Any

from seaway.api import facts

Tree = dict[str, Any]
_CORE = "io.k8s.api.core.v1."
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_NOUNS = {
    "object": "a map",
    "array": "a list",
    "string": "a string",
    "boolean": "true or false",
    "integer": "a whole number",
}


class Problem(ValueError):
    """A field, and what is wrong with it."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path}: {text}")
        self.path, self.text = path, text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and self.args == other.args

    def __hash__(self) -> int:
        return hash(self.args)


def shown(value: Any) -> str:
    """A value in a message: short, and on one line."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def reference(name: str) -> Tree:
    """The schema of a type of the core group."""
    return {"$ref": f"{_CORE}{name}"}


def check(schema: Tree, value: Any, path: str) -> None:
    """Raises Problem where `value` is not of the schema: unknown fields, wrong types, missing required fields."""
    name = str(schema.get("$ref") or "")
    if name:
        schema = facts.definitions()[name]
        if name.endswith(".Quantity"):
            schema = {"type": ["string", "number"]}
        elif name.endswith(".IntOrString"):
            schema = {"type": ["string", "integer"]}
    kinds = schema.get("type") or "object"
    kinds = [kinds] if isinstance(kinds, str) else kinds
    allowed = tuple(t for kind in kinds for t in _TYPES[kind])
    if not isinstance(value, allowed) or (isinstance(value, bool) and "boolean" not in kinds):
        raise Problem(path, f"Invalid value: {shown(value)}: must be {' or '.join(_NOUNS.get(k, k) for k in kinds)}")
    if isinstance(value, list):
        for at, entry in enumerate(value):
            check(schema.get("items") or {}, entry, f"{path}[{at}]")
    elif isinstance(value, dict):
        _map(schema, value, path)


def _map(schema: Tree, value: Tree, path: str) -> None:
    fields, others = schema.get("properties"), schema.get("additionalProperties")
    for key, entry in value.items():
        if not isinstance(key, str):
            raise Problem(path, f"Invalid value: {shown(key)}: keys must be strings")
        if fields is not None and key in fields:
            check(fields[key], entry, f"{path}.{key}")
        elif isinstance(others, dict):
            check(others, entry, f"{path}[{key}]")
        elif fields is not None:
            raise Problem(f"{path}.{key}", "Invalid value: unknown field")
    for key in schema.get("required") or ():
        if key not in value:
            raise Problem(f"{path}.{key}", "Required value")
