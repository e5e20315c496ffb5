"""Kinds with two forms and one storage: there and back again, nothing is lost."""

from __future__ import annotations

from typing import Any

from seaway.api import kinds
from seaway.cluster.apiserver import forms

Tree = dict[str, Any]
EVENTS = kinds.by_resource()[("events.k8s.io", "v1", "events")]
HPA_V1 = kinds.by_resource()[("autoscaling", "v1", "horizontalpodautoscalers")]


def hpa(**spec: Any) -> Tree:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}
    return {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3, **spec},
    }


def test_an_event_is_stored_in_the_core_form() -> None:
    event = {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod"},
        "note": "n",
        "reportingController": "c",
        "eventTime": "2020-01-02T03:04:05.000006Z",
        "ofNextYear": 1,
    }
    stored = forms.store(EVENTS, event)
    assert stored["apiVersion"] == "v1" and stored["involvedObject"] == {"kind": "Pod"} and stored["message"] == "n"
    shown = forms.show(EVENTS, {**stored, "source": {}, "firstTimestamp": None, "reportingInstance": ""})
    assert {k: shown[k] for k in event} == event and "reportingInstance" not in shown
    assert shown["deprecatedSource"] == {} and shown["deprecatedFirstTimestamp"] is None


def test_a_percentage_of_v1_is_a_metric_of_v2() -> None:
    stored = forms.store(HPA_V1, hpa(targetCPUUtilizationPercentage=70))
    (metric,) = stored["spec"]["metrics"]
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert stored["apiVersion"] == "autoscaling/v2"
    assert forms.show(HPA_V1, stored)["spec"] == hpa(targetCPUUtilizationPercentage=70)["spec"]


def test_what_v1_has_no_field_for_comes_back_from_its_annotations() -> None:
    stored = forms.store(HPA_V1, hpa(targetCPUUtilizationPercentage=70))
    stored["spec"]["metrics"] += [
        {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "5"}}},
        {"type": "Object", "object": {"describedObject": {"kind": "S", "name": "s"}, "metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}},
        {"type": "External", "external": {"metric": {"name": "m", "selector": {}}, "target": {"type": "AverageValue", "averageValue": "2"}}},
        {"type": "ContainerResource", "containerResource": {"name": "memory", "container": "c", "target": {"type": "Utilization", "averageUtilization": 9}}},
    ]
    stored["spec"]["behavior"] = {"scaleDown": {"selectPolicy": "Disabled"}}
    stored["status"] = {"conditions": [{"type": "AbleToScale", "status": "True"}], "desiredReplicas": 2}
    shown = forms.show(HPA_V1, stored)
    assert "metrics" not in shown["spec"] and "conditions" not in shown["status"]
    back = forms.store(HPA_V1, shown)
    assert back["spec"] == stored["spec"] and back["status"]["conditions"] == stored["status"]["conditions"]
    assert "annotations" not in back["metadata"]


def test_an_annotation_that_cannot_be_read_is_as_if_absent() -> None:
    broken = hpa()
    broken["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": "{", "a": "b"}
    stored = forms.store(HPA_V1, broken)
    assert stored["spec"]["metrics"][0]["resource"]["name"] == "cpu" and stored["metadata"]["annotations"] == {"a": "b"}
