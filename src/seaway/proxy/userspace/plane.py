"""The userspace plane: relays for Service ports, and the nftables plane to lead packets to them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Hashable
from typing import Protocol

import msgspec

from seaway.proxy.kernel import KernelError
from seaway.proxy.planes import Plane
from seaway.proxy.table import Backend, Delta, Facts, ServiceTable, Way
from seaway.proxy.userspace import translate
from seaway.proxy.userspace.relay import Relays
from seaway.proxy.userspace.translate import Ends, RelayKey

log = logging.getLogger("kube-proxy")
TAKEOVER, DRAIN = 2.0, 60.0  # seconds for another proxy to take over, and for connections to end
LOCALHOST = {4: "127.0.0.1", 6: "::1"}


class Redirect(Plane, Protocol):
    """What the kernel's part is left to: the nftables plane, or where the kernel has none of that the iptables plane."""

    def leads_to(self, family: int, backends: Collection[Backend]) -> bool: ...

    def cleanup(self, families: Collection[int] = (4, 6)) -> None: ...


class UserspacePlane:
    """Relays for Service ports, and `redirect` to lead packets to them."""

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect
        self.relays: dict[int, Relays] = {}
        self._facts: dict[int, Facts] = {}
        self._users: dict[int, dict[RelayKey, dict[Hashable, Ends]]] = {}  # relay -> the ways that lead to it

    def whole(self, table: ServiceTable) -> None:
        family = table.family
        relays = self.relays.setdefault(family, Relays())
        known = self._users.setdefault(family, {})
        self._facts[family] = table.facts
        ways: dict[Hashable, Way] = {key: way for key, way in table.vips.items()}
        for port, way in table.node_ports.items():
            ways[port] = way
        known.clear()
        for key, way in ways.items():
            self._use(family, key, way)
        for relay in [r for r in relays.places() if r not in known]:
            relays.close(relay)
        self._redirect.whole(self.translated(table))

    def translated(self, table: ServiceTable) -> ServiceTable:
        """The table that the kernel gets."""
        places = self.relays[table.family].places()
        return msgspec.structs.replace(
            table,
            facts=translate.facts(table.facts),
            vips={k: w for k, v in table.vips.items() if (w := translate.way(k, v, places)) is not None},
            node_ports={k: w for k, v in table.node_ports.items() if (w := translate.way(k, v, places)) is not None},
            hairpins=frozenset(),
        )

    def _use(self, family: int, key: Hashable, way: Way | None) -> None:
        found = translate.relay_of(key, way)
        if found is None:
            return
        relay, ends = found
        facts = self._facts[family]
        relays = self.relays[family]
        address = min(facts.node_addresses, default=LOCALHOST[family])
        relays.open(relay, address)
        relays.set(relay, ends, facts)
        self._users[family].setdefault(relay, {})[key] = ends

    def change(self, family: int, delta: Delta) -> None:
        relays, users = self.relays.get(family), self._users.get(family)
        if relays is None or users is None:
            raise KernelError("what the kernel holds is not known")
        before = relays.places()
        left: set[RelayKey] = set()
        for key, (old, new) in translate.touched(delta).items():
            was = translate.relay_of(key, old)
            if was is not None:
                users.get(was[0], {}).pop(key, None)
                left.add(was[0])
            self._use(family, key, new)
        # Relays open before the kernel leads to them, and close after it no longer does.
        inner = translate.delta(delta, before, relays.places())
        if inner:
            self._redirect.change(family, inner)
        for relay in left:
            if not users.get(relay):
                users.pop(relay, None)
                relays.close(relay)

    async def audit(self, family: int, table: Callable[[], ServiceTable], unchanged: Callable[[], bool]) -> str:
        return await self._redirect.audit(family, lambda: self.translated(table()), unchanged)

    async def retire(self) -> None:
        """Drains: for a moment a newcomer may take over, then the kernel leads nobody here any more; what is being carried is
        carried to its end, or to the bound."""
        await asyncio.sleep(TAKEOVER)
        for family, relays in self.relays.items():
            try:
                if self._redirect.leads_to(family, relays.places().values()):
                    self._redirect.cleanup((family,))
            except KernelError as e:
                log.warning("the way to this process's relays cannot be removed: %s", e)
        end = time.monotonic() + DRAIN
        while any(r.connections() for r in self.relays.values()) and time.monotonic() < end:
            await asyncio.sleep(0.1)

    def cleanup(self) -> None:
        self._redirect.cleanup()
        for relays in self.relays.values():
            relays.end()
        self.relays.clear()
