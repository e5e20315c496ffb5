"""Nodes and pods for the scheduler's tests, in a line each."""

from __future__ import annotations

from typing import Any

from seaway.cluster.scheduler.snapshot import NodeInfo, PodInfo, Snapshot, read_pod

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def pod(name: str = "p", labels: dict | None = None, ask: dict | None = None, *, namespace: str = "d", priority: int = 0,
        owner: str = "", ports: tuple = (), status: dict | None = None, deleted: bool = False, **spec: Any) -> PodInfo:
    first = {"name": "c", "resources": {"requests": ask or {}}, "ports": list(ports)}
    meta: dict[str, Any] = {"name": name, "uid": f"u-{name}", "namespace": namespace, "labels": labels or {}}
    if owner:
        meta["ownerReferences"] = [{"uid": owner, "controller": True}]
    if deleted:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return read_pod({"metadata": meta, "spec": {"containers": [first], "priority": priority, **spec}, "status": status or {}})


def node(name: str, *pods: PodInfo, labels: dict | None = None, have: dict | None = None, **spec: Any) -> NodeInfo:
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110", **(have or {})}
    tree = {"metadata": {"name": name, "labels": {HOST: name, **(labels or {})}}, "spec": spec,
            "status": {"allocatable": allocatable}}
    info = NodeInfo(tree)
    for each in pods:
        info.add(each)
    return info


def zoned(name: str, zone: str, *pods: PodInfo, **more: Any) -> NodeInfo:
    return node(name, *pods, labels={ZONE: zone, **more.pop("labels", {})}, **more)


def world(*nodes: NodeInfo, nominated: dict | None = None, namespaces: dict | None = None) -> Snapshot:
    return Snapshot({n.name: n for n in nodes}, namespaces or {}, nominated or {})


def near(key: str = HOST, selector: dict | None = None, **more: Any) -> dict:
    return {"topologyKey": key, "labelSelector": {"matchLabels": selector or {}}, **more}


def affinity(*required: dict, anti: tuple = (), preferred: tuple = (), preferred_anti: tuple = ()) -> dict:
    def weighed(terms: tuple) -> list:
        return [{"weight": w, "podAffinityTerm": t} for w, t in terms]

    return {"podAffinity": {REQUIRED: list(required), PREFERRED: weighed(preferred)},
            "podAntiAffinity": {REQUIRED: list(anti), PREFERRED: weighed(preferred_anti)}}


def spread(key: str = ZONE, selector: dict | None = None, skew: int = 1, when: str = "DoNotSchedule", **more: Any) -> dict:
    return {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": when,
            "labelSelector": {"matchLabels": selector or {}}, **more}
