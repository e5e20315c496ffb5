"""Evictions: which pods go without asking, and what a budget says."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver.eviction import budgets_of, check, ends_freely, is_spared
from seaway.cluster.apiserver.metadata import told_name
from seaway.cluster.apiserver.status import ApiError


def pod(phase: str = "Running", ready: bool = True, **meta: Any) -> dict:
    return {"metadata": {"name": "p", "labels": {"app": "w"}, **meta},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


def budget(healthy: int = 1, desired: int = 1, allowed: int = 0, policy: str = "", seen: int = 1, **status: Any) -> dict:
    spec = {"selector": {"matchLabels": {"app": "w"}}, **({"unhealthyPodEvictionPolicy": policy} if policy else {})}
    return {"metadata": {"name": "b", "generation": 1}, "spec": spec,
            "status": {"currentHealthy": healthy, "desiredHealthy": desired, "disruptionsAllowed": allowed, "observedGeneration": seen, **status}}


@pytest.mark.parametrize(
    ("tree", "want"),
    [(pod("Succeeded"), True), (pod("Failed"), True), (pod("Pending"), True), (pod(deletionTimestamp="t"), True), (pod(), False), (pod(ready=False), False)],
)
def test_ended_pending_and_ending_pods_go_freely(tree: dict, want: bool) -> None:
    assert ends_freely(tree) == want


@pytest.mark.parametrize(
    ("tree", "of", "want"),
    [
        (pod(), budget(), False),
        (pod(ready=False), budget(healthy=1, desired=1), True),
        (pod(ready=False), budget(healthy=0, desired=1), False),
        (pod(ready=False), budget(healthy=0, desired=0), False),
        (pod(ready=False), budget(healthy=0, desired=1, policy="AlwaysAllow"), True),
        (pod(ready=False), budget(healthy=0, desired=1, policy="IfHealthyBudget"), False),
        (pod(), budget(policy="AlwaysAllow"), False),
    ],
)
def test_an_unready_pod_is_spared_while_enough_are_healthy(tree: dict, of: dict, want: bool) -> None:
    assert is_spared(tree, of) == want


def test_only_budgets_that_select_the_pod_are_asked() -> None:
    other, none, every = budget(), budget(), budget()
    other["spec"]["selector"] = {"matchLabels": {"app": "x"}}
    none["spec"]["selector"] = None
    every["spec"]["selector"] = {}
    assert budgets_of(pod(), [other, none, every, budget()]) == [every, budget()]


@pytest.mark.parametrize(
    ("of", "code", "cause", "retry"),
    [
        (budget(healthy=1, desired=1), 429, "The disruption budget b needs 1 healthy pods and has 1 currently", None),
        (budget(healthy=2, desired=1, allowed=1, seen=0), 429, "The disruption budget b is still being processed by the server.", 10),
        (budget(conditions=[{"type": "DisruptionAllowed", "reason": "SyncFailed", "message": "no scale"}]), 429,
         "The disruption budget b does not allow evicting pods currently because it failed sync: no scale", None),
    ],
)
def test_a_refusal_says_why(of: dict, code: int, cause: str, retry: int | None) -> None:
    with pytest.raises(ApiError) as error:
        check(of)
    tree = error.value.tree
    assert (error.value.code, tree["reason"]) == (code, "TooManyRequests")
    assert tree["details"]["causes"] == [{"reason": "DisruptionBudget", "message": cause}]
    assert tree["details"].get("retryAfterSeconds") == retry


def test_a_budget_with_room_lets_go_and_one_that_is_overrun_forbids() -> None:
    check(budget(healthy=2, allowed=1))
    for wrong in (budget(allowed=-1), budget(allowed=1, disruptedPods={str(i): "t" for i in range(2001)})):
        with pytest.raises(ApiError) as error:
            check(wrong)
        assert error.value.code == 403


@pytest.mark.parametrize(
    ("meta", "want"),
    [
        ({"name": "web-x7k2p", "generateName": "web-"}, "web-"),  # drawn after admission
        ({"name": "s-0", "generateName": "s-"}, "s-0"),
        ({"name": "p"}, "p"),
        ({}, ""),
    ],
)
def test_a_refusal_tells_the_name_that_was_asked_for(meta: dict, want: str) -> None:
    assert told_name(meta) == want
