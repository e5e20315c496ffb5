"""Where scenes are played: the whole proxy behind an API in memory, in the node's namespace, and agents with streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import flowcgroup
import flowdata
import flownet
import flowplanes
from flowdata import SITES, address

from seaway.api.tree import Key
from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of
from seaway.proxy import addresses
from seaway.proxy.conntrack import KernelConntrack
from seaway.proxy.modes import leftovers, open_plane
from seaway.proxy.process import Proxy

Tree = dict[str, Any]
NAMESPACE = "shop"
LONG = 20.0  # seconds until something that must happen has happened


class Stage:
    """The API, the agents and the streams of a scene. Without `network` it plays in the namespace that it is in."""

    def __init__(self, mode: str, network: bool = True, api: FakeApi | None = None) -> None:
        self.mode, _, backend = mode.partition("/")
        self.api = api or FakeApi()
        self.agents: dict[str, flownet.Agent] = {}
        self.group = ""
        if network:
            beyond = [address(f"cluster.{n}", f) for f in (4, 6) for n in (1, 2, 3)]
            self.group = flowcgroup.make() if flowcgroup.possible() else ""
            self.agents = flownet.build_network(beyond, self.group)
            flownet.start_servers(self.agents, [8080], [80])
        self.slices: dict[str, list[str]] = {}
        facts = flowdata.node_facts({})
        self.settings = flowplanes.settings(facts, self.mode, backend or "auto")
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

    def end(self) -> None:
        for agent in self.agents.values():
            agent.end()
        if self.group:
            flowcgroup.remove(self.group)

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
            self.api, plane, KernelConntrack(), settings, addresses.local, lambda ended: leftovers(settings, ended)
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
        self.put("marker", {"address": 250, "endpoints": {}})
        version = self.api.objects["services", Key(NAMESPACE, "marker")]["metadata"]["resourceVersion"]

        def done() -> bool:
            marker = proxy.services.get(NAMESPACE, "marker")
            seen = marker is not None and marker["metadata"]["resourceVersion"] == version
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

    async def peek(self) -> list[Tree]:
        return await self._all("peek")

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
        """Time in which the streams go on, each of them; on a busy machine as much more as they need."""
        before = {s["name"]: s["count"] for s in await self._all("peek")}
        await asyncio.sleep(seconds)
        deadline = time.monotonic() + LONG
        while stuck := [s for s in await self._all("peek") if s["count"] == before[s["name"]]]:
            if time.monotonic() > deadline:
                raise AssertionError(f"streams that went no further: {stuck}")
            await asyncio.sleep(0.05)
