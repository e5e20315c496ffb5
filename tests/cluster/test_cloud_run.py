"""The cloud over a fake API and a fake network: settling, finalizers, status, events, changes of type, deletion."""

from __future__ import annotations

import asyncio
import copy
import ipaddress
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import virtual_time

from seaway.api.tree import condition
from seaway.client.errors import ApiStatusError, Conflict, NotFound, Unavailable
from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of
from seaway.cluster.cloud import probes
from seaway.cluster.cloud.plan import ASSIGNED, FINALIZER, MODE, Outcome
from seaway.cluster.cloud.run import Cloud

SERVICES, NODES = kind_of("services"), kind_of("nodes")
FAILED = "Error syncing load balancer: failed to ensure load balancer: "


class FakeNetwork:
    """Keeps what was applied; refuses while `refuses` is set."""

    def __init__(self) -> None:
        self.outcome = Outcome((), {}, {})
        self.refuses = False
        self.applied = 0

    def apply(self, outcome: Outcome) -> None:
        if self.refuses:
            raise OSError("Operation not permitted")
        self.outcome = outcome
        self.applied += 1

    @property
    def served(self) -> dict[str, tuple[str, ...]]:
        """Address -> nodes."""
        return {b.address: tuple(n for n, _ in b.nodes) for b in self.outcome.balancers}


class World:
    """The API, the network, nodes that are well or not, the cloud, and a user's hands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pool: str = "172.30.255.0/29") -> None:
        self.api, self.network = FakeApi(), FakeNetwork()
        self.quiet = 0.0
        self.sick: set[tuple[str, int]] = set()
        self.said: list[tuple[str, str, str]] = []
        self.layout = SimpleNamespace(load_balancer_ranges=(ipaddress.ip_network(pool), ipaddress.ip_network("fd00:255::/64")))

        async def ask(address: str, port: int) -> bool:
            await asyncio.sleep(0.01)
            return (address, port) not in self.sick

        monkeypatch.setattr(probes, "ask", ask)
        for number, name in enumerate("ab", 2):
            self.api.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {}}, "spec": {},
                          "status": {"addresses": [{"type": "InternalIP", "address": f"172.30.0.{number}"}, {"type": "InternalIP", "address": f"fd00::{number}"}]}})

    def tell(self, about: dict, kind: str, reason: str, message: str, path: str = "") -> None:
        self.said.append((about["metadata"]["name"], reason, message))

    def start(self) -> None:
        self.cloud = Cloud(self.api, self.network, self.layout, SimpleNamespace(tell=self.tell), self.quiet)  # type: ignore[arg-type]
        self.task = asyncio.ensure_future(self.cloud.run())

    async def stop(self) -> None:
        assert not self.task.done(), self.task
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.cloud.probes.set(set())
        await asyncio.sleep(0)

    def service(self, name: str, has: tuple[str, ...] = (), annotations: dict | None = None, **spec: Any) -> None:
        base = {"type": "LoadBalancer", "ipFamilies": ["IPv4"], "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}
        meta = {"namespace": "shop", "name": name, "creationTimestamp": f"2026-01-01T00:00:{self.api.version:02d}Z", "annotations": annotations or {}}
        self.api.put({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {**base, **spec},
                      "status": {"loadBalancer": {"ingress": [{"ip": a, "ipMode": "VIP"} for a in has]} if has else {}}})

    def get(self, name: str) -> dict:
        return next(copy.deepcopy(t) for t in self.api.of(SERVICES) if t["metadata"]["name"] == name)

    def edit(self, name: str, **spec: Any) -> None:
        tree = self.get(name)
        tree["spec"].update(spec)
        self.api.put(tree)

    def delete(self, name: str) -> None:
        tree = self.get(name)
        tree["metadata"]["deletionTimestamp"] = "t"
        self.api.put(tree)

    def address(self, name: str) -> list[str]:
        return [i["ip"] for i in self.get(name)["status"]["loadBalancer"].get("ingress") or ()]

    def refusal(self, name: str) -> str:
        found = condition(self.get(name), ASSIGNED) or {}
        return found["message"] if found.get("status") == "False" else ""

    def finalizers(self, name: str) -> list[str]:
        return self.get(name)["metadata"].get("finalizers") or []


Story = Callable[[World], Awaitable[None]]


def tell(monkeypatch: pytest.MonkeyPatch, story: Story, pool: str = "172.30.255.0/29") -> None:
    """Runs a story with a cloud that is up from the start; ends in a cloud that writes nothing more."""

    async def go() -> None:
        world = World(monkeypatch, pool)
        world.start()
        await story(world)
        await asyncio.sleep(3)
        before = len(world.api.writes)
        await asyncio.sleep(3)
        assert len(world.api.writes) == before, "it has settled"
        await world.stop()

    virtual_time.run(go())


def test_a_service_gets_its_finalizer_its_address_and_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("web")
        await asyncio.sleep(1)
        tree = world.get("web")
        assert tree["status"]["loadBalancer"]["ingress"] == [{"ip": "172.30.255.1", "ipMode": "VIP"}]
        assert tree["metadata"]["finalizers"] == [FINALIZER]
        assert world.network.served == {"172.30.255.1": ("a", "b")}
        assert world.said == [("web", "EnsuredLoadBalancer", "Ensured load balancer")]
        assert [w[:2] for w in world.api.writes] == [("patch", "services"), ("patch", "services/status")], "finalizer first"

    tell(monkeypatch, story)


def test_finalizers_of_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("web")
        tree = world.get("web")
        tree["metadata"]["finalizers"] = ["example.com/other"]
        world.api.put(tree)
        await asyncio.sleep(1)
        assert world.finalizers("web") == ["example.com/other", FINALIZER]
        world.delete("web")
        await asyncio.sleep(1)
        assert world.finalizers("web") == ["example.com/other"]

    tell(monkeypatch, story)


def test_a_deleted_service_is_let_go_and_its_address_given_to_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("old")
        world.service("new")
        await asyncio.sleep(1)
        full = "no address is left in the pool 172.30.255.0/30; delete a Service of type LoadBalancer to free one"
        world.service("late")
        await asyncio.sleep(1)
        assert world.address("late") == [] and world.said[-1] == ("late", "SyncLoadBalancerFailed", FAILED + full)
        world.delete("old")
        await asyncio.sleep(1)
        assert world.finalizers("old") == [] and world.address("late") == ["172.30.255.1"] and world.address("new") == ["172.30.255.2"]
        assert set(world.network.served) == {"172.30.255.1", "172.30.255.2"}
        assert world.said[-1] == ("late", "EnsuredLoadBalancer", "Ensured load balancer")
        assert [s for s in world.said if s[1] == "SyncLoadBalancerFailed"] == [("late", "SyncLoadBalancerFailed", FAILED + full)], "told once"

    tell(monkeypatch, story, "172.30.255.0/30")


@pytest.mark.parametrize("change", [{"type": "ClusterIP"}, {"type": "NodePort"}, {"type": "ClusterIP", "loadBalancerClass": None}])
def test_a_change_of_type_gives_the_address_back(change: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("web")
        await asyncio.sleep(1)
        world.edit("web", **change)
        await asyncio.sleep(1)
        assert world.address("web") == [] and world.finalizers("web") == [] and world.network.served == {}
        world.edit("web", type="LoadBalancer")
        await asyncio.sleep(1)
        assert world.address("web") == ["172.30.255.1"] and world.finalizers("web") == [FINALIZER]

    tell(monkeypatch, story)


def test_services_of_others_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("theirs", ("192.0.2.1",), loadBalancerClass="example.com/other")
        world.service("plain", type="ClusterIP")
        await asyncio.sleep(1)
        assert world.api.writes == [] and world.network.served == {} and world.said == []

    tell(monkeypatch, story)


def test_two_services_with_one_address_after_a_bad_restore_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("older", ("172.30.255.4",))
        world.service("younger", ("172.30.255.4",))
        await asyncio.sleep(1)
        assert world.address("older") == ["172.30.255.4"] and world.address("younger") == ["172.30.255.1"]
        assert {b.address: b.key.name for b in world.network.outcome.balancers} == {"172.30.255.4": "older", "172.30.255.1": "younger"}
        assert [s for s in world.said if s[0] == "older"] == [], "nothing happened to it"

    tell(monkeypatch, story)


def test_a_changed_mode_and_families_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("web", ipFamilies=["IPv4", "IPv6"])
        await asyncio.sleep(1)
        assert world.address("web") == ["172.30.255.1", "fd00:255::1"]
        tree = world.get("web")
        tree["metadata"]["annotations"] = {MODE: "Proxy"}
        tree["spec"]["ipFamilies"] = ["IPv4"]
        world.api.put(tree)
        await asyncio.sleep(1)
        assert world.get("web")["status"]["loadBalancer"]["ingress"] == [{"ip": "172.30.255.1", "ipMode": "Proxy"}]
        tree = world.get("web")
        tree["metadata"]["annotations"] = {MODE: "proxy"}
        world.api.put(tree)
        await asyncio.sleep(1)
        assert world.address("web") == [] and world.network.served == {}
        assert world.said[-1] == ("web", "SyncLoadBalancerFailed", f"{FAILED}annotation {MODE}: 'proxy' must be VIP or Proxy")

    tell(monkeypatch, story)


def test_a_sick_node_is_left_out_until_it_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("web", externalTrafficPolicy="Local", healthCheckNodePort=31000)
        world.service("other")
        await asyncio.sleep(1)
        world.sick.add(("172.30.0.2", 31000))
        await asyncio.sleep(2)
        assert world.network.served == {"172.30.255.1": ("b",), "172.30.255.2": ("a", "b")}, "only the Service whose port said so"
        world.sick.clear()
        await asyncio.sleep(1)
        assert world.network.served["172.30.255.1"] == ("a", "b")
        assert world.address("web") == ["172.30.255.1"]

    tell(monkeypatch, story)


def test_a_node_that_goes_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("web")
        await asyncio.sleep(1)
        world.api.remove(NODES, "", "a")
        await asyncio.sleep(1)
        assert world.network.served == {"172.30.255.1": ("b",)}

    tell(monkeypatch, story)


def test_a_new_cloud_keeps_addresses_and_announces_nothing_before_it_knows_who_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("x")
        world.service("web")
        await asyncio.sleep(1)
        await world.stop()
        world.api.remove(SERVICES, "shop", "x")
        applied, said = world.network.applied, list(world.said)
        world.start()
        await asyncio.sleep(0.009)
        assert world.network.applied == applied, "nobody has been asked yet"
        await asyncio.sleep(1)
        assert world.network.served == {"172.30.255.2": ("a", "b")} and world.address("web") == ["172.30.255.2"]
        assert world.said == said, "an address that stays is not told again"

    tell(monkeypatch, story)


def test_what_the_network_refuses_is_not_promised_and_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("old")
        await asyncio.sleep(1)
        world.network.refuses = True
        world.service("new")
        world.delete("old")
        await asyncio.sleep(3)
        assert world.address("new") == [] and world.finalizers("old") == [FINALIZER]
        world.network.refuses = False
        await asyncio.sleep(2)
        assert world.address("new") == ["172.30.255.1"] and world.finalizers("old") == []

    tell(monkeypatch, story)


@pytest.mark.parametrize("error", [Unavailable("away"), ApiStatusError(500, {}, "x"), Conflict(409, {}, "x"), NotFound(404, {}, "x"), ApiStatusError(403, {}, "x")])
@pytest.mark.parametrize("at", range(4))
def test_failures_of_the_api_are_tried_again_and_harm_no_other_service(error: Exception, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        await asyncio.sleep(1)
        world.service("a")
        world.service("b")
        calls = 0
        real = FakeApi.patch

        async def patch(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at + 1:
                raise error
            return await real(world.api, *arguments, **named)

        monkeypatch.setattr(world.api, "patch", patch)
        await asyncio.sleep(0.5)
        assert world.address("a" if at >= 2 else "b"), "the other one is served meanwhile"
        await asyncio.sleep(3)
        assert [world.address(n) for n in "ab"] == [["172.30.255.1"], ["172.30.255.2"]]
        assert [world.finalizers(n) for n in "ab"] == [[FINALIZER]] * 2

    tell(monkeypatch, story)


def test_one_bad_wish_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("bad", loadBalancerIP="nonsense")
        world.service("good")
        await asyncio.sleep(1)
        assert world.address("good") == ["172.30.255.1"] and world.address("bad") == []
        assert ("bad", "SyncLoadBalancerFailed", f"{FAILED}spec.loadBalancerIP 'nonsense' is not an IP address") in world.said
        assert world.refusal("bad") == "spec.loadBalancerIP 'nonsense' is not an IP address"
        world.edit("bad", loadBalancerIP="172.30.255.5")
        await asyncio.sleep(1)
        assert world.address("bad") == ["172.30.255.5"] and world.refusal("bad") == ""

    tell(monkeypatch, story)


def test_a_status_that_somebody_clears_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.service("web")
        await asyncio.sleep(1)
        world.api.put({**world.get("web"), "status": {"loadBalancer": {}}})
        await asyncio.sleep(1)
        assert world.address("web") == ["172.30.255.1"]

    tell(monkeypatch, story)


def test_a_service_that_is_still_being_edited_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.cloud._quiet = 0.3
        world.service("web")
        for number in range(5):
            await asyncio.sleep(0.1)
            assert not world.api.writes, "touched less than the quiet time ago"
            world.edit("web", ports=[{"port": 81 + number, "protocol": "TCP", "nodePort": 30080}])
        await asyncio.sleep(1)
        assert world.address("web") == ["172.30.255.1"]

    tell(monkeypatch, story)
