"""EndpointSlices: the fewest writes that make them right."""

from __future__ import annotations

import random

import pytest

from seaway.api.tree import get, labels
from seaway.controllers.endpointslices import MANAGED_BY, MANAGER, SERVICE_NAME, plan
from seaway.controllers.writes import Create, Delete, Patch

NODES = {"n": {"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "z"}}}}


def service(**spec: object) -> dict:
    base = {"selector": {"app": "x"}, "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"], "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}
    return {"metadata": {"namespace": "shop", "name": "web", "uid": "u", "labels": {"own": "label"}}, "spec": {**base, **spec}}


def pod(number: int, ready: bool = True, **change: object) -> dict:
    addresses = [{"ip": f"10.244.{number // 250}.{number % 250 + 1}"}, {"ip": f"fd00::{number + 1:x}"}]
    tree = {
        "metadata": {"namespace": "shop", "name": f"p{number}", "uid": f"uid{number}", "labels": {"app": "x"}},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": [{"name": "web", "containerPort": 8000 + number % 2}]}]},
        "status": {"phase": "Running", "podIP": addresses[0]["ip"], "podIPs": addresses, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }
    for path, value in change.items():
        section, _, name = path.partition("__")
        tree[section][name] = value
    return tree


class World:
    """The slices that are there; `apply` carries writes out."""

    def __init__(self) -> None:
        self.slices: dict[str, dict] = {}
        self.version = 0

    def step(self, tree: dict, pods: list[dict], limit: int = 100) -> list:
        writes = plan(tree, pods, NODES, list(self.slices.values()), limit, "t")
        for write in writes:
            self.version += 1
            if isinstance(write, Create):
                name = f"s{self.version}"
                meta = {**write.tree["metadata"], "name": name, "uid": f"su{name}", "resourceVersion": str(self.version)}
                self.slices[name] = {**write.tree, "metadata": meta}
            elif isinstance(write, Patch):
                old = self.slices[write.name]
                assert write.version == old["metadata"]["resourceVersion"]
                kept = {k: v for k, v in write.patch["metadata"]["labels"].items() if v is not None}
                meta = {**old["metadata"], "labels": kept, "resourceVersion": str(self.version)}
                self.slices[write.name] = {**old, **write.patch, "metadata": meta}
            else:
                assert isinstance(write, Delete)
                del self.slices[write.name]
        return writes

    def addresses(self) -> list[str]:
        return sorted(e["addresses"][0] for s in self.slices.values() for e in s["endpoints"])

    def sizes(self) -> list[int]:
        return sorted(len(s["endpoints"]) for s in self.slices.values())


def test_a_service_without_pods_keeps_one_slice_without_ports() -> None:
    world = World()
    world.step(service(), [])
    (tree,) = world.slices.values()
    assert (tree["endpoints"], tree["ports"]) == ([], None)
    assert labels(tree)[SERVICE_NAME] == "web" and labels(tree)[MANAGED_BY] == MANAGER and labels(tree)["own"] == "label"
    assert isinstance(world.step(service(), [pod(1)])[0], Patch), "the first pod fills the slice that is there"


def test_slices_hold_a_hundred_and_one_change_writes_one() -> None:
    world = World()
    pods = [pod(i) for i in range(250)]
    world.step(service(), pods)
    assert world.sizes() == [50, 100, 100]
    assert world.step(service(), pods) == []
    assert len(world.step(service(), [pod(0, ready=False), *pods[1:]])) == 1
    assert len(world.step(service(), pods[1:])) == 1
    assert len(world.step(service(), pods[1:] + [pod(300)])) == 1


def test_nothing_is_rebalanced() -> None:
    world = World()
    pods = [pod(i) for i in range(300)]
    world.step(service(), pods)
    thin = [p for i, p in enumerate(pods) if i % 2]
    world.step(service(), thin)
    assert world.sizes() == [50, 50, 50]


@pytest.mark.parametrize(
    ("ready", "ending", "publish", "want"),
    [
        (True, False, False, (True, True, False)),
        (False, False, False, (False, False, False)),
        (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)),
        (False, False, True, (True, False, False)),
        (True, True, True, (True, True, True)),
    ],
)
def test_conditions_say_ready_serving_and_terminating(ready: bool, ending: bool, publish: bool, want: tuple) -> None:
    world = World()
    change = {"metadata__deletionTimestamp": "t"} if ending else {}
    world.step(service(publishNotReadyAddresses=publish), [pod(1, ready, **change)])
    ((entry,),) = [s["endpoints"] for s in world.slices.values()]
    found = entry["conditions"]
    assert (found["ready"], found["serving"], found["terminating"]) == want
    assert (entry["nodeName"], entry["zone"], get(entry, "targetRef", "name")) == ("n", "z", "p1")


@pytest.mark.parametrize("change", [{"status__phase": "Succeeded"}, {"status__phase": "Failed"}, {"status__podIP": ""}, {"spec__nodeName": "gone"}])
def test_pods_that_ended_or_are_nowhere_are_left_out(change: dict) -> None:
    world = World()
    world.step(service(), [pod(1, **change)])
    assert world.addresses() == []


def test_named_ports_resolve_for_each_pod_and_make_groups() -> None:
    world = World()
    world.step(service(ports=[{"name": "http", "port": 80, "targetPort": "web"}]), [pod(i) for i in range(4)])
    assert sorted((s["ports"][0]["port"], len(s["endpoints"])) for s in world.slices.values()) == [(8000, 2), (8001, 2)]


def test_dual_stack_has_slices_of_both_families_and_one_family_less_removes_its_own() -> None:
    world = World()
    both = service(ipFamilies=["IPv4", "IPv6"])
    world.step(both, [pod(1)])
    assert sorted(s["addressType"] for s in world.slices.values()) == ["IPv4", "IPv6"]
    world.step(service(), [pod(1)])
    assert [s["addressType"] for s in world.slices.values()] == ["IPv4"]


def test_nothing_is_created_for_a_service_in_deletion() -> None:
    tree = service()
    tree["metadata"]["deletionTimestamp"] = "t"
    assert World().step(tree, [pod(1)]) == []


@pytest.mark.parametrize("seed", range(15))
def test_whatever_happens_every_endpoint_is_listed_once(seed: int) -> None:
    chooser = random.Random(seed)
    world, pods = World(), {}
    for _ in range(40):
        for _ in range(chooser.randrange(8)):
            number = chooser.randrange(60)
            if chooser.random() < 0.4:
                pods.pop(number, None)
            else:
                pods[number] = pod(number, chooser.random() < 0.7)
        world.step(service(), list(pods.values()), limit=7)
        assert world.addresses() == sorted(p["status"]["podIP"] for p in pods.values())
        assert all(len(s["endpoints"]) <= 7 for s in world.slices.values())
        assert world.step(service(), list(pods.values()), limit=7) == []
