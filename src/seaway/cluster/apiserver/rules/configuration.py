"""ConfigMap and Secret: keys, sizes, the contents that a type asks for (pkg/apis/core/validation); pure."""

from __future__ import annotations

import base64
import json
from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.status import Cause, not_permitted, required, too_long, wrong

Tree = dict[str, Any]
SIZE_LIMIT = 1 << 20
FROZEN = "field is immutable when `immutable` is set"
REDACTED = "<secret contents redacted>"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
NO_PEM = "tls: failed to find any PEM data in certificate input"


def _key_causes(path: str, keys: Tree) -> list[Cause]:
    return [c for key in sorted(keys) for c in formats.causes(f"{path}[{key}]", key, formats.config_key)]


def _octets(text: str) -> int:
    """The size of base64 text once it is read."""
    return len(text) * 3 // 4 - text[-2:].count("=")


def validate_configmap(tree: Tree) -> list[Cause]:
    data, binary = tree.get("data") or {}, tree.get("binaryData") or {}
    found = []
    for key in sorted(data):
        found += formats.causes(f"data[{key}]", key, formats.config_key)
        if key in binary:
            found.append(wrong(f"data[{key}]", key, "duplicate of key present in binaryData"))
    found += _key_causes("binaryData", binary)
    size = sum(len(v.encode()) for v in data.values()) + sum(_octets(v) for v in binary.values())
    if size > SIZE_LIMIT:
        found.append(too_long("[]", SIZE_LIMIT))
    return found


def frozen_causes(tree: Tree, old: Tree) -> list[Cause]:
    """What an immutable ConfigMap or Secret may not change."""
    if not old.get("immutable"):
        return []
    found = [] if tree.get("immutable") else [not_permitted("immutable", FROZEN)]
    for name in ("data", "binaryData"):
        if (tree.get(name) or {}) != (old.get(name) or {}):
            found.append(not_permitted(name, FROZEN))
    return found


def revalidate_configmap(tree: Tree, old: Tree) -> list[Cause]:
    return frozen_causes(tree, old) + validate_configmap(tree)


def default_secret(tree: Tree) -> None:
    tree["type"] = tree.get("type") or "Opaque"
    for key, value in (tree.pop("stringData", None) or {}).items():
        tree.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()


def validate_secret(tree: Tree) -> list[Cause]:
    data = tree.get("data") or {}
    found = _key_causes("data", data)
    if sum(_octets(v) for v in data.values()) > SIZE_LIMIT:
        found.append(too_long("data", SIZE_LIMIT))
    return found + _type_causes(tree, data)


def _type_causes(tree: Tree, data: Tree) -> list[Cause]:
    kind = tree.get("type")
    if kind == "kubernetes.io/service-account-token":
        if not (tree["metadata"].get("annotations") or {}).get(ACCOUNT_NAME):
            return [required(f"metadata.annotations[{ACCOUNT_NAME}]")]
    elif kind in ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"):
        return _json_causes(data, ".dockercfg" if kind.endswith("dockercfg") else ".dockerconfigjson")
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            return [required("data[username]"), required("data[password]")]
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            return [required("data[ssh-privatekey]")]
    elif kind == "kubernetes.io/tls":
        return [required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]
    return []


def _json_causes(data: Tree, key: str) -> list[Cause]:
    """A key that holds a JSON object."""
    path = f"data[{key}]"
    if key not in data:
        return [required(path)]
    text = base64.b64decode(data[key]).decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as e:
        return [wrong(path, REDACTED, go_json_problem(text, e.pos))]
    if not isinstance(found, dict) and found is not None:
        names = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
        why = f"json: cannot unmarshal {names[type(found)]} into Go value of type map[string]interface {{}}"
        return [wrong(path, REDACTED, why)]
    return []


def go_json_problem(text: str, at: int) -> str:
    """What Go's decoder says of text that is no JSON."""
    if not text.strip() or at >= len(text.rstrip()):
        return "unexpected end of JSON input"
    where = "looking for beginning of value" if not text[:at].strip() else "after top-level value"
    if text[:at].strip().startswith(("{", "[")):
        where = "looking for beginning of object key string" if text[:at].rstrip()[-1] in "{," else "after object key"
    return f"invalid character '{text[at]}' {where}"


def revalidate_secret(tree: Tree, old: Tree) -> list[Cause]:
    found = []
    if tree.get("type") != old.get("type"):
        found.append(wrong("type", tree.get("type"), "field is immutable"))
    return found + frozen_causes(tree, old) + validate_secret(tree)


def secret_warnings(tree: Tree, old: Tree | None) -> list[str]:
    """A TLS secret's certificate and key are looked at, but not refused."""
    data = tree.get("data") or {}
    if tree.get("type") != "kubernetes.io/tls" or (old is not None and (old.get("data") or {}) == data):
        return []
    certificate, key = (base64.b64decode(data.get(k, "")) for k in ("tls.crt", "tls.key"))
    if b"-----BEGIN" not in certificate:
        return [NO_PEM]
    if b"-----BEGIN CERTIFICATE-----" not in certificate:
        return ['tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks']
    if b"-----BEGIN" not in key:
        return ["tls: failed to find any PEM data in key input"]
    return []
