"""HorizontalPodAutoscaler, in its stored form v2 (pkg/apis/autoscaling); pure."""

from __future__ import annotations

import copy
from typing import Any

from seaway.api import quantities
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules.ingress import path_segment
from seaway.cluster.apiserver.status import Cause, not_permitted, required, unsupported, wrong

Tree = dict[str, Any]
CPU_PERCENT = 80
LONGEST_WINDOW, LONGEST_PERIOD = 3600, 1800
UP: Tree = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
DOWN: Tree = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def cpu_metric(percent: int) -> Tree:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def default_hpa(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    if not spec.get("metrics"):
        spec["metrics"] = [cpu_metric(CPU_PERCENT)]
    behavior = spec.get("behavior")
    if behavior is not None:
        for name, standard in (("scaleUp", UP), ("scaleDown", DOWN)):
            given = {k: v for k, v in (behavior.get(name) or {}).items() if v is not None}
            behavior[name] = {**copy.deepcopy(standard), **given}


def validate_hpa(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    low, high = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    found: list[Cause] = []
    if low is not None and low < 1:
        found.append(wrong("spec.minReplicas", low, "must be greater than or equal to 1"))
    if high < 1:
        found.append(wrong("spec.maxReplicas", high, "must be greater than 0"))
    if low is not None and high < low:
        found.append(wrong("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"))
    found += reference_causes(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for i, metric in enumerate(spec.get("metrics") or ()):
        found += _metric_causes(metric, f"spec.metrics[{i}]")
    behavior = spec.get("behavior") or {}
    for name in ("scaleUp", "scaleDown"):
        if behavior.get(name) is not None:
            found += _scaling_causes(behavior[name], f"spec.behavior.{name}")
    return found


def reference_causes(ref: Tree, at: str) -> list[Cause]:
    """A CrossVersionObjectReference."""
    found: list[Cause] = []
    for name in ("kind", "name"):
        if not ref.get(name):
            found.append(required(f"{at}.{name}"))
        else:
            found += formats.causes(f"{at}.{name}", ref[name], path_segment)
    if ref.get("apiVersion", "").count("/") > 1:
        why = f"unexpected GroupVersion string: {ref['apiVersion']}"
        found.append(wrong(f"{at}.apiVersion", ref["apiVersion"], why))
    return found


def _metric_causes(metric: Tree, at: str) -> list[Cause]:
    kind = metric.get("type", "")
    found: list[Cause] = []
    if not kind:
        found.append(required(f"{at}.type", "must specify a metric source type"))
    if kind not in SOURCES:
        found.append(unsupported(f"{at}.type", kind, tuple(SOURCES)))
    given = [name for name in SOURCES.values() if metric.get(name) is not None]
    if given:
        found += _source_causes(given[0], metric[given[0]], f"{at}.{given[0]}")
    expected = SOURCES.get(kind, "")
    if expected and expected not in given:
        found.append(required(f"{at}.{expected}", "must populate information for the given metric source"))
    if len(given) != 1:
        others = sorted(set(given) - {expected})
        found += [not_permitted(f"{at}.{name}", "must populate the given metric source only") for name in others]
    return found


def _source_causes(name: str, source: Tree, at: str) -> list[Cause]:
    target = source.get("target") or {}
    found: list[Cause] = []
    if name == "object":
        found += reference_causes(source.get("describedObject") or {}, f"{at}.describedObject")
    if name in ("resource", "containerResource"):
        if not source.get("name"):
            found.append(required(f"{at}.name", "must specify a resource name"))
        if name == "containerResource" and not source.get("container"):
            found.append(required(f"{at}.container", "must specify a container"))
    else:
        metric = (source.get("metric") or {}).get("name", "")
        if not metric:
            found.append(required(f"{at}.metric.name", "must specify a metric name"))
        else:
            found += formats.causes(f"{at}.metric.name", metric, path_segment)
    found += _target_causes(target, f"{at}.target")
    value, average = target.get("value"), target.get("averageValue")
    if name in ("object", "external"):
        if value is None and average is None:
            why = "must set either a target value for metric or a per-pod target"
            found.append(required(f"{at}.target.averageValue", why))
        if name == "external" and value is not None and average is not None:
            why = "may not set both a target value for metric and a per-pod target"
            found.append(not_permitted(f"{at}.target.value", why))
    elif name == "pods":
        if average is None or quantities.parse(average) <= 0:
            found.append(required(f"{at}.target.averageValue", "must specify a positive target averageValue"))
    else:
        percent = target.get("averageUtilization")
        if percent is None and average is None:
            why = "must set either a target raw value or a target utilization"
            found.append(required(f"{at}.target.averageUtilization", why))
        if percent is not None and average is not None:
            why = "may not set both a target raw value and a target utilization"
            found.append(not_permitted(f"{at}.target.averageValue", why))
    return found


def _target_causes(target: Tree, at: str) -> list[Cause]:
    kind = target.get("type", "")
    found: list[Cause] = []
    if not kind:
        found.append(required(f"{at}.type", "must specify a metric target type"))
    if kind not in ("Utilization", "Value", "AverageValue"):
        found.append(wrong(f"{at}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for name in ("value", "averageValue"):
        if target.get(name) is not None and quantities.parse(target[name]) <= 0:
            found.append(wrong(f"{at}.{name}", target[name], "must be positive"))
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        found.append(wrong(f"{at}.averageUtilization", percent, "must be greater than 0"))
    return found


def _scaling_causes(rules: Tree, at: str) -> list[Cause]:
    found: list[Cause] = []
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        found.append(wrong(f"{at}.stabilizationWindowSeconds", window, "must be greater than or equal to zero"))
    if window is not None and window > LONGEST_WINDOW:
        why = f"must be less than or equal to {LONGEST_WINDOW}"
        found.append(wrong(f"{at}.stabilizationWindowSeconds", window, why))
    choice = rules.get("selectPolicy")
    if choice is not None and choice not in ("Disabled", "Max", "Min"):
        found.append(unsupported(f"{at}.selectPolicy", choice, ("Disabled", "Max", "Min")))
    if not rules.get("policies"):
        found.append(required(f"{at}.policies", "must specify at least one Policy"))
    for i, policy in enumerate(rules.get("policies") or ()):
        path = f"{at}.policies[{i}]"
        if policy.get("type") not in ("Percent", "Pods"):
            found.append(unsupported(f"{path}.type", policy.get("type", ""), ("Percent", "Pods")))
        for name in ("value", "periodSeconds"):
            if policy.get(name, 0) <= 0:
                found.append(wrong(f"{path}.{name}", policy.get(name, 0), "must be greater than zero"))
        if policy.get("periodSeconds", 0) > LONGEST_PERIOD:
            why = f"must be less than or equal to {LONGEST_PERIOD}"
            found.append(wrong(f"{path}.periodSeconds", policy["periodSeconds"], why))
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantities.parse(tolerance) < 0:
        found.append(wrong(f"{at}.tolerance", tolerance, "must be greater than or equal to 0"))
    return found


def validate_hpa_status(tree: Tree, old: Tree) -> list[Cause]:
    status = tree.get("status") or {}
    return [
        wrong(f"status.{name}", status[name], "must be greater than or equal to 0")
        for name in ("currentReplicas", "desiredReplicas")
        if status.get(name, 0) < 0
    ]
