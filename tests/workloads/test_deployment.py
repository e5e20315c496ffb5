"""Deployments against a toy cluster of real pods, whose sets report late and whose pods become ready one by one."""

from __future__ import annotations

import random

import pytest

from seaway.api.tree import condition
from seaway.cluster.workloads import revisions
from seaway.cluster.workloads.progress import began, status
from seaway.cluster.workloads.rollout import REVISION, amount, bounds, new_set, plan, revision_of
from seaway.controllers.writes import Create, Delete, Patch


def template(image: str) -> dict:
    return {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def deploy(replicas: int = 3, image: str = "a", **spec: object) -> dict:
    return {"metadata": {"name": "w", "namespace": "n", "uid": "d", "generation": 1},
            "spec": {"replicas": replicas, "progressDeadlineSeconds": 600, "selector": {"matchLabels": {"app": "w"}}, "template": template(image), **spec}}


def rolling(surge: object, unavailable: object) -> dict:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


class Cluster:
    """`pods` is the truth: set name -> how many are (unready, ready). A set's status follows when it is `seen`."""

    def __init__(self, seed: int = 0) -> None:
        self.sets: dict[str, dict] = {}
        self.pods: dict[str, list[int]] = {}
        self.chance = random.Random(seed)
        self.clock = 0

    def turn(self, tree: dict) -> list:
        writes = plan(tree, list(self.sets.values()))
        for write in writes:
            self.clock += 1
            if isinstance(write, Create):
                meta = {**write.tree["metadata"], "uid": str(self.clock), "resourceVersion": "1",
                        "creationTimestamp": f"2026-01-01T{self.clock // 3600:02}:{self.clock // 60 % 60:02}:{self.clock % 60:02}Z"}
                self.sets[meta["name"]] = {**write.tree, "metadata": meta, "status": {"replicas": 0}}
                self.pods[meta["name"]] = [0, 0]
            elif isinstance(write, Delete):
                del self.sets[write.name]
                assert self.pods.pop(write.name) == [0, 0], "a set with pods was deleted"
            else:
                assert isinstance(write, Patch)
                found = self.sets[write.name]
                notes = {**found["metadata"].get("annotations", {}), **write.patch.get("metadata", {}).get("annotations", {})}
                self.sets[write.name] = {**found, "metadata": {**found["metadata"], "annotations": notes},
                                         "spec": {**found["spec"], **write.patch.get("spec", {})}}
        return writes

    def work(self, name: str) -> None:
        """The ReplicaSet controller: as many pods as asked for, unready ones go first."""
        unready, ready = self.pods[name]
        missing = self.sets[name]["spec"]["replicas"] - unready - ready
        if missing >= 0:
            unready += missing
        else:
            gone = min(unready, -missing)
            unready, ready = unready - gone, ready + missing + gone
        self.pods[name] = [unready, ready]

    def seen(self, name: str) -> None:
        unready, ready = self.pods[name]
        found = {"replicas": unready + ready, "readyReplicas": ready, "availableReplicas": ready}
        self.sets[name] = {**self.sets[name], "status": found}

    def one_ready(self) -> None:
        waiting = [n for n, (unready, _) in self.pods.items() if unready]
        if waiting:
            pods = self.pods[self.chance.choice(waiting)]
            pods[0], pods[1] = pods[0] - 1, pods[1] + 1

    def step(self, tree: dict, late: bool = False) -> None:
        self.turn(tree)
        for name in list(self.sets):
            for act in (self.work, self.seen):
                if not late or self.chance.random() < 0.5:
                    act(name)
        if not late or self.chance.random() < 0.5:
            self.one_ready()

    def settle(self, tree: dict) -> None:
        for _ in range(80):
            self.step(tree)

    def total(self) -> int:
        return sum(map(sum, self.pods.values()))

    def available(self) -> int:
        return sum(ready for _, ready in self.pods.values())


# replicas, maxSurge, maxUnavailable, then by hand: how many pods at least available, how many at most there
BOUNDS = [
    (10, "25%", "25%", 8, 13),  # 2.5: surge up to 3, unavailable down to 2
    (4, "25%", "25%", 3, 5),
    (3, "25%", "25%", 3, 4),
    (1, "25%", "25%", 1, 2),
    (5, 1, 0, 5, 6),
    (5, 0, 1, 4, 5),
    (5, 0, 0, 4, 5),  # both zero would never move: one may be missing
    (5, "0%", "10%", 4, 5),  # rounds to zero and zero: the same
    (6, "100%", "100%", 0, 12),
    (2, 5, 9, 0, 7),
]


@pytest.mark.parametrize("late", [False, True], ids=["prompt", "late"])
@pytest.mark.parametrize(("replicas", "surge", "unavailable", "floor", "ceiling"), BOUNDS)
def test_a_rolling_update_keeps_its_bounds_pod_by_pod(
    replicas: int, surge: object, unavailable: object, floor: int, ceiling: int, late: bool
) -> None:
    """`late`: sets act on their counts, and report them, at random moments; then what is asked for stays within bounds."""
    strategy = rolling(surge, unavailable)
    cluster = Cluster(replicas)
    cluster.settle(deploy(replicas, "a", strategy=strategy))
    assert cluster.available() == replicas == cluster.total()
    new = deploy(replicas, "b", strategy=strategy)
    for _ in range(400):
        cluster.step(new, late)
        assert cluster.available() >= floor, cluster.pods
        asked = sum(s["spec"]["replicas"] for s in cluster.sets.values())
        assert (asked if late else cluster.total()) <= ceiling, cluster.pods
    cluster.settle(new)
    assert sorted(sum(p) for p in cluster.pods.values()) == [0, replicas]
    current = new_set(new, list(cluster.sets.values()))
    assert current and cluster.pods[current["metadata"]["name"]] == [0, replicas]
    assert cluster.turn(new) == []


@pytest.mark.parametrize("seed", range(6))
def test_updates_on_top_of_updates_end_in_one_set(seed: int) -> None:
    cluster = Cluster(seed)
    cluster.settle(deploy(6, "a"))
    for image in "bcadb":
        for _ in range(cluster.chance.randrange(1, 9)):
            cluster.step(deploy(6, image))
            assert cluster.available() >= 5 and cluster.total() <= 8  # 25 % of 6: one down, two up
    cluster.settle(deploy(6, "b"))
    assert sorted(sum(p) for p in cluster.pods.values() if sum(p)) == [6]
    current = new_set(deploy(6, "b"), list(cluster.sets.values()))
    assert current and revision_of(current) == max(revision_of(s) for s in cluster.sets.values())


def test_a_broken_version_takes_away_no_more_than_the_bound() -> None:
    cluster = Cluster()
    cluster.settle(deploy(4, "a"))
    bad = deploy(4, "bad")
    for _ in range(60):
        cluster.turn(bad)
        for name in cluster.sets:
            cluster.work(name)
            cluster.seen(name)
    assert (cluster.available(), cluster.total()) == (3, 5)
    cluster.settle(deploy(4, "a"))
    assert (cluster.available(), cluster.total()) == (4, 4)


@pytest.mark.parametrize(("before", "after"), [(3, 8), (8, 3), (3, 0), (0, 3)])
def test_scaling_goes_straight_to_the_number(before: int, after: int) -> None:
    cluster = Cluster()
    cluster.settle(deploy(before))
    cluster.turn(deploy(after))
    (only,) = cluster.sets.values()
    assert only["spec"]["replicas"] == after
    cluster.settle(deploy(after))
    assert (cluster.available(), len(cluster.sets)) == (after, 1)


@pytest.mark.parametrize(
    ("value", "total", "up", "want"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("0%", 10, True, 0), ("100%", 7, False, 7), ("1%", 1, True, 1)],
)
def test_percentages_are_rounded_up_for_surge_and_down_for_unavailable(value: object, total: int, up: bool, want: int) -> None:
    assert amount(value, total, up) == want  # type: ignore[arg-type]


def test_the_defaults_are_a_quarter_each_way() -> None:
    assert bounds(deploy(8)["spec"]) == (2, 2) and bounds(deploy(8, strategy={"type": "Recreate"})["spec"]) == (0, 0)


def test_the_first_set_is_owned_hashed_and_numbered() -> None:
    (write,) = plan(deploy(3), [])
    assert isinstance(write, Create)
    meta, spec = write.tree["metadata"], write.tree["spec"]
    digest = meta["labels"]["pod-template-hash"]
    assert meta["name"] == f"w-{digest}" and meta["labels"] == {"app": "w", "pod-template-hash": digest}
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == meta["labels"]
    assert meta["annotations"] == {REVISION: "1", "deployment.kubernetes.io/desired-replicas": "3",
                                   "deployment.kubernetes.io/max-replicas": "4"}
    (owner,) = meta["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == ("Deployment", "d", True, True)


def test_equal_templates_have_equal_hashes_and_others_do_not() -> None:
    same = {"spec": template("a")["spec"], "metadata": template("a")["metadata"]}
    assert revisions.template_hash(template("a"), 0) == revisions.template_hash(same, 0)
    others = {revisions.template_hash(template("b"), 0), revisions.template_hash(template("a"), 1)}
    assert revisions.template_hash(template("a"), 0) not in others and len(others) == 2


def test_annotations_go_along_but_for_bookkeeping() -> None:
    tree = deploy()
    tree["metadata"]["annotations"] = {"own": "x", REVISION: "7", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    (write,) = plan(tree, [])
    assert isinstance(write, Create)
    notes = write.tree["metadata"]["annotations"]
    assert notes["own"] == "x" and notes[REVISION] == "1" and not any("last-applied" in k for k in notes)


def test_recreate_has_no_pod_of_the_new_version_beside_one_of_the_old() -> None:
    cluster, strategy = Cluster(), {"type": "Recreate"}
    cluster.settle(deploy(3, "a", strategy=strategy))
    for _ in range(40):
        cluster.step(deploy(3, "b", strategy=strategy))
        assert len([p for p in cluster.pods.values() if sum(p)]) <= 1
    assert cluster.available() == 3


def finish(cluster: Cluster, tree: dict) -> None:
    """Settles, and says so: history goes when a rollout is complete."""
    cluster.settle(tree)
    tree["status"] = status(tree, list(cluster.sets.values()), 0.0)
    cluster.turn(tree)


def test_the_history_limit_keeps_the_newest_of_the_old() -> None:
    cluster = Cluster()
    for image in "abcde":
        finish(cluster, deploy(1, image, revisionHistoryLimit=1))
    assert sorted(revision_of(s) for s in cluster.sets.values()) == [4, 5]
    finish(cluster, deploy(1, "f", revisionHistoryLimit=0))
    assert [revision_of(s) for s in cluster.sets.values()] == [6]


def test_a_deployment_in_deletion_and_a_paused_one_begin_nothing() -> None:
    ending = deploy()
    ending["metadata"]["deletionTimestamp"] = "t"
    assert plan(ending, []) == [] == plan(deploy(paused=True), [])


def test_the_status_counts_what_is_there() -> None:
    cluster = Cluster()
    cluster.settle(deploy(4, "a"))
    new = deploy(4, "b")
    cluster.step(new)  # 4 old ready; 1 new; then the old ones shrink to 3
    cluster.step(new)
    found = status(new, list(cluster.sets.values()), 100.0)
    truth = {n: list(p) for n, p in cluster.pods.items()}
    current = new_set(new, list(cluster.sets.values()))
    assert current
    seen = [s["status"] for s in cluster.sets.values()]
    assert found["replicas"] == sum(s["replicas"] for s in seen) <= sum(map(sum, truth.values()))
    assert found["updatedReplicas"] == current["status"]["replicas"]
    assert found["readyReplicas"] == found["availableReplicas"] == sum(s["readyReplicas"] for s in seen)


def conditions(found: dict) -> dict:
    return {c["type"]: (c["status"], c["reason"]) for c in found["conditions"]}


def test_progress_is_told_from_the_first_set_to_the_last_pod() -> None:
    cluster, tree = Cluster(), deploy(2)
    cluster.turn(tree)
    tree["status"] = began(tree, next(iter(cluster.sets)), True, 0.0)
    tree["status"] = status(tree, list(cluster.sets.values()), 0.0)
    assert conditions(tree["status"]) == {"Available": ("False", "MinimumReplicasUnavailable"),
                                          "Progressing": ("True", "NewReplicaSetCreated")}
    for name in cluster.sets:
        cluster.work(name)
        cluster.seen(name)
    tree["status"] = status(tree, list(cluster.sets.values()), 1.0)
    assert conditions(tree["status"])["Progressing"] == ("True", "ReplicaSetUpdated")
    cluster.settle(tree)
    tree["status"] = status(tree, list(cluster.sets.values()), 50.0)
    assert conditions(tree["status"]) == {"Available": ("True", "MinimumReplicasAvailable"),
                                          "Progressing": ("True", "NewReplicaSetAvailable")}
    assert condition(tree, "Available")["lastTransitionTime"] == "1970-01-01T00:00:50Z"  # type: ignore[index]
    again = status(tree, list(cluster.sets.values()), 99.0)
    assert again == tree["status"], "a status that says the same is not written again"


def test_a_standstill_exceeds_the_deadline_and_movement_does_not() -> None:
    cluster, tree = Cluster(), deploy(2, progressDeadlineSeconds=60)
    cluster.turn(tree)
    for name in cluster.sets:
        cluster.work(name)
        cluster.seen(name)
    for now, reason in ((100.0, "ReplicaSetUpdated"), (150.0, "ReplicaSetUpdated"), (161.0, "ProgressDeadlineExceeded")):
        tree["status"] = status(tree, list(cluster.sets.values()), now)
        assert conditions(tree["status"])["Progressing"][1] == reason
    cluster.settle(tree)
    assert conditions(status(tree, list(cluster.sets.values()), 199.0))["Progressing"] == ("True", "NewReplicaSetAvailable")
