"""A bad request as a value, and the objects that bad ones are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seaway.cluster.apiserver import protobuf

Tree = dict[str, Any]
SEED = 36
JSON, YAML, PROTOBUF = "application/json", "application/yaml", protobuf.CONTENT_TYPE
JSON_PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
CORE, APPS = "/api/v1/namespaces/default", "/apis/apps/v1/namespaces/default"
MAPS, SERVICES, DEPLOYMENTS = f"{CORE}/configmaps", f"{CORE}/services", f"{APPS}/deployments"
LABELS = {"app": "web"}
CONTAINER = {"name": "c", "image": "i", "ports": [{"containerPort": 1}], "env": [{"name": "A", "value": "1"}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
# collection -> an object named x that is well
GOOD: dict[str, Tree] = {
    MAPS: {"metadata": {"name": "x", "labels": LABELS}, "data": {"k": "v"}},
    f"{CORE}/secrets": {"metadata": {"name": "x"}, "data": {"k": "dg=="}},
    SERVICES: {"metadata": {"name": "x"}, "spec": {"selector": LABELS, "ports": [{"name": "h", "port": 80}]}},
    f"{CORE}/pods": {"metadata": {"name": "x"}, "spec": {"containers": [CONTAINER]}},
    DEPLOYMENTS: {"metadata": {"name": "x"}, "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}},
}


@dataclass(frozen=True)
class Bad:
    """One request. `names`: words of which the refusal has at least one. `sure` False: it may also be taken."""

    why: str
    method: str
    path: str
    body: Any = None
    media: str = JSON
    query: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    sure: bool = True
