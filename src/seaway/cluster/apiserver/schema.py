"""Bodies against the facts tables: types are checked, nulls dropped, unknown fields dropped and reported; pure.

A definition is compiled once into nested closures. The stored form may hold fields that the tables do not know (a newer
version wrote them): a field that the old object has at the same path is known, so that no edit loses it.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable
from typing import Any

from seaway.api import facts, quantities
from seaway.cluster.apiserver import zeros

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
LIMITS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


class TypeMismatch(Exception):
    """A value of the wrong JSON type; the text is what Go's decoder says."""


class Report:
    """What a pass over a body found: unknown fields, with their paths."""

    __slots__ = ("unknown",)

    def __init__(self) -> None:
        self.unknown: list[str] = []


Check = Callable[[Any, Any, str, Report], Any]


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _mismatch(value: Any, path: str, go: str) -> TypeMismatch:
    found = _json_type(value)
    if found == "number" and go.startswith("int"):
        found = f"number {value}"
    where = f"Go struct field {path}" if path else "Go value"
    return TypeMismatch(f"json: cannot unmarshal {found} into {where} of type {go}")


def _scalar(schema: dict[str, Any]) -> Check:
    kind, form = schema.get("type"), schema.get("format", "")
    if form == "int-or-string":

        def int_or_string(value: Any, old: Any, path: str, report: Report) -> Any:
            if isinstance(value, bool) or not isinstance(value, (int, str)):
                raise _mismatch(value, path, "intstr.IntOrString")
            return value

        return int_or_string
    if kind == "boolean":

        def boolean(value: Any, old: Any, path: str, report: Report) -> Any:
            if not isinstance(value, bool):
                raise _mismatch(value, path, "bool")
            return value

        return boolean
    if kind == "integer":
        go = form or "int64"
        low, high = LIMITS.get(go, LIMITS["int64"])

        def integer(value: Any, old: Any, path: str, report: Report) -> Any:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise _mismatch(value, path, go)
            if isinstance(value, float):
                if not value.is_integer():
                    raise _mismatch(value, path, go)
                value = int(value)
            if not low <= value <= high:
                raise _mismatch(value, path, go)
            return value

        return integer
    if kind == "number":

        def number(value: Any, old: Any, path: str, report: Report) -> Any:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise _mismatch(value, path, "float64")
            return value

        return number
    if kind == "string":
        if form == "byte":

            def octets(value: Any, old: Any, path: str, report: Report) -> Any:
                if not isinstance(value, str):
                    raise _mismatch(value, path, "[]uint8")
                try:
                    base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
                except (binascii.Error, ValueError):
                    bad = next((i for i, c in enumerate(value) if not (c.isalnum() or c in "+/=")), len(value) // 4 * 4)
                    raise TypeMismatch(f"illegal base64 data at input byte {bad}") from None
                return value

            return octets

        def string(value: Any, old: Any, path: str, report: Report) -> Any:
            if not isinstance(value, str):
                raise _mismatch(value, path, "time.Time" if form == "date-time" else "string")
            return value

        return string

    def anything(value: Any, old: Any, path: str, report: Report) -> Any:
        return value

    return anything


def _quantity(value: Any, old: Any, path: str, report: Report) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _mismatch(value, path, "resource.Quantity")
    try:
        return quantities.canonical(value)
    except ValueError as e:
        raise TypeMismatch(str(e)) from None


def _list(items: Check) -> Check:
    def check(value: Any, old: Any, path: str, report: Report) -> Any:
        if not isinstance(value, list):
            raise _mismatch(value, path, "[]")
        known = old if isinstance(old, list) else ()
        return [
            items(v, known[i] if i < len(known) else None, f"{path}[{i}]", report)
            for i, v in enumerate(value)
            if v is not None
        ]

    return check


def _map(values: Check) -> Check:
    def check(value: Any, old: Any, path: str, report: Report) -> Any:
        if not isinstance(value, dict):
            raise _mismatch(value, path, "map")
        known = old if isinstance(old, dict) else {}
        return {
            k: "" if v is None else values(v, known.get(k), f"{path}.{k}" if path else k, report)
            for k, v in value.items()
        }

    return check


def _struct(name: str, schema: dict[str, Any]) -> Check:
    fields: dict[str, Check] = {}
    omitted = zeros.omitted(name)
    short = name.rpartition(".")[2]

    def check(value: Any, old: Any, path: str, report: Report) -> Any:
        if not fields:
            fields.update({k: compiled(v) for k, v in schema["properties"].items()})
        if not isinstance(value, dict):
            raise _mismatch(value, path, short)
        known = old if isinstance(old, dict) else {}
        result = {}
        for k, v in value.items():
            field = fields.get(k)
            where = f"{path}.{k}" if path else k
            if field is None:
                if k in known:
                    result[k] = v
                else:
                    report.unknown.append(where)
            elif v is not None:
                read = field(v, known.get(k), where, report)
                if k not in omitted or not zeros.is_zero(read):
                    result[k] = read
        return result

    return check


@functools.cache
def definition(name: str) -> Check:
    """The compiled check of a definition."""
    if name == QUANTITY:
        return _quantity
    schema = facts.definitions()[name]
    if schema.get("properties"):
        return _struct(name, schema)
    if schema.get("type") in (None, "object") and "additionalProperties" not in schema:
        return _scalar({})
    return compiled(schema)


def compiled(schema: dict[str, Any]) -> Check:
    if "$ref" in schema:
        return definition(schema["$ref"])
    if schema.get("type") == "array":
        return _list(compiled(schema.get("items") or {}))
    if schema.get("type") == "object":
        if isinstance(schema.get("additionalProperties"), dict):
            return _map(compiled(schema["additionalProperties"]))
        return _scalar({})
    return _scalar(schema)


def read(name: str, tree: dict[str, Any], old: dict[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """The tree as the kind has it, and the unknown fields that were dropped; raises TypeMismatch."""
    report = Report()
    result: dict[str, Any] = definition(name)(tree, old, "", report)
    return result, report.unknown


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its $ref followed; the reference's own list type and merge key stay in view."""
    if "$ref" not in schema:
        return schema
    target = facts.definitions().get(schema["$ref"], {})
    return {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
