"""ReplicaSets: how many pods, and which go first."""

from __future__ import annotations

import itertools

import pytest

from seaway.api.merge import difference
from seaway.api.selectors import exact
from seaway.cluster.workloads.adoption import adoption, claim
from seaway.cluster.workloads.podfacts import deletion_order, is_available
from seaway.cluster.workloads.replicaset import REPLICATION_CONTROLLER, plan, selector_of, status
from seaway.controllers.writes import Create, Delete

NOW = 1767225600.0 + 3540  # an age is told by its order of magnitude: a minute from nine
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
    writes = plan(owner(wanted), pods, NOW)
    assert sum(isinstance(w, Create) for w in writes) == creates and sum(isinstance(w, Delete) for w in writes) == deletes


def test_a_set_in_deletion_does_nothing() -> None:
    tree = owner(3)
    tree["metadata"]["deletionTimestamp"] = "t"
    assert plan(tree, [pod("a")], NOW) == []


def test_a_burst_is_bounded() -> None:
    assert len(plan(owner(2000), [], NOW)) == 500


def test_a_pod_is_the_template_with_an_owner() -> None:
    (write,) = plan(owner(1), [], NOW)
    assert isinstance(write, Create)
    meta = write.tree["metadata"]
    assert (meta["generateName"], meta["labels"], meta["annotations"]) == ("rs-", {"app": "w"}, {"a": "b"})
    assert meta["ownerReferences"][0] == {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "r",
                                          "controller": True, "blockOwnerDeletion": True}


def test_a_delete_names_the_pod_that_was_seen() -> None:
    (write,) = plan(owner(0), [pod("a")], NOW)
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
        assert [p["metadata"]["name"] for p in deletion_order(way, [*ORDER, *CROWD], NOW)] == [p["metadata"]["name"] for p in pair]


def test_the_order_holds_for_all_together() -> None:
    names = [p["metadata"]["name"] for p in ORDER]
    assert [p["metadata"]["name"] for p in deletion_order(reversed(ORDER), [*ORDER, *CROWD], NOW)] == names


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
        "replicas": 4, "fullyLabeledReplicas": 3, "readyReplicas": 3, "availableReplicas": 2, "terminatingReplicas": 0,
        "observedGeneration": 4}


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        ({}, {"replicas": 0}, {"replicas": 0}),
        ({"replicas": 1, "readyReplicas": 1}, {"replicas": 1}, {"readyReplicas": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": None}}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
        ({"replicas": 2}, {"replicas": 2}, {}),
    ],
)
def test_a_status_patch_holds_what_changed(old: dict, new: dict, want: dict) -> None:
    assert difference(old, new) == want


def test_a_pod_on_its_way_out_is_told_apart() -> None:
    found = status(owner(1), [pod("a", deletionTimestamp="t"), pod("b")], NOW)
    assert (found["replicas"], found["terminatingReplicas"]) == (1, 1)


def test_a_failure_is_a_condition_until_it_is_over() -> None:
    tree = owner(1)
    tree["status"] = status(tree, [], NOW, ("FailedCreate", "no room"))
    (entry,) = tree["status"]["conditions"]
    assert (entry["type"], entry["status"], entry["reason"], entry["message"]) == (
        "ReplicaFailure", "True", "FailedCreate", "no room")
    assert "conditions" not in status(tree, [], NOW)


RC = {"metadata": {"name": "rc", "namespace": "ns", "uid": "c", "generation": 1},
      "spec": {"replicas": 1, "template": {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": []}}}}


def test_a_replication_controller_is_a_replica_set_of_its_own_kind() -> None:
    (write,) = plan(RC, [], NOW, flavor=REPLICATION_CONTROLLER)
    assert isinstance(write, Create)
    ref = write.tree["metadata"]["ownerReferences"][0]
    assert (ref["apiVersion"], ref["kind"]) == ("v1", "ReplicationController")
    assert "terminatingReplicas" not in status(RC, [], NOW, flavor=REPLICATION_CONTROLLER)
    selector = selector_of(RC, REPLICATION_CONTROLLER)
    assert selector is not None and selector.matches({"app": "w"}) and not selector.matches({"app": "x"})


ADOPTER = {"metadata": {"name": "o", "namespace": "ns", "uid": "o"}}
OWN, OTHER = {"uid": "o", "controller": True}, {"uid": "x", "controller": True}


@pytest.mark.parametrize(
    ("labels", "refs", "ending", "want"),
    [
        ({"app": "w"}, [OWN], False, "owned"),
        ({"app": "x"}, [OWN], False, "release"),  # it no longer matches
        ({"app": "w"}, [], False, "adopt"),
        ({"app": "w"}, [{"uid": "x"}], False, "adopt"),  # an owner that is no controller is no obstacle
        ({"app": "x"}, [], False, ""),
        ({"app": "w"}, [OTHER], False, ""),
        ({"app": "w"}, [], True, ""),  # an owner on its way out takes nothing on, and lets nothing go
        ({"app": "x"}, [OWN], True, ""),
    ],
)
def test_what_matches_is_adopted_and_what_does_not_is_released(labels: dict, refs: list, ending: bool, want: str) -> None:
    holder = {"metadata": {**ADOPTER["metadata"], **({"deletionTimestamp": "t"} if ending else {})}}
    found = claim(holder, exact({"app": "w"}), [{"metadata": {"name": "p", "labels": labels, "ownerReferences": refs}}])
    assert [n for n in ("owned", "adopt", "release") if getattr(found, n)] == ([want] if want else [])


def test_an_adoption_adds_a_reference_and_keeps_the_others() -> None:
    tree = {"metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7", "ownerReferences": [{"uid": "x"}]}}
    write = adoption(ADOPTER, "apps/v1", "ReplicaSet", "pods", tree)
    refs = write.patch["metadata"]["ownerReferences"]
    assert [r["uid"] for r in refs] == ["x", "o"] and refs[1]["controller"] and write.version == "7"
