"""What the server says of itself: versions, groups, resources (plain and aggregated), OpenAPI v3; pure."""

from __future__ import annotations

import functools
import hashlib
import platform
from typing import Any

import msgspec

from seaway import KUBERNETES_VERSION
from seaway.api import facts, kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import openapi_v2

Tree = dict[str, Any]
SUBRESOURCE_KINDS = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
}


def version() -> Tree:
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": KUBERNETES_VERSION + "+seaway",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "cpython",
        "platform": f"linux/{'amd64' if platform.machine() == 'x86_64' else platform.machine()}",
    }


@functools.cache
def group_versions() -> dict[str, tuple[str, ...]]:
    """group -> versions, the preferred one first."""
    found: dict[str, list[str]] = {}
    for kind in kinds.builtin():
        versions = found.setdefault(kind.group, [])
        if kind.version not in versions:
            versions.append(kind.version)
    return {g: tuple(sorted(v, reverse=True)) for g, v in found.items()}


def api_versions(address: str) -> Tree:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def _group(name: str) -> Tree:
    versions = [{"groupVersion": f"{name}/{v}", "version": v} for v in group_versions()[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def group(name: str) -> Tree:
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)}


def groups() -> Tree:
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g) for g in group_versions() if g]}


def _in(group_name: str, version_name: str) -> list[Kind]:
    return [k for k in kinds.builtin() if (k.group, k.version) == (group_name, version_name)]


def resources(group_name: str, version_name: str) -> Tree:
    """APIResourceList of a group version."""
    rows: list[Tree] = []
    for kind in _in(group_name, version_name):
        row: Tree = {
            "name": kind.resource,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(kind.verbs),
        }
        if not kind.stored:
            row["verbs"] = ["create"]
        if kind.short_names:
            row["shortNames"] = list(kind.short_names)
        if kind.categories:
            row["categories"] = list(kind.categories)
        rows.append(row)
        for name, (sub_kind, verbs) in kind.subresources.items():
            sub: Tree = {
                "name": f"{kind.resource}/{name}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": sub_kind,
                "verbs": list(verbs),
            }
            if name in SUBRESOURCE_KINDS:
                sub["group"], sub["version"], sub["kind"] = SUBRESOURCE_KINDS[name]
            rows.append(sub)
    head: Tree = {"kind": "APIResourceList"}
    if group_name:
        head["apiVersion"] = "v1"
    return {
        **head,
        "groupVersion": f"{group_name}/{version_name}" if group_name else version_name,
        "resources": sorted(rows, key=lambda r: r["name"]),
    }


def _aggregated(kind: Kind) -> Tree:
    row: Tree = {
        "resource": kind.resource,
        "responseKind": {"group": "", "version": "", "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs) if kind.stored else ["create"],
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    subs = []
    for name, (sub_kind, verbs) in kind.subresources.items():
        # A kind of the group version itself names neither.
        g, v, k = SUBRESOURCE_KINDS.get(name, ("", "", sub_kind))
        subs.append({"subresource": name, "responseKind": {"group": g, "version": v, "kind": k}, "verbs": list(verbs)})
    if subs:
        row["subresources"] = subs
    return row


@functools.cache
def aggregated(core: bool) -> bytes:
    """APIGroupDiscoveryList (KEP-3352) of /api or /apis."""
    items = []
    for name, versions in group_versions().items():
        if (name == "") != core:
            continue
        entries = [
            {"version": v, "resources": [_aggregated(k) for k in _in(name, v)], "freshness": "Current"}
            for v in versions
        ]
        items.append(
            {
                "metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
                "versions": entries,
            }
        )
    return msgspec.json.encode(
        {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
    )


# OpenAPI v3


@functools.cache
def openapi_index() -> bytes:
    paths = {}
    for group_name, versions in group_versions().items():
        for v in versions:
            path = f"apis/{group_name}/{v}" if group_name else f"api/{v}"
            digest = hashlib.sha256(openapi_document(group_name, v)).hexdigest().upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return msgspec.json.encode({"paths": paths})


ONE_OF = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": [{"type": "string"}, {"type": "number"}],
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": [{"type": "integer"}, {"type": "string"}],
}


def _refs(value: Any, found: set[str], struct: str = "") -> Any:
    """A schema in OpenAPI v3's form; collects the definitions named. `struct`: the definition whose fields these are.

    A field that is another definition is an allOf of it, so that its own defaults may stand beside the reference.
    """
    if isinstance(value, list):
        return [_refs(v, found) for v in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$ref"), str):
        name = value["$ref"]
        found.add(name)
        rest = {k: v for k, v in value.items() if k != "$ref"}
        return {"allOf": [{"$ref": f"#/components/schemas/{name}"}], **rest}
    result = {k: _refs(v, found) for k, v in value.items() if k != "properties"}
    if "properties" in value:
        shown, defaults = facts.zeros().get(struct, {}).get("show", {}), facts.DEFAULTS.get(struct, {})
        result["properties"] = {k: _refs(v, found) for k, v in value["properties"].items()}
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
    schema: Tree = _refs(facts.definitions()[name], found, name)
    return schema


@functools.cache
def openapi_v2_document() -> bytes:
    """The paths of all kinds, in the form of version 2."""
    return openapi_v2.document((k for k in kinds.builtin() if k.definition), KUBERNETES_VERSION)


@functools.cache
def openapi_document(group_name: str, version_name: str) -> bytes:
    """The OpenAPI v3 document of a group version: paths with their kinds, and every schema they need."""
    paths: Tree = {}
    needed: set[str] = set()
    for kind in _in(group_name, version_name):
        if not kind.definition:
            continue
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        base = kinds.path(kind, "{namespace}" if kind.namespaced else "")
        ref = {"$ref": f"#/components/schemas/{kind.definition}"}
        needed.add(kind.definition)
        content = {"*/*": {"schema": ref}}
        validation = [
            {"name": n, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for n in ("dryRun", "fieldManager", "fieldValidation")
        ]
        answer = {"200": {"description": "OK", "content": {"application/json": {"schema": ref}}}}

        def operation(
            action: str,
            body: bool,
            gvk: Tree = gvk,
            content: Tree = content,
            answer: Tree = answer,
            validation: list[Tree] = validation,
        ) -> Tree:
            found: Tree = {"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk, "responses": answer}
            if body:
                found["requestBody"] = {"content": content}
                found["parameters"] = validation
            return found

        paths[base] = {m: operation(a, m == "post") for m, a in (("get", "list"), ("post", "post"))}
        item = {
            m: operation(a, m in ("put", "patch"))
            for m, a in (("get", "get"), ("put", "put"), ("patch", "patch"), ("delete", "delete"))
        }
        paths[base + "/{name}"] = item
    schemas: Tree = {}
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
