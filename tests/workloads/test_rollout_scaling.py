"""Deployments that are scaled in the middle of a rollout, paused, resumed and rolled back."""

from __future__ import annotations

import pytest

from seaway.cluster.workloads import progress
from seaway.cluster.workloads.rollout import DESIRED, HISTORY, MAX, REVISION, history, plan, renew
from seaway.controllers.writes import Create, Delete, Patch


def template(image: str) -> dict:
    return {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def deploy(replicas: int, image: str = "b", status: dict | None = None, **spec: object) -> dict:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    return {"metadata": {"name": "w", "namespace": "n", "uid": "d", "generation": 2},
            "spec": {"replicas": replicas, "progressDeadlineSeconds": 600, "strategy": rolling,
                     "selector": {"matchLabels": {"app": "w"}}, "template": template(image), **spec},
            "status": status or {}}


def made(name: str, image: str, replicas: int, desired: int, most: int, available: int | None = None, age: int = 0,
         **notes: str) -> dict:
    count = replicas if available is None else available
    return {"metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": "1",
                         "creationTimestamp": f"2026-01-01T00:00:{59 - age:02}Z",
                         "annotations": {REVISION: name[-1], DESIRED: str(desired), MAX: str(most), **notes}},
            "spec": {"replicas": replicas, "template": template(image)},
            "status": {"replicas": replicas, "availableReplicas": count}}


def sizes(writes: list) -> dict[str, int]:
    return {w.name: w.patch["spec"]["replicas"] for w in writes if isinstance(w, Patch) and "spec" in w.patch}


# (replicas now, sizes before as old+new of 10 with surge 3) -> sizes after, computed by hand from GetReplicaSetProportion
@pytest.mark.parametrize(
    ("wanted", "old", "new", "want"),
    [
        (15, 8, 5, {"w-1": 11, "w-2": 7}),  # 13 -> 18: 8*18/13 = 11.08, 5*18/13 = 6.92
        (20, 8, 5, {"w-1": 14, "w-2": 9}),  # 13 -> 23: 14.15, 8.85
        (5, 8, 5, {"w-1": 5, "w-2": 3}),  # 13 -> 8: 4.92, 3.08
        (0, 8, 5, {"w-1": 0, "w-2": 0}),
    ],
)
def test_a_scaled_rollout_spreads_the_change_in_proportion(wanted: int, old: int, new: int, want: dict) -> None:
    sets = [made("w-1", "a", old, 10, 13, age=9), made("w-2", "b", new, 10, 13, available=0)]
    writes = plan(deploy(wanted), sets)
    assert sizes(writes) == want
    for write in writes:
        assert isinstance(write, Patch)
        notes = write.patch["metadata"]["annotations"]
        assert (notes[DESIRED], notes[MAX]) == (str(wanted), str(wanted + 3))


def test_what_is_left_over_goes_to_the_largest() -> None:
    sets = [made("w-1", "a", 7, 10, 13, age=9), made("w-2", "b", 6, 10, 13, available=0)]
    assert sum(sizes(plan(deploy(11), sets)).get(s["metadata"]["name"], s["spec"]["replicas"]) for s in sets) == 14


def test_one_set_alone_takes_the_whole_number() -> None:
    assert sizes(plan(deploy(7), [made("w-1", "b", 3, 3, 6)])) == {"w-1": 7}


def test_a_saturated_new_set_ends_the_old_ones() -> None:
    sets = [made("w-1", "a", 2, 8, 11, age=9), made("w-2", "b", 10, 10, 13)]
    assert sizes(plan(deploy(10), sets)) == {"w-1": 0}


def test_a_paused_deployment_scales_both_sets_but_does_not_roll() -> None:
    sets = [made("w-1", "a", 8, 10, 13, age=9), made("w-2", "b", 5, 10, 13, available=0)]
    assert sizes(plan(deploy(20, paused=True), sets)) == {"w-1": 14, "w-2": 9}
    assert plan(deploy(10, "c", paused=True), [made("w-1", "a", 10, 10, 13)]) == []


def test_pausing_and_resuming_are_conditions() -> None:
    said = progress.paused(deploy(1, paused=True), 0.0)
    assert said and [(c["status"], c["reason"], c["message"]) for c in said["conditions"]] == [
        ("Unknown", "DeploymentPaused", "Deployment is paused")]
    assert progress.paused(deploy(1, status=said, paused=True), 1.0) is None
    again = progress.paused(deploy(1, status=said), 2.0)
    assert again and again["conditions"][0]["reason"] == "DeploymentResumed"


def test_a_rollback_keeps_the_revisions_that_a_set_had() -> None:
    current = made("w-1", "b", 0, 1, 4)
    (write,) = renew(deploy(1), current, [made("w-2", "a", 1, 1, 4)])
    assert write.patch["metadata"]["annotations"] == {REVISION: "3", HISTORY: "1"}
    once = made("w-3", "b", 0, 1, 4, **{HISTORY: "1"})
    (write,) = renew(deploy(1), once, [made("w-4", "a", 1, 1, 4)])
    assert write.patch["metadata"]["annotations"][HISTORY] == "1,3"


def test_a_long_history_forgets_its_beginning() -> None:
    past = ",".join(str(100 + i) for i in range(500))
    (write,) = renew(deploy(1), made("w-3", "b", 0, 1, 4, **{HISTORY: past}), [made("w-4", "a", 1, 1, 4)])
    text = write.patch["metadata"]["annotations"][HISTORY]
    assert len(text) <= 2000 and text.endswith(",3") and not text.startswith("100,")


@pytest.mark.parametrize(
    ("name", "change", "goes"),
    [
        ("idle", {}, True),
        ("has pods", {"status": {"replicas": 1}}, False),
        ("wants pods", {"spec": {"replicas": 1, "template": template("a")}}, False),
        ("not seen yet", {"status": {"observedGeneration": 1}, "generation": 2}, False),
    ],
)
def test_history_takes_only_sets_that_are_at_rest(name: str, change: dict, goes: bool) -> None:
    tree = made("w-1", "a", 0, 1, 4)
    tree["metadata"]["generation"] = change.pop("generation", 1)
    tree.update(change)
    found = history(deploy(1, revisionHistoryLimit=0), [tree])
    assert [isinstance(w, Delete) for w in found] == ([True] if goes else []), name


def test_recreate_waits_for_the_last_old_pod() -> None:
    recreate = {"type": "Recreate"}
    old = made("w-1", "a", 0, 1, 1)
    old["status"] = {}
    pod = {"metadata": {"name": "p", "deletionTimestamp": "t", "ownerReferences": [{"uid": "w-1"}]}, "status": {"phase": "Running"}}
    assert plan(deploy(1, strategy=recreate), [old], [pod]) == []
    ended = {**pod, "status": {"phase": "Failed"}}
    for pods in ([], [ended]):
        (write,) = plan(deploy(1, strategy=recreate), [old], pods)
        assert isinstance(write, Create)


def test_without_a_deadline_nothing_is_said_of_progress() -> None:
    tree = deploy(1, progressDeadlineSeconds=None)
    found = progress.status(tree, [made("w-1", "b", 1, 1, 4)], 0.0)
    assert [c["type"] for c in found["conditions"]] == ["Available"]


def test_a_sets_failure_is_the_deployments() -> None:
    current = made("w-1", "b", 1, 1, 4)
    current["status"]["conditions"] = [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no"}]
    tree = deploy(1)
    tree["status"] = progress.status(tree, [current], 0.0)
    assert tree["status"]["conditions"][-1]["type"] == "ReplicaFailure"
    current["status"]["conditions"] = []
    assert all(c["type"] != "ReplicaFailure" for c in progress.status(tree, [current], 0.0)["conditions"])
