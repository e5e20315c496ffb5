"""Bodies against the facts tables: types are checked, nulls dropped, unknown fields dropped and reported; pure.

A definition is compiled once into nested closures. The stored form may hold fields that the tables do not know (a newer
version wrote them): a field that the old object has at the same path is known, so that no edit loses it.
"""

from __future__ import annotations

import base64
import binascii
import copy
import datetime
import functools
import re
from collections.abc import Callable
from typing import Any

from seaway.api import facts, quantities
from seaway.cluster.apiserver import zeros

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
SECONDS = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ"
)  # the usual form, which needs no closer look
INDEX = re.compile(r"\[\d+\]")  # Go's decoder names fields, not elements
TIME_PARTS = (
    (r"\d{4}", "2006"),
    ("-", "-"),
    (r"\d\d", "01"),
    ("-", "-"),
    (r"\d\d", "02"),
    ("T", "T"),
    (r"\d\d", "15"),
    (":", ":"),
    (r"\d\d", "04"),
    (":", ":"),
    (r"\d\d", "05"),
    (r"Z|[+-]\d\d:\d\d", "Z07:00"),
)
LIMITS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


class TypeMismatch(Exception):
    """A value that its field cannot hold; the text is what Go's decoder says.

    `found` and `go` are the two types; the struct that the value was read into adds itself and the path on the way up.
    """

    def __init__(self, text: str = "", found: str = "", go: str = "") -> None:
        super().__init__(text)
        self._text, self._found, self._go = text, found, go
        self.struct = self.path = ""

    def __str__(self) -> str:
        if self._text:
            return self._text
        where = f"Go struct field {self.struct}.{self.path}" if self.struct else "Go value"
        return f"json: cannot unmarshal {self._found} into {where} of type {self._go}"


class Report:
    """What a pass over a body found: unknown fields, with their paths."""

    __slots__ = ("unknown",)

    def __init__(self) -> None:
        self.unknown: list[str] = []


Check = Callable[[Any, Any, str, Report], Any]


def json_type(value: Any) -> str:
    """The JSON type of a value, as Go's decoder names it."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _mismatch(value: Any, go: str) -> TypeMismatch:
    found = json_type(value)
    if found == "number" and go.startswith("int"):
        found = f"number {value}"
    return TypeMismatch(found=found, go=go)


def _scalar(schema: dict[str, Any]) -> Check:
    kind, form = schema.get("type"), schema.get("format", "")
    if form == "int-or-string":

        def int_or_string(value: Any, old: Any, path: str, report: Report) -> Any:
            if isinstance(value, bool) or not isinstance(value, (int, str)):
                raise _mismatch(value, "intstr.IntOrString")
            return value

        return int_or_string
    if kind == "boolean":

        def boolean(value: Any, old: Any, path: str, report: Report) -> Any:
            if not isinstance(value, bool):
                raise _mismatch(value, "bool")
            return value

        return boolean
    if kind == "integer":
        go = form or "int64"
        low, high = LIMITS.get(go, LIMITS["int64"])

        def integer(value: Any, old: Any, path: str, report: Report) -> Any:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise _mismatch(value, go)
            if isinstance(value, float):
                if not value.is_integer():
                    raise _mismatch(value, go)
                value = int(value)
            if not low <= value <= high:
                raise _mismatch(value, go)
            return value

        return integer
    if kind == "number":

        def number(value: Any, old: Any, path: str, report: Report) -> Any:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise _mismatch(value, "float64")
            return value

        return number
    if kind == "string":
        if form == "byte":

            def octets(value: Any, old: Any, path: str, report: Report) -> Any:
                if not isinstance(value, str):
                    raise _mismatch(value, "[]uint8")
                try:
                    base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
                except (binascii.Error, ValueError):
                    bad = next((i for i, c in enumerate(value) if not (c.isalnum() or c in "+/=")), len(value) // 4 * 4)
                    raise TypeMismatch(f"illegal base64 data at input byte {bad}") from None
                return value

            return octets

        if form == "date-time":
            return _time

        def string(value: Any, old: Any, path: str, report: Report) -> Any:
            if not isinstance(value, str):
                raise _mismatch(value, "string")
            return value

        return string

    def anything(value: Any, old: Any, path: str, report: Report) -> Any:
        return value

    return anything


def _time(value: Any, old: Any, path: str, report: Report) -> Any:
    """RFC 3339, kept as seconds in UTC (metav1.Time)."""
    if not isinstance(value, str):
        raise TypeMismatch(f"json: cannot unmarshal {json_type(value)} into Go value of type string")
    return value if SECONDS.fullmatch(value) else _moment(value, "")


def _micro_time(value: Any, old: Any, path: str, report: Report) -> Any:
    """RFC 3339 with exactly six fractional digits (metav1.MicroTime)."""
    if not isinstance(value, str):
        raise TypeMismatch(f"json: cannot unmarshal {json_type(value)} into Go value of type string")
    return _moment(value, ".000000")


def _moment(text: str, fraction: str) -> str:
    """A time in UTC; TypeMismatch in the words of Go's time.Parse."""
    rest = text
    for pattern, name in TIME_PARTS:
        if name == "Z07:00":
            found = re.match(r"\.\d{6}(?!\d)" if fraction else r"(\.\d+)?", rest)
            if found is None:
                raise _unparsed(text, rest, fraction, fraction)
            digits, rest = found[0], rest[found.end() :]
        found = re.match(pattern, rest)
        if found is None:
            raise _unparsed(text, rest, name, fraction)
        rest = rest[found.end() :]
    if rest:
        raise TypeMismatch(f'parsing time "{text}": extra text: "{rest}"')
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00").replace(digits, "", 1) if digits else text)
    except ValueError:
        raise TypeMismatch(f'parsing time "{text}": day out of range') from None
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S") + (digits if fraction else "") + "Z"


def _unparsed(text: str, rest: str, part: str, fraction: str) -> TypeMismatch:
    layout = f"2006-01-02T15:04:05{fraction}Z07:00"
    return TypeMismatch(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{part}"')


def _quantity(value: Any, old: Any, path: str, report: Report) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _mismatch(value, "resource.Quantity")
    try:
        return quantities.canonical(value)
    except ValueError as e:
        raise TypeMismatch(str(e)) from None


def _list(items: Check, go: str) -> Check:
    def check(value: Any, old: Any, path: str, report: Report) -> Any:
        if not isinstance(value, list):
            raise _mismatch(value, f"[]{go}")
        known = old if isinstance(old, list) else ()
        return [
            items(v, known[i] if i < len(known) else None, f"{path}[{i}]", report)
            for i, v in enumerate(value)
            if v is not None
        ]

    return check


def _map(values: Check, go: str, zero: Any) -> Check:
    def one(value: Any, old: Any, path: str, name: str, report: Report) -> Any:
        where = f"{path}.{name}" if path else name
        try:
            return values(value, old, where, report)
        except TypeMismatch as e:
            # Go's decoder names fields, not the keys of maps.
            inside, outside = INDEX.sub("", where), INDEX.sub("", path)
            if e.struct and e.path.startswith(f"{inside}."):
                e.path = f"{outside}{e.path[len(inside) :]}".removeprefix(".")
            raise

    def check(value: Any, old: Any, path: str, report: Report) -> Any:
        if not isinstance(value, dict):
            raise _mismatch(value, f"map[string]{go}")
        known = old if isinstance(old, dict) else {}
        return {k: copy.copy(zero) if v is None else one(v, known.get(k), path, k, report) for k, v in value.items()}

    return check


def _struct(name: str, schema: dict[str, Any]) -> Check:
    fields: dict[str, Check] = {}
    omitted = zeros.omitted(name)
    short, go = name.rpartition(".")[2], go_type({"$ref": name})

    def check(value: Any, old: Any, path: str, report: Report) -> Any:
        if not fields:
            fields.update({k: compiled(v) for k, v in schema["properties"].items()})
        if not isinstance(value, dict):
            raise _mismatch(value, go)
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
                try:
                    read = field(v, known.get(k), where, report)
                except TypeMismatch as e:
                    if not e.struct:
                        e.struct, e.path = short, INDEX.sub("", where)
                    raise
                if k not in omitted or not zeros.is_zero(read):
                    result[k] = read
        return result

    return check


def go_type(schema: dict[str, Any]) -> str:
    """The Go type of a schema, as decoding errors name it: `string`, `[]v1.Container`, `map[string]string`."""
    if "$ref" in schema:
        package, _, short = schema["$ref"].rpartition(".")
        return f"{package.rpartition('.')[2]}.{short}"
    kind = schema.get("type")
    if kind == "array":
        return f"[]{go_type(schema.get('items') or {})}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"map[string]{go_type(values) if isinstance(values, dict) else 'interface {}'}"
    names = {"boolean": "bool", "integer": schema.get("format") or "int64", "number": "float64"}
    return names.get(str(kind), "string")


@functools.cache
def definition(name: str) -> Check:
    """The compiled check of a definition."""
    if name in (QUANTITY, TIME, MICRO_TIME):
        return {QUANTITY: _quantity, TIME: _time, MICRO_TIME: _micro_time}[name]
    schema = facts.definitions()[name]
    if schema.get("properties"):
        return _struct(name, schema)
    if schema.get("type") in (None, "object") and "additionalProperties" not in schema:
        return _scalar({})
    return compiled(schema)


def _zero(schema: dict[str, Any]) -> Any:
    """What a null stands for among the values of a map: Go's zero value of their type."""
    if schema.get("$ref") == QUANTITY:
        return "0"
    kinds: dict[str, Any] = {"array": [], "object": {}, "integer": 0, "number": 0, "boolean": False, "string": ""}
    return {} if "$ref" in schema else kinds.get(str(schema.get("type")), "")


def compiled(schema: dict[str, Any]) -> Check:
    if "$ref" in schema:
        return definition(schema["$ref"])
    if schema.get("type") == "array":
        items = schema.get("items") or {}
        return _list(compiled(items), go_type(items))
    if schema.get("type") == "object":
        if isinstance(schema.get("additionalProperties"), dict):
            values = schema["additionalProperties"]
            return _map(compiled(values), go_type(values), _zero(values))
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
