"""The cloud's process: watches Services and nodes, gives out addresses, programs the network outside the nodes.

It is born in the router's namespace, opens its session with the router there (a socket keeps its namespace), and goes on to
live outside, as a cloud's load balancers do.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from typing import Any

import uvloop

from seaway.api.tree import Key, get, key_of, stamp
from seaway.client import kubeconfig
from seaway.client.errors import ApiStatusError, Conflict, NotFound, Unavailable
from seaway.client.events import Events
from seaway.client.informer import Informer
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import Rest, kind_of, wait_ready
from seaway.cluster.cloud import plan as plans
from seaway.cluster.cloud import render
from seaway.cluster.cloud.plan import FINALIZER, Outcome
from seaway.cluster.cloud.probes import Probes
from seaway.cluster.fabric import linux
from seaway.cluster.fabric.rtnetlink import Batch, Router, index_of
from seaway.cluster.layout import Layout, load
from seaway.proxy.kernel import KernelError, Nftables

Tree = dict[str, Any]
log = logging.getLogger("cloud")
ALL = "all"
QUIET = 0.5  # seconds that a new load balancer Service has to stand still before anything is built for it


class Network:
    """The network as the cloud programs it: the router's routes, the rules outside."""

    def __init__(self, layout: Layout, outside: str) -> None:
        self._layout = layout
        self._router = Router()
        self._legs = {node.name: (index_of(f"node{node.index}"), node.addresses) for node in layout.nodes}
        self._legs[render.OUTSIDE] = (index_of("outside"), layout.outside)
        linux.enter(outside, linux.CLONE_NEWNET)
        self._nft = Nftables()
        # What a predecessor announced: unknown legs, so that each is set anew or withdrawn.
        self._announced: dict[str, tuple[str, ...]] = {
            str(a): () for a in self._router.host_routes() if any(a in r for r in layout.load_balancer_ranges)
        }
        self._rules: dict[int, str] = {}

    def apply(self, outcome: Outcome) -> None:
        for at, address in enumerate(self._layout.outside):
            family = address.version
            text = render.nft(family, outcome.balancers, str(self._layout.outside[at]))
            if self._rules.get(family) != text:
                self._nft.nft(text)
                self._rules[family] = text
        want = render.routes(outcome.balancers)
        fresh, gone = render.changes(self._announced, want)
        batch = Batch()
        for text in gone:
            batch.withdraw(ipaddress.ip_network(text))
        for text, legs in fresh.items():
            network = ipaddress.ip_network(text)
            hops = []
            for leg in legs:
                if leg in self._legs:
                    index, addresses = self._legs[leg]
                    hops.append((index, next(a for a in addresses if a.version == network.version)))
            if text in self._announced:
                batch.withdraw(network)  # IPv6 would add hops to the route that is there
            batch.multipath(network, hops)
        self._router.commit(batch)
        self._announced = want


class Cloud:
    """One reconcile of everything at each change: there are few load balancers, and their addresses hang together."""

    def __init__(self, api: Rest, network: Network, layout: Layout, events: Events, quiet: float = QUIET) -> None:
        self._quiet = quiet
        self._api, self._network, self._layout, self._events = api, network, layout, events
        self.services, self.nodes = Informer(api, kind_of("services")), Informer(api, kind_of("nodes"))
        self.queue: Reconciler[str] = Reconciler("cloud", self._reconcile, workers=1)
        self.probes = Probes(lambda: self.queue.add(ALL))
        self._told: dict[Key, str] = {}
        self._touched: dict[Key, float] = {}
        self.services.listen(self._service_changed)
        self.nodes.listen(lambda change: self.queue.add(ALL))

    def _service_changed(self, change: Change) -> None:
        if change.new is None:
            self._touched.pop(change.key, None)
        elif FINALIZER not in (change.new["metadata"].get("finalizers") or ()):
            self._touched[change.key] = asyncio.get_running_loop().time()
        self.queue.add(ALL)

    def _at_rest(self) -> tuple[list[Tree], float | None]:
        """The Services to look at, and seconds until the rest can be: one that is still being edited into shape is not worth
        an address, as a real cloud, which takes its time, would not have given it one either."""
        now = asyncio.get_running_loop().time()
        found, later = [], None
        for service in self.services.all():
            left = self._touched.get(key_of(service), 0.0) + self._quiet - now
            if left <= 0 or FINALIZER in (service["metadata"].get("finalizers") or ()):
                found.append(service)
            elif plans.ours(service):
                later = min(left, later or left)
        return found, later

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for informer in (self.services, self.nodes):
                group.create_task(informer.run())
            for informer in (self.services, self.nodes):
                await informer.synced.wait()
            self.queue.add(ALL)
            group.create_task(self.queue.run())

    async def _reconcile(self, _: str) -> float | None:
        services, later = self._at_rest()
        nodes = plans.nodes_of(self.nodes.all())
        self.probes.set(plans.probed(services, nodes))
        if not self.probes.settled:
            return 0.05  # a predecessor's announcements stay until we know which nodes are healthy
        outcome = plans.plan(services, nodes, self._layout.load_balancer_ranges, self.probes.healthy)
        try:
            self._network.apply(outcome)
        except (KernelError, OSError) as e:
            # Nothing is promised that is not there, and nothing given back that may still be.
            log.error("the network refused: %s; again in 1 s", e)
            return 1.0
        for service in services:
            try:
                await self._settle(service, outcome)
            except (Conflict, NotFound):
                later = 0.05  # it has changed meanwhile: the cache will say how
            except (ApiStatusError, Unavailable) as e:
                log.warning("%s: %s", key_of(service), e)
                later = 1.0
        return later

    async def _settle(self, service: Tree, outcome: Outcome) -> None:
        """The Service's finalizer, status and events."""
        key, meta = key_of(service), service["metadata"]
        finalizers = list(meta.get("finalizers") or ())
        have = get(service, "status", "loadBalancer", "ingress") or []
        kind = kind_of("services")
        if key not in outcome.ingress:
            if FINALIZER in finalizers:
                # Deleted, or no load balancer of ours any more: the address is free by now.
                if have and not meta.get("deletionTimestamp"):
                    await self._api.patch(kind, *key, {"status": {"loadBalancer": {"ingress": None}}}, "status")
                rest = [f for f in finalizers if f != FINALIZER]
                patch = {"metadata": {"finalizers": rest or None, "resourceVersion": meta["resourceVersion"]}}
                if not have or meta.get("deletionTimestamp"):
                    await self._api.patch(kind, *key, patch)
            self._told.pop(key, None)
            return
        if FINALIZER not in finalizers:
            patch = {"metadata": {"finalizers": [*finalizers, FINALIZER], "resourceVersion": meta["resourceVersion"]}}
            await self._api.patch(kind, *key, patch)
        want, problem = outcome.ingress[key], outcome.problems.get(key, "")
        status: Tree = {} if have == want else {"loadBalancer": {"ingress": want or None}}
        conditions = plans.conditions(service, problem, stamp(time.time()))
        if conditions is not None:
            status["conditions"] = conditions
        if status:
            await self._api.patch(kind, *key, {"status": status}, "status")
        state = problem or ",".join(i["ip"] for i in want)
        if self._told.get(key) != state:
            self._told[key] = state
            if problem:
                text = f"Error syncing load balancer: failed to ensure load balancer: {problem}"
                self._events.tell(service, "Warning", "SyncLoadBalancerFailed", text)
            elif have != want:
                self._events.tell(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")


async def _main(args: Tree, network: Network, layout: Layout) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    async with Rest(kubeconfig.from_file(args["kubeconfig"]), "seaway-cloud") as api:
        await wait_ready(api, 60)
        events = Events(api, "service-controller", "")
        async with asyncio.TaskGroup() as group:
            group.create_task(events.run())
            group.create_task(Cloud(api, network, layout, events).run())


def main(args: Tree, fds: dict[str, int]) -> None:
    layout = load(args["layout"])
    network = Network(layout, args["outside"])
    uvloop.run(_main(args, network, layout))
