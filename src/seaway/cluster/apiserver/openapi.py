"""OpenAPI v3 of what is served: a document a group version, made from the facts tables; pure (k8s.io/kube-openapi).

`paths` say which action and kind each operation is of, which is what kubectl and client generators read; `schemas` are the
definitions that those kinds need, with list types, merge keys and defaults.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from seaway import KUBERNETES_VERSION
from seaway.api import facts, kinds
from seaway.cluster.apiserver.custom import documents
from seaway.cluster.apiserver.custom.definition import Version
from seaway.cluster.apiserver.custom.registry import BUILTIN, Served
from seaway.cluster.apiserver.discovery import group_versions

Tree = dict[str, Any]
# action -> method
METHODS = {
    "get": "get",
    "list": "get",
    "watch": "get",
    "watchlist": "get",
    "post": "post",
    "put": "put",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "delete",
    "connect": "get",
}
PATCHES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
WRITES = ("dryRun", "fieldManager", "fieldValidation")
PATCH_BODY = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"


def index(served: Served) -> bytes:
    """What /openapi/v3 answers."""
    made: bytes = served.once("openapi", lambda: _index(served))
    return made


def _index(served: Served) -> bytes:
    found = {}
    for group, versions in group_versions(served).items():
        for v in versions:
            path = f"apis/{group}/{v}" if group else f"api/{v}"
            digest = documents.digest(group, v, served) or _digest(group, v)
            found[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return msgspec.json.encode({"paths": found})


ONE_OF = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": [{"type": "string"}, {"type": "number"}],
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": [{"type": "integer"}, {"type": "string"}],
}


def refs(value: Any, found: set[str], struct: str = "") -> Any:
    """A schema in OpenAPI v3's form; collects the definitions named. `struct`: the definition whose fields these are.

    A field that is another definition is an allOf of it, so that its own defaults may stand beside the reference.
    """
    if isinstance(value, list):
        return [refs(v, found) for v in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$ref"), str):
        name = value["$ref"]
        found.add(name)
        rest = {k: v for k, v in value.items() if k != "$ref"}
        return {"allOf": [{"$ref": f"#/components/schemas/{name}"}], **rest}
    result = {k: refs(v, found) for k, v in value.items() if k != "properties"}
    if "properties" in value:
        shown, defaults = facts.zeros().get(struct, {}).get("show", {}), facts.DEFAULTS.get(struct, {})
        result["properties"] = {k: refs(v, found) for k, v in value["properties"].items()}
        for field, schema in result["properties"].items():
            if field in defaults:
                schema["default"] = defaults[field]
            elif shown.get(field) == {}:
                schema["default"] = {}
    return result


def _schema(name: str, found: set[str]) -> Tree:
    """A definition in OpenAPI v3's form."""
    if name in ONE_OF:
        own = {k: v for k, v in facts.definitions()[name].items() if k != "type"}
        return {"oneOf": ONE_OF[name], **own}
    schema: Tree = refs(facts.definitions()[name], found, name)
    return schema


def _reference(name: str) -> Tree:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(action: str, definition: str) -> str:
    """The definition of an operation's answer."""
    if action == "list" and f"{definition}List" in facts.definitions():
        return f"{definition}List"
    return STATUS if action in ("delete", "deletecollection") else definition


def _operation(action: str, gvk: list[str], definition: str, needed: set[str]) -> Tree:
    group, version, kind = gvk
    found: Tree = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }
    answer = _answer(action, definition)
    responses: Tree = {"401": {"description": "Unauthorized"}}
    if answer in facts.definitions():
        needed.add(answer)
        responses["200"] = {"description": "OK", "content": {"application/json": {"schema": _reference(answer)}}}
    else:
        responses["200"] = {"description": "OK"}
    found["responses"] = responses
    if action in ("post", "put", "patch"):
        text = {"type": "string", "uniqueItems": True}
        names = (*WRITES, "force") if action == "patch" else WRITES
        found["parameters"] = [{"name": n, "in": "query", "schema": text} for n in names]
        if action == "patch":
            content = {media: {"schema": _reference(PATCH_BODY)} for media in PATCHES}
        else:
            content = {"*/*": {"schema": _reference(definition)}}
            needed.add(definition)
        found["requestBody"] = {"content": content, "required": True}
    return found


def _paths(group: str, version: str, needed: set[str]) -> Tree:
    prefix = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    served = {k.resource for k in kinds.builtin() if (k.group, k.version) == (group, version)}
    result: Tree = {}
    for path, fact in sorted(facts.openapi()["paths"].items()):
        if not path.startswith(prefix) or not fact.get("gvk"):
            continue
        parts = [p for p in path.removeprefix(prefix).split("/") if p != "watch"]
        if parts[0] == "namespaces" and len(parts) > 2 and parts[1] == "{namespace}":
            parts = parts[2:]
        if parts[0] not in served:
            continue
        definition = facts.definition_of(*fact["gvk"]) or ""
        item: Tree = {}
        for action in dict.fromkeys(fact["actions"]):
            item[METHODS[action]] = _operation(action, fact["gvk"], definition, needed)
            if action == "connect" and fact["actions"].count("connect") > 1:
                item["post"] = _operation(action, fact["gvk"], definition, needed)
        result[path] = item
    return result


@functools.cache
def _digest(group: str, version: str) -> str:
    return hashlib.sha256(_builtin(group, version)).hexdigest().upper()


def document(group: str, version: str, served: Served = BUILTIN) -> bytes:
    """The document of a group version: paths with their actions and kinds, and every schema they need."""
    custom = documents.of(group, version, served)
    if not custom:
        return _builtin(group, version)
    made: bytes = served.once(("openapi", group, version), lambda: _with_custom(group, version, custom))
    return made


@functools.cache
def _builtin(group: str, version: str) -> bytes:
    return _document(group, version, {}, {})


def _with_custom(group: str, version: str, custom: list[Version]) -> bytes:
    found: set[str] = set()
    paths: Tree = {}
    schemas: Tree = {}
    for one in custom:
        paths.update(documents.paths(one))
        schemas.update({name: refs(schema, found) for name, schema in documents.schemas(one).items()})
    return _document(group, version, paths, schemas, found)


def _document(group: str, version: str, more: Tree, given: Tree, wanted: Iterable[str] = ()) -> bytes:
    needed: set[str] = set(wanted)
    paths = {**_paths(group, version, needed), **more}
    schemas: Tree = {PATCH_BODY: {"type": "object"}, **given}
    if more:
        needed.update((STATUS, documents.SCALE))
    queue = sorted(needed)
    while queue:
        name = queue.pop()
        if name in schemas or name not in facts.definitions():
            continue
        found: set[str] = set()
        schemas[name] = _schema(name, found)
        queue += sorted(found)
    return msgspec.json.encode(
        {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
            "paths": paths,
            "components": {"schemas": schemas},
        }
    )
