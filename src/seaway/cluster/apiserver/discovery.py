"""What the server says of itself: versions, groups, resources (plain and aggregated), OpenAPI v3; pure.

`served` is what there is at the moment; what is made of it is remembered with it.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from typing import Any

import msgspec

from seaway import KUBERNETES_VERSION
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import openapi_v2
from seaway.cluster.apiserver.custom.registry import BUILTIN, Served
from seaway.cluster.apiserver.custom.versions import newest_first

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


# In which order groups are told; the same numbers are the APIServices' groupPriorityMinimum (kube-apiserver aggregator.go).
PRIORITIES = {
    "": 18000,
    "apiregistration.k8s.io": 17900,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
}
ANY_PRIORITY = 1000


def group_versions(served: Served = BUILTIN) -> dict[str, tuple[str, ...]]:
    """group -> versions, the preferred one first; groups in the order of discovery."""
    found: dict[str, tuple[str, ...]] = served.once("groups", lambda: _group_versions(served))
    return found


def _group_versions(served: Served) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for kind in served.kinds:
        versions = found.setdefault(kind.group, [])
        if kind.version not in versions:
            versions.append(kind.version)
    order = sorted(found, key=lambda g: (-PRIORITIES.get(g, ANY_PRIORITY), g))
    return {g: tuple(newest_first(found[g])) for g in order}


def api_versions(address: str) -> Tree:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def _group(name: str, served: Served) -> Tree:
    versions = [{"groupVersion": f"{name}/{v}", "version": v} for v in group_versions(served)[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def group(name: str, served: Served) -> Tree:
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, served)}


def groups(served: Served) -> Tree:
    found = [_group(g, served) for g in group_versions(served) if g]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def _in(group_name: str, version_name: str, served: Served) -> list[Kind]:
    return [k for k in served.kinds if (k.group, k.version) == (group_name, version_name)]


def _verbs(kind: Kind) -> list[str]:
    if not kind.stored:
        return ["create"]
    return list(kind.verbs if kind.custom is None else kind.custom.definition.told_verbs)


def resources(group_name: str, version_name: str, served: Served) -> Tree:
    """APIResourceList of a group version."""
    rows: list[Tree] = []
    for kind in _in(group_name, version_name, served):
        row: Tree = {
            "name": kind.resource,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": _verbs(kind),
        }
        if kind.short_names:
            row["shortNames"] = list(kind.short_names)
        if kind.categories:
            row["categories"] = list(kind.categories)
        if kind.custom is not None:
            row["storageVersionHash"] = _storage_hash(kind.custom.definition.storage.kind)
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
        # Of custom resources the status comes before the scale (customresource_discovery_controller.go).
        "resources": rows if rows and "storageVersionHash" in rows[0] else sorted(rows, key=lambda r: r["name"]),
    }


def _storage_hash(kind: Kind) -> str:
    """Tells clients when the stored form becomes another (discovery.StorageVersionHash)."""
    digest = hashlib.sha256(f"{kind.api_version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _aggregated(kind: Kind) -> Tree:
    # A built-in kind of the group version itself names neither group nor version.
    own = {"group": "", "version": ""} if kind.custom is None else {"group": kind.group, "version": kind.version}
    row: Tree = {
        "resource": kind.resource,
        "responseKind": {**own, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    subs = []
    for name, (sub_kind, verbs) in kind.subresources.items():
        g, v, k = SUBRESOURCE_KINDS.get(name, (own["group"], own["version"], sub_kind))
        subs.append({"subresource": name, "responseKind": {"group": g, "version": v, "kind": k}, "verbs": list(verbs)})
    if subs:
        row["subresources"] = subs
    return row


def aggregated(core: bool, served: Served) -> bytes:
    """APIGroupDiscoveryList (KEP-3352) of /api or /apis."""
    found: bytes = served.once(("aggregated", core), lambda: _aggregated_list(core, served))
    return found


def _aggregated_list(core: bool, served: Served) -> bytes:
    items = []
    for name, versions in group_versions(served).items():
        if (name == "") != core:
            continue
        entries = [
            {"version": v, "resources": [_aggregated(k) for k in _in(name, v, served)], "freshness": "Current"}
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


def openapi_v2_document(served: Served) -> bytes:
    """The paths of all kinds, in the form of version 2."""

    def make() -> bytes:
        known = (k for k in served.kinds if k.definition or k.custom is not None)
        return openapi_v2.document(known, KUBERNETES_VERSION)

    found: bytes = served.once("v2", make)
    return found
