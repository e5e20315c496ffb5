"""PodDisruptionBudgets: how many pods may go, and who counts."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.api.tree import stamp
from seaway.cluster.workloads.disruption import counts, disrupted, matching, status, unsynced

NOW = 1767225600.0


def budget(status: dict | None = None, selector: Any = {"matchLabels": {"app": "w"}}, **spec: Any) -> dict:  # noqa: B006
    return {"metadata": {"name": "b", "namespace": "n", "generation": 3}, "spec": {"selector": selector, **spec}, "status": status or {}}


def pod(name: str, ready: bool = True, app: str = "w", **meta: Any) -> dict:
    return {"metadata": {"name": name, "namespace": "n", "labels": {"app": app}, **meta},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


TEN = [pod(str(i)) for i in range(10)]


# spec, pods, replicas of their controllers -> (expected, desired, healthy, allowed)
@pytest.mark.parametrize(
    ("spec", "pods", "scale", "want"),
    [
        ({"minAvailable": 1}, TEN[:2], None, (2, 1, 2, 1)),
        ({"minAvailable": 3}, TEN[:2], None, (2, 3, 2, 0)),
        ({"minAvailable": 0}, [], None, (0, 0, 0, 0)),
        ({"minAvailable": 0}, TEN[:2], None, (2, 0, 2, 2)),
        ({"minAvailable": "50%"}, TEN[:3], 3, (3, 2, 3, 1)),  # rounded up
        ({"minAvailable": "100%"}, TEN[:3], 3, (3, 3, 3, 0)),
        ({"minAvailable": "50%"}, TEN[:3], 0, (0, 0, 3, 0)),  # pods of no controller
        ({"maxUnavailable": 1}, TEN[:3], 3, (3, 2, 3, 1)),
        ({"maxUnavailable": 1}, TEN[:2], 3, (3, 2, 2, 0)),  # one is missing already
        ({"maxUnavailable": "30%"}, TEN, 10, (10, 7, 10, 3)),
        ({"maxUnavailable": "25%"}, TEN[:3], 3, (3, 2, 3, 1)),  # 0.75 rounded up
        ({"maxUnavailable": 5}, TEN[:2], 2, (2, 0, 2, 2)),
        ({"maxUnavailable": 0}, TEN[:2], 2, (2, 2, 2, 0)),
        ({"minAvailable": 1}, [pod("a"), pod("b", ready=False)], None, (2, 1, 1, 0)),
        ({"minAvailable": 1}, [pod("a"), pod("b", deletionTimestamp="t")], None, (2, 1, 1, 0)),
    ],
)
def test_how_many_may_go(spec: dict, pods: list, scale: int | None, want: tuple) -> None:
    tree = budget(**spec)
    found = status(tree, pods, scale, {}, NOW)
    assert (found["expectedPods"], found["desiredHealthy"], found["currentHealthy"], found["disruptionsAllowed"]) == want
    assert counts(tree, pods, scale) == want[:2] and found["observedGeneration"] == 3
    (entry,) = found["conditions"]
    assert (entry["status"], entry["reason"], entry["message"]) == (("True", "SufficientPods", "") if want[3] else ("False", "InsufficientPods", ""))


@pytest.mark.parametrize(("selector", "want"), [(None, []), ({}, ["a", "b"]), ({"matchLabels": {"app": "w"}}, ["a"])])
def test_no_selector_is_no_pod_and_an_empty_one_is_all(selector: Any, want: list) -> None:
    found = matching(budget(selector=selector), [pod("a"), pod("b", app="x")])
    assert [p["metadata"]["name"] for p in found] == want


def test_an_evicted_pod_is_counted_out_for_two_minutes() -> None:
    tree = budget({"disruptedPods": {"a": stamp(NOW - 100), "b": stamp(NOW - 130), "gone": stamp(NOW)}}, minAvailable=1)
    pods = [pod("a"), pod("b"), pod("c")]
    kept, wait = disrupted(tree, pods, NOW)
    assert list(kept) == ["a"] and wait == 20
    found = status(tree, pods, None, kept, NOW)
    assert found["currentHealthy"] == 2 and found["disruptedPods"] == kept
    ending = [pod("a", deletionTimestamp="t"), pod("c")]
    assert disrupted(tree, ending, NOW) == ({}, None)


def test_the_transition_time_moves_with_the_status_alone() -> None:
    tree = budget(minAvailable=1)
    tree["status"] = status(tree, TEN[:2], None, {}, NOW)
    again = status(tree, TEN[:3], None, {}, NOW + 50)
    assert again["conditions"][0]["lastTransitionTime"] == stamp(NOW)
    less = status(tree, TEN[:1], None, {}, NOW + 50)
    assert less["conditions"][0]["lastTransitionTime"] == stamp(NOW + 50)


def test_a_count_that_failed_allows_nothing_and_says_why() -> None:
    found = unsynced(budget({"disruptionsAllowed": 2}, maxUnavailable=1), "found no controllers", NOW)
    assert found["disruptionsAllowed"] == 0
    assert (found["conditions"][0]["reason"], found["conditions"][0]["message"]) == ("SyncFailed", "found no controllers")
