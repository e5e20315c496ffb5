"""A custom resource's schema as the server publishes it: with apiVersion, kind and metadata, in embedded resources too; pure
(k8s.io/apiextensions-apiserver pkg/controller/openapi/builder)."""

from __future__ import annotations

from typing import Any

Tree = dict[str, Any]
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
API_VERSION = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas "
    "to the latest internal value, and may reject unrecognized values. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
KIND = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint "
    "the client submits requests to. Cannot be updated. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
METADATA = (
    "Standard object's metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
LIST_METADATA = (
    "Standard list metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
EMBEDDED_API_VERSION = (
    "apiVersion defines the versioned schema of this representation of an object. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
EMBEDDED_KIND = (
    "kind is a string value representing the type of this object. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)


def type_fields(api_version: str = API_VERSION, kind: str = KIND) -> Tree:
    """apiVersion, kind and metadata."""
    return {
        "apiVersion": {"type": "string", "description": api_version},
        "kind": {"type": "string", "description": kind},
        "metadata": {"$ref": OBJECT_META, "description": METADATA},
    }


def native(schema: Tree) -> Tree:
    """The schema of a whole object. References are to definitions by name, as in the facts tables."""
    found = _embedded(schema)
    properties = {**(found.get("properties") or {}), **type_fields()}
    return {**found, "type": "object", "properties": properties}


def _embedded(schema: Tree) -> Tree:
    result = dict(schema)
    if isinstance(schema.get("properties"), dict):
        result["properties"] = {k: _embedded(v) for k, v in schema["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            result[name] = _embedded(schema[name])
    if schema.get("x-kubernetes-embedded-resource"):
        fields = type_fields(EMBEDDED_API_VERSION, EMBEDDED_KIND)
        result["properties"] = {**(result.get("properties") or {}), **fields}
        required = list(schema.get("required") or ())
        result["required"] = required + [n for n in ("kind", "apiVersion") if n not in required]
    return result


def model_name(group: str, version: str, kind: str) -> str:
    """`com.example.v1.Thing`."""
    return ".".join([*reversed(group.split(".")), version, kind])
