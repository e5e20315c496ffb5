"""Scenes: the whole proxy at work in the node's namespace, behind an API in memory, with clients that keep going while things
change. Played like the cases, in namespaces of their own.

    unshare --net --pid --fork --mount-proc --kill-child .venv/bin/python tests/proxy/flows/flowscenes.py udp nftables

A scene writes one JSON line {"scene", "streams"} at its end, or fails with what was wrong.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import flowdata
import flownet
import flowplanes
from flowagent import TALK
from flowdata import SITES, address

from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of
from seaway.proxy import addresses
from seaway.proxy.conntrack import KernelConntrack
from seaway.proxy.process import Proxy
from seaway.proxy.run import leftovers, open_plane

Tree = dict[str, Any]
NAMESPACE = "shop"
UDP = {"protocol": "UDP", "port": 80, "targetPort": 8080}
TCP = {"protocol": "TCP", "port": 80, "targetPort": TALK}
PODS = ("a", "b", "c", "x", "y")
LONG = 20.0  # seconds until something that must happen has happened


class Stage:
    """The API, the agents and the streams of a scene."""

    def __init__(self, mode: str) -> None:
        self.mode, self.api = mode, FakeApi()
        self.agents = flownet.build_network([address(f"cluster.{n}", f) for f in (4, 6) for n in (1, 2, 3)])
        flownet.start_servers(self.agents, [8080], [80])
        self.slices: dict[str, list[str]] = {}
        facts = flowdata.node_facts({})
        self.settings = flowplanes.settings(facts, mode)
        self.api.put(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": facts.name, "labels": {"topology.kubernetes.io/zone": facts.zone}},
                "status": {"addresses": [{"type": "InternalIP", "address": a} for a in facts.addresses]},
            }
        )
        self.streams: dict[str, list[Tree]] = {}
        self.retiring: list[asyncio.Task[None]] = []

    def put(self, name: str, short: Tree) -> None:
        """A Service with its slices, in the short form of the worlds."""
        short = flowdata.with_ways(short)
        self.api.put(flowdata.service_tree(name, short))
        trees = flowdata.slice_trees(name, short)
        for tree in trees:
            self.api.put(tree)
        for gone in set(self.slices.get(name, ())) - {t["metadata"]["name"] for t in trees}:
            self.api.remove(kind_of("endpointslices.discovery.k8s.io"), NAMESPACE, gone)
        self.slices[name] = [t["metadata"]["name"] for t in trees]

    def remove(self, name: str) -> None:
        self.api.remove(kind_of("services"), NAMESPACE, name)
        for gone in self.slices.pop(name, ()):
            self.api.remove(kind_of("endpointslices.discovery.k8s.io"), NAMESPACE, gone)

    @asynccontextmanager
    async def proxy(self, mode: str = "") -> AsyncIterator[Proxy]:
        """A proxy that runs, and ends as by SIGTERM: it leaves what the kernel does by itself, and drains what it carries."""
        settings = self.settings._replace(mode=mode or self.mode)
        plane = open_plane(settings)
        found = Proxy(
            self.api, plane, KernelConntrack(), settings, addresses.local, lambda: leftovers(settings)
        )
        task = asyncio.ensure_future(found.run())
        try:
            await self.until(lambda: found.last_sync or task.done(), "a first sync")
            yield found
            if task.done():
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.retiring.append(asyncio.ensure_future(plane.retire()))

    async def settled(self, proxy: Proxy) -> None:
        """Until the proxy has programmed what the API says."""
        version = self.api.version
        self.put("marker", {"address": 250, "labels": {"version": str(version)}, "endpoints": {}})

        def done() -> bool:
            marker = proxy.services.get(NAMESPACE, "marker")
            seen = marker is not None and marker["metadata"]["labels"].get("version") == str(version)
            return seen and not proxy.waiting and not proxy.queued_at

        await self.until(done, "a sync")

    async def until(self, true: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + LONG
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come within {LONG} s")
            await asyncio.sleep(0.005)

    async def ask(self, place: str, request: Tree) -> Tree:
        return await asyncio.to_thread(self.agents[place].ask, request)

    async def go(self, streams: list[Tree]) -> None:
        """Starts streams: `from`, `to` (address symbol and port), `kind`, `protocol`; one a family."""
        asked: dict[str, list[Tree]] = {}
        for stream in streams:
            symbol, _, port = stream["to"].rpartition(":")
            site = flowdata.CLIENTS[stream["from"]]
            for family in (4, 6):
                asked.setdefault(flownet.place_of(stream["from"]), []).append(
                    {
                        "protocol": "tcp",
                        "every": 0.02,
                        **stream,
                        "name": f"{stream['kind']} from {stream['from']} to {stream['to']} IPv{family}",
                        "to": [address(symbol, family), int(port)],
                        "family": family,
                        "source": SITES[site].addresses[family] if site else "",
                    }
                )
        for place, found in asked.items():
            await self.ask(place, {"do": "go", "streams": found})
        self.streams = asked

    async def _all(self, what: str) -> list[Tree]:
        found: list[Tree] = []
        for place in self.streams:
            found += (await self.ask(place, {"do": what}))["streams"]
        return found

    async def halt(self) -> list[Tree]:
        return await self._all("halt")

    async def meet(self, good: Callable[[str], bool], what: str) -> None:
        """Until every stream's last word is good."""
        deadline = time.monotonic() + LONG
        while True:
            streams = await self._all("peek")
            bad = [s for s in streams if not s["went"] or not good(s["went"][-1][1])]
            if not bad:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: {bad}")
            await asyncio.sleep(0.02)

    async def meet_some(self) -> None:
        """Until every stream has been answered."""
        deadline = time.monotonic() + LONG
        while any(not s["count"] for s in await self._all("peek")):
            if time.monotonic() > deadline:
                raise AssertionError(f"no answers: {await self._all('peek')}")
            await asyncio.sleep(0.02)

    async def go_on(self, seconds: float) -> None:
        """Time in which the streams go on, each of them."""
        before = {s["name"]: s["count"] for s in await self._all("peek")}
        await asyncio.sleep(seconds)
        stuck = [s for s in await self._all("peek") if s["count"] == before[s["name"]]]
        if stuck:
            raise AssertionError(f"streams that went no further: {stuck}")


def _udp(endpoints: Tree) -> Tree:
    return {"ways": 1, "spec": {"ports": [{**UDP, "nodePort": 30001}]}, "endpoints": endpoints}


def _tcp(number: int, endpoints: Tree) -> Tree:
    return {"ways": number, "spec": {"ports": [{**TCP, "nodePort": 30000 + number}]}, "endpoints": endpoints}


async def udp(stage: Stage) -> None:
    """A flow whose socket never changes goes where the Service goes: endpoint changed, none left, one again, Service gone, and a
    Service that appears under a running flow."""
    stage.put("web", _udp({"a": "ready"}))
    # Not too often: an answer that is on its way while its flow is forgotten pins the flow (see conntrack: VIP -> client).
    flow = {"kind": "flow", "protocol": "udp", "every": 0.1}
    async with stage.proxy() as proxy:
        await stage.go(
            [
                {**flow, "from": "pod-c", "to": "cluster.1:80"},
                {**flow, "from": "pod-b", "to": "cluster.1:80", "connected": True},
                {**flow, "from": "node", "to": "cluster.1:80"},
                {**flow, "from": "outside", "to": "node:30001"},
                {**flow, "from": "outside-two", "to": "balancer.1:80"},
            ]
        )
        await stage.meet(lambda word: word == "a", "the first endpoint")
        stage.put("web", _udp({"x": "ready"}))
        await stage.meet(lambda word: word == "x", "another endpoint")
        stage.put("web", _udp({}))
        await stage.meet(lambda word: word in ("ECONNREFUSED", "silence", "EPERM"), "no endpoint")
        stage.put("web", _udp({"a": "dying", "y": "ready"}))
        await stage.meet(lambda word: word == "y", "an endpoint again")
        stage.remove("web")
        await stage.meet(lambda word: word not in PODS, "no Service")
        await stage.settled(proxy)
        await stage.halt()
    stage.remove("marker")
    # Without the Service the flow leaves for the network; conntrack pins it there until the Service comes.
    stage.settings = stage.settings._replace(service_cidrs=())
    async with stage.proxy():
        late = {**flow, "every": 0.5}
        await stage.go([{**late, "from": "pod-c", "to": "cluster.2:80"}, {**late, "from": "node", "to": "cluster.3:80"}])
        await stage.meet(lambda word: word == "network", "the network")
        for number in (2, 3):
            stage.put(f"late{number}", {"address": number, "spec": {"ports": [UDP]}, "endpoints": {"a": "ready"}})
        await stage.meet(lambda word: word == "a", "the Service that came")


HOLD = {"kind": "hold"}
HELD = [
    {**HOLD, "from": "pod-c", "to": "cluster.1:80"},
    {**HOLD, "from": "pod-a", "to": "cluster.1:80"},
    {**HOLD, "from": "node", "to": "cluster.1:80"},
    {**HOLD, "from": "outside", "to": "node:30001"},
    {**HOLD, "from": "outside-two", "to": "balancer.1:80"},
    {**HOLD, "from": "other-node-pod", "to": "external.1:80"},
]


async def tcp(stage: Stage) -> None:
    """Open connections survive everything: their endpoint's end, the Service's deletion, the proxy's death and return."""
    stage.put("web", _tcp(1, {"a": "ready"}))
    async with stage.proxy() as proxy:
        await stage.go(HELD)
        await stage.meet(lambda word: word == "a", "connections")
        stage.put("web", _tcp(1, {"x": "ready", "a": "terminating"}))
        await stage.settled(proxy)
        await stage.go_on(0.2)
        stage.put("web", _tcp(1, {}))
        await stage.settled(proxy)
        await stage.go_on(0.2)
        stage.remove("web")
        await stage.settled(proxy)
        await stage.go_on(0.2)
    await stage.go_on(0.2)
    stage.put("web", _tcp(1, {"b": "ready"}))
    async with stage.proxy() as proxy:
        await stage.settled(proxy)
        await stage.go_on(0.3)
    for stream in await stage.halt():
        if [word for _, word in stream["went"]] != ["a"]:
            raise AssertionError(f"a connection was cut: {stream}")


CONNECT = {"kind": "connect", "every": 0.01}
THROUGH = [
    {**CONNECT, "from": "pod-c", "to": "cluster.1:80"},
    {**CONNECT, "from": "pod-a", "to": "cluster.1:80"},
    {**CONNECT, "from": "node", "to": "cluster.1:80"},
    {**CONNECT, "from": "outside", "to": "node:30001"},
    {**CONNECT, "from": "outside-two", "to": "balancer.1:80"},
    {**CONNECT, "from": "pod-b", "to": "external.2:80"},
    {**CONNECT, "from": "outside", "to": "node:30002"},
]


def _changes(stage: Stage, chooser: random.Random) -> None:
    """One random change of some other Service."""
    number = chooser.randrange(10, 40)
    name = f"other{number}"
    if name in stage.slices and chooser.random() < 0.3:
        stage.remove(name)
        return
    states = ["ready", "ready", "terminating", "unready", "dying"]
    endpoints = {p: chooser.choice(states) for p in "abcxy" if chooser.random() < 0.6}
    spec: Tree = {"ports": [{**TCP, "nodePort": 30000 + number}]}
    for field in ("externalTrafficPolicy", "internalTrafficPolicy"):
        if chooser.random() < 0.4:
            spec[field] = "Local"
    if chooser.random() < 0.3:
        spec["sessionAffinity"] = "ClientIP"
    if chooser.random() < 0.2:
        spec["loadBalancerSourceRanges"] = ["203.0.113.0/24"]
    stage.put(name, {"ways": number, "spec": spec, "endpoints": endpoints})


async def churn(stage: Stage, seconds: float = 4.0) -> None:
    """Constant connections through Services that nobody touches, while all others change and the proxy restarts: none fails;
    what the kernel holds in the end is what a cold start would give."""
    chooser = random.Random(7)
    stage.put("web", _tcp(1, {"a": "ready", "x": "ready"}))
    local = {"externalTrafficPolicy": "Local", "ports": [{**TCP, "nodePort": 30002}]}
    stage.put("local", {"ways": 2, "spec": local, "endpoints": {"a": "ready", "b": "ready", "x": "ready"}})
    began = time.monotonic()
    rounds = 3
    for turn in range(1, rounds + 1):
        async with stage.proxy() as proxy:
            if turn == 1:
                await stage.go(THROUGH)
            while time.monotonic() < began + seconds * turn / rounds:
                for _ in range(chooser.randrange(1, 5)):
                    _changes(stage, chooser)
                await asyncio.sleep(chooser.random() * 0.03)
            await stage.settled(proxy)
            for family in (4, 6):
                wrong = await proxy.plane.audit(family, lambda f=family: proxy.table(f), lambda: True)
                if wrong:
                    raise AssertionError(f"the kernel does not hold what it should: {wrong}")
    failed = [s for s in await stage.halt() if s["went"] or s["count"] < 20]
    if failed:
        raise AssertionError(f"connections failed: {failed}")


ORDER = ("nftables", "iptables", "nftables", "userspace", "iptables", "userspace", "nftables")


async def switch(stage: Stage) -> None:
    """A proxy in another mode takes over, again and again: no new connection fails, open ones go on to their end. What another
    mode has left goes when the newcomer holds."""
    for number in (1, 2):
        stage.put(f"web{number}", _tcp(number, {"a": "ready", "x": "ready"}))
    for turn, mode in enumerate(ORDER):
        async with stage.proxy(mode) as proxy:
            if not stage.streams:
                await stage.go(THROUGH + HELD)
                await stage.meet_some()
            await stage.settled(proxy)
            await stage.go_on(0.5)
            # A change after the take-over reaches the kernel, and the audit finds nothing to mend.
            stage.put("web2", _tcp(2, {"b": "ready", "xy"[turn % 2]: "ready"}))
            await stage.settled(proxy)
            await stage.go_on(0.5)
            for family in (4, 6):
                wrong = await proxy.plane.audit(family, lambda f=family: proxy.table(f), lambda: True)
                if wrong:
                    raise AssertionError(f"{mode}: the kernel does not hold what it should: {wrong}")
    failed = []
    for stream in await stage.halt():
        words = [word for _, word in stream["went"]]
        good = len(words) == 1 and words[0] in PODS if stream["name"].startswith("hold") else not words
        if not good or stream["count"] < 50:
            failed.append(stream)
    if failed:
        raise AssertionError(f"streams failed: {failed}")
    others = leftovers(stage.settings._replace(mode=ORDER[-1]))
    if others:
        raise AssertionError(f"left by other modes: {others}")


SCENES = {"udp": udp, "tcp": tcp, "churn": churn, "switch": switch}


async def _play(scene: str, mode: str, more: list[str]) -> None:
    stage = Stage(mode)
    await SCENES[scene](stage, *map(float, more))
    for task in stage.retiring:
        task.cancel()
    await asyncio.gather(*stage.retiring, return_exceptions=True)
    print(json.dumps({"scene": scene, "changes": stage.api.version}), flush=True)


if __name__ == "__main__":
    asyncio.run(_play(sys.argv[1], sys.argv[2], sys.argv[3:]))
