"""OpenAPI v2 as gnostic's protobuf: the one form that clients ask for; pure.

kubectl looks here for one thing: whether a kind's PATCH takes `fieldValidation`, for files of `kind: List` (its verifier of
version 3 does not know that kind). So the document holds every kind's paths and no schemas; those are in version 3.
Field numbers are those of google/gnostic openapiv2/OpenAPIv2.proto.
"""

from __future__ import annotations

from collections.abc import Iterable

from seaway.api import kinds
from seaway.api.kinds import Kind

ACCEPT = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
GVK = "x-kubernetes-group-version-kind"
# (PathItem's field, action) of an item's operations.
OPERATIONS = ((2, "get"), (3, "put"), (5, "delete"), (8, "patch"))


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes((number & 127 | 128,))
        number >>= 7
    return found + bytes((number,))


def _field(number: int, value: bytes | str) -> bytes:
    """A field with a length: text, bytes or a message."""
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _extension(name: str, yaml: str) -> bytes:
    return _field(1, name) + _field(2, _field(2, yaml))  # NamedAny{name, Any{yaml}}


def _query_parameter(name: str) -> bytes:
    schema = _field(2, "query") + _field(4, name) + _field(6, "string")
    return _field(
        1, _field(2, _field(3, schema))
    )  # ParametersItem{Parameter{NonBodyParameter{QueryParameterSubSchema}}}


def _operation(kind: Kind, action: str) -> bytes:
    yaml = f'group: "{kind.group}"\nkind: {kind.kind}\nversion: {kind.version}\n'
    found = b"".join(_field(8, _query_parameter(n)) for n in PARAMETERS) if action in ("put", "patch") else b""
    found += _field(13, _extension(GVK, yaml))
    return found + _field(13, _extension("x-kubernetes-action", action + "\n"))


def document(known: Iterable[Kind], version: str) -> bytes:
    """The document of these kinds."""
    paths = b""
    for kind in known:
        item = b"".join(_field(number, _operation(kind, action)) for number, action in OPERATIONS)
        path = kinds.path(kind, "{namespace}" if kind.namespaced else "") + "/{name}"
        paths += _field(2, _field(1, path) + _field(2, item))
    info = _field(1, "Kubernetes") + _field(2, version)
    return _field(1, "2.0") + _field(2, info) + _field(8, paths)
