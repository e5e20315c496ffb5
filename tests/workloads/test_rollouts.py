"""Deployments, ReplicaSets and DaemonSets against a toy world that makes pods ready one at a time."""

from __future__ import annotations

import pytest

from seaway.cluster.workloads import daemonpods, daemonset, progress, replicaset
from seaway.cluster.workloads import rollout as deployment
from seaway.controllers.writes import Create, Delete, Patch


def template(image: str) -> dict:
    return {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def deploy(replicas: int, image: str = "a", **spec: object) -> dict:
    return {"metadata": {"name": "w", "namespace": "n", "uid": "d", "generation": 1},
            "spec": {"replicas": replicas, "progressDeadlineSeconds": 600, "selector": {"matchLabels": {"app": "w"}}, "template": template(image),
                     "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, **spec}}


class World:
    """ReplicaSets whose pods appear at once and become ready one at a time."""

    def __init__(self) -> None:
        self.sets: dict[str, dict] = {}
        self.clock = 0

    def apply(self, writes: list) -> None:
        for write in writes:
            self.clock += 1
            if isinstance(write, Create):
                meta = {**write.tree["metadata"], "creationTimestamp": f"2026-01-01T00:00:{self.clock % 60:02}Z", "resourceVersion": "1", "uid": str(self.clock)}
                self.sets[meta["name"]] = {**write.tree, "metadata": meta, "status": {"replicas": 0}}
            elif isinstance(write, Delete):
                del self.sets[write.name]
            else:
                assert isinstance(write, Patch)
                tree = self.sets[write.name]
                notes = (write.patch.get("metadata") or {}).get("annotations") or {}
                tree["metadata"]["annotations"] = {**tree["metadata"].get("annotations", {}), **notes}
                tree["spec"] = {**tree["spec"], **write.patch.get("spec", {})}

    def settle(self, one: bool = True) -> None:
        """Pods follow their sets' counts; at most one more becomes ready."""
        for tree in self.sets.values():
            status, want = tree["status"], tree["spec"]["replicas"]
            status["replicas"] = want
            ready = min(status.get("readyReplicas", 0), want)
            if one and ready < want:
                ready, one = ready + 1, False
            status["readyReplicas"] = status["availableReplicas"] = ready

    def total(self, name: str) -> int:
        return sum(t["status"].get(name, 0) for t in self.sets.values())


def roll(world: World, tree: dict, floor: int = 0, ceiling: int = 10**6, rounds: int = 200) -> None:
    for _ in range(rounds):
        world.apply(deployment.plan(tree, list(world.sets.values())))
        world.settle()
        assert world.total("replicas") <= ceiling
        assert world.total("availableReplicas") >= floor


@pytest.mark.parametrize(("replicas", "surge", "unavailable"), [(10, "25%", "25%"), (4, 1, 0), (4, 0, 1), (3, "25%", "25%"), (1, "25%", "25%"), (7, 2, 3)])
def test_a_rollout_stays_within_its_bounds(replicas: int, surge: object, unavailable: object) -> None:
    world = World()
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    roll(world, deploy(replicas, strategy=rolling))
    up, down = deployment.bounds(deploy(replicas, strategy=rolling)["spec"])
    new = deploy(replicas, "b", strategy=rolling)
    roll(world, new, replicas - down, replicas + up)
    current = deployment.new_set(new, list(world.sets.values()))
    assert current and current["spec"]["replicas"] == replicas == world.total("availableReplicas")
    assert deployment.plan(new, list(world.sets.values())) == []
    status = progress.status(new, list(world.sets.values()), 0.0)
    assert (status["updatedReplicas"], status["availableReplicas"]) == (replicas, replicas) and "unavailableReplicas" not in status
    assert {c["type"]: c["status"] for c in status["conditions"]} == {"Available": "True", "Progressing": "True"}


def test_a_rollout_whose_pods_never_get_ready_keeps_the_old_ones() -> None:
    world = World()
    roll(world, deploy(4))
    bad = deploy(4, "bad")
    for _ in range(50):
        world.apply(deployment.plan(bad, list(world.sets.values())))
        world.settle(one=False)
    assert world.total("availableReplicas") >= 3


def test_recreate_ends_the_old_before_it_begins_the_new() -> None:
    world = World()
    recreate = {"type": "Recreate"}
    roll(world, deploy(3, strategy=recreate))
    new = deploy(3, "b", strategy=recreate)
    for _ in range(20):
        world.apply(deployment.plan(new, list(world.sets.values())))
        live = [s for s in world.sets.values() if s["spec"]["replicas"]]
        assert len(live) <= 1
        world.settle()
    assert world.total("availableReplicas") == 3


def test_a_rollback_takes_the_old_set_and_raises_its_revision() -> None:
    world = World()
    for image in ("a", "b", "a"):
        roll(world, deploy(2, image))
    current = deployment.new_set(deploy(2, "a"), list(world.sets.values()))
    assert len(world.sets) == 2 and current and deployment.revision_of(current) == 3


def test_old_sets_are_kept_to_the_history_limit() -> None:
    world = World()
    for number in range(6):
        tree = deploy(1, str(number), revisionHistoryLimit=2)
        roll(world, tree, rounds=20)
        tree["status"] = progress.status(tree, list(world.sets.values()), 0.0)  # complete: history may go
        roll(world, tree, rounds=2)
    assert len(world.sets) == 3


def test_a_paused_deployment_is_scaled_but_not_rolled() -> None:
    world = World()
    roll(world, deploy(2))
    roll(world, deploy(5, paused=True))
    assert world.total("replicas") == 5
    roll(world, deploy(5, "b", paused=True))
    assert len(world.sets) == 1


def pod(number: int, node: str = "n", ready: bool = True, **meta: object) -> dict:
    return {"metadata": {"name": f"p{number}", "namespace": "n", "uid": f"u{number}", "creationTimestamp": f"2026-01-01T00:00:{number:02}Z", **meta},
            "spec": {"nodeName": node, "containers": []},
            "status": {"phase": "Running" if node else "Pending", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


NOW = 1767225900.0
OWNER = {"metadata": {"name": "rs", "namespace": "n", "uid": "r"}, "spec": {"replicas": 2, "selector": {}, "template": template("a")}}


def test_a_replica_set_makes_what_is_missing_and_nothing_else() -> None:
    assert len(replicaset.plan(OWNER, [], NOW)) == 2
    assert replicaset.plan(OWNER, [pod(1), pod(2)], NOW) == []
    assert len(replicaset.plan(OWNER, [pod(1), pod(2, deletionTimestamp="t")], NOW)) == 1


def test_the_least_useful_pods_go_first() -> None:
    pods = [pod(1), pod(2), pod(3, ready=False), pod(4, node="")]
    names = [w.name for w in replicaset.plan(OWNER, pods, NOW) if isinstance(w, Delete)]
    assert names == ["p4", "p3"]
    crowded = [pod(1, "a"), pod(2, "a"), pod(3, "b")]
    (only,) = replicaset.plan(OWNER, crowded, NOW)
    assert isinstance(only, Delete) and only.name in ("p1", "p2")


def node(name: str, **spec: object) -> dict:
    return {"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}}, "spec": spec, "status": {}}


DAEMON = {"metadata": {"name": "ds", "namespace": "n", "uid": "ds"}, "spec": {"template": template("a"), "updateStrategy": {"rollingUpdate": {"maxUnavailable": 1}}}}


def test_a_daemon_set_has_a_pod_on_each_node_that_it_fits() -> None:
    nodes = [node("a"), node("b"), node("t", taints=[{"key": "k", "effect": "NoSchedule"}]), node("u", unschedulable=True)]
    writes = daemonset.plan(DAEMON, [], nodes, "new", NOW)
    assert sorted(daemonpods.assigned(w.tree) for w in writes if isinstance(w, Create)) == ["a", "b", "u"]


def test_a_daemon_set_rolls_one_node_at_a_time() -> None:
    nodes = [node("a"), node("b"), node("c")]
    old = [pod(i, n["metadata"]["name"], labels={daemonpods.HASH: "old"}) for i, n in enumerate(nodes)]
    writes = daemonset.plan(DAEMON, old, nodes, "new", NOW)
    assert [type(w) for w in writes] == [Delete]
