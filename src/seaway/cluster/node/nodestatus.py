"""What a node says of itself: its object, its conditions from what was measured; pure (pkg/kubelet/nodestatus)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seaway.api.tree import get, stamp, with_condition
from seaway.cluster.layout import NodeLayout
from seaway.cluster.node.shutdown import NODE_MESSAGE

Tree = dict[str, Any]
# The kubelet's eviction threshold for memory. For disks kind's: the machine's disk is the user's affair until it is full.
MEMORY_LOW, DISK_LOW, PIDS_LOW = 100 << 20, 100 << 20, 256


@dataclass(frozen=True, slots=True)
class Measured:
    """What a node has left, and whether it enforces limits (an empty text) or why not."""

    memory: int
    disk: int
    pids: int
    unlimited: str = ""


def node(layout: NodeLayout, architecture: str) -> Tree:
    """The Node object as it is registered."""
    config, name = layout.config, layout.name
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture,
        **config.labels,
    }
    if config.role == "control-plane":
        labels["node-role.kubernetes.io/control-plane"] = ""
    spec: Tree = {
        "podCIDR": str(layout.pod_ranges[0]),
        "podCIDRs": [str(r) for r in layout.pod_ranges],
        "providerID": f"seaway://{name}",
    }
    if config.taints:
        spec["taints"] = [dict(t) for t in config.taints]
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}


def conditions(old: Iterable[Tree], measured: Measured, now: float, ends: bool = False) -> list[Tree]:
    """The kubelet's conditions and ours among those that are there; `ends`: the node is shutting down."""
    when = stamp(now)
    result = list(old)
    for kind, bad, reasons, messages in (
        (
            "MemoryPressure",
            measured.memory < MEMORY_LOW,
            ("KubeletHasInsufficientMemory", "KubeletHasSufficientMemory"),
            ("kubelet has insufficient memory available", "kubelet has sufficient memory available"),
        ),
        (
            "DiskPressure",
            measured.disk < DISK_LOW,
            ("KubeletHasDiskPressure", "KubeletHasNoDiskPressure"),
            ("kubelet has disk pressure", "kubelet has no disk pressure"),
        ),
        (
            "PIDPressure",
            measured.pids < PIDS_LOW,
            ("KubeletHasInsufficientPID", "KubeletHasSufficientPID"),
            ("kubelet has insufficient PID available", "kubelet has sufficient PID available"),
        ),
        (
            "ResourceLimits",
            not measured.unlimited,
            ("CgroupControllers", "NoCgroupController"),
            ("resource limits are enforced by cgroups", measured.unlimited),
        ),
        (
            "Ready",
            not ends,
            ("KubeletReady", "KubeletNotReady"),
            ("kubelet is posting ready status", NODE_MESSAGE),
        ),
    ):
        entry = {
            "type": kind,
            "status": "True" if bad else "False",
            "reason": reasons[0 if bad else 1],
            "message": messages[0 if bad else 1],
            "lastHeartbeatTime": when,
            "lastTransitionTime": when,
        }
        result = with_condition(result, entry)
    return result


def differs(old: Tree | None, new: Tree) -> bool:
    """Whether a status says something else than before, times of heartbeats aside."""

    def said(status: Tree | None) -> Mapping[str, Any]:
        states = {
            c["type"]: (c.get("status"), c.get("reason"), c.get("message")) for c in get(status, "conditions") or ()
        }
        return {**(status or {}), "conditions": states}

    def holds(before: Any, after: Any) -> bool:
        """Maps may hold more than ours: resources that somebody else has told of."""
        if isinstance(after, dict) and isinstance(before, dict):
            return all(before.get(k) == v for k, v in after.items())
        return bool(before == after)

    before = said(old)
    return not all(holds(before.get(k), v) for k, v in said(new).items())
