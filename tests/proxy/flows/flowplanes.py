"""The data planes that the flow cases are played on: a world into the kernel of the node's namespace.

The only file of the rig that knows how the proxy is called; it does what `seaway.proxy.process` does with watched objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flowcgroup
from flowdata import NodeFacts, World

from seaway.proxy import addresses, configuration, plan
from seaway.proxy.configuration import Settings
from seaway.proxy.ledger import Ledger
from seaway.proxy.modes import open_plane
from seaway.proxy.plan import Place
from seaway.proxy.table import Facts, ServicePart, ServiceTable
from seaway.services.resolve import SERVICE_NAME, resolve

Tree = dict[str, Any]
Owner = tuple[str, str]
MODES: tuple[str, ...] = tuple(m for m in configuration.MODES if m != "ebpf" or flowcgroup.possible())


def settings(facts: NodeFacts, mode: str, backend: str = "auto") -> Settings:
    """A proxy's settings for the node of a world."""
    return Settings(
        node=facts.name,
        mode=mode,
        cluster_cidrs=facts.cluster_cidrs,
        service_cidrs=facts.service_cidrs,
        masquerade_all=facts.masquerade_all,
        node_port_addresses=facts.node_port_addresses,
        localhost_node_ports=facts.localhost_node_ports,
        backend=backend,
        cgroup=f"/{flowcgroup.name()}",  # never the machine's own
        detect_local=configuration.CLUSTER_CIDR
        if not facts.pod_link
        else configuration.PREFIX if facts.pod_link.endswith("*") else configuration.BRIDGE,
        pod_link=facts.pod_link.removesuffix("*"),
    )


def place(facts: NodeFacts, mode: str, local: Iterable[str] | None = None) -> Place:
    """What the process would make of the node's facts. `local`: all addresses of the node; None to ask the kernel."""
    told = settings(facts, mode)
    return told.place(facts.zone, facts.addresses, (), addresses.local if local is None else lambda: tuple(local))


def parts(services: Iterable[Tree], slices: Iterable[Tree], family: int, where: Place) -> dict[Owner, ServicePart]:
    """What each Service contributes in a family."""
    slices, found = list(slices), {}
    for service in services:
        meta = service["metadata"]
        own = [
            s
            for s in slices
            if s["metadata"]["namespace"] == meta["namespace"] and s["metadata"]["labels"][SERVICE_NAME] == meta["name"]
        ]
        resolved = resolve(service, own, family)
        if resolved is not None:
            found[(meta["namespace"], meta["name"])] = plan.part(resolved, where)
    return found


def table(world: World, family: int, where: Place) -> ServiceTable:
    """A world as the table that planes and the tracer get, without a kernel."""
    ledger: Ledger[Owner] = Ledger()
    ledger.change(parts(world.services, world.slices, family, where))
    return ledger.table(plan.facts(family, where))


class Player:
    """One plane for all worlds: what differs between two is a change, as in a proxy that runs on."""

    def __init__(self, mode: str, world: World, backend: str = "auto") -> None:
        self._mode, self.plane = mode, open_plane(settings(world.node, mode, backend))
        self._ledgers: dict[int, Ledger[Owner]] = {f: Ledger() for f in (4, 6)}
        self._facts: dict[int, Facts] = {}

    def world(self, world: World) -> None:
        """Programs a world: what it says was removed has been there before."""
        if world.removed:
            self._sync(world.node, (*world.removed, *world.services), (*world.removed_slices, *world.slices))
        self._sync(world.node, world.services, world.slices)

    def _sync(self, node: NodeFacts, services: Iterable[Tree], slices: Iterable[Tree]) -> None:
        where = place(node, self._mode)
        for family, ledger in self._ledgers.items():
            wanted = parts(services, slices, family, where)
            delta = ledger.change({owner: wanted.get(owner) for owner in wanted.keys() | ledger.parts.keys()})
            facts = plan.facts(family, where)
            if self._facts.get(family) != facts:
                self.plane.whole(ledger.table(facts))
                self._facts[family] = facts
            elif delta:
                self.plane.change(family, delta)
