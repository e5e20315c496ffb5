"""What the control plane makes of a node: whether it still lives, its conditions when it does not, its taints; pure
(pkg/controller/nodelifecycle; KEPs 382, 589)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seaway.api.tree import condition, get, labels, seconds, stamp

Tree = dict[str, Any]
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
JUDGED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
# condition -> status -> the taint that keeps new pods away
BY_CONDITION: Mapping[str, Mapping[str, str]] = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
}
OURS = frozenset(key for by in BY_CONDITION.values() for key in by.values()) | {UNSCHEDULABLE}
UNHEALTHY_ZONE, SMALL_CLUSTER = 0.55, 50


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, as the controller manager's flags have them."""

    monitor: float = 5.0  # --node-monitor-period
    grace: float = 50.0  # --node-monitor-grace-period
    startup: float = 60.0  # --node-startup-grace-period


@dataclass(frozen=True, slots=True)
class Health:
    """When we last saw the node do something, on our own clock: clocks of two machines are never compared."""

    probed: float
    heartbeat: str = ""  # of its Ready condition
    renewed: str = ""  # of its Lease


def observe(node: Tree, lease: Tree | None, known: Health | None, now: float) -> Health:
    """A heartbeat or a renewed Lease since we last looked makes the node alive now."""
    ready = condition(node, "Ready")
    heartbeat = str((ready or {}).get("lastHeartbeatTime") or "") + str((ready or {}).get("status") or "")
    renewed = str(get(lease, "spec", "renewTime") or "")
    if known is None:
        born = seconds(node["metadata"].get("creationTimestamp")) if ready is None else None
        return Health(born if born is not None else now, heartbeat, renewed)
    if (heartbeat, renewed) == (known.heartbeat, known.renewed):
        return known
    alive = renewed != known.renewed or (heartbeat != known.heartbeat and (ready or {}).get("status") != "Unknown")
    return Health(now if alive else known.probed, heartbeat, renewed)


def silent(node: Tree, health: Health, now: float, timing: Timing) -> bool:
    grace = timing.grace if condition(node, "Ready") else timing.startup
    return now > health.probed + grace


def unknown_conditions(node: Tree, now: float) -> list[Tree]:
    """What a silent node's conditions become; empty where they are that already."""
    found = []
    for kind in JUDGED:
        old = condition(node, kind)
        if old is None:
            found.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": node["metadata"].get("creationTimestamp"),
                    "lastTransitionTime": stamp(now),
                }
            )
        elif old.get("status") != "Unknown":
            found.append(
                {
                    **old,
                    "status": "Unknown",
                    "reason": "NodeStatusUnknown",
                    "message": "Kubelet stopped posting node status.",
                    "lastTransitionTime": stamp(now),
                }
            )
    return found


def ready(node: Tree) -> str:
    """True, False, Unknown, or nothing where the node has never said."""
    return str((condition(node, "Ready") or {}).get("status") or "")


def evicting(nodes: Iterable[Tree]) -> dict[str, bool]:
    """By zone: whether nodes that fail there lose their pods. Nowhere when every zone is down: then the fault is more
    likely ours. Not in a zone of which most is down, in a cluster this small (handleDisruption)."""
    zones: dict[str, list[bool]] = {}
    for node in nodes:
        if ready(node):
            zones.setdefault(zone_of(node), []).append(ready(node) == "True")
    size = sum(len(z) for z in zones.values())
    down = {name: z.count(False) for name, z in zones.items()}
    if zones and all(down[name] == len(z) for name, z in zones.items()):
        return dict.fromkeys(zones, False)
    return {
        name: down[name] == len(z)
        or not (down[name] > 2 and down[name] / len(z) >= UNHEALTHY_ZONE)
        or size > SMALL_CLUSTER
        for name, z in zones.items()
    }


def zone_of(node: Tree) -> str:
    have = labels(node)
    return f"{have.get('topology.kubernetes.io/region', '')}:{have.get('topology.kubernetes.io/zone', '')}"


def taints(node: Tree, evict: bool, now: float) -> list[Tree]:
    """The node's taints as they shall be: ours by its conditions, everybody else's as they are."""
    wanted: list[tuple[str, str]] = []
    for kind, by_status in BY_CONDITION.items():
        key = by_status.get(str((condition(node, kind) or {}).get("status") or ""))
        if key:
            wanted.append((key, "NoSchedule"))
    if get(node, "spec", "unschedulable"):
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    old = list(get(node, "spec", "taints") or ())
    execute = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready(node))
    if execute and evict:
        wanted.append((execute, "NoExecute"))

    def ours(taint: Tree) -> bool:
        if taint.get("effect") == "NoExecute":
            return taint.get("key") in (NOT_READY, UNREACHABLE)
        # A node that has never said anything keeps the taint it was born with.
        return (
            taint.get("effect") == "NoSchedule"
            and taint.get("key") in OURS
            and (bool(ready(node)) or taint["key"] != NOT_READY)
        )

    kept = [t for t in old if not ours(t) or (t["key"], t["effect"]) in wanted]
    have = {(t.get("key"), t.get("effect")) for t in kept}
    return kept + [{"key": k, "effect": e, "timeAdded": stamp(now)} for k, e in wanted if (k, e) not in have]
