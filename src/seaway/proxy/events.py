"""The events that the proxy records (cmd/kube-proxy/app/server.go, pkg/proxy/healthcheck/service_health.go), as what a `Recorder`
is told; pure."""

from __future__ import annotations

from typing import Any

Tree = dict[str, Any]
Told = tuple[Tree, str, str, str, str]  # regarding, type, reason, action, note
NORMAL, WARNING = "Normal", "Warning"


def _node(name: str) -> Tree:
    return {
        "kind": "Node",
        "name": name,
        "uid": name,
    }  # the uid that `kubectl describe node` looks for, as kubelets give it


def starting(node: str) -> Told:
    return _node(node), NORMAL, "Starting", "StartKubeProxy", ""


def healthz_failed(node: str, why: str) -> Told:
    return _node(node), WARNING, "FailedToStartProxierHealthcheck", "StartKubeProxy", why


def metrics_failed(node: str, why: str) -> Told:
    return _node(node), WARNING, "FailedToStartMetricServer", "StartKubeProxy", why


def service_health_failed(service: Tree, node: str, port: int, why: str) -> Told:
    """A healthCheckNodePort that cannot be opened. The uid is the Service's own, so that `kubectl describe` shows it."""
    meta = service["metadata"]
    title = f"{meta['namespace']}/{meta['name']}"
    regarding = {
        "apiVersion": "v1", "kind": "Service", "namespace": meta["namespace"], "name": meta["name"], "uid": meta.get("uid", ""),
    }  # fmt: skip
    note = f'node {node} failed to start healthcheck "{title}" on port {port}: {why}'
    return regarding, WARNING, "FailedToStartServiceHealthcheck", "Listen", note
