"""DaemonSets: which nodes have a pod, and how a new template reaches them."""

from __future__ import annotations

import pytest

from seaway.cluster.workloads import daemonset
from seaway.cluster.workloads.daemonpods import HASH, TEMPLATE_GENERATION, assigned, pod_for
from seaway.cluster.workloads.daemonset import decide, limits, plan, status
from seaway.controllers.writes import Create, Delete

NEW, NOW = "new", 1767225900.0


def node(name: str, labels: dict | None = None, **spec: object) -> dict:
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec, "status": {}}


def taint(key: str, effect: str) -> list:
    return [{"key": key, "effect": effect}]


def owner(strategy: dict | None = None, **spec: object) -> dict:
    return {"metadata": {"name": "ds", "namespace": "ns", "uid": "o", "generation": 3},
            "spec": {"template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [], **spec}},
                     "updateStrategy": strategy or {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}}}


def pod(name: str, at: str, ready: bool = True, digest: str | None = None, phase: str = "Running", age: int = 0, **meta: object) -> dict:
    digest = NEW if digest is None else digest
    return {"metadata": {"name": name, "namespace": "ns", "uid": f"u-{name}", "labels": {HASH: digest},
                         "creationTimestamp": f"2026-01-01T00:00:{59 - age}Z", **meta},
            "spec": {"nodeName": at},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


def said(writes: list) -> list[str]:
    """`+node` for a pod made, `-name` for one deleted."""
    return sorted(f"+{assigned(w.tree)}" if isinstance(w, Create) else f"-{w.name}" for w in writes)


@pytest.mark.parametrize(
    ("nodes", "spec", "want"),
    [
        ([node("a"), node("b")], {}, ["+a", "+b"]),
        ([node("a", {"d": "ssd"}), node("b")], {"nodeSelector": {"d": "ssd"}}, ["+a"]),
        ([node("a", taints=taint("k", "NoSchedule"))], {}, []),
        ([node("a", taints=taint("k", "NoSchedule"))], {"tolerations": [{"key": "k", "operator": "Exists"}]}, ["+a"]),
        ([node("a", taints=taint("k", "PreferNoSchedule"))], {}, ["+a"]),
        ([node("a", unschedulable=True)], {}, ["+a"]),
        ([node("a", taints=taint("node.kubernetes.io/not-ready", "NoExecute"))], {}, ["+a"]),
        ([node("a", taints=taint("node.kubernetes.io/not-ready", "NoSchedule"))], {}, []),
        ([node("a", taints=taint("node.kubernetes.io/disk-pressure", "NoSchedule"))], {}, ["+a"]),
        ([], {}, []),
    ],
)
def test_each_node_that_fits_has_one_pod(nodes: list, spec: dict, want: list) -> None:
    assert said(plan(owner(**spec), [], nodes, NEW, NOW)) == want


def test_a_daemon_is_bound_by_affinity_and_tolerates_what_daemons_do() -> None:
    (write,) = plan(owner(tolerations=[{"key": "own", "operator": "Exists"}]), [], [node("a")], NEW, NOW)
    assert isinstance(write, Create)
    spec = write.tree["spec"]
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}]
    assert {t["key"] for t in spec["tolerations"]} == {"own", *(f"node.kubernetes.io/{n}" for n in (
        "not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"))}
    assert write.tree["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet" and "nodeName" not in spec


def test_a_pod_that_is_not_bound_yet_counts_for_its_node() -> None:
    (write,) = plan(owner(), [], [node("a")], NEW, NOW)
    assert isinstance(write, Create)
    meta = {**write.tree["metadata"], "name": "p", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    assert plan(owner(), [{**write.tree, "metadata": meta, "status": {"phase": "Pending"}}], [node("a")], NEW, NOW) == []


@pytest.mark.parametrize(
    ("pods", "nodes", "want"),
    [
        ([pod("p", "a")], [node("a")], []),
        ([pod("p", "a"), pod("q", "a", age=9)], [node("a")], ["-p"]),  # the older one stays
        ([pod("p", "b")], [node("a"), node("b", taints=taint("k", "NoExecute"))], ["+a", "-p"]),
        ([pod("p", "b")], [node("a"), node("b", taints=taint("k", "NoSchedule"))], ["+a"]),  # it keeps others away only
        ([pod("p", "a", phase="Succeeded")], [node("a")], ["-p"]),
        ([pod("p", "a", phase="Failed")], [node("a")], ["-p"]),
        ([pod("p", "a", deletionTimestamp="t")], [node("a")], []),  # its successor waits until it is gone
        ([pod("p", "gone")], [node("a")], ["+a"]),  # the pods of a lost node are the garbage collector's
    ],
)
def test_what_does_not_belong_there_goes(pods: list, nodes: list, want: list) -> None:
    assert said(plan(owner(), pods, nodes, NEW, NOW)) == want


NODES = [node(n) for n in "abcdefghij"]


def old(*unready: str) -> list[dict]:
    return [pod(f"p-{n}", n, ready=n not in unready, digest="old") for n in "abcdefghij"]


@pytest.mark.parametrize(
    ("limit", "unready", "want"),
    [
        (1, "", 1), (3, "", 3), ("25%", "", 3),  # percentages are rounded up here
        ("100%", "", 10),
        (1, "c", 1),  # what is unavailable anyway goes, and nothing else
        (3, "cd", 3), (1, "cde", 3),
    ],
)
def test_a_new_template_takes_as_many_nodes_as_may_be_unavailable(limit: object, unready: str, want: int) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": limit}}
    writes = plan(owner(strategy), old(*unready), NODES, NEW, NOW)
    assert len(writes) == want and all(isinstance(w, Delete) for w in writes)
    assert {f"p-{n}" for n in unready} <= {w.name for w in writes if isinstance(w, Delete)}


def test_on_delete_waits_for_people() -> None:
    assert plan(owner({"type": "OnDelete"}), old(), NODES, NEW, NOW) == []


def test_a_roll_ends_with_new_pods_everywhere_and_never_misses_more_than_one() -> None:
    pods = {p["metadata"]["name"]: p for p in old()}
    for turn in range(60):
        for write in plan(owner(), list(pods.values()), NODES, NEW, NOW):
            if isinstance(write, Delete):
                del pods[write.name]
            else:
                assert isinstance(write, Create)
                pods[f"n{turn}"] = pod(f"n{turn}", assigned(write.tree), ready=False)
        unready = [p for p in pods.values() if p["status"]["conditions"][0]["status"] == "False"]
        assert len(pods) - len(unready) >= 9
        if turn % 2:
            for each in unready:
                each["status"]["conditions"][0]["status"] = "True"
    found = status(owner(), list(pods.values()), NODES, NEW, NOW)
    assert (found["updatedNumberScheduled"], found["numberReady"], len(pods)) == (10, 10, 10)


def test_the_status_counts_nodes() -> None:
    pods = [pod("p", "a"), pod("q", "b", ready=False, digest="old"), pod("r", "t")]
    nodes = [node("a"), node("b"), node("c"), node("t", taints=taint("k", "NoSchedule"))]
    assert status(owner(), pods, nodes, NEW, NOW) == {
        "currentNumberScheduled": 2, "desiredNumberScheduled": 3, "numberMisscheduled": 1, "numberReady": 1,
        "numberAvailable": 1, "numberUnavailable": 2, "updatedNumberScheduled": 1, "observedGeneration": 3}


def test_a_set_in_deletion_does_nothing() -> None:
    tree = owner()
    tree["metadata"]["deletionTimestamp"] = "t"
    assert daemonset.plan(tree, [], NODES, NEW, NOW) == []


def surging(limit: object = 1) -> dict:
    return owner({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": limit, "maxUnavailable": 0}})


TWO = [node("a"), node("b")]


@pytest.mark.parametrize(
    ("pods", "want"),
    [
        ([pod("p", "a", digest="old"), pod("q", "b", digest="old")], ["+a"]),  # the new one comes beside the old one
        ([pod("p", "a", digest="old"), pod("n", "a", ready=False), pod("q", "b", digest="old")], []),  # and is waited for
        ([pod("p", "a", digest="old", age=9), pod("n", "a"), pod("q", "b", digest="old")], ["-p"]),
        ([pod("p", "a", digest="old", ready=False), pod("q", "b", digest="old")], ["+a", "+b"]),  # a broken one costs nothing
        ([pod("n", "a"), pod("q", "b", digest="old")], ["+b"]),
        ([pod("n", "a"), pod("m", "b")], []),
    ],
)
def test_with_surge_the_old_pod_stays_until_the_new_one_is_available(pods: list, want: list) -> None:
    assert said(plan(surging(), pods, TWO, NEW, NOW)) == want


@pytest.mark.parametrize(
    ("surge", "unavailable", "want"), [(0, 1, (0, 1)), ("10%", 0, (1, 0)), (0, "25%", (0, 3)), (0, 0, (0, 1))]
)
def test_limits_of_ten_nodes_are_rounded_up(surge: object, unavailable: object, want: tuple) -> None:
    tree = owner({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
    assert limits(tree, 10) == want


def test_a_named_node_is_the_only_one() -> None:
    assert said(plan(owner(nodeName="b"), [], TWO, NEW, NOW)) == ["+b"]


def test_a_failed_pod_is_told() -> None:
    step = decide(owner(), [pod("p", "a", phase="Failed")], [node("a")], NEW, NOW)
    assert step.events == [("Warning", "FailedDaemonPod", "Found failed daemon pod ns/p on node a, will try to kill it")]


def test_pods_carry_the_hash_and_the_generation() -> None:
    tree = owner()
    tree["metadata"]["annotations"] = {TEMPLATE_GENERATION: "4"}
    labels = pod_for(tree, "a", "h")["metadata"]["labels"]
    assert labels == {"app": "d", HASH: "h", "pod-template-generation": "4"}


def test_a_pod_counts_as_available_after_its_time() -> None:
    tree = owner()
    tree["spec"]["minReadySeconds"] = 30
    fresh = pod("p", "a")
    fresh["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    early, late = (status(tree, [fresh], [node("a")], NEW, 1767225600.0 + n) for n in (29, 30))
    assert "numberAvailable" not in early and early["numberUnavailable"] == 1 and late["numberAvailable"] == 1
