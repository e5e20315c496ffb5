"""What the API serves: every built-in resource with its kind, scope, verbs and short names.

Paths, scopes and verbs come from the facts table; the few facts that OpenAPI does not hold (short names, categories)
stand here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

from seaway.api import facts

# resource.group -> short names
SHORT_NAMES = {
    "configmaps": "cm",
    "endpoints": "ep",
    "events": "ev",
    "limitranges": "limits",
    "namespaces": "ns",
    "nodes": "no",
    "persistentvolumeclaims": "pvc",
    "persistentvolumes": "pv",
    "pods": "po",
    "replicationcontrollers": "rc",
    "resourcequotas": "quota",
    "serviceaccounts": "sa",
    "services": "svc",
    "componentstatuses": "cs",
    "daemonsets.apps": "ds",
    "deployments.apps": "deploy",
    "replicasets.apps": "rs",
    "statefulsets.apps": "sts",
    "horizontalpodautoscalers.autoscaling": "hpa",
    "cronjobs.batch": "cj",
    "certificatesigningrequests.certificates.k8s.io": "csr",
    "events.events.k8s.io": "ev",
    "ingresses.networking.k8s.io": "ing",
    "networkpolicies.networking.k8s.io": "netpol",
    "ipaddresses.networking.k8s.io": "ip",
    "poddisruptionbudgets.policy": "pdb",
    "priorityclasses.scheduling.k8s.io": "pc",
    "storageclasses.storage.k8s.io": "sc",
    "volumeattributesclasses.storage.k8s.io": "vac",
    "customresourcedefinitions.apiextensions.k8s.io": "crd,crds",
}
CATEGORIES = {
    "pods": "all",
    "replicationcontrollers": "all",
    "services": "all",
    "daemonsets.apps": "all",
    "deployments.apps": "all",
    "replicasets.apps": "all",
    "statefulsets.apps": "all",
    "horizontalpodautoscalers.autoscaling": "all",
    "cronjobs.batch": "all",
    "jobs.batch": "all",
    "validatingadmissionpolicies.admissionregistration.k8s.io": "api-extensions",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": "api-extensions",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": "api-extensions",
    "validatingwebhookconfigurations.admissionregistration.k8s.io": "api-extensions",
    "apiservices.apiregistration.k8s.io": "api-extensions",
    "customresourcedefinitions.apiextensions.k8s.io": "api-extensions",
}
VERBS = {
    "post": "create",
    "put": "update",
    "patch": "patch",
    "delete": "delete",
    "get": "get",
    "list": "list",
    "deletecollection": "deletecollection",
}
# Groups that nothing here serves: a group in discovery is a promise.
UNSERVED_GROUPS = frozenset({"flowcontrol.apiserver.k8s.io", "resource.k8s.io"})
UNSERVED = frozenset({"componentstatuses"})
# Reviews are answered, never stored.
REVIEWS = frozenset(
    {
        "tokenreviews",
        "subjectaccessreviews",
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
        "localsubjectaccessreviews",
        "selfsubjectreviews",
        "bindings",
    }
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A served resource. `verbs` are discovery's; `subresources` maps a name such as `status` to its verbs.

    `custom` is what the API server knows of a custom resource's version; None for built-in kinds and everywhere else.
    `singular_name` and `list_kind` are empty where they follow from the kind's name.
    """

    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    definition: str = ""
    singular_name: str = ""
    list_kind: str = ""
    custom: Any = field(default=None, compare=False, repr=False)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """`deployments.apps`, the form that messages use."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def singular(self) -> str:
        return self.singular_name or self.kind.lower()

    @property
    def listed(self) -> str:
        """The kind of its lists."""
        return self.list_kind or f"{self.kind}List"

    @property
    def stored(self) -> bool:
        return self.resource not in REVIEWS


def _split(path: str) -> tuple[str, str, bool, str, str] | None:
    """(group, version, namespaced, resource, subresource) of a path of the facts table; None for other paths."""
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 2:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespaced = rest[:2] == ["namespaces", "{namespace}"]
    if namespaced:
        rest = rest[2:]
    if not rest or rest[0] == "watch":
        return None
    resource = rest[0]
    subresource = rest[2] if len(rest) > 2 else ""
    if len(rest) > 3 or (len(rest) > 1 and rest[1] != "{name}"):
        return None
    return group, version, namespaced, resource, subresource


@functools.cache
def builtin() -> tuple[Kind, ...]:
    """Every built-in resource that is served, in discovery's order (by group, then resource)."""
    found: dict[tuple[str, str, str], dict[str, object]] = {}
    verbs: dict[tuple[str, str, str], set[str]] = {}
    subs: dict[tuple[str, str, str], dict[str, tuple[str, set[str]]]] = {}
    for path, fact in facts.openapi()["paths"].items():
        where = _split(path)
        if where is None or where[0] in UNSERVED_GROUPS or where[3] in UNSERVED:
            continue
        group, version, namespaced, resource, subresource = where
        if resource == "namespaces" and not namespaced and subresource == "" and "{namespace}" in path:
            continue
        key = (group, version, resource)
        seen = {VERBS[a] for a in fact["actions"] if a in VERBS}
        if subresource:
            sub = subs.setdefault(key, {}).setdefault(subresource, (fact["gvk"][2], set()))
            sub[1].update(seen)
            if "connect" in fact["actions"]:
                sub[1].update(
                    {"create", "get"} if subresource != "proxy" else {"create", "delete", "get", "patch", "update"}
                )
            continue
        if not fact.get("gvk"):
            continue
        found.setdefault(key, {"kind": fact["gvk"][2], "namespaced": False})
        if namespaced:
            found[key]["namespaced"] = True
        verbs.setdefault(key, set()).update(seen)
        if "list" in seen:
            verbs[key].add("watch")
    result = []
    for key in sorted(found):
        group, version, resource = key
        kind = str(found[key]["kind"])
        name = f"{resource}.{group}" if group else resource
        result.append(
            Kind(
                group,
                version,
                resource,
                kind,
                bool(found[key]["namespaced"]),
                tuple(sorted(verbs[key])),
                tuple(filter(None, SHORT_NAMES.get(name, "").split(","))),
                tuple(filter(None, CATEGORIES.get(name, "").split(","))),
                {s: (k, tuple(sorted(v))) for s, (k, v) in sorted(subs.get(key, {}).items())},
                facts.definition_of(group, version, kind) or "",
            )
        )
    return tuple(result)


@functools.cache
def by_resource() -> dict[tuple[str, str, str], Kind]:
    """(group, version, resource) -> Kind."""
    return {(k.group, k.version, k.resource): k for k in builtin()}


@functools.cache
def by_kind() -> dict[tuple[str, str], Kind]:
    """(apiVersion, kind) -> Kind, for those that are stored under their own resource."""
    return {(k.api_version, k.kind): k for k in builtin()}


@functools.cache
def groups() -> frozenset[str]:
    """The groups of built-in kinds."""
    return frozenset(k.group for k in builtin())


def path(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path of a collection, an object or a subresource."""
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    if namespace and kind.namespaced:
        base += f"/namespaces/{namespace}"
    return "/".join(filter(None, (base, kind.resource, name, subresource)))
