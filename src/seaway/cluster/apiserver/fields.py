"""Field selectors: which fields a resource can be selected by, and their values; pure."""

from __future__ import annotations

from typing import Any

from seaway.api.selectors import FieldTerm
from seaway.api.tree import get
from seaway.cluster.apiserver.custom import jsonpath
from seaway.cluster.apiserver.status import ApiError, bad_request

# resource.group -> selectable fields beyond metadata.name and metadata.namespace
FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "events.events.k8s.io": (
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "source",
        "type",
    ),
    "replicationcontrollers": ("status.replicas",),
    "jobs.batch": ("status.successful",),
    "certificatesigningrequests.certificates.k8s.io": ("spec.signerName",),
}
# Kinds whose own conversion function knows no namespace.
WITHOUT_NAMESPACE = frozenset({"nodes", "namespaces", "certificatesigningrequests.certificates.k8s.io"})
DEFAULTS = {
    "spec.unschedulable": "false",
    "spec.hostNetwork": "false",
    "status.replicas": "0",
    "status.successful": "0",
}


def values(resource: str, tree: dict[str, Any]) -> dict[str, str]:
    """Every selectable field of an object, as text."""
    meta = tree.get("metadata") or {}
    found = {"metadata.name": meta.get("name", ""), "metadata.namespace": meta.get("namespace", "")}
    for path in FIELDS.get(resource, ()):
        if path == "source":
            value = get(tree, "source", "component") or tree.get("reportingComponent")
        elif path == "status.podIPs":
            value = ",".join(ip.get("ip", "") for ip in get(tree, "status", "podIPs") or ())
        elif path == "status.successful":
            value = get(tree, "status", "succeeded")
        else:
            value = get(tree, *path.split("."))
        if value is None:
            text = DEFAULTS.get(path, "")
        elif isinstance(value, bool):
            text = "true" if value else "false"
        else:
            text = str(value)
        found[path] = text
    return found


def custom_values(paths: tuple[str, ...], tree: dict[str, Any]) -> dict[str, str]:
    """The selectable fields of a custom resource's version, as text; a field that is not there is empty."""
    found = {}
    for path in paths:
        try:
            value, there = jsonpath.first(f".{path}", tree)
        except jsonpath.BadPath:  # a property that no path can name
            value, there = None, False
        if isinstance(value, bool):
            found[path] = "true" if value else "false"
        else:
            found[path] = str(value) if there and value is not None else ""
    return found


def check_custom(paths: tuple[str, ...], namespaced: bool, terms: tuple[FieldTerm, ...]) -> None:
    """Refuses a selector over a field that a custom resource cannot be selected by (conversion/converter.go)."""
    known = {"metadata.name", *paths, *(("metadata.namespace",) if namespaced else ())}
    for term in terms:
        if term.path not in known:
            raise bad_request(f"field label not supported: {term.path}")


def check(resource: str, kind: str, terms: tuple[FieldTerm, ...]) -> None:
    """Refuses a selector over a field that cannot be selected by."""
    known = (*FIELDS.get(resource, ()), "metadata.name")
    if resource not in WITHOUT_NAMESPACE:
        known = (*known, "metadata.namespace")
    for term in terms:
        if term.path not in known:
            raise unsupported_label(resource, kind, term.path)


def unsupported_label(resource: str, kind: str, path: str) -> ApiError:
    """The refusal, in the words of the kind's own conversion function."""
    if resource == "jobs.batch":
        return bad_request(f'field label "{path}" not supported for {kind}')
    if resource in FIELDS:
        return bad_request(f"field label not supported: {path}")
    return bad_request(f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def matches(terms: tuple[FieldTerm, ...], have: dict[str, str]) -> bool:
    return all((have.get(t.path, "") == t.value) == t.equal for t in terms)
