"""OpenAPI v2 as gnostic's protobuf: the one form that clients ask for; pure.

kubectl looks here for one thing: whether a kind's PATCH takes `fieldValidation`, for files of `kind: List` (its verifier of
version 3 does not know that kind). So the document holds every kind's paths and no schemas; those are in version 3.
Field numbers are those of google/gnostic openapiv2/OpenAPIv2.proto.
"""

from __future__ import annotations

from collections.abc import Iterable

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.protowire import sized

ACCEPT = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
GVK = "x-kubernetes-group-version-kind"
# (PathItem's field, action) of an item's operations.
OPERATIONS = ((2, "get"), (3, "put"), (5, "delete"), (8, "patch"))


def _extension(name: str, yaml: str) -> bytes:
    return sized(1, name) + sized(2, sized(2, yaml))  # NamedAny{name, Any{yaml}}


def _query_parameter(name: str) -> bytes:
    schema = sized(2, "query") + sized(4, name) + sized(6, "string")
    return sized(
        1, sized(2, sized(3, schema))
    )  # ParametersItem{Parameter{NonBodyParameter{QueryParameterSubSchema}}}


def _operation(kind: Kind, action: str) -> bytes:
    yaml = f'group: "{kind.group}"\nkind: {kind.kind}\nversion: {kind.version}\n'
    found = b"".join(sized(8, _query_parameter(n)) for n in PARAMETERS) if action in ("put", "patch") else b""
    found += sized(13, _extension(GVK, yaml))
    return found + sized(13, _extension("x-kubernetes-action", action + "\n"))


def document(known: Iterable[Kind], version: str) -> bytes:
    """The document of these kinds."""
    paths = b""
    for kind in known:
        item = b"".join(sized(number, _operation(kind, action)) for number, action in OPERATIONS)
        path = kinds.path(kind, "{namespace}" if kind.namespaced else "") + "/{name}"
        paths += sized(2, sized(1, path) + sized(2, item))
    info = sized(1, "Kubernetes") + sized(2, version)
    return sized(1, "2.0") + sized(2, info) + sized(8, paths)
