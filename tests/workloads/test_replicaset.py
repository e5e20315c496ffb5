"""ReplicaSets: how many pods, and which go first."""

from __future__ import annotations

import itertools

import pytest

from seaway.cluster.workloads.replicaset import deletion_order, is_available, patch_of, plan, status
from seaway.controllers.writes import Create, Delete

COST = "controller.kubernetes.io/pod-deletion-cost"


def pod(name: str, node: str = "n", phase: str = "Running", ready: bool = True, age: int = 0, since: int = 0, **meta: object) -> dict:
    return {"metadata": {"name": name, "namespace": "ns", "uid": f"u-{name}", "labels": {"app": "w"},
                         "creationTimestamp": f"2026-01-01T00:{59 - age:02}:00Z", **meta},
            "spec": {"nodeName": node},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False",
                                                       "lastTransitionTime": f"1970-01-01T00:00:{since:02}Z"}]}}


def owner(replicas: int, **spec: object) -> dict:
    return {"metadata": {"name": "rs", "namespace": "ns", "uid": "r", "generation": 4},
            "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": "w"}, "annotations": {"a": "b"}},
                                                        "spec": {"containers": []}}, **spec}}


@pytest.mark.parametrize(
    ("wanted", "pods", "creates", "deletes"),
    [
        (0, [], 0, 0),
        (3, [], 3, 0),
        (2, [pod("a")], 1, 0),
        (1, [pod("a")], 0, 0),
        (1, [pod("a"), pod("b"), pod("c")], 0, 2),
        (0, [pod("a")], 0, 1),
        (1, [pod("a", phase="Failed")], 1, 0),  # ended pods do not count
        (1, [pod("a", phase="Succeeded")], 1, 0),
        (1, [pod("a", deletionTimestamp="t")], 1, 0),  # and ending ones are replaced at once
        (1, [pod("a", deletionTimestamp="t"), pod("b")], 0, 0),
        (0, [pod("a", deletionTimestamp="t")], 0, 0),
    ],
)
def test_missing_pods_are_made_and_surplus_ones_deleted(wanted: int, pods: list, creates: int, deletes: int) -> None:
    writes = plan(owner(wanted), pods)
    assert sum(isinstance(w, Create) for w in writes) == creates and sum(isinstance(w, Delete) for w in writes) == deletes


def test_a_set_in_deletion_does_nothing() -> None:
    tree = owner(3)
    tree["metadata"]["deletionTimestamp"] = "t"
    assert plan(tree, [pod("a")]) == []


def test_a_burst_is_bounded() -> None:
    assert len(plan(owner(2000), [])) == 500


def test_a_pod_is_the_template_with_an_owner() -> None:
    (write,) = plan(owner(1), [])
    assert isinstance(write, Create)
    meta = write.tree["metadata"]
    assert (meta["generateName"], meta["labels"], meta["annotations"]) == ("rs-", {"app": "w"}, {"a": "b"})
    assert meta["ownerReferences"][0] == {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "r",
                                          "controller": True, "blockOwnerDeletion": True}


def test_a_delete_names_the_pod_that_was_seen() -> None:
    (write,) = plan(owner(0), [pod("a")])
    assert isinstance(write, Delete) and (write.namespace, write.name, write.uid) == ("ns", "a", "u-a")


# Each pod goes before the next one, for the reason beside it (pkg/controller ActivePodsWithRanks).
ORDER = [
    pod("unassigned", node="", phase="Pending", ready=False),
    pod("pending", node="x", phase="Pending", ready=False),
    pod("unknown", node="x", phase="Unknown", ready=False),
    pod("unready", node="x", ready=False),
    pod("cheap", node="x", annotations={COST: "-5"}),
    pod("crowded-young", node="full", age=1),
    pod("crowded-old", node="full", age=9),
    pod("alone-young", node="y", age=1),
    pod("alone-old", node="z", age=9),
    pod("dear", node="full2", annotations={COST: "10"}),
]
CROWD = [pod(f"f{i}", node="full", annotations={COST: "99"}) for i in range(4)]


@pytest.mark.parametrize("at", range(len(ORDER) - 1))
def test_of_two_pods_the_less_useful_goes_first(at: int) -> None:
    pair = ORDER[at : at + 2]
    for way in itertools.permutations(pair):
        assert [p["metadata"]["name"] for p in deletion_order(way, [*ORDER, *CROWD])] == [p["metadata"]["name"] for p in pair]


def test_the_order_holds_for_all_together() -> None:
    names = [p["metadata"]["name"] for p in ORDER]
    assert [p["metadata"]["name"] for p in deletion_order(reversed(ORDER), [*ORDER, *CROWD])] == names


@pytest.mark.parametrize(
    ("ready", "since", "min_ready", "now", "want"),
    [(True, 0, 0, 0.0, True), (False, 0, 0, 99.0, False), (True, 10, 5, 14.0, False), (True, 10, 5, 15.0, True)],
)
def test_a_pod_is_available_once_it_was_ready_for_long_enough(
    ready: bool, since: int, min_ready: int, now: float, want: bool
) -> None:
    assert is_available(pod("a", ready=ready, since=since), min_ready, now) == want


def test_the_status_counts_active_pods() -> None:
    other = pod("d", since=10)
    other["metadata"]["labels"] = {}
    pods = [pod("a", since=10), pod("b", ready=False), pod("c", phase="Failed"), other, pod("e", since=20)]
    assert status(owner(4, minReadySeconds=15), pods, 30.0) == {
        "replicas": 4, "fullyLabeledReplicas": 3, "readyReplicas": 3, "availableReplicas": 2, "observedGeneration": 4}


@pytest.mark.parametrize(
    ("new", "old", "want"),
    [
        ({"replicas": 0, "readyReplicas": 0}, {}, {"replicas": 0}),  # zeros are left out, but for the required field
        ({"replicas": 1, "readyReplicas": 0}, {"replicas": 1, "readyReplicas": 1}, {"readyReplicas": None}),
        ({"replicas": 1}, {"replicas": 1, "other": 2}, {}),
        ({"replicas": 2}, {"replicas": 1}, {"replicas": 2}),
    ],
)
def test_a_status_patch_holds_what_changed(new: dict, old: dict, want: dict) -> None:
    assert patch_of(new, old) == want
