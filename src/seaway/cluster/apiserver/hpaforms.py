"""HorizontalPodAutoscaler between autoscaling/v1 and v2: what v1 has no field for lives in annotations there; pure.

pkg/apis/autoscaling/v1/conversion.go: one CPU percentage is a field, every other metric, the behavior and the conditions
are JSON in `autoscaling.alpha.kubernetes.io/*`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from seaway.cluster.apiserver.rules.autoscaling import CPU_PERCENT, cpu_metric

Tree = dict[str, Any]
PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, CURRENT, CONDITIONS, BEHAVIOR = (
    PREFIX + name for name in ("metrics", "current-metrics", "conditions", "behavior")
)
PERCENT, CURRENT_PERCENT = "targetCPUUtilizationPercentage", "currentCPUUtilizationPercentage"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _read(text: Any) -> Any:
    """JSON of an annotation; what cannot be read is as if absent, as upstream has it."""
    try:
        return msgspec.json.decode(str(text))
    except msgspec.DecodeError:
        return None


def _clean(tree: Tree) -> Tree:
    return {k: v for k, v in tree.items() if v is not None}


def to_v2(tree: Tree) -> Tree:
    """The stored form of a v1 object."""
    spec, status = dict(tree.get("spec") or {}), dict(tree.get("status") or {})
    meta = dict(tree.get("metadata") or {})
    annotations = dict(meta.get("annotations") or {})
    percent, current = spec.pop(PERCENT, None), status.pop(CURRENT_PERCENT, None)
    metrics = [m for m in map(_metric_in, _read(annotations.pop(METRICS, "[]")) or []) if m]
    if percent is not None:
        metrics.insert(0, cpu_metric(percent))
    spec["metrics"] = metrics or [cpu_metric(CPU_PERCENT)]
    behavior = _read(annotations.pop(BEHAVIOR, "null"))
    if behavior is not None:
        spec["behavior"] = behavior
    states = [s for s in map(_status_in, _read(annotations.pop(CURRENT, "[]")) or []) if s]
    if current is not None:
        states.insert(0, {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}})
    if states:
        status["currentMetrics"] = states
    conditions = _read(annotations.pop(CONDITIONS, "null"))
    if conditions:
        status["conditions"] = conditions
    meta.pop("annotations", None)
    if annotations:
        meta["annotations"] = annotations
    result = {**tree, "metadata": meta, "spec": spec}
    if "status" in tree or status:
        result["status"] = status
    return result


def to_v1(tree: Tree) -> Tree:
    """A stored object as v1 shows it."""
    spec, status = dict(tree.get("spec") or {}), dict(tree.get("status") or {})
    meta = dict(tree.get("metadata") or {})
    annotations = dict(meta.get("annotations") or {})
    others = []
    for metric in spec.pop("metrics", None) or ():
        percent = _cpu_percent(metric, "target")
        if percent is not None and PERCENT not in spec:
            spec[PERCENT] = percent
        else:
            others.append(_metric_out(metric))
    if others:
        annotations[METRICS] = _json(others)
    states = []
    for state in status.pop("currentMetrics", None) or ():
        percent = _cpu_percent(state, "current")
        if percent is not None and CURRENT_PERCENT not in status:
            status[CURRENT_PERCENT] = percent
        states.append(_status_out(state))
    if [s for s in states if s.get("type") != "Resource"] or len(states) > 1:
        annotations[CURRENT] = _json(states)
    behavior, conditions = spec.pop("behavior", None), status.pop("conditions", None)
    if behavior is not None:
        annotations[BEHAVIOR] = _json(behavior)
    if conditions:
        annotations[CONDITIONS] = _json(conditions)
    status.setdefault("currentReplicas", 0)
    if annotations:
        meta["annotations"] = annotations
    return {**tree, "metadata": meta, "spec": spec, "status": status}


def _cpu_percent(metric: Tree, side: str) -> int | None:
    source = metric.get("resource") or {}
    if metric.get("type") != "Resource" or source.get("name") != "cpu":
        return None
    found: int | None = (source.get(side) or {}).get("averageUtilization")
    return found


def _metric_out(metric: Tree) -> Tree:
    """A v2 metric in the flat form of v1's annotation."""
    kind = metric.get("type", "")
    name = kind[:1].lower() + kind[1:]
    source = metric.get(name) or {}
    target, identifier = source.get("target") or {}, source.get("metric") or {}
    flat: Tree = {}
    if kind in ("Resource", "ContainerResource"):
        flat = {
            "name": source.get("name"),
            "container": source.get("container"),
            "targetAverageUtilization": target.get("averageUtilization"),
            "targetAverageValue": target.get("averageValue"),
        }
    elif kind == "Pods":
        flat = {
            "metricName": identifier.get("name"),
            "selector": identifier.get("selector"),
            "targetAverageValue": target.get("averageValue"),
        }
    elif kind == "Object":
        flat = {
            "target": source.get("describedObject"),
            "metricName": identifier.get("name"),
            "selector": identifier.get("selector"),
            "targetValue": target.get("value"),
            "averageValue": target.get("averageValue"),
        }
    elif kind == "External":
        flat = {
            "metricName": identifier.get("name"),
            "metricSelector": identifier.get("selector"),
            "targetValue": target.get("value"),
            "targetAverageValue": target.get("averageValue"),
        }
    return {"type": kind, name: _clean(flat)}


def _target(flat: Tree, value: str = "targetValue", average: str = "targetAverageValue") -> Tree:
    """The v2 target that a flat metric means."""
    if flat.get("targetAverageUtilization") is not None:
        return {"type": "Utilization", "averageUtilization": flat["targetAverageUtilization"]}
    if flat.get(average) is not None:
        return {"type": "AverageValue", "averageValue": flat[average]}
    return {"type": "Value", "value": flat[value]} if flat.get(value) is not None else {"type": "Value"}


def _metric_in(metric: Any) -> Tree | None:
    if not isinstance(metric, dict):
        return None
    kind = str(metric.get("type", ""))
    name = kind[:1].lower() + kind[1:]
    flat = metric.get(name)
    if not isinstance(flat, dict):
        return None
    if kind in ("Resource", "ContainerResource"):
        source = _clean({"name": flat.get("name"), "container": flat.get("container"), "target": _target(flat)})
        return {"type": kind, name: source}
    selector = flat.get("metricSelector" if kind == "External" else "selector")
    identifier = _clean({"name": flat.get("metricName"), "selector": selector})
    source = {"metric": identifier, "target": _target(flat)}
    if kind == "Object":
        target = _target(flat, average="averageValue")
        source = _clean({"describedObject": flat.get("target"), "metric": identifier, "target": target})
    return {"type": kind, name: source}


def _status_out(state: Tree) -> Tree:
    kind = state.get("type", "")
    name = kind[:1].lower() + kind[1:]
    source = state.get(name) or {}
    current, identifier = source.get("current") or {}, source.get("metric") or {}
    flat = {
        "name": source.get("name"),
        "container": source.get("container"),
        "target": source.get("describedObject"),
        "metricName": identifier.get("name"),
        "currentAverageUtilization": current.get("averageUtilization"),
        "currentAverageValue": current.get("averageValue"),
        "currentValue": current.get("value"),
    }
    return {"type": kind, name: _clean(flat)}


def _status_in(state: Any) -> Tree | None:
    if not isinstance(state, dict):
        return None
    kind = str(state.get("type", ""))
    name = kind[:1].lower() + kind[1:]
    flat = state.get(name)
    if not isinstance(flat, dict):
        return None
    current = _clean(
        {
            "averageUtilization": flat.get("currentAverageUtilization"),
            "averageValue": flat.get("currentAverageValue"),
            "value": flat.get("currentValue"),
        }
    )
    source = {"name": flat.get("name"), "container": flat.get("container"), "describedObject": flat.get("target")}
    metric = {"name": flat["metricName"]} if flat.get("metricName") else None
    return {"type": kind, name: _clean({**source, "metric": metric, "current": current})}
