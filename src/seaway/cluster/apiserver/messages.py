"""What the facts tables say of a protobuf message: its fields by their JSON names, which are embedded, which are pointers; pure.

Go embeds some messages (VolumeSource in Volume): in JSON their fields stand in the parent, which the OpenAPI definition
shows. A few fields have another name in protobuf than in JSON (`Webhooks`, `uID`): the definition's name counts.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from seaway.api import facts

PREFIX = "k8s.io."
SCALARS = frozenset({"string", "bool", "int32", "int64", "uint32", "uint64", "bytes", "double", "float"})
QUANTITY = "k8s.io.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "k8s.io.apimachinery.pkg.util.intstr.IntOrString"
TIMES = {"k8s.io.apimachinery.pkg.apis.meta.v1.Time": 0, "k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime": 6}
FIELDS_V1 = "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1"
RAW = "k8s.io.apimachinery.pkg.runtime.RawExtension"
VERBS = "k8s.io.api.rbac.v1.Verbs"
_EXTENSIONS = "k8s.io.apiextensions-apiserver.pkg.apis.apiextensions.v1."
JSON = f"{_EXTENSIONS}JSON"
SCHEMA = f"{_EXTENSIONS}JSONSchemaProps"
# Messages that are one thing or another in JSON: a schema, or (field number of the schema, of what else it may be, its type).
UNIONS = {
    f"{SCHEMA}OrArray": (1, 2, SCHEMA),
    f"{SCHEMA}OrBool": (2, 1, "bool"),
    f"{SCHEMA}OrStringArray": (1, 2, "string"),
}
_STRINGS = {"items": (1, "repeated string")}
# Embedded messages have no definition of their own; these of their fields are pointers.
EMBEDDED_POINTERS = frozenset(
    {"scope", "uid", "restartPolicy", "observedGeneration", "targetAverageUtilization", "currentAverageUtilization"}
)


class Field(NamedTuple):
    """A field: `kind` is a scalar or a message in full, `shape` one of "", "repeated", "map" and "inline"."""

    name: str
    number: int
    kind: str
    shape: str
    pointer: bool


def message_of(definition: str) -> str:
    """`io.k8s.api.core.v1.Pod` -> `k8s.io.api.core.v1.Pod`."""
    return PREFIX + definition.removeprefix("io.k8s.")


def _definition(message: str) -> str:
    for name in ("io." + message, "io.k8s." + message.removeprefix(PREFIX)):
        if name in facts.definitions():
            return name
    return ""


def _full(owner: str, name: str) -> str:
    """A type name as a field of `owner` writes it, in full."""
    name = name.removeprefix(".")
    if name in SCALARS or name.startswith(PREFIX):
        return name
    return f"{owner.rpartition('.')[0]}.{name}"


def _is_embedded(message: str, shown: dict[str, str]) -> bool:
    """Whether the fields of a message stand among those that are shown of its parent."""
    return any(name.lower() in shown for name in facts.messages().get(message, {}))


@functools.cache
def fields_of(message: str) -> tuple[Field, ...]:
    """The fields of a message by number, without those of a later version; KeyError where there is no such message."""
    definition = _definition(message)
    properties = facts.definitions().get(definition, {}).get("properties")
    shown = {name.lower(): name for name in properties or ()}
    zeros = facts.zeros().get(definition, {})
    plain = {*zeros.get("omit", ()), *(k for k, v in zeros.get("show", {}).items() if v is not None)}
    found = []
    for name, (number, kind) in facts.messages()[message].items():
        name, shape = shown.get(name.lower(), name), ""
        if kind.startswith("map<"):
            kind, shape = kind[4:-1].partition(",")[2].strip(), "map"
        elif kind.startswith("repeated "):
            kind, shape = kind[9:], "repeated"
        kind = _full(message, kind)
        if kind not in SCALARS and properties is not None and name not in properties:
            if shape or not _is_embedded(kind, shown):
                continue  # a field that this version's API has not yet: it is in no definition
            shape = "inline"
        pointer = name not in plain if properties is not None else name in EMBEDDED_POINTERS
        found.append(Field(name, number, kind, shape, pointer))
    return tuple(sorted(found, key=lambda f: f.number))


@functools.cache
def by_number(message: str) -> dict[int, Field]:
    return {field.number: field for field in fields_of(message)}


def is_strings(message: str) -> bool:
    """Go's named slices of strings: ExtraValue, Verbs."""
    return message == VERBS or facts.messages().get(message) == _STRINGS
