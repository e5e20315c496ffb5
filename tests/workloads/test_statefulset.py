"""StatefulSets: in order, by name, at which revision, with which claims."""

from __future__ import annotations

import pytest

from seaway.cluster.workloads import statefulpods
from seaway.cluster.workloads.statefulplan import Revision, max_unavailable, plan, status
from seaway.cluster.workloads.statefulpods import REVISION
from seaway.controllers.writes import Create, Delete, Patch

NOW = 1767225700.0
OLD = Revision("s-old", {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
NEW = Revision("s-new", {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [{"name": "c", "image": "j"}]}})


def owner(replicas: int = 3, **spec: object) -> dict:
    return {"metadata": {"name": "s", "namespace": "n", "uid": "o", "generation": 2},
            "spec": {"replicas": replicas, "serviceName": "svc", "selector": {"matchLabels": {"app": "s"}}, "template": NEW.template,
                     "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}, **spec}}


def pod(number: int, ready: bool = True, revision: str = "s-new", phase: str = "Running", since: int = 0, **meta: object) -> dict:
    name = f"s-{number}"
    labels = {"app": "s", REVISION: revision, statefulpods.POD_NAME: name, statefulpods.POD_INDEX: str(number)}
    return {"metadata": {"name": name, "namespace": "n", "uid": f"u{number}", "labels": labels, **meta},
            "spec": {}, "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False",
                                                                   "lastTransitionTime": f"2026-01-01T00:01:{since:02}Z"}]}}


def said(writes: list) -> list[str]:
    """`+s-1` for a pod made, `-s-1` for one deleted, `c d-s-1` for a claim."""
    found = []
    for write in writes:
        if isinstance(write, Create):
            name = write.tree["metadata"]["name"]
            found.append(f"+{name}" if write.kind.resource == "pods" else f"c {name}")
        elif isinstance(write, Delete):
            found.append(f"-{write.name}")
        else:
            found.append(f"p {write.name}")
    return found


def done(tree: dict, pods: list, current: Revision = NEW, update: Revision = NEW) -> list[str]:
    return said(plan(tree, pods, current, update, {}, NOW).writes)


PARALLEL = {"podManagementPolicy": "Parallel"}
GONE = {"deletionTimestamp": "t"}


@pytest.mark.parametrize(
    ("spec", "pods", "want"),
    [
        ({}, [], ["+s-0"]),
        ({}, [pod(0, ready=False)], []),
        ({}, [pod(0, phase="Pending", ready=False)], []),
        ({}, [pod(0)], ["+s-1"]),
        ({}, [pod(0), pod(1), pod(2)], []),
        ({}, [pod(0), pod(2)], ["+s-1"]),  # a hole is filled first
        ({}, [pod(0, **GONE), pod(1)], []),  # one on its way out is waited for
        ({}, [pod(0), pod(1), pod(2), pod(3), pod(4)], ["-s-4"]),
        ({}, [pod(0), pod(1), pod(2), pod(3), pod(4, ready=False)], ["-s-4"]),  # the unhealthy one alone may go unready
        ({}, [pod(0), pod(1), pod(2), pod(3, ready=False), pod(4)], ["-s-4"]),
        ({}, [pod(0), pod(1), pod(2), pod(3, ready=False), pod(4, ready=False)], []),
        ({}, [pod(0), pod(1, ready=False), pod(2), pod(3)], []),  # while a lower one is unready nothing is scaled down
        ({}, [pod(0), pod(1), pod(2), pod(3, **GONE)], []),
        (PARALLEL, [], ["+s-0", "+s-1", "+s-2"]),
        (PARALLEL, [pod(1, ready=False)], ["+s-0", "+s-2"]),
        (PARALLEL, [pod(0), pod(1, ready=False), pod(2), pod(3), pod(4)], ["-s-4", "-s-3"]),
        ({"ordinals": {"start": 5}}, [], ["+s-5"]),
        ({"ordinals": {"start": 5}, **PARALLEL}, [pod(5)], ["+s-6", "+s-7"]),
        ({"ordinals": {"start": 1}}, [pod(0), pod(1), pod(2), pod(3)], ["-s-0"]),
        ({}, [pod(0), pod(1, phase="Failed")], ["-s-1"]),  # an ended pod is made again, once it is gone
        ({}, [pod(0, phase="Succeeded")], ["-s-0"]),
    ],
)
def test_pods_come_in_order_and_go_in_reverse(spec: dict, pods: list, want: list) -> None:
    assert done(owner(**spec), pods) == want


def rolling(**values: object) -> dict:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": values}}


def old(number: int, **more: object) -> dict:
    return pod(number, revision="s-old", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "pods", "want"),
    [
        ({}, [old(0), old(1), old(2)], ["-s-2"]),
        ({}, [old(0), old(1), pod(2, ready=False)], []),  # the new one is waited for
        ({}, [old(0), old(1), pod(2)], ["-s-1"]),
        (rolling(partition=2), [old(0), old(1), old(2)], ["-s-2"]),
        (rolling(partition=2), [old(0), old(1), pod(2)], []),
        (rolling(partition=9), [old(0), old(1), old(2)], []),
        (rolling(maxUnavailable=2), [old(0), old(1), old(2)], ["-s-2", "-s-1"]),
        ({**rolling(maxUnavailable=2), **PARALLEL}, [old(0), old(1), pod(2, ready=False)], ["-s-1"]),
        ({"updateStrategy": {"type": "OnDelete"}}, [old(0), old(1), old(2)], []),
        (PARALLEL, [old(0), old(1), old(2, ready=False)], ["-s-2"]),  # a broken one costs nothing
        (PARALLEL, [old(0, ready=False), old(1), old(2)], ["-s-0"]),
    ],
)
def test_a_new_template_reaches_the_highest_ordinal_first(spec: dict, pods: list, want: list) -> None:
    assert done(owner(**spec), pods, OLD, NEW) == want


@pytest.mark.parametrize(("value", "want"), [(None, 1), (2, 2), ("50%", 2), ("10%", 1), (0, 1)])
def test_max_unavailable_of_five(value: object, want: int) -> None:
    assert max_unavailable(owner(5, **(rolling(maxUnavailable=value) if value is not None else {}))) == want


@pytest.mark.parametrize(("partition", "number", "image"), [(2, 1, "i"), (2, 2, "j"), (0, 0, "j")])
def test_below_the_partition_pods_are_made_as_they_were(partition: int, number: int, image: str) -> None:
    there = [old(i) for i in range(3) if i != number]
    (made,) = [w for w in plan(owner(**rolling(partition=partition), **PARALLEL), there, OLD, NEW, {}, NOW).writes if isinstance(w, Create)]
    assert made.tree["spec"]["containers"][0]["image"] == image


def test_a_pod_has_its_place_in_name_labels_and_host() -> None:
    made = statefulpods.pod_of(owner(), NEW.template, 3, "s-new")
    assert made["metadata"]["name"] == "s-3" and made["metadata"]["labels"] == {
        "app": "s", REVISION: "s-new", "statefulset.kubernetes.io/pod-name": "s-3", "apps.kubernetes.io/pod-index": "3"}
    assert (made["spec"]["hostname"], made["spec"]["subdomain"]) == ("s-3", "svc")


@pytest.mark.parametrize(
    ("name", "want"), [("web-3", ("web", 3)), ("a-b-0", ("a-b", 0)), ("web", ("", -1)), ("web-x", ("", -1)), ("web-99999999999", ("", -1))]
)
def test_names_tell_parent_and_ordinal(name: str, want: tuple) -> None:
    assert statefulpods.parent_and_ordinal(name) == want


CLAIMS = {"volumeClaimTemplates": [{"metadata": {"name": "d", "labels": {"x": "y"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}]}


def claim(name: str, *refs: dict) -> dict:
    return {name: {"metadata": {"name": name, "namespace": "n", "resourceVersion": "1", "ownerReferences": list(refs)}}}


def test_a_claim_comes_before_its_pod_and_is_mounted_in_it() -> None:
    step = plan(owner(1, **CLAIMS), [], NEW, NEW, {}, NOW)
    assert said(step.writes) == ["c d-s-0", "+s-0"]
    made, body = (w.tree for w in step.writes if isinstance(w, Create))
    assert made["metadata"]["labels"] == {"x": "y", "app": "s"} and "ownerReferences" not in made["metadata"]
    assert body["spec"]["volumes"] == [{"name": "d", "persistentVolumeClaim": {"claimName": "d-s-0"}}]
    assert said(plan(owner(1, **CLAIMS), [], NEW, NEW, claim("d-s-0"), NOW).writes) == ["+s-0"]


def retention(deleted: str, scaled: str) -> dict:
    return {**CLAIMS, "persistentVolumeClaimRetentionPolicy": {"whenDeleted": deleted, "whenScaled": scaled}}


@pytest.mark.parametrize(
    ("policy", "number", "want"),
    [
        (("Retain", "Retain"), 0, None), (("Retain", "Retain"), 5, None),
        (("Delete", "Retain"), 0, "StatefulSet"), (("Delete", "Retain"), 5, "StatefulSet"),
        (("Retain", "Delete"), 0, None), (("Retain", "Delete"), 5, "Pod"),
        (("Delete", "Delete"), 0, "StatefulSet"), (("Delete", "Delete"), 5, "Pod"),
    ],
)
def test_who_a_claim_goes_with(policy: tuple, number: int, want: str | None) -> None:
    found = statefulpods.claim_owner(owner(2, **retention(*policy)), pod(number))
    assert (found or {}).get("kind") == want


def test_a_scaled_away_pod_takes_its_claim_over_before_it_goes() -> None:
    tree, there = owner(1, **retention("Delete", "Delete")), {**claim("d-s-0", {"uid": "o", "kind": "StatefulSet"}), **claim("d-s-1")}
    step = plan(tree, [pod(0), pod(1)], NEW, NEW, there, NOW)
    assert said(step.writes)[-2:] == ["p d-s-1", "-s-1"]
    patch = next(w for w in step.writes if isinstance(w, Patch) and w.name == "d-s-1")
    assert [r["kind"] for r in patch.patch["metadata"]["ownerReferences"]] == ["Pod"]


def test_a_claim_that_goes_with_an_earlier_pod_is_waited_for() -> None:
    stale = claim("d-s-0", {"kind": "Pod", "name": "s-0", "uid": "before"})
    assert plan(owner(1, **retention("Delete", "Delete")), [], NEW, NEW, stale, NOW).writes == []


def test_a_foreign_claim_is_left_alone() -> None:
    foreign = claim("d-s-0", {"uid": "x", "controller": True, "kind": "Other"})
    assert statefulpods.claim_patches(owner(1, **retention("Delete", "Retain")), pod(0), foreign) == []


def test_an_adopted_pod_is_given_its_labels() -> None:
    bare = pod(0)
    bare["metadata"]["labels"] = {"app": "s", REVISION: "s-new"}
    (write,) = plan(owner(1), [bare], NEW, NEW, {}, NOW).writes
    assert isinstance(write, Patch) and set(write.patch["metadata"]["labels"]) == {statefulpods.POD_NAME, statefulpods.POD_INDEX}


def test_min_ready_seconds_hold_the_next_one_back() -> None:
    tree = owner(2, minReadySeconds=30)
    fresh = pod(0, since=20)  # ready at 00:01:20
    ready_at = 1767225680.0
    assert said(plan(tree, [fresh], NEW, NEW, {}, ready_at + 29).writes) == []
    assert said(plan(tree, [fresh], NEW, NEW, {}, ready_at + 30).writes) == ["+s-1"]
    assert status(tree, [fresh], NEW, NEW, 0, ready_at + 29)["availableReplicas"] == 0


def test_the_status_tells_both_revisions_until_all_are_new() -> None:
    half = status(owner(), [old(0), old(1), pod(2)], OLD, NEW, 0, NOW)
    assert (half["currentRevision"], half["currentReplicas"], half["updateRevision"], half["updatedReplicas"]) == ("s-old", 2, "s-new", 1)
    whole = status(owner(), [pod(0), pod(1), pod(2)], OLD, NEW, 0, NOW)
    assert (whole["currentRevision"], whole["currentReplicas"], whole["readyReplicas"], whole["collisionCount"]) == ("s-new", 3, 3, 0)
    assert status(owner(), [], NEW, NEW, 0, NOW) == {
        "observedGeneration": 2, "replicas": 0, "availableReplicas": 0, "currentRevision": "s-new", "updateRevision": "s-new", "collisionCount": 0}


def test_a_set_in_deletion_does_nothing() -> None:
    tree = owner()
    tree["metadata"]["deletionTimestamp"] = "t"
    assert plan(tree, [pod(5)], NEW, NEW, {}, NOW).writes == []


def test_a_recreated_pod_is_told() -> None:
    (event,) = plan(owner(1), [pod(0, phase="Failed")], NEW, NEW, {}, NOW).events
    assert event == ("Warning", "RecreatingFailedPod", "StatefulSet n/s is recreating failed Pod s-0")
