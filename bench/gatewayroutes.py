"""What `bench/gateway.py` writes: a Gateway, backends, and routes by number, each on a host of its own or all on one; pure."""

from __future__ import annotations

from typing import Any

Tree = dict[str, Any]
NAMESPACE, GATEWAY = "bench", "edge"
ROUTES = f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/httproutes"
BACKENDS = 10  # Services; routes are spread over them
MARK = "x-version"  # the header of an answer that tells which writing of a route gave it
SHAPES = {"hosts": "each on a host of its own", "one host": "all on one host"}


def place(shape: str, number: int) -> tuple[str, str]:
    """(host, path) of a route."""
    return ("all.example.com", f"/p{number:05d}") if shape == "one host" else (f"h{number:05d}.example.com", "/")


def name(number: int) -> str:
    return f"route-{number:05d}"


def rules(shape: str, number: int, version: str) -> list[Tree]:
    edit = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": MARK, "value": version}]}}
    match = {"path": {"type": "PathPrefix", "value": place(shape, number)[1]}}
    return [{"matches": [match], "filters": [edit], "backendRefs": [{"name": f"web-{number % BACKENDS}", "port": 80}]}]


def route(shape: str, number: int, version: str = "0") -> Tree:
    spec = {"parentRefs": [{"name": GATEWAY}], "hostnames": [place(shape, number)[0]], "rules": rules(shape, number, version)}
    meta = {"name": name(number), "namespace": NAMESPACE}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta, "spec": spec}


def gateway(called: str = GATEWAY, parameters: str = "") -> Tree:
    spec: Tree = {"gatewayClassName": "seaway", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    if parameters:
        spec["infrastructure"] = {"parametersRef": {"group": "", "kind": "ConfigMap", "name": parameters}}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": called, "namespace": NAMESPACE}, "spec": spec}


def surroundings() -> list[Tree]:
    """The namespace, one pod that answers, Services that lead to it, and the Gateway."""
    labels = {"app": "web"}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": "traefik/whoami"}]}
    trees: list[Tree] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": NAMESPACE, "labels": labels}, "spec": pod},
    ]
    for number in range(BACKENDS):
        meta = {"name": f"web-{number}", "namespace": NAMESPACE}
        trees.append({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": [{"port": 80}]}})
    return [*trees, gateway()]
