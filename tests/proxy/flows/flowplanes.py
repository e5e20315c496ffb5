"""The data planes that the flow cases are played on: a world into the kernel of the node's namespace.

The only file of the rig that knows how the proxy is called. `LACKS` names what a plane cannot be told yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from flowdata import NodeFacts, World
from seaway.proxy import nftables, plan
from seaway.proxy.kernel import Nftables
from seaway.proxy.plan import Place
from seaway.services.resolve import SERVICE_NAME, resolve

Tree = dict[str, Any]


class Plane(Protocol):
    def sync(self, services: Iterable[Tree], slices: Iterable[Tree]) -> None: ...
    def cleanup(self) -> None: ...


class NftablesPlane:
    """Differences from world to world, as the process makes them."""

    def __init__(self, facts: NodeFacts) -> None:
        self._place = Place(facts.name, facts.zone, facts.addresses, facts.cluster_cidrs, facts.service_cidrs)
        self._kernel = Nftables()
        self._states = {f: nftables.State(f) for f in (4, 6)}

    def sync(self, services: Iterable[Tree], slices: Iterable[Tree]) -> None:
        services, slices = list(services), list(slices)
        for family in (4, 6):
            parts = []
            for service in sorted(services, key=lambda s: (s["metadata"]["namespace"], s["metadata"]["name"])):
                own = [s for s in slices if s["metadata"]["labels"][SERVICE_NAME] == service["metadata"]["name"]]
                found = resolve(service, own, family)
                if found is not None:
                    parts.append(plan.part(found, self._place))
            text, self._states[family] = nftables.render(
                self._states[family], plan.table(family, parts, self._place)
            )
            if text:
                self._kernel.nft(text)

    def cleanup(self) -> None:
        for family in (4, 6):
            self._kernel.nft(nftables.cleanup(family))


PLANES = {"nftables": NftablesPlane}


def play(mode: str, world: World) -> Plane:
    """A plane that holds the world: what was removed has been there."""
    plane = PLANES[mode](world.node)
    plane.sync((*world.removed, *world.services), (*world.removed_slices, *world.slices))
    plane.sync(world.services, world.slices)
    return plane
