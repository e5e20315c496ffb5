"""The application of the labs about entry points: pods that run a program of ours, and their Service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

Tree = dict[str, Any]


def application(program: str, arguments: Sequence[str], replicas: int, probe: Mapping[str, Any], grace: int) -> list[Tree]:
    """Service and Deployment `web`. `program`: a file of this folder; `probe`: how readiness is asked for, each second; `grace`:
    seconds of the preStop sleep."""
    text = resources.files("seaway.labs").joinpath(program).read_text()
    container: Tree = {
        "name": "app",
        "image": "python:3",
        "command": ["python3", f"/lab/{program}", *arguments],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {**probe, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": grace}}},
        "volumeMounts": [{"name": "lab", "mountPath": "/lab"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "lab", "configMap": {"name": "lab"}}]}
    labels = {"app": "web"}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lab"}, "data": {program: text}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        },
    ]
