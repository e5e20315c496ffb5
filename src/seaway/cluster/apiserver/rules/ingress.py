"""Ingress and IngressClass: defaults, validation, warnings (pkg/apis/networking, pkg/registry/networking); pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from seaway.api.tree import get
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import addresses, ports
from seaway.cluster.apiserver.rules.service import hostname_causes
from seaway.cluster.apiserver.status import Cause, not_permitted, required, too_long, unsupported, wrong

Tree = dict[str, Any]
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
DEFAULT_CLASS_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
ENDINGS = ("/..", "/.")
CONTROLLER_LONGEST = 250
WILDCARD = "\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
WILDCARD_TEXT = formats.with_pattern(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower "
    "case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    WILDCARD,
    "*.example.com",
)


def wildcard(name: str) -> list[str]:
    """A host whose first part is a star."""
    found = [formats.too_long(253)] if len(name) > 253 else []
    return found if re.fullmatch(WILDCARD, name) else [*found, WILDCARD_TEXT]


def choose_class(tree: Tree, old: Tree | None, others: Callable[[str], Iterable[Tree]]) -> str:
    """The DefaultIngressClass admission: the newest default class, by name where two are as new."""
    spec, annotations = tree["spec"], tree["metadata"].get("annotations") or {}
    if old is None and spec.get("ingressClassName") is None and CLASS_ANNOTATION not in annotations:
        found = [
            c["metadata"]
            for c in others("ingressclasses.networking.k8s.io")
            if (c["metadata"].get("annotations") or {}).get(DEFAULT_CLASS_ANNOTATION) == "true"
        ]
        if found:
            newest = max(m["creationTimestamp"] for m in found)
            spec["ingressClassName"] = min(m["name"] for m in found if m["creationTimestamp"] == newest)
    return ""


def default_ingress(tree: Tree) -> None:
    if tree.get("spec") is None:
        tree["spec"] = {}


def begin_ingress(tree: Tree) -> None:
    tree["status"] = {"loadBalancer": {}}


def validate_new_ingress(tree: Tree) -> list[Cause]:
    """A new Ingress names its class in one way, or in both alike."""
    found = validate_ingress(tree)
    annotation = (tree["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    named = get(tree, "spec", "ingressClassName")
    if annotation is not None and named is not None and annotation != named:
        why = "must match `ingressClassName` when both are specified"
        found.append(wrong(f"annotations.{CLASS_ANNOTATION}", annotation, why))
    return found


def validate_ingress(tree: Tree, old: Tree | None = None) -> list[Cause]:
    spec = tree.get("spec") or {}
    found: list[Cause] = []
    if not spec.get("rules") and not spec.get("defaultBackend"):
        found.append(wrong("spec", spec.get("rules"), "either `defaultBackend` or `rules` must be specified"))
    if spec.get("defaultBackend") is not None:
        found += _backend_causes(spec["defaultBackend"], "spec.defaultBackend")
    for i, rule in enumerate(spec.get("rules") or ()):
        found += _rule_causes(rule, f"spec.rules[{i}]")
    kept = [t.get("secretName") for t in get(old, "spec", "tls") or ()]
    for i, tls in enumerate(spec.get("tls") or ()):
        for j, host in enumerate(tls.get("hosts") or ()):
            check = wildcard if "*" in host else formats.subdomain
            found += formats.causes(f"spec.tls[{i}].hosts[{j}]", host, check)
        secret = tls.get("secretName", "")
        if secret and secret not in kept:
            found += formats.causes(f"spec.tls[{i}].secretName", secret, formats.subdomain)
    if spec.get("ingressClassName") is not None:
        found += formats.causes("spec.ingressClassName", spec["ingressClassName"], formats.subdomain)
    return found


def _rule_causes(rule: Tree, at: str) -> list[Cause]:
    found: list[Cause] = []
    host = rule.get("host", "")
    if host:
        if addresses.sloppy(host) is not None:
            found.append(wrong(f"{at}.host", host, "must be a DNS name, not an IP address"))
        found += formats.causes(f"{at}.host", host, wildcard if "*" in host else formats.subdomain)
    http = rule.get("http")
    if http is None:
        return found
    if not http.get("paths"):
        found.append(required(f"{at}.http.paths"))
    for i, path in enumerate(http.get("paths") or ()):
        found += _path_causes(path, f"{at}.http.paths[{i}]")
    return found


def _path_causes(path: Tree, at: str) -> list[Cause]:
    found: list[Cause] = []
    kind, text = path.get("pathType"), path.get("path", "")
    if kind is None:
        return [required(f"{at}.pathType", "pathType must be specified")]
    if kind in ("Exact", "Prefix"):
        if not text.startswith("/"):
            found.append(wrong(f"{at}.path", text, "must be an absolute path"))
        if text:
            found += [wrong(f"{at}.path", text, f"must not contain '{s}'") for s in SEQUENCES if s in text]
            found += [wrong(f"{at}.path", text, f"cannot end with '{e}'") for e in ENDINGS if text.endswith(e)]
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            found.append(wrong(f"{at}.path", text, "must be an absolute path"))
    else:
        found.append(unsupported(f"{at}.pathType", kind, PATH_TYPES))
    return found + _backend_causes(path.get("backend") or {}, f"{at}.backend")


def _backend_causes(backend: Tree, at: str) -> list[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if resource is not None and service is not None:
        return [wrong(at, "", "cannot set both resource and service backends")]
    if resource is not None:
        return resource_causes(resource, f"{at}.resource")
    if service is None:
        return [wrong(at, "", "resource or service backend is required")]
    found: list[Cause] = []
    name, port = service.get("name", ""), service.get("port") or {}
    if not name:
        found.append(required(f"{at}.service.name"))
    else:
        found += formats.causes(f"{at}.service.name", name, formats.label)
    named, number = port.get("name", ""), port.get("number", 0)
    if named and number:
        found.append(wrong(at, "", "cannot set both port name & port number"))
    elif named:
        found += formats.causes(f"{at}.service.port.name", named, formats.port_name)
    elif number:
        found += ports.number_causes(f"{at}.service.port.number", number)
    else:
        found.append(required(at, "port name or number is required"))
    return found


def path_segment(name: str) -> list[str]:
    """A name that may stand in a URL."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{c}'" for c in "/%" if c in name]


def resource_causes(ref: Tree, at: str) -> list[Cause]:
    """A TypedLocalObjectReference."""
    found: list[Cause] = []
    if ref.get("apiGroup") is not None:
        found += formats.causes(f"{at}.apiGroup", ref["apiGroup"], formats.subdomain)
    for name in ("kind", "name"):
        if not ref.get(name):
            found.append(required(f"{at}.{name}"))
        else:
            found += formats.causes(f"{at}.{name}", ref[name], path_segment)
    return found


def ingress_warnings(tree: Tree, old: Tree | None) -> list[str]:
    """The annotation was the way to name a class before the field was there."""
    annotations = tree["metadata"].get("annotations") or {}
    if CLASS_ANNOTATION in annotations and get(tree, "spec", "ingressClassName") is None and old is None:
        return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]
    return []


def validate_ingress_status(tree: Tree, old: Tree) -> list[Cause]:
    found: list[Cause] = []
    known = {i.get("ip", "") for i in get(old, "status", "loadBalancer", "ingress") or ()}
    for i, entry in enumerate(get(tree, "status", "loadBalancer", "ingress") or ()):
        at = f"status.loadBalancer.ingress[{i}]"
        if entry.get("ip"):
            found += addresses.causes(f"{at}.ip", entry["ip"], known)
        found += hostname_causes(f"{at}.hostname", entry.get("hostname", ""))
    return found


# IngressClass


def default_class(tree: Tree) -> None:
    parameters = (tree.get("spec") or {}).get("parameters")
    if parameters is not None and parameters.get("scope") is None:
        parameters["scope"] = "Cluster"


def validate_class(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    controller = spec.get("controller", "")
    found: list[Cause] = []
    if len(controller) > CONTROLLER_LONGEST:
        found.append(too_long("spec.controller", CONTROLLER_LONGEST))
    found += formats.prefixed_path("spec.controller", controller)
    parameters = spec.get("parameters")
    if parameters is None:
        return found
    at = "spec.parameters"
    found += resource_causes(parameters, at)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        return [*found, required(f"{at}.scope")]
    if scope not in ("Cluster", "Namespace"):
        return [*found, unsupported(f"{at}.scope", scope, ("Cluster", "Namespace"))]
    if scope == "Cluster":
        if namespace is not None:
            found.append(not_permitted(f"{at}.namespace", "`parameters.scope` is set to 'Cluster'"))
    elif namespace is None:
        found.append(required(f"{at}.namespace", "`parameters.scope` is set to 'Namespace'"))
    else:
        found += formats.causes(f"{at}.namespace", namespace, formats.label)
    return found


def revalidate_class(tree: Tree, old: Tree) -> list[Cause]:
    controller, found = get(tree, "spec", "controller"), []
    if controller != get(old, "spec", "controller"):
        found.append(wrong("spec.controller", controller or "", "field is immutable"))
    return found + validate_class(tree)
