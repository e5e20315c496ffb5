"""OpenAPI v3 of custom kinds: their paths and schemas for the document of their group version; pure
(k8s.io/apiextensions-apiserver pkg/controller/openapi/builder)."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.custom import models
from seaway.cluster.apiserver.custom.definition import Version
from seaway.cluster.apiserver.custom.registry import Served

Tree = dict[str, Any]
SCALE = "io.k8s.api.autoscaling.v1.Scale"
STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
PATCHES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
WRITES = ("dryRun", "fieldManager", "fieldValidation")
GVK = "x-kubernetes-group-version-kind"


def of(group: str, version: str, served: Served) -> list[Version]:
    """The custom kinds of a group version."""
    return [k.custom for k in served.told if (k.group, k.version) == (group, version)]


def digest(group: str, version: str, served: Served) -> str:
    """A text that changes when the document does; "" where no custom kind is in it."""
    marks = [v.definition.mark.replace("-", "").replace("/", "") for v in of(group, version, served)]
    return "".join(marks).upper()


def _reference(name: str) -> Tree:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str, place: str) -> Tree:
    return {"name": name, "in": place, "schema": {"type": "string", "uniqueItems": True}}


def _operation(version: Version, action: str, answer: str, body: str = "") -> Tree:
    kind = version.kind
    found: Tree = {
        "x-kubernetes-action": action,
        GVK: {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": _reference(answer)}}},
            "401": {"description": "Unauthorized"},
        },
    }
    if action in ("post", "put", "patch"):
        names = (*WRITES, "force") if action == "patch" else WRITES
        found["parameters"] = [_parameter(n, "query") for n in names]
        medias = PATCHES if action == "patch" else ("*/*",)
        found["requestBody"] = {"content": {m: {"schema": _reference(body)} for m in medias}, "required": True}
    return found


def paths(version: Version) -> Tree:
    """The paths of a version with their operations."""
    kind = version.kind
    own = models.model_name(kind.group, kind.version, kind.kind)
    listed = models.model_name(kind.group, kind.version, kind.listed)
    base = f"/apis/{kind.group}/{kind.version}"
    root = f"{base}/namespaces/{{namespace}}/{kind.resource}" if kind.namespaced else f"{base}/{kind.resource}"
    place = [_parameter("namespace", "path")] if kind.namespaced else []
    item = [*place, _parameter("name", "path")]
    result: Tree = {}
    if kind.namespaced:
        result[f"{base}/{kind.resource}"] = {"get": _operation(version, "list", listed)}
    result[root] = {
        "get": _operation(version, "list", listed),
        "post": _operation(version, "post", own, own),
        "delete": _operation(version, "deletecollection", STATUS),
        "parameters": place,
    }
    result[f"{root}/{{name}}"] = {
        "get": _operation(version, "get", own),
        "put": _operation(version, "put", own, own),
        "delete": _operation(version, "delete", STATUS),
        "patch": _operation(version, "patch", own, PATCH),
        "parameters": item,
    }
    for part, there, shape in (("status", version.has_status, own), ("scale", version.scale is not None, SCALE)):
        if there:
            result[f"{root}/{{name}}/{part}"] = {
                "get": _operation(version, "get", shape),
                "put": _operation(version, "put", shape, shape),
                "patch": _operation(version, "patch", shape, PATCH),
                "parameters": item,
            }
    return result


def schemas(version: Version) -> Tree:
    """The schemas of a version's objects and lists, by name; references are to definitions."""
    kind = version.kind
    own = models.model_name(kind.group, kind.version, kind.kind)
    gvk = {"group": kind.group, "version": kind.version}
    found = models.native(version.schema) if version.schema.get("properties") else {"type": "object"}
    if version.schema.get("x-kubernetes-preserve-unknown-fields"):
        found = {**models.native(version.schema), "x-kubernetes-preserve-unknown-fields": True}
    fields = [{"fieldPath": path} for path in version.selectable]
    more: Tree = {"x-kubernetes-selectable-fields": fields} if fields else {}
    listed: Tree = {
        "description": f"{kind.listed} is a list of {kind.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **models.type_fields(),
            "items": {
                "description": f"List of {kind.resource}. More info: "
                "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
                "type": "array",
                "items": {"$ref": own},
            },
            "metadata": {"$ref": models.LIST_META, "description": models.LIST_METADATA},
        },
        GVK: [{**gvk, "kind": kind.listed}],
    }
    return {
        own: {**found, GVK: [{**gvk, "kind": kind.kind}], **more},
        models.model_name(kind.group, kind.version, kind.listed): {**listed, **more},
    }
