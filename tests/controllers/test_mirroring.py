"""Endpoints that people write become slices: one a subset and family, 1,000 addresses, what is carried over, what is told."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from seaway.api.merge import merge
from seaway.api.tree import Key
from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of
from seaway.controllers.mirroring import MANAGER, MirroringController, Skipped, mirrored, plan
from seaway.controllers.ownslices import MANAGED_BY, SERVICE_NAME
from seaway.controllers.run import Caches
from seaway.controllers.writes import Create, Delete, Patch

HTTP = [{"name": "http", "port": 80, "protocol": "TCP"}]
SKIP, LEADER = "endpointslice.kubernetes.io/skip-mirror", "control-plane.alpha.kubernetes.io/leader"


def endpoints(*subsets: dict, labels: dict | None = None, annotations: dict | None = None) -> dict:
    return {"apiVersion": "v1", "kind": "Endpoints", "subsets": list(subsets),
            "metadata": {"namespace": "shop", "name": "web", "uid": "e", "labels": labels or {}, "annotations": annotations or {}}}


def subset(*ready: str, waiting: tuple[str, ...] = (), ports: list | None = HTTP) -> dict:
    tree: dict = {}
    if ready:
        tree["addresses"] = [{"ip": a} for a in ready]
    if waiting:
        tree["notReadyAddresses"] = [{"ip": a} for a in waiting]
    if ports:
        tree["ports"] = ports
    return tree


class World:
    """The slices that are there; `step` plans and carries out."""

    def __init__(self) -> None:
        self.slices: dict[str, dict] = {}
        self.version = 0
        self.skipped = Skipped(0, 0)

    def step(self, tree: dict, limit: int = 1000) -> list[str]:
        writes, self.skipped = plan(tree, copy.deepcopy(list(self.slices.values())), limit)
        for write in writes:
            self.version += 1
            if isinstance(write, Create):
                name = f"web-{self.version}"
                meta = {**write.tree["metadata"], "name": name, "uid": name, "resourceVersion": str(self.version)}
                self.slices[name] = {**write.tree, "metadata": meta}
            elif isinstance(write, Patch):
                assert write.version == self.slices[write.name]["metadata"]["resourceVersion"]
                self.slices[write.name] = merge(self.slices[write.name], write.patch)
                self.slices[write.name]["metadata"]["resourceVersion"] = str(self.version)
            else:
                del self.slices[write.name]
        assert plan(tree, list(self.slices.values()), limit)[0] == [], "a second look wants nothing"
        return [type(w).__name__ for w in writes]

    def seen(self) -> list[tuple[str, list[int], list[tuple[str, bool]]]]:
        """(family, ports, (address, ready)) of each slice."""
        return sorted((s["addressType"], sorted(p["port"] for p in s["ports"] or ()), sorted((e["addresses"][0], e["conditions"]["ready"]) for e in s["endpoints"]))
                      for s in self.slices.values())


A, B, SIX = "192.0.2.1", "192.0.2.2", "2001:db8::1"
OTHER = [{"name": "https", "port": 443, "protocol": "TCP"}]
MIRRORED: dict[str, tuple[list, list]] = {
    "nothing": ([], []),
    "one": ([subset(A)], [("IPv4", [80], [(A, True)])]),
    "not ready": ([subset(A, waiting=(B,))], [("IPv4", [80], [(A, True), (B, False)])]),
    "a slice a family": ([subset(A, SIX)], [("IPv4", [80], [(A, True)]), ("IPv6", [80], [(SIX, True)])]),
    "a slice a subset": ([subset(A), subset(B, ports=OTHER)], [("IPv4", [80], [(A, True)]), ("IPv4", [443], [(B, True)])]),
    "subsets of the same ports": ([subset(A), subset(B)], [("IPv4", [80], [(A, True), (B, True)])]),
    "an address in two of the same ports": ([subset(A), subset(A)], [("IPv4", [80], [(A, True)])]),
    "ready and not for the same port": ([subset(A), subset(waiting=(A,))], [("IPv4", [80], [(A, False)])]),
    "two subsets of the same address": ([subset(A), subset(A, ports=OTHER)], [("IPv4", [80, 443], [(A, True)])]),
    "without ports": ([subset(A, ports=None)], [("IPv4", [], [(A, True)])]),
    "no address": ([{"ports": HTTP}], []),
    "an IPv6 address written long": ([subset("2001:DB8:0::0001")], [("IPv6", [80], [(SIX, True)])]),
    "an IPv4 address in IPv6's clothes": ([subset("::ffff:192.0.2.1")], [("IPv4", [80], [(A, True)])]),
}


@pytest.mark.parametrize("case", MIRRORED)
def test_what_is_mirrored(case: str) -> None:
    subsets, want = MIRRORED[case]
    world = World()
    assert world.step(endpoints(*subsets)) == ["Create"] * len(want)
    assert world.seen() == want


@pytest.mark.parametrize(
    ("addresses", "limit", "want", "skipped"),
    [
        ([A, "nonsense", B], 10, [A, B], Skipped(1, 0)),
        (["", "1.2.3", "1.2.3.4.5", "fe80::1::2"], 10, [], Skipped(4, 0)),
        ([A, B, "192.0.2.3"], 2, [A, B], Skipped(0, 1)),
        # an invalid one takes no place; beyond the limit nobody looks any more
        ([A, "nonsense", B, "192.0.2.3"], 2, [A, B], Skipped(1, 1)),
    ],
)
def test_invalid_addresses_and_those_beyond_the_limit_are_left_out_and_counted(addresses: list, limit: int, want: list, skipped: Skipped) -> None:
    world = World()
    world.step(endpoints({"addresses": [{"ip": a} for a in addresses], "ports": HTTP}), limit)
    found = [a for _, _, rows in world.seen() for a, _ in rows]
    assert world.skipped.invalid + world.skipped.beyond == sum(skipped)
    assert len(found) == len(want) and set(found) <= set(addresses)


def test_a_subset_is_mirrored_up_to_a_thousand_and_is_one_slice() -> None:
    world = World()
    many = [f"10.0.{i // 250}.{i % 250 + 1}" for i in range(1200)]
    assert world.step(endpoints(subset(*many), subset(B, ports=OTHER))) == ["Create", "Create"]
    assert sorted(len(s["endpoints"]) for s in world.slices.values()) == [1, 1000]
    assert world.skipped == Skipped(0, 200)


def test_ready_addresses_come_before_the_others_at_the_limit() -> None:
    world = World()
    world.step(endpoints(subset("192.0.2.9", waiting=(A,))), 1)
    assert world.seen() == [("IPv4", [80], [("192.0.2.9", True)])]


def test_fields_of_addresses_and_ports_are_carried_over() -> None:
    ref = {"kind": "Pod", "namespace": "shop", "name": "p", "uid": "u", "resourceVersion": "5"}
    world = World()
    ports = [{"name": "", "port": 53, "protocol": "UDP", "appProtocol": "dns"}]
    world.step(endpoints({"addresses": [{"ip": A, "hostname": "h", "nodeName": "n", "targetRef": ref}], "ports": ports}))
    (tree,) = world.slices.values()
    assert tree["endpoints"] == [{"addresses": [A], "conditions": {"ready": True}, "hostname": "h", "nodeName": "n", "targetRef": ref}]
    assert tree["ports"] == ports


def test_labels_and_annotations_are_carried_over_but_for_two() -> None:
    carried = {"a": "b"}
    left = {"endpoints.kubernetes.io/last-change-trigger-time": "t", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    world = World()
    world.step(endpoints(subset(A), labels={"own": "x", MANAGED_BY: "me", SERVICE_NAME: "other"}, annotations={**carried, **left}))
    (tree,) = world.slices.values()
    meta = tree["metadata"]
    assert meta["labels"] == {"own": "x", MANAGED_BY: MANAGER, SERVICE_NAME: "web"}
    assert meta["annotations"] == carried and meta["generateName"] == "web-"
    assert meta["ownerReferences"] == [{"apiVersion": "v1", "kind": "Endpoints", "name": "web", "uid": "e", "controller": True, "blockOwnerDeletion": True}]


STEPS: dict[str, tuple[list[dict], list[list[str]]]] = {
    "an address more": ([endpoints(subset(A)), endpoints(subset(A, B))], [["Create"], ["Patch"]]),
    "another port updates in place": ([endpoints(subset(A)), endpoints(subset(A, ports=OTHER))], [["Create"], ["Patch"]]),
    "nothing any more: the slice goes": ([endpoints(subset(A)), endpoints()], [["Create"], ["Delete"]]),
    "a label": ([endpoints(subset(A)), endpoints(subset(A), labels={"x": "y"}), endpoints(subset(A))], [["Create"], ["Patch"], ["Patch"]]),
    "an annotation": ([endpoints(subset(A)), endpoints(subset(A), annotations={"x": "y"}), endpoints(subset(A))], [["Create"], ["Patch"], ["Patch"]]),
    "the trigger alone": ([endpoints(subset(A)), endpoints(subset(A), annotations={"endpoints.kubernetes.io/last-change-trigger-time": "t"})], [["Create"], []]),
    "another family": ([endpoints(subset(A)), endpoints(subset(SIX))], [["Create"], ["Delete", "Create"]]),
    "not ready any more": ([endpoints(subset(A)), endpoints(subset(waiting=(A,)))], [["Create"], ["Patch"]]),
    "only the pod's version": (
        [endpoints({"addresses": [{"ip": A, "targetRef": {"uid": "u", "resourceVersion": v}}], "ports": HTTP}) for v in "12"], [["Create"], []]),
}


@pytest.mark.parametrize("case", STEPS)
def test_changes_are_written_once_and_in_place(case: str) -> None:
    world = World()
    trees, want = STEPS[case]
    assert [sorted(world.step(tree)) for tree in trees] == [sorted(w) for w in want]


def test_a_second_slice_of_the_same_group_is_too_many() -> None:
    world = World()
    world.step(endpoints(subset(A)))
    (name,) = world.slices
    twin = copy.deepcopy(world.slices[name])
    twin["metadata"]["name"] = "web-9"
    world.slices["web-9"] = twin
    assert world.step(endpoints(subset(A))) == ["Delete"] and list(world.slices) == [name]


def test_endpoints_in_deletion_get_no_new_slices() -> None:
    tree = endpoints(subset(A))
    tree["metadata"]["deletionTimestamp"] = "t"
    assert plan(tree, [])[0] == []


SELECTING = {"spec": {"selector": {"app": "x"}}}
PLAIN: dict[str, Any] = {"spec": {}}


@pytest.mark.parametrize(
    ("tree", "service", "want"),
    [
        (endpoints(subset(A)), PLAIN, True),
        (endpoints(subset(A)), {"spec": {"selector": {}}}, True),
        (endpoints(subset(A)), SELECTING, False),
        (endpoints(subset(A)), None, False),
        (None, PLAIN, False),
        (endpoints(subset(A), labels={SKIP: "true"}), PLAIN, False),
        (endpoints(subset(A), labels={SKIP: "false"}), PLAIN, True),
        (endpoints(subset(A), labels={SKIP: ""}), PLAIN, True),
        (endpoints(subset(A), annotations={LEADER: "{}"}), PLAIN, False),
        (endpoints(subset(A), annotations={LEADER: ""}), PLAIN, False),
    ],
)
def test_which_endpoints_are_mirrored(tree: dict | None, service: dict | None, want: bool) -> None:
    assert mirrored(tree, service) is want


class Told:
    """Stands for Events: keeps what was told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def tell(self, about: dict, kind: str, reason: str, message: str, path: str = "") -> None:
        self.said.append((kind, reason, message))


@pytest.mark.parametrize(
    ("addresses", "want"),
    [
        ([A], []),
        ([A, "x", "y"], [("Warning", "InvalidIPAddress", "Skipped 2 invalid IP addresses when mirroring to EndpointSlices")]),
        ([A, B, "192.0.2.3", "192.0.2.4"], [("Warning", "TooManyAddressesToMirror", "A max of 2 addresses can be mirrored to EndpointSlices per Endpoints subset. 2 addresses were skipped")]),
    ],
)
def test_what_is_left_out_is_told_once_on_the_endpoints(addresses: list, want: list) -> None:
    async def go() -> None:
        api, told = FakeApi(), Told()
        caches = Caches(api)
        controller = MirroringController(caches, told, 2)  # type: ignore[arg-type]
        api.put({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web"}, "spec": {}})
        api.put(endpoints(subset(*addresses)))
        tasks = [asyncio.ensure_future(i.run()) for i in caches.all()]
        for informer in caches.all():
            await informer.synced.wait()
        for _ in range(3):
            await controller._reconcile(Key("shop", "web"))
            await asyncio.sleep(0)
        assert told.said == want
        assert len(api.of(kind_of("endpointslices.discovery.k8s.io"))) == 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(go())


def test_deletes_name_the_slice_they_mean() -> None:
    world = World()
    world.step(endpoints(subset(A)))
    ((write,), _) = plan(endpoints(), list(world.slices.values()))
    assert isinstance(write, Delete) and write.uid == write.name
