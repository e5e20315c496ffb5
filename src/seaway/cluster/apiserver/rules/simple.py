"""Defaults and validation of the kinds that need few: configuration, discovery, RBAC, coordination, nodes."""

from __future__ import annotations

import base64
import ipaddress
from typing import Any

from seaway.cluster.apiserver.status import Cause, duplicate, required, too_long, unsupported, wrong

Tree = dict[str, Any]
CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
SIZE_LIMIT = 1 << 20


def _key_causes(path: str, tree: Tree) -> list[Cause]:
    found = []
    for key in sorted(tree):
        if len(key) > 253:
            found.append(wrong(f"{path}[{key}]", key, "must be no more than 253 characters"))
        elif key in (".", ".."):
            found.append(wrong(f"{path}[{key}]", key, f"must not be '{key}'"))
        elif not key or not all(c.isascii() and (c.isalnum() or c in "-._") for c in key):
            found.append(wrong(f"{path}[{key}]", key, CONFIG_KEY_TEXT))
    return found


def validate_configmap(tree: Tree) -> list[Cause]:
    data, binary = tree.get("data") or {}, tree.get("binaryData") or {}
    found = _key_causes("data", data)
    found += [wrong(f"data[{k}]", k, "duplicate of key present in binaryData") for k in sorted(data) if k in binary]
    found += _key_causes("binaryData", binary)
    size = sum(len(v.encode()) for v in data.values()) + sum(len(v) * 3 // 4 for v in binary.values())
    if size > SIZE_LIMIT:
        found.append(too_long("", SIZE_LIMIT))
    return found


def validate_immutable(tree: Tree, old: Tree) -> list[Cause]:
    if not old.get("immutable"):
        return []
    found = []
    if not tree.get("immutable"):
        found.append(Cause("immutable", "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set"))
    for name in ("data", "binaryData"):
        if (tree.get(name) or {}) != (old.get(name) or {}):
            found.append(Cause(name, "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set"))
    return found


def default_secret(tree: Tree) -> None:
    tree.setdefault("type", "Opaque")
    strings = tree.pop("stringData", None)
    for key, value in (strings or {}).items():
        tree.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()


def validate_secret(tree: Tree) -> list[Cause]:
    data = tree.get("data") or {}
    found = _key_causes("data", data)
    if sum(len(v) * 3 // 4 for v in data.values()) > SIZE_LIMIT:
        found.append(too_long("data", SIZE_LIMIT))
    if tree.get("type") == "kubernetes.io/tls":
        found += [required(f"data[{k}]") for k in ("tls.crt", "tls.key") if k not in data]
    return found


def validate_secret_update(tree: Tree, old: Tree) -> list[Cause]:
    found = []
    if tree.get("type") != old.get("type"):
        found.append(wrong("type", tree.get("type"), "field is immutable"))
    return found + validate_immutable(tree, old)


def default_namespace(tree: Tree) -> None:
    meta = tree["metadata"]
    if meta.get("name"):
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}
    tree.setdefault("spec", {})


def begin_namespace(tree: Tree) -> None:
    finalizers = tree["spec"].setdefault("finalizers", [])
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")
    tree["status"] = {"phase": "Active"}


def default_slice(tree: Tree) -> None:
    for port in tree.get("ports") or ():
        port.setdefault("name", "")
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for endpoint in tree.get("endpoints") or ():
        endpoint.setdefault("conditions", {})
    tree.setdefault("endpoints", None)
    tree.setdefault("ports", None)


def validate_slice(tree: Tree) -> list[Cause]:
    kind = tree.get("addressType", "")
    found = []
    if not kind:
        found.append(required("addressType"))
    elif kind not in ("IPv4", "IPv6", "FQDN"):
        found.append(unsupported("addressType", kind, ("FQDN", "IPv4", "IPv6")))
    for i, endpoint in enumerate(tree.get("endpoints") or ()):
        at = f"endpoints[{i}].addresses"
        addresses = endpoint.get("addresses") or []
        if not addresses:
            found.append(required(at, "must contain at least 1 address"))
        for j, text in enumerate(addresses):
            if kind in ("IPv4", "IPv6") and not _is_address(text, 4 if kind == "IPv4" else 6):
                found.append(wrong(f"{at}[{j}]", text, f"must be a valid {kind} address"))
    names = set()
    for i, port in enumerate(tree.get("ports") or ()):
        name = port.get("name", "")
        if name in names:
            found.append(duplicate(f"ports[{i}].name", name))
        names.add(name)
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            found.append(unsupported(f"ports[{i}].protocol", port.get("protocol"), ("SCTP", "TCP", "UDP")))
    return found


def validate_slice_update(tree: Tree, old: Tree) -> list[Cause]:
    if tree.get("addressType") != old.get("addressType"):
        return [wrong("addressType", tree.get("addressType"), "field is immutable")]
    return []


def _is_address(text: Any, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def default_endpoints(tree: Tree) -> None:
    for subset in tree.get("subsets") or ():
        for port in subset.get("ports") or ():
            if not port.get("protocol"):
                port["protocol"] = "TCP"


def default_role_ref(tree: Tree) -> None:
    ref = tree.setdefault("roleRef", {})
    ref.setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in tree.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = "rbac.authorization.k8s.io"


def validate_role(tree: Tree) -> list[Cause]:
    found = []
    for i, rule in enumerate(tree.get("rules") or ()):
        if not rule.get("verbs"):
            found.append(required(f"rules[{i}].verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            found.append(required(f"rules[{i}].apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            found.append(required(f"rules[{i}].resources", "resource rules must supply at least one resource"))
    return found


def validate_binding(tree: Tree) -> list[Cause]:
    ref = tree.get("roleRef") or {}
    found = []
    if ref.get("kind") not in ("Role", "ClusterRole"):
        found.append(unsupported("roleRef.kind", ref.get("kind", ""), ("ClusterRole", "Role")))
    if not ref.get("name"):
        found.append(required("roleRef.name"))
    for i, subject in enumerate(tree.get("subjects") or ()):
        if not subject.get("name"):
            found.append(required(f"subjects[{i}].name"))
    return found


def validate_binding_update(tree: Tree, old: Tree) -> list[Cause]:
    if tree.get("roleRef") != old.get("roleRef"):
        return [wrong("roleRef", tree.get("roleRef"), "cannot change roleRef")]
    return []


def validate_lease(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = []
    if spec.get("leaseDurationSeconds", 1) <= 0:
        found.append(wrong("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0"))
    if spec.get("leaseTransitions", 0) < 0:
        found.append(wrong("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0"))
    return found


def default_node(tree: Tree) -> None:
    tree.setdefault("spec", {})


def validate_ingress(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = []
    if not spec.get("rules") and not spec.get("defaultBackend"):
        found.append(wrong("spec", spec, "either `defaultBackend` or `rules` must be specified"))
    for i, rule in enumerate(spec.get("rules") or ()):
        for j, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            at = f"spec.rules[{i}].http.paths[{j}]"
            kind = path.get("pathType")
            if not kind:
                found.append(required(f"{at}.pathType", "pathType must be specified"))
            elif kind not in ("Exact", "Prefix", "ImplementationSpecific"):
                found.append(unsupported(f"{at}.pathType", kind, ("Exact", "ImplementationSpecific", "Prefix")))
            elif kind != "ImplementationSpecific" and not str(path.get("path", "")).startswith("/"):
                found.append(wrong(f"{at}.path", path.get("path", ""), "must be an absolute path"))
    return found


def default_network_policy(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    for section in ("ingress", "egress"):
        for rule in spec.get(section) or ():
            for port in rule.get("ports") or ():
                port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress"] + (["Egress"] if spec.get("egress") else [])
