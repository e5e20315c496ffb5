"""Whatever happens to pods, nodes, Services, slices and the controllers themselves: once it is quiet, slices and Endpoints are
what the specification says, nobody is listed twice, and nothing is written any more. The answer is computed here from the
objects alone, slowly and without the controllers' code."""

from __future__ import annotations

import asyncio
import copy
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import virtual_time

from seaway.client.errors import ApiStatusError, Conflict, Unavailable
from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of
from seaway.controllers.everywhere import controllers
from seaway.controllers.run import Caches, run

Tree = dict[str, Any]
PODS, NODES, SERVICES, ENDPOINTS, SLICES = map(kind_of, ("pods", "nodes", "services", "endpoints", "endpointslices.discovery.k8s.io"))
ZONE, SKIP = "topology.kubernetes.io/zone", "endpointslice.kubernetes.io/skip-mirror"
BY, OF, HEADLESS = "endpointslice.kubernetes.io/managed-by", "kubernetes.io/service-name", "service.kubernetes.io/headless"
OURS, MIRROR = "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"
AUTO = "service.kubernetes.io/topology-mode"
LIMIT = 4
SEEDS = 15


class SlowApi(FakeApi):
    """Each kind's events come late, each by its own; writes take their time, and may have been done when an answer is late."""

    def __init__(self, chooser: random.Random) -> None:
        super().__init__()
        self._chooser = chooser
        self._late: dict[str, float] = {}
        self.wild = True

    async def watch(self, kind: Any, *rest: Any) -> AsyncIterator[Tree]:
        late = self._late.setdefault(kind.resource, self._chooser.choice([0, 0, 0.003, 0.03]))
        async for event in super().watch(kind, *rest):
            await asyncio.sleep(late)
            yield event

    async def _slowly(self, write: Callable[[], Coroutine[Any, Any, Tree]]) -> Tree:
        await asyncio.sleep(self._chooser.choice([0, 0, 0.004]))
        answer = await write()
        await asyncio.sleep(self._chooser.choice([0, 0, 0.004]))
        if self.wild and self._chooser.random() < 0.05:
            raise Unavailable("it is done, and the answer was lost")
        return answer

    async def create(self, *arguments: Any) -> Tree:
        return await self._slowly(partial(super().create, *arguments))

    async def patch(self, *arguments: Any) -> Tree:
        return await self._slowly(partial(super().patch, *arguments))

    async def delete(self, *arguments: Any) -> Tree:
        return await self._slowly(partial(super().delete, *arguments))


class World:
    """The API, the controllers that may run, and hands that change things at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.api = SlowApi(self.random)
        self.task: asyncio.Task[None] | None = None
        self.made = 0
        self.touched = False  # somebody wrote into Endpoints: put back at the next change of the Service only

    # the controllers

    def start(self) -> None:
        if self.task is None:
            caches = Caches(self.api)  # type: ignore[arg-type]
            quiet = SimpleNamespace(tell=lambda *a: None)
            self.task = asyncio.ensure_future(run(caches, controllers(caches, quiet, LIMIT)))  # type: ignore[arg-type]

    async def stop(self) -> None:
        if self.task is not None:
            assert not self.task.done(), self.task
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None

    def collect(self) -> None:
        """The garbage collector: what is owned by nobody goes."""
        owners = {t["metadata"]["uid"] for kind in (SERVICES, ENDPOINTS) for t in self.api.of(kind)}
        for tree in self.api.of(SLICES):
            if not any(r["uid"] in owners for r in tree["metadata"].get("ownerReferences") or ()):
                self.api.remove(SLICES, "shop", tree["metadata"]["name"])

    # hands

    def any(self, kind: Any, wanted: Callable[[Tree], bool] = lambda t: True) -> Tree | None:
        found = [t for t in self.api.of(kind) if wanted(t)]
        return copy.deepcopy(self.random.choice(found)) if found else None

    def pod(self) -> None:
        self.made += 1
        pick, number = self.random.choice, self.made
        addresses = pick([[f"10.1.0.{number}", f"fd00::{number:x}"], [f"10.1.0.{number}"], [f"fd00::{number:x}", f"10.1.0.{number}"], []])
        spec: Tree = {"nodeName": pick(["n1", "n2", "n2", "n3", "lost", ""]), "containers": [{"ports": [{"name": "web", "containerPort": pick([8000, 8001])}]}]}
        if pick([True, False]):
            spec |= {"hostname": f"h{number}", "subdomain": pick(["web", "both"])}
        status: Tree = {"phase": "Running", "podIPs": [{"ip": a} for a in addresses], "conditions": [{"type": "Ready", "status": pick(["True", "True", "False"])}]}
        if addresses:
            status["podIP"] = addresses[0]
        self.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": f"p{number}", "labels": {"app": pick(["web", "web", "web", "no"])}}, "spec": spec, "status": status})

    def change_pod(self) -> None:
        tree = self.any(PODS)
        if tree is None:
            return
        match self.random.choice(["ready", "ready", "ready", "going", "finished", "label", "heartbeat", "bound", "gone", "gone"]):
            case "ready":
                condition = tree["status"]["conditions"][0]
                condition["status"] = "False" if condition["status"] == "True" else "True"
            case "going":
                tree["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            case "finished":
                tree["status"]["phase"] = self.random.choice(["Succeeded", "Failed"])
            case "label":
                tree["metadata"]["labels"]["app"] = self.random.choice(["web", "no"])
            case "heartbeat":
                tree["metadata"]["annotations"] = {"n": str(self.api.version)}
            case "bound" if not tree["spec"]["nodeName"]:
                tree["spec"]["nodeName"] = "n1"
            case "gone":
                return self.api.remove(PODS, "shop", tree["metadata"]["name"])
        self.api.put(tree)

    def node(self) -> None:
        name = self.random.choice(["n1", "n2", "n3"])
        if self.random.random() < 0.25 and any(t["metadata"]["name"] == name for t in self.api.of(NODES)):
            return self.api.remove(NODES, "", name)
        zone = self.random.choice(["a", "a", "b", "b", ""])
        self.api.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {ZONE: zone} if zone else {}},
                      "status": {"allocatable": {"cpu": self.random.choice(["1", "2"])}, "conditions": [{"type": "Ready", "status": self.random.choice(["True", "True", "False"])}]}})

    def service(self, name: str) -> None:
        spec: Tree = {"clusterIP": "10.96.0.1", "type": "ClusterIP", "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}], "ipFamilies": ["IPv4"]}
        if name != "own":
            spec["selector"] = {"app": "web"}
        if name == "both":
            spec |= {"ipFamilies": ["IPv6", "IPv4"], "ports": [{"name": "w", "port": 80, "protocol": "TCP", "targetPort": "web"}, {"name": "d", "port": 53, "protocol": "UDP", "targetPort": 53}]}
        self.api.put({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": name, "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {}}, "spec": spec})

    def change_service(self) -> None:
        name = self.random.choice(["web", "both", "both", "own"])
        tree = self.any(SERVICES, lambda t: t["metadata"]["name"] == name)
        if tree is None:
            return self.service(name)
        spec, pick = tree["spec"], self.random.choice
        match pick(["label", "publish", "distribution", "auto", "families", "ports", "headless", "gone"]):
            case "label":
                tree["metadata"]["labels"] = {"own": pick("xyz")}
            case "publish":
                spec["publishNotReadyAddresses"] = not spec.get("publishNotReadyAddresses")
            case "distribution":
                spec["trafficDistribution"] = pick(["PreferClose", "PreferSameZone", "PreferSameNode", None])
            case "auto":
                tree["metadata"]["annotations"] = pick([{}, {AUTO: "Auto"}])
            case "families" if name != "own":
                spec["ipFamilies"] = pick([["IPv4"], ["IPv6"], ["IPv4", "IPv6"]])
            case "ports" if name != "own":
                spec["ports"][0]["targetPort"] = pick([8080, 9090, "web", "none"])
            case "headless":
                spec["clusterIP"] = pick(["None", "10.96.0.1"])
            case "gone":
                self.api.remove(SERVICES, "shop", name)
                if pick([True, False]):
                    self.collect()
                return
        self.api.put(tree)

    def hand_in_slice(self) -> None:
        tree = self.any(SLICES, lambda t: t["metadata"]["labels"].get(BY) in (OURS, MIRROR))
        if tree is None:
            return
        rows = tree.get("endpoints") or []
        match self.random.choice(["empty", "add", "twice", "label", "ready", "hints", "ports", "orphan", "gone"]):
            case "empty":
                tree["endpoints"] = rows[1:]
            case "add":
                tree["endpoints"] = [*rows, {"addresses": ["10.9.9.9"], "conditions": {"ready": True}}]
            case "twice":
                tree["endpoints"] = rows + rows[:1]
            case "label":
                tree["metadata"]["labels"]["own"] = "hand"
            case "ready" if rows:
                rows[0]["conditions"] = {"ready": not rows[0]["conditions"]["ready"]}
            case "hints" if rows:
                rows[-1]["hints"] = {"forZones": [{"name": self.random.choice("ab")}]}
            case "ports":
                tree["ports"] = [{"name": "x", "port": 1, "protocol": "TCP"}]
            case "orphan":
                del tree["metadata"]["labels"][BY]
            case "gone":
                return self.api.remove(SLICES, "shop", tree["metadata"]["name"])
        self.api.put(tree)

    def hand_in_endpoints(self) -> None:
        tree = self.any(ENDPOINTS, lambda t: t["metadata"]["name"] != "own")
        if tree is None:
            return
        if self.random.random() < 0.5:
            return self.api.remove(ENDPOINTS, "shop", tree["metadata"]["name"])
        tree["subsets"] = [{"addresses": [{"ip": "10.9.9.9"}]}]
        self.touched = True
        self.api.put(tree)

    def own_endpoints(self) -> None:
        """Endpoints that somebody writes himself for the Service without a selector."""
        there = self.any(ENDPOINTS, lambda t: t["metadata"]["name"] == "own")
        if there is not None and self.random.random() < 0.2:
            return self.api.remove(ENDPOINTS, "shop", "own")
        pick = self.random.choice
        subsets = []
        for _ in range(pick([0, 1, 1, 2, 3])):
            ips = self.random.sample(["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"], pick([1, 2, 3]))
            cut = pick([len(ips), len(ips), 1])
            ports = self.random.sample([{"name": "a", "port": 80, "protocol": "TCP"}, {"name": "b", "port": 53, "protocol": "UDP"}], pick([1, 1, 2]))
            subset: Tree = {"addresses": [{"ip": i} for i in ips[:cut]], "ports": ports}
            if ips[cut:]:
                subset["notReadyAddresses"] = [{"ip": i} for i in ips[cut:]]
            subsets.append(subset)
        meta: Tree = {"namespace": "shop", "name": "own", "labels": pick([{}, {}, {"l": pick("12")}, {SKIP: "true"}]), "annotations": pick([{}, {"x": "y"}])}
        self.api.put({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": subsets})

    async def step(self) -> None:
        match self.random.choices(
            ["pod", "change_pod", "node", "service", "slice", "endpoints", "own", "stop", "start", "fail", "forget"], [5, 9, 2, 3, 4, 1, 2, 1, 2, 3, 1])[0]:
            case "pod":
                self.pod()
            case "change_pod":
                self.change_pod()
            case "node":
                self.node()
            case "service":
                self.change_service()
            case "slice":
                self.hand_in_slice()
            case "endpoints":
                self.hand_in_endpoints()
            case "own":
                self.own_endpoints()
            case "stop":
                await self.stop()
            case "start":
                self.start()
            case "fail":
                errors = (Unavailable("away"), ApiStatusError(500, {}, "x"), Conflict(409, {}, "x"), ApiStatusError(429, {}, "x"))
                self.api.fail_next(*self.random.sample(errors, self.random.choice([1, 1, 2])))
            case "forget":
                self.api.forget()
        for _ in range(self.random.choice([0, 0, 1, 3, 10])):
            await asyncio.sleep(0)
        await asyncio.sleep(self.random.choice([0, 0, 0, 0.02, 1]))

    async def quiet(self) -> None:
        """Failures end, the controllers run, the collector has been, and seconds pass."""
        self.api._failures.clear()
        self.api.wild = False
        self.start()
        if self.touched:
            for tree in self.api.of(SERVICES):
                self.api.put({**tree, "metadata": {**tree["metadata"], "labels": {"touched": str(self.api.version)}}})
        for _ in range(2):
            self.collect()
            await asyncio.sleep(5)


# the specification's answer

def selected(world: World, service: Tree) -> list[Tree]:
    return [p for p in world.api.of(PODS) if p["metadata"]["labels"]["app"] == service["spec"]["selector"]["app"]]


def ports_of(service: Tree, pod: Tree) -> frozenset[tuple[str, str, int]]:
    found = set()
    for port in service["spec"]["ports"]:
        number = port["targetPort"]
        if isinstance(number, str):
            number = next((p["containerPort"] for p in pod["spec"]["containers"][0]["ports"] if p["name"] == number), 0)
        if number:
            found.add((port["name"], port["protocol"], number))
    return frozenset(found)


def is_ready(pod: Tree) -> bool:
    return pod["status"]["conditions"][0]["status"] == "True"


def of_family(pod: Tree, family: str) -> list[str]:
    return [i["ip"] for i in pod["status"]["podIPs"] if (":" in i["ip"]) == (family == "IPv6")]


def hints_for(entry: Tree, distribution: str | None) -> Tree | None:
    found: Tree = {}
    if distribution and entry["conditions"]["ready"]:
        if "zone" in entry:
            found["forZones"] = [{"name": entry["zone"]}]
        if distribution == "PreferSameNode" and "nodeName" in entry:
            found["forNodes"] = [{"name": entry["nodeName"]}]
    return found or None


def endpoints_wanted(world: World, service: Tree, family: str) -> list[tuple[frozenset, Tree]]:
    nodes = {n["metadata"]["name"]: n for n in world.api.of(NODES)}
    publish, found = bool(service["spec"].get("publishNotReadyAddresses")), []
    for pod in selected(world, service):
        node, addresses = nodes.get(pod["spec"]["nodeName"]), of_family(pod, family)
        if pod["status"]["phase"] != "Running" or not addresses or (node is None and not publish):
            continue
        going = "deletionTimestamp" in pod["metadata"]
        entry: Tree = {"addresses": addresses, "conditions": {"ready": publish or (is_ready(pod) and not going), "serving": is_ready(pod), "terminating": going},
                       "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}}
        if pod["spec"]["nodeName"]:
            entry["nodeName"] = pod["spec"]["nodeName"]
        if node and ZONE in node["metadata"]["labels"]:
            entry["zone"] = node["metadata"]["labels"][ZONE]
        if pod["spec"].get("subdomain") == service["metadata"]["name"]:
            entry["hostname"] = pod["spec"]["hostname"]
        found.append((ports_of(service, pod), entry))
    return found


def slices_by(world: World, name: str, manager: str) -> list[Tree]:
    return [s for s in world.api.of(SLICES) if s["metadata"]["labels"].get(OF) == name and s["metadata"]["labels"].get(BY) == manager]


def listed(tree: Tree) -> frozenset[tuple[str, str, int]]:
    return frozenset((p["name"], p["protocol"], p["port"]) for p in tree.get("ports") or ())


def in_order(pairs: list[tuple[frozenset, Tree]]) -> list[tuple[list, str]]:
    return sorted((sorted(ports), repr(sorted(entry.items()))) for ports, entry in pairs)


def check_slices(world: World, service: Tree) -> None:
    meta, spec = service["metadata"], service["spec"]
    there = slices_by(world, meta["name"], OURS)
    assert {s["addressType"] for s in there} == set(spec["ipFamilies"])
    labels = {**meta["labels"], OF: meta["name"], BY: OURS, **({HEADLESS: ""} if spec["clusterIP"] == "None" else {})}
    for family in spec["ipFamilies"]:
        own = [s for s in there if s["addressType"] == family]
        found = [(listed(s), e) for s in own for e in s.get("endpoints") or ()]
        wanted = endpoints_wanted(world, service, family)
        hinted = [e.get("hints") for _, e in found]
        bare = [(p, {k: v for k, v in e.items() if k != "hints"}) for p, e in found]
        assert in_order(bare) == in_order(wanted), (meta["name"], family)
        for tree in own:
            assert tree["metadata"]["labels"] == labels
            assert [r["uid"] for r in tree["metadata"]["ownerReferences"]] == [meta["uid"]]
            assert len(tree.get("endpoints") or ()) <= LIMIT
        if not wanted:
            # One slice, empty, without ports; or, as upstream leaves it, what somebody emptied whose ports pods still have.
            left = {ports_of(service, p) for p in selected(world, service)}
            assert own and {listed(s) for s in own} - left <= {frozenset()} and sum(not listed(s) for s in own) <= 1
        if (meta.get("annotations") or {}).get(AUTO) != "Auto":
            assert hinted == [hints_for(e, spec.get("trafficDistribution")) for _, e in bare]
        elif any(hinted):
            for (_, entry), hint in zip(bare, hinted, strict=True):
                zones = [z["name"] for z in (hint or {}).get("forZones", ())]
                assert len(zones) == (1 if entry["conditions"]["ready"] else 0) and set(zones) <= {"a", "b"}


def flat(subsets: list[Tree]) -> dict[tuple, tuple]:
    """(address, owner, port) -> (ready, node); each at most once."""
    found: dict[tuple, tuple] = {}
    for subset in subsets:
        for section, ready in (("addresses", True), ("notReadyAddresses", False)):
            for a in subset.get(section) or ():
                for p in subset.get("ports") or ({},):
                    key = (a["ip"], a["targetRef"]["uid"], p.get("name", ""), p.get("protocol"), p.get("port"))
                    assert key not in found
                    found[key] = (ready, a.get("nodeName", ""), a.get("hostname", ""))
    return found


def check_endpoints(world: World, service: Tree) -> None:
    (tree,) = [e for e in world.api.of(ENDPOINTS) if e["metadata"]["name"] == service["metadata"]["name"]]
    publish, family, wanted = bool(service["spec"].get("publishNotReadyAddresses")), service["spec"]["ipFamilies"][0], {}
    for pod in selected(world, service):
        if pod["status"]["phase"] != "Running" or ("deletionTimestamp" in pod["metadata"] and not publish):
            continue
        for address in of_family(pod, family)[:1]:
            for name, protocol, number in ports_of(service, pod):
                host = pod["spec"].get("hostname", "") if pod["spec"].get("subdomain") == service["metadata"]["name"] else ""
                wanted[address, pod["metadata"]["uid"], name, protocol, number] = (publish or is_ready(pod), pod["spec"]["nodeName"], host)
    assert flat(tree.get("subsets") or []) == wanted
    shown = [repr((s.get("addresses"), s.get("notReadyAddresses"))) for s in tree.get("subsets") or ()]
    assert len(shown) == len(set(shown)), "ports with the same addresses stand together"
    assert {k: v for k, v in tree["metadata"]["labels"].items() if k not in (HEADLESS, "endpoints.kubernetes.io/managed-by")} == service["metadata"]["labels"]


def check_mirror(world: World) -> None:
    service = [s for s in world.api.of(SERVICES) if s["metadata"]["name"] == "own"]
    endpoints = [e for e in world.api.of(ENDPOINTS) if e["metadata"]["name"] == "own"]
    wanted: dict[tuple, dict[str, bool]] = {}
    if service and endpoints and endpoints[0]["metadata"]["labels"].get(SKIP) != "true":
        ready: dict[tuple, dict[str, bool]] = {}
        for subset in endpoints[0]["subsets"]:
            for port in subset["ports"]:
                of_port = ready.setdefault((port["name"], port["protocol"], port["port"]), {})
                for section, well in (("addresses", True), ("notReadyAddresses", False)):
                    for a in subset.get(section, ()):
                        of_port[a["ip"]] = well and of_port.get(a["ip"], True)
        for addresses in ready.values():
            ports = frozenset(p for p, a in ready.items() if a == addresses)
            for address, well in addresses.items():
                wanted.setdefault(("IPv6" if ":" in address else "IPv4", ports), {})[address] = well
    found = {}
    for tree in slices_by(world, "own", MIRROR):
        key = (tree["addressType"], listed(tree))
        assert key not in found, "one slice a subset and family"
        found[key] = {e["addresses"][0]: e["conditions"]["ready"] for e in tree["endpoints"]}
        assert len(found[key]) == len(tree["endpoints"])
        assert (tree["metadata"].get("annotations") or {}) == endpoints[0]["metadata"]["annotations"]
    assert found == wanted


def check(world: World) -> None:
    for service in world.api.of(SERVICES):
        if service["spec"].get("selector"):
            check_slices(world, service)
            check_endpoints(world, service)
    check_mirror(world)
    services = {s["metadata"]["name"] for s in world.api.of(SERVICES)}
    assert {e["metadata"]["name"] for e in world.api.of(ENDPOINTS)} - {"own"} <= services


async def live(seed: int) -> None:
    world = World(seed)
    for name in ("web", "both", "own"):
        world.service(name)
    for _ in range(4):
        world.node()
    for _ in range(world.random.choice([0, 6])):
        world.pod()
    world.start()
    for _ in range(40):
        await world.step()
    await world.quiet()
    check(world)
    before = len(world.api.writes)
    for tree in world.api.of(PODS)[:3]:
        world.api.put({**tree, "metadata": {**tree["metadata"], "annotations": {"heartbeat": "1"}}})
    await asyncio.sleep(5)
    assert world.api.writes[before:] == [], "a pod's heartbeat changes nothing"
    await world.stop()
    world.start()
    await asyncio.sleep(60)
    assert world.api.writes[before:] == [], "nor do controllers that start anew"
    check(world)
    await world.stop()


@pytest.mark.parametrize("block", range(10))
def test_slices_and_endpoints_settle_to_the_specifications_answer(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr("seaway.controllers.run.time", clock)
    monkeypatch.setattr(logging.getLogger("seaway.client"), "disabled", True)
    for seed in range(block * SEEDS, block * SEEDS + SEEDS):
        try:
            virtual_time.run(live(seed))
        except BaseException as e:
            e.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("kind", [SLICES, ENDPOINTS], ids=lambda k: k.resource)
def test_what_was_gone_before_anybody_saw_it_comes_back_with_the_next_change(kind: Any) -> None:
    """Made, deleted by somebody, and the history forgotten: the cache will never have it, and nobody must wait for it."""

    class Api(SlowApi):
        cursed = True

        async def create(self, of: Any, namespace: str, tree: Tree, *rest: Any) -> Tree:
            answer = await super().create(of, namespace, tree, *rest)
            if of == kind and self.cursed:
                self.cursed = False
                self.remove(kind, namespace, answer["metadata"]["name"])
                self.forget()
            return answer

    async def go() -> None:
        world = World(1)
        world.api = Api(world.random)
        world.api.wild = False
        world.service("web")
        world.start()
        await asyncio.sleep(1)
        (service,) = world.api.of(SERVICES)
        world.api.put({**service, "metadata": {**service["metadata"], "labels": {"new": "label"}}})
        await asyncio.sleep(1)
        assert len(world.api.of(kind)) == 1
        await world.stop()

    virtual_time.run(go())


def test_endpoints_follow_a_pod_that_turns_quickly_within_milliseconds() -> None:
    """A change that comes while the controller waits to see its own write is not left for later."""

    class Api(SlowApi):
        """Tells of changed Endpoints a while after they have been written, as a network does."""

        async def watch(self, of: Any, *rest: Any) -> AsyncIterator[Tree]:
            async for event in FakeApi.watch(self, of, *rest):
                await asyncio.sleep(0.01 if of == ENDPOINTS else 0)
                yield event

    async def go() -> None:
        world = World(1)
        world.api = Api(world.random)
        world.api.wild = False
        world.service("web")
        world.start()
        world.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "p", "labels": {"app": "web"}}, "spec": {"nodeName": "n1", "containers": []},
                       "status": {"phase": "Running", "podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}], "conditions": [{"type": "Ready", "status": "False"}]}})
        await asyncio.sleep(1)
        for status in ("True", "False"):
            pod = copy.deepcopy(world.api.of(PODS)[0])
            pod["status"]["conditions"][0]["status"] = status
            world.api.put(pod)
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.1)
        (tree,) = world.api.of(ENDPOINTS)
        assert "addresses" not in tree["subsets"][0]
        await world.stop()

    virtual_time.run(go())
