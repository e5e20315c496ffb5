"""The objects that a case's short forms stand for, and the words of manifests and requests."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

Tree = dict[str, Any]

PORTS = (  # of every backend: name, port, target port, protocol, appProtocol
    ("http", 80, 3000, "TCP", None),
    ("https", 443, 8443, "TCP", None),
    ("h2c", 81, 3001, "TCP", "kubernetes.io/h2c"),
    ("ws", 82, 3000, "TCP", "kubernetes.io/ws"),
    ("grpc", 50051, 3002, "TCP", "kubernetes.io/h2c"),
    ("grpcs", 50052, 8444, "TCP", None),
    ("tcp", 9000, 3003, "TCP", None),
    ("dead", 83, 3099, "TCP", None),
    ("udp", 9000, 8080, "UDP", None),
)


def service(backend: Any, words: dict[str, str]) -> tuple[Tree, Tree]:
    """The Service of a backend, without a selector, and its slice."""
    meta = {"name": backend.name, **({"namespace": backend.namespace} if backend.namespace else {})}
    ports = [{"name": n, "port": p, "targetPort": t, "protocol": proto, **({"appProtocol": app} if app else {})} for n, p, t, proto, app in PORTS]
    pods = [backend.name] if backend.pods is None else backend.pods
    slice_meta = {**meta, "labels": {"kubernetes.io/service-name": backend.name, "endpointslice.kubernetes.io/managed-by": "cases"}}
    found = [{"name": n, "port": t, "protocol": proto, **({"appProtocol": app} if app else {})} for n, _, t, proto, app in PORTS]
    return (
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": slice_meta, "addressType": "IPv4", "ports": found,
         "endpoints": [{"addresses": [words[f"pod:{pod}"]], "conditions": {"ready": True}} for pod in pods]},
    )


def secret(name: str, namespace: str, pair: Any) -> Tree:
    """A Secret of type kubernetes.io/tls."""
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name, "namespace": namespace},
            "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key}}


def bundle(name: str, namespace: str, kind: str, pem: str) -> Tree:
    """A ConfigMap or Secret with authorities in ca.crt."""
    field = "data" if kind == "ConfigMap" else "stringData"
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, field: {"ca.crt": pem}}


def filled(value: Any, words: dict[str, str]) -> Any:
    """`${...}` in strings becomes what `words` has for it."""
    if isinstance(value, dict):
        return {k: filled(v, words) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v, words) for v in value]
    if isinstance(value, str) and "${" in value:
        return re.sub(r"\$\{([^}]+)\}", lambda m: _word(m[1], words), value)
    return value


def _word(name: str, words: dict[str, str]) -> str:
    kind, _, text = name.partition(":")
    if kind == "base64":
        return base64.b64encode(text.encode()).decode()
    if kind == "htpasswd":
        user, _, password = text.partition(":")
        return f"{user}:{{SHA}}{base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()}"
    return words[name]


def crowd(host: str, crowd: Any) -> list[Tree]:
    """The routes, or the Ingress, that a crowd stands for."""
    paths = [f"/crowd/{n}" for n in range(crowd.rules)]
    name = f"crowd-{re.sub('[^a-z0-9]+', '-', host)}"
    if crowd.kind == "Ingress":
        backend = {"service": {"name": crowd.backend, "port": {"number": 80}}}
        rule = {"host": host, "http": {"paths": [{"path": p, "pathType": "Exact", "backend": backend} for p in paths]}}
        return [{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name}, "spec": {"ingressClassName": "seaway", "rules": [rule]}}]
    found = []
    for at in range(0, len(paths), 100):
        rules = [{"matches": [{"path": {"type": "Exact", "value": p}} for p in paths[i : min(i + 50, at + 100)]], "backendRefs": [{"name": crowd.backend, "port": 80}]}
                 for i in range(at, min(at + 100, len(paths)), 50)]
        spec = {"parentRefs": [{"name": "shared", "namespace": "gateways"}], "hostnames": [host], "rules": rules}
        found.append({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": f"{name}-{at}"}, "spec": spec})
    return found
