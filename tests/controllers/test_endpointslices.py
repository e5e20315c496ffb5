"""EndpointSlices: the fewest writes that make them right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from seaway.api.tree import get, labels
from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of
from seaway.controllers.endpointslices import MANAGED_BY, MANAGER, SERVICE_NAME, EndpointSliceController, plan
from seaway.controllers.run import Caches, run
from seaway.controllers.triggers import ANNOTATION as TRIGGER
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
        writes, _ = plan(tree, pods, NODES, list(self.slices.values()), limit, "t")
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
        return sorted(e["addresses"][0] for s in self.slices.values() for e in s["endpoints"] or ())

    def sizes(self) -> list[int]:
        return sorted(len(s["endpoints"] or ()) for s in self.slices.values())


def test_a_service_without_pods_keeps_one_slice_without_ports() -> None:
    world = World()
    world.step(service(), [])
    (tree,) = world.slices.values()
    assert (tree["endpoints"], tree["ports"]) == (None, None)
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


@pytest.mark.parametrize("change", [{"status__phase": "Succeeded"}, {"status__phase": "Failed"}, {"status__podIP": "", "status__podIPs": []}, {"spec__nodeName": "gone"}, {"spec__nodeName": ""}])
def test_pods_that_ended_or_are_nowhere_are_left_out(change: dict) -> None:
    world = World()
    world.step(service(), [pod(1, **change)])
    assert world.addresses() == []


def test_named_ports_resolve_for_each_pod_and_make_groups() -> None:
    world = World()
    world.step(service(ports=[{"name": "http", "port": 80, "targetPort": "web"}]), [pod(i) for i in range(4)])
    assert sorted((s["ports"][0]["port"], len(s["endpoints"] or ())) for s in world.slices.values()) == [(8000, 2), (8001, 2)]


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
        assert all(len(s["endpoints"] or ()) <= 7 for s in world.slices.values())
        assert world.step(service(), list(pods.values()), limit=7) == []


def kinds(writes: list) -> list[str]:
    return [type(w).__name__ for w in writes]


def test_the_fullest_slice_that_is_written_anyway_is_filled_first() -> None:
    world = World()
    pods = [pod(i) for i in range(20)]
    world.step(service(), pods, limit=10)
    thin = [p for i, p in enumerate(pods) if i not in (0, 1, 2, 10)]
    world.step(service(), thin, limit=10)
    assert world.sizes() == [7, 9]
    # one pod of each slice changes, so that both are written, and two come: the fuller takes one, the other the rest
    changed = [{**p, "status": {**p["status"], "conditions": []}} if p["metadata"]["name"] in ("p5", "p15") else p for p in thin]
    writes = world.step(service(), [*changed, pod(30), pod(31)], limit=10)
    assert kinds(writes) == ["Patch", "Patch"] and world.sizes() == [8, 10]


def test_what_is_left_goes_into_the_untouched_slice_that_ends_closest_to_full() -> None:
    world = World()
    pods = [pod(i) for i in range(30)]
    world.step(service(), pods, limit=10)
    keep = [p for i, p in enumerate(pods) if i not in (0, 1, 2, 3, 10, 11)]  # 6, 8 and 10
    world.step(service(), keep, limit=10)
    assert world.sizes() == [6, 8, 10]
    assert kinds(world.step(service(), [*keep, pod(40), pod(41)], limit=10)) == ["Patch"]
    assert world.sizes() == [6, 10, 10]


def test_a_new_slice_is_made_where_no_other_has_room_for_all() -> None:
    world = World()
    pods = [pod(i) for i in range(18)]
    world.step(service(), pods, limit=10)
    assert world.sizes() == [8, 10]
    assert kinds(world.step(service(), [*pods, *(pod(i) for i in (40, 41, 42))], limit=10)) == ["Create"]
    assert world.sizes() == [3, 8, 10]


def test_the_slice_that_emptied_is_deleted_and_the_last_one_stays() -> None:
    world = World()
    pods = [pod(i) for i in range(15)]
    world.step(service(), pods, limit=10)
    assert kinds(world.step(service(), pods[:10], limit=10)) == ["Delete"]
    assert kinds(world.step(service(), [], limit=10)) == ["Patch"]
    (tree,) = world.slices.values()
    assert (tree["endpoints"], tree["ports"]) == (None, None)


def test_a_changed_port_updates_the_slice_in_its_place() -> None:
    world = World()
    world.step(service(), [pod(1)])
    (name,) = world.slices
    writes = world.step(service(ports=[{"name": "http", "port": 80, "targetPort": 9090}]), [pod(1)])
    assert kinds(writes) == ["Patch"] and list(world.slices) == [name]
    assert world.slices[name]["ports"] == [{"name": "http", "port": 9090, "protocol": "TCP"}]


def test_changed_labels_are_written_and_old_ones_taken_away() -> None:
    world = World()
    world.step(service(), [pod(1)])
    tree = service()
    tree["metadata"]["labels"] = {"new": "label"}
    assert kinds(world.step(tree, [pod(1)])) == ["Patch"]
    (found,) = world.slices.values()
    assert labels(found) == {"new": "label", SERVICE_NAME: "web", MANAGED_BY: MANAGER}


def test_headless_services_label_their_slices() -> None:
    world = World()
    world.step(service(clusterIP="None"), [pod(1)])
    (tree,) = world.slices.values()
    assert labels(tree)["service.kubernetes.io/headless"] == ""


def test_a_slice_names_its_service_and_belongs_to_it() -> None:
    ((write,), _) = plan(service(), [pod(1)], NODES, [], 100, "t")
    meta = write.tree["metadata"]
    assert meta["generateName"] == "web-" and meta["annotations"] == {"endpoints.kubernetes.io/last-change-trigger-time": "t"}
    (owner,) = meta["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("Service", "web", "u", True)


def test_slices_of_others_are_not_touched() -> None:
    theirs = {"metadata": {"namespace": "shop", "name": "x", "labels": {SERVICE_NAME: "web", MANAGED_BY: "me"}},
              "addressType": "IPv4", "endpoints": [], "ports": []}
    assert kinds(plan(service(), [], NODES, [theirs], 100, "t")[0]) == ["Create"]


@pytest.mark.parametrize(
    ("spec", "want"),
    [({"hostname": "db-0", "subdomain": "web"}, "db-0"), ({"hostname": "db-0", "subdomain": "other"}, None),
     ({"hostname": "db-0"}, None), ({"subdomain": "web"}, None)],
)
def test_a_hostname_needs_the_services_name_as_subdomain(spec: dict, want: str | None) -> None:
    world = World()
    world.step(service(), [pod(1, **{f"spec__{k}": v for k, v in spec.items()})])
    ((entry,),) = [s["endpoints"] for s in world.slices.values()]
    assert entry.get("hostname") == want


@pytest.mark.parametrize(
    ("port", "want"),
    [({"port": 80}, 80), ({"port": 80, "targetPort": 8080}, 8080), ({"port": 80, "targetPort": "web"}, 8001),
     ({"port": 80, "targetPort": "none"}, None), ({"port": 80, "targetPort": "web", "protocol": "UDP"}, None)],
)
def test_target_ports_are_numbers_or_the_pods_names(port: dict, want: int | None) -> None:
    world = World()
    world.step(service(ports=[port]), [pod(1)])
    (tree,) = world.slices.values()
    assert [p["port"] for p in tree["ports"] or ()] == ([] if want is None else [want])
    assert world.addresses() == ["10.244.0.2"]


def test_sidecars_have_named_ports_too() -> None:
    sidecar = {"name": "s", "restartPolicy": "Always", "ports": [{"name": "mesh", "containerPort": 15000}]}
    world = World()
    world.step(service(ports=[{"port": 80, "targetPort": "mesh"}]), [pod(1, spec__initContainers=[sidecar])])
    (tree,) = world.slices.values()
    assert tree["ports"][0]["port"] == 15000


def test_a_single_stack_pod_is_in_the_slices_of_its_family_only() -> None:
    world = World()
    world.step(service(ipFamilies=["IPv4", "IPv6"]), [pod(1, status__podIPs=[{"ip": "10.244.0.9"}], status__podIP="10.244.0.9")])
    found = {s["addressType"]: [e["addresses"] for e in s["endpoints"] or ()] for s in world.slices.values()}
    assert found == {"IPv4": [["10.244.0.9"]], "IPv6": []}


def test_a_published_pod_stays_though_its_node_is_gone() -> None:
    world = World()
    world.step(service(publishNotReadyAddresses=True), [pod(1, spec__nodeName="gone")])
    assert world.addresses() == ["10.244.0.2"]


@pytest.mark.parametrize("seed", range(8))
def test_random_pods_of_both_families_and_port_groups_end_listed_once(seed: int) -> None:
    chooser = random.Random(100 + seed)
    world, pods = World(), {}
    tree = service(ipFamilies=["IPv4", "IPv6"], ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    for _ in range(20):
        for _ in range(chooser.randrange(12)):
            number = chooser.randrange(50)
            pods.pop(number, None)
            if chooser.random() < 0.6:
                ending = {"metadata__deletionTimestamp": "t"} if chooser.random() < 0.3 else {}
                pods[number] = pod(number, chooser.random() < 0.5, **ending)
        world.step(tree, list(pods.values()), limit=5)
        want = sorted(i["ip"] for p in pods.values() for i in p["status"]["podIPs"])
        assert world.addresses() == want and all(len(s["endpoints"] or ()) <= 5 for s in world.slices.values())
        for found in world.slices.values():
            for entry in found["endpoints"] or ():
                assert found["ports"][0]["port"] == 8000 + int(entry["targetRef"]["name"][1:]) % 2
        assert world.step(tree, list(pods.values()), limit=5) == []


def test_the_controller_makes_and_follows_slices_through_the_api() -> None:
    """Over the fake API: created once, updated in place, quiet when nothing changes."""

    async def until(true: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.001)

    async def go() -> None:
        api = FakeApi()
        node = {"apiVersion": "v1", "kind": "Node", **NODES["n"]}
        first, second = ({"apiVersion": "v1", "kind": "Pod", **pod(i)} for i in (1, 2))
        tree = {"apiVersion": "v1", "kind": "Service", **service()}
        tree["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        for each in (node, first, tree, {**tree, "metadata": {"namespace": "shop", "name": "own", "uid": "o"},
                                         "spec": {"ports": [], "clusterIP": "10.96.0.2"}}):
            api.put(each)
        slices = kind_of("endpointslices.discovery.k8s.io")
        caches = Caches(api)
        controller = EndpointSliceController(caches)
        task = asyncio.ensure_future(run(caches, [controller]))
        try:
            await until(lambda: api.of(slices))
            (made,) = api.of(slices)
            assert (made["metadata"]["labels"][SERVICE_NAME], len(made["endpoints"])) == ("web", 1)
            assert made["metadata"]["annotations"] == {TRIGGER: "2026-01-01T00:00:00Z"}, "a new Service: its own time"
            api.put(second)
            await until(lambda: len(api.of(slices)[0]["endpoints"]) == 2)
            second["metadata"]["labels"] = {"app": "other"}
            api.put(second)
            await until(lambda: len(api.of(slices)[0]["endpoints"]) == 1)
            first["metadata"]["annotations"] = {"no": "matter"}
            api.put(first)
            first["status"]["conditions"] = []
            api.put(first)
            await until(lambda: api.of(slices)[0]["endpoints"][0]["conditions"]["ready"] is False)
            api.remove(kind_of("nodes"), "", "n")
            await until(lambda: not api.of(slices)[0].get("endpoints"))
            await until(lambda: controller.queue.idle)
            assert [verb for verb, _, _ in api.writes] == ["create", "patch", "patch", "patch", "patch"]
            api.remove(slices, "shop", api.of(slices)[0]["metadata"]["name"])
            await until(lambda: api.of(slices))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())


def other_owner(tree: dict, uid: str = "gone") -> dict:
    """The same slice, of a Service that had this name before."""
    refs = [{**r, "uid": uid} for r in tree["metadata"]["ownerReferences"]]
    return {**tree, "metadata": {**tree["metadata"], "ownerReferences": refs}}


def test_slices_of_an_earlier_service_of_the_name_are_deleted_not_reused() -> None:
    world = World()
    world.step(service(), [pod(1)])
    (name,) = world.slices
    world.slices[name] = other_owner(world.slices[name])
    assert sorted(kinds(world.step(service(), [pod(1)]))) == ["Create", "Delete"] and name not in world.slices
    assert world.addresses() == ["10.244.0.2"]


def test_a_slice_without_an_owner_is_not_reused() -> None:
    world = World()
    world.step(service(), [pod(1)])
    (name,) = world.slices
    del world.slices[name]["metadata"]["ownerReferences"]
    assert sorted(kinds(world.step(service(), [pod(1)]))) == ["Create", "Delete"]


def test_a_slice_that_is_going_does_not_count() -> None:
    world = World()
    world.step(service(), [pod(1)])
    (name,) = world.slices
    world.slices[name]["metadata"]["deletionTimestamp"] = "t"
    assert kinds(plan(service(), [pod(1)], NODES, list(world.slices.values()), 100, "t")[0]) == ["Create"]


def test_each_family_has_its_own_placeholder_and_its_own_packing() -> None:
    world = World()
    both = service(ipFamilies=["IPv4", "IPv6"])
    assert kinds(world.step(both, [])) == ["Create", "Create"]
    four = {"status__podIPs": [{"ip": "10.244.0.9"}], "status__podIP": "10.244.0.9"}
    assert kinds(world.step(both, [pod(1, **four)])) == ["Patch"]
    assert sorted((s["addressType"], len(s["endpoints"] or ())) for s in world.slices.values()) == [("IPv4", 1), ("IPv6", 0)]
    assert kinds(world.step(both, [pod(1)])) == ["Patch", "Patch"]
    assert kinds(world.step(service(ipFamilies=["IPv6"]), [pod(1)])) == ["Delete"]
    assert [s["addressType"] for s in world.slices.values()] == ["IPv6"]


def test_the_placeholder_follows_the_services_labels() -> None:
    world = World()
    world.step(service(), [])
    (name,) = world.slices
    tree = service()
    tree["metadata"]["labels"] = {"new": "label"}
    assert kinds(world.step(tree, [])) == ["Patch"] and list(world.slices) == [name]
    assert labels(world.slices[name])["new"] == "label"


@pytest.mark.parametrize("key", [MANAGED_BY, SERVICE_NAME, "service.kubernetes.io/headless"])
def test_a_service_cannot_set_the_labels_that_say_whose_a_slice_is(key: str) -> None:
    tree = service()
    tree["metadata"]["labels"] = {key: "mine", "own": "label"}
    world = World()
    world.step(tree, [pod(1)])
    (found,) = world.slices.values()
    assert labels(found) == {"own": "label", SERVICE_NAME: "web", MANAGED_BY: MANAGER}


def test_emptied_port_groups_are_recycled_by_others() -> None:
    """All pods of one named port's number go, those of the other number come: the slice is rewritten, not replaced."""
    world = World()
    tree = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    world.step(tree, [pod(1)])
    (name,) = world.slices
    assert kinds(world.step(tree, [pod(2)])) == ["Patch"] and list(world.slices) == [name]
    assert world.slices[name]["ports"][0]["port"] == 8000


def test_a_service_in_deletion_is_still_kept_true_without_new_slices() -> None:
    world = World()
    world.step(service(), [pod(i) for i in range(3)], limit=2)
    tree = service()
    tree["metadata"]["deletionTimestamp"] = "t"
    assert kinds(world.step(tree, [pod(i, ready=False) for i in range(3)], limit=2)) == ["Patch", "Patch"]
    assert kinds(world.step(tree, [pod(i, ready=False) for i in range(4)], limit=2)) == ["Patch"], "the one with room is filled"
    assert len(world.slices) == 2


def test_annotations_of_others_on_a_slice_live_on() -> None:
    world = World()
    world.step(service(), [pod(1)])
    ((write,), _) = plan(service(), [pod(1, ready=False)], NODES, list(world.slices.values()), 100, "")
    assert write.patch["metadata"]["annotations"] == {TRIGGER: None}, "no new trigger: only that annotation goes"
