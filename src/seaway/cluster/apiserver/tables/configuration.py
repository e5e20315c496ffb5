"""Tables of configuration and namespaces, and of what bounds and ranks: quotas, budgets, autoscalers, priorities; pure."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import get
from seaway.cluster.apiserver.tables.cells import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    B,
    Cell,
    Column,
    N,
    S,
    Tree,
    at,
    count,
)

METRICS_SHOWN = 2


def quota(limits: bool) -> Cell:
    """Used and hard of a ResourceQuota: the `limits.` part, or the rest."""

    def cell(tree: Tree, now: float) -> str:
        hard, used = get(tree, "status", "hard") or {}, get(tree, "status", "used") or {}
        return ", ".join(f"{r}: {used.get(r, 0)}/{hard[r]}" for r in sorted(hard) if r.startswith("limits.") == limits)

    return cell


def or_na(*path: str) -> Cell:
    def cell(tree: Tree, now: float) -> str:
        value = get(tree, *path)
        return "N/A" if value is None else str(value)

    return cell


def _metric(spec: Tree, status: Tree | None) -> str:
    """`current/target` of one metric of an autoscaler."""
    part = {"External": "external", "Pods": "pods", "Object": "object", "Resource": "resource"}.get(
        spec.get("type", ""), "containerResource" if spec.get("type") == "ContainerResource" else ""
    )
    if not part:
        return "<unknown type>"
    source, current = spec.get(part) or {}, get(status, part, "current")
    target: Tree = source.get("target") or {}

    def now(name: str, percent: bool = False) -> str:
        value: Any = get(current, name)
        if value is None:
            return UNKNOWN if current is None or name != "value" else "0"
        return f"{value}%" if percent else str(value)

    if part in ("resource", "containerResource"):
        if target.get("averageValue") is not None:
            return f"{source.get('name', '')}: {now('averageValue')}/{target['averageValue']}"
        wanted = target.get("averageUtilization")
        told = "<auto>" if wanted is None else f"{wanted}%"
        return f"{source.get('name', '')}: {now('averageUtilization', True)}/{told}"
    if part == "pods":
        return f"{now('averageValue')}/{target.get('averageValue', 0)}"
    if target.get("averageValue") is not None:
        return f"{now('averageValue')}/{target['averageValue']} (avg)"
    return f"{now('value')}/{target.get('value', 0)}"


def hpa_targets(tree: Tree, now: float) -> str:
    specs, statuses = get(tree, "spec", "metrics") or [], get(tree, "status", "currentMetrics") or []
    found = [_metric(s, statuses[i] if i < len(statuses) else None) for i, s in enumerate(specs)]
    more = f" + {len(found) - METRICS_SHOWN} more..." if len(found) > METRICS_SHOWN else ""
    return (", ".join(found[:METRICS_SHOWN]) + more) or NONE


def hpa_reference(tree: Tree, now: float) -> str:
    ref = get(tree, "spec", "scaleTargetRef") or {}
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


def aggregated(tree: Tree, now: float) -> str:
    """Which Service answers a group version: `Local` is this server."""
    service = get(tree, "spec", "service")
    return f"{service.get('namespace')}/{service.get('name')}" if service else "Local"


def available(tree: Tree, now: float) -> str:
    for condition in get(tree, "status", "conditions") or ():
        if condition.get("type") == "Available":
            true = condition.get("status") == "True"
            return "True" if true else f"{condition.get('status')} ({condition.get('reason')})"
    return "Unknown"


COLUMNS = {
    "apiservices.apiregistration.k8s.io": (
        NAME,
        Column("Service", S, 0, aggregated),
        Column("Available", S, 0, available),
        AGE,
    ),
    "configmaps": (
        NAME,
        Column("Data", S, 0, lambda t, n: len(t.get("data") or ()) + len(t.get("binaryData") or ())),
        AGE,
    ),
    "secrets": (NAME, Column("Type", S, 0, at("type")), Column("Data", S, 0, count("data")), AGE),
    "namespaces": (NAME, Column("Status", S, 0, at("status", "phase")), AGE),
    "serviceaccounts": (NAME, AGE),
    "resourcequotas": (NAME, Column("Request", S, 0, quota(False)), Column("Limit", S, 0, quota(True)), AGE),
    "poddisruptionbudgets.policy": (
        NAME,
        Column("Min Available", S, 0, or_na("spec", "minAvailable")),
        Column("Max Unavailable", S, 0, or_na("spec", "maxUnavailable")),
        Column("Allowed Disruptions", N, 0, at("status", "disruptionsAllowed", default=0)),
        AGE,
    ),
    "horizontalpodautoscalers.autoscaling": (
        NAME,
        Column("Reference", S, 0, hpa_reference),
        Column("Targets", S, 0, hpa_targets),
        Column("MinPods", S, 0, lambda t, n: str(get(t, "spec", "minReplicas") or UNSET)),
        Column("MaxPods", S, 0, at("spec", "maxReplicas", default=0)),
        Column("Replicas", S, 0, at("status", "currentReplicas", default=0)),
        AGE,
    ),
    "priorityclasses.scheduling.k8s.io": (
        NAME,
        Column("Value", N, 0, at("value", default=0)),
        Column("Global-Default", B, 0, at("globalDefault", default=False)),
        AGE,
        Column("PreemptionPolicy", S, 0, at("preemptionPolicy")),
    ),
}
