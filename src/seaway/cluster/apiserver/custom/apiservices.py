"""An APIService for each group version of custom resources, as kube-aggregator's crdregistration controller keeps them; pure."""

from __future__ import annotations

from typing import Any

from seaway.api import kinds
from seaway.cluster.apiserver.custom.registry import Served

Tree = dict[str, Any]
RESOURCE = "apiservices.apiregistration.k8s.io"
LABEL = "kube-aggregator.kubernetes.io/automanaged"
MINE = "true"  # those of built-in groups are made "onstart"
GROUP_PRIORITY, VERSION_PRIORITY = 1000, 100


def wanted(served: Served) -> dict[str, Tree]:
    """name -> APIService, of the groups that only custom resources are in."""
    found: dict[str, Tree] = {}
    for kind in served.told:
        if kind.group in kinds.groups():
            continue
        name = f"{kind.version}.{kind.group}"
        found[name] = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name, "labels": {LABEL: MINE}},
            "spec": {
                "group": kind.group,
                "version": kind.version,
                "groupPriorityMinimum": GROUP_PRIORITY,
                "versionPriority": VERSION_PRIORITY,
            },
        }
    return found


def is_mine(tree: Tree) -> bool:
    """Whether an APIService was made here."""
    return ((tree.get("metadata") or {}).get("labels") or {}).get(LABEL) == MINE
