"""HorizontalPodAutoscalers where nothing can be measured: bounds hold, and the conditions say why nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.workloads.autoscaler import decide, without_target

NOW = 1767225600.0
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}


def scaler(**spec: Any) -> dict:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}
    return {"metadata": {"name": "h", "namespace": "n", "generation": 1},
            "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4, "metrics": [CPU], **spec}}


def said(status: dict) -> list[tuple[str, str, str]]:
    return [(c["type"], c["status"], c["reason"]) for c in status["conditions"]]


@pytest.mark.parametrize(("now", "want"), [(1, 2), (2, None), (4, None), (9, 4), (0, None)])
def test_the_bounds_are_kept(now: int, want: int | None) -> None:
    assert decide(scaler(), now, NOW).replicas == want


def test_within_the_bounds_it_says_that_nothing_is_measured() -> None:
    step = decide(scaler(), 3, NOW)
    assert said(step.status) == [("AbleToScale", "True", "SucceededGetScale"), ("ScalingActive", "False", "FailedGetResourceMetric")]
    assert "failed to get cpu utilization: unable to get metrics for resource cpu" in step.status["conditions"][1]["message"]
    assert [r for _, r, _ in step.events] == ["FailedGetResourceMetric", "FailedComputeMetricsReplicas"]
    assert (step.status["currentReplicas"], step.status["desiredReplicas"]) == (3, 0)


def test_a_rescale_is_told() -> None:
    step = decide(scaler(), 9, NOW)
    assert step.events == [("Normal", "SuccessfulRescale", "New size: 4; reason: Current number of replicas above Spec.MaxReplicas")]
    assert said(step.status) == [("AbleToScale", "True", "SucceededRescale")] and step.status["lastScaleTime"] == "2026-01-01T00:00:00Z"


def test_a_target_of_none_is_left_alone() -> None:
    assert said(decide(scaler(), 0, NOW).status)[1] == ("ScalingActive", "False", "ScalingDisabled")


def test_a_target_that_is_not_there_is_said() -> None:
    step = without_target(scaler(), 'deployments.apps "w" not found', NOW)
    assert said(step.status) == [("AbleToScale", "False", "FailedGetScale")] and step.events[0][1] == "FailedGetScale"


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": {"type": "Utilization"}}}, "FailedGetContainerResourceMetric"),
        ({"type": "Pods", "pods": {"metric": {"name": "m"}}}, "FailedGetPodsMetric"),
        ({"type": "Object", "object": {"metric": {"name": "m"}}}, "FailedGetObjectMetric"),
        ({"type": "External", "external": {"metric": {"name": "m"}}}, "FailedGetExternalMetric"),
    ],
)
def test_each_kind_of_metric_has_its_reason(metric: dict, reason: str) -> None:
    assert said(decide(scaler(metrics=[metric]), 3, NOW).status)[1][2] == reason
