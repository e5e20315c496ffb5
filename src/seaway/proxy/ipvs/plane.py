"""The IPVS plane: addresses, sets, virtual servers and a handful of rules made what the table says."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping

from seaway.proxy.iptables.tool import Tool
from seaway.proxy.ipvs import rules, servers, sets
from seaway.proxy.ipvs.device import Device
from seaway.proxy.ipvs.netlink import Ipvs
from seaway.proxy.ipvs.servers import Address, Server
from seaway.proxy.ipvs.sets import Members
from seaway.proxy.ipvs.settool import Ipset
from seaway.proxy.kernel import KernelError
from seaway.proxy.table import Backend, Change, Delta, Facts, ServiceTable, Way

DRAIN = 900.0  # seconds after which an endpoint that is gone loses the connections that it still has


class IpvsPlane:
    """`scheduler` is every virtual server's unless its Service says another; those in `excluded` ranges are not ours.
    `timeouts` in seconds: of TCP, of TCP after a FIN, of UDP."""

    def __init__(
        self,
        tool: Tool,
        ipset: Ipset,
        kernel: Ipvs,
        device: Device,
        scheduler: str = "rr",
        excluded: tuple[str, ...] = (),
        timeouts: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        self._timeouts = timeouts
        self._excluded = [ipaddress.ip_network(cidr) for cidr in excluded]
        self._tool, self._ipset, self._kernel, self._device, self._scheduler = tool, ipset, kernel, device, scheduler
        self._facts: dict[int, Facts] = {}
        self._servers: dict[int, dict[Address, Server]] = {}
        self._members: dict[int, Counter[tuple[str, str]]] = {}
        self._leaving: dict[tuple[Address, Backend], float] = {}

    def whole(self, table: ServiceTable) -> None:
        """Takes over what is there, and makes good what differs."""
        family, facts = table.family, table.facts
        self._facts.pop(family, None)
        self._device.open()
        self._kernel.set_timeouts(self._timeouts)
        self._ipset.apply(sets.created(family))
        ways: dict[Hashable, Way] = {key: way for key, way in table.vips.items()}
        for port, way in table.node_ports.items():
            ways[port] = way
        members: Counter[tuple[str, str]] = Counter()
        for key, way in ways.items():
            members.update(sets.of_way(key, way, facts))
        members.update((sets.HELD, a) for a in table.cluster_ips)
        members.update(sets.of_hairpins(table.hairpins))
        held = sets.held(family, self._ipset.held())
        self._mend_device(family, *({a for base, a in which if base == sets.HELD} for which in (held, set(members))))
        wanted = servers.of_table(table, self._scheduler)
        there = self._there(family, wanted)
        self._enter(family, held, set(members))
        changed = {**{p: None for p in there}, **wanted}
        # Rules come before virtual servers: a flow whose first packet met no masquerade would have none for good. Where another
        # mode's stand under our names, or our own, they hold until the servers are there: no packet meets neither.
        standing = bool(self._tool.save(family).get("nat", {}).get(rules.SERVICES))
        if standing:
            self._serve_all(changed, there)
        self._tool.restore(family, rules.text(facts))
        hooks = rules.hooks(self._tool.save(family))
        if hooks:
            self._tool.restore(family, hooks)
        if not standing:
            self._serve_all(changed, there)
        self._leave(family, held, set(members))
        self._members[family], self._servers[family], self._facts[family] = members, wanted, facts

    def _mend_device(self, family: int, noted: set[str], wanted: set[str]) -> None:
        """What the interface has and the set of its addresses does not say, or the other way round: a proxy may have been killed
        between the two."""
        there = self._device.held(family)
        self._device.add(sorted((noted & wanted) - there))
        self._device.remove(sorted(there - noted - wanted))

    def _there(self, family: int, ours: Collection[Address]) -> dict[Address, Server]:
        """The virtual servers that the kernel has, without others'. Endpoints of weight 0 are leaving, and count as gone."""
        found = {}
        for place, (scheduler, seconds) in self._kernel.servers(family).items():
            if place not in ours and any(ipaddress.ip_address(place.address) in n for n in self._excluded):
                continue
            ends = self._kernel.destinations(family, place)
            for end in ends:
                if not end.weight:
                    self._leaving.setdefault((place, end.end), time.monotonic())
            found[place] = Server(scheduler, seconds, tuple(e.end for e in ends if e.weight))
        return found

    def change(self, family: int, delta: Delta) -> None:
        facts = self._facts.pop(family, None)
        if facts is None:
            raise KernelError("what the kernel holds is not known")
        changes: dict[Hashable, Change] = {key: both for key, both in delta.vips.items()}
        for port, both in delta.node_ports.items():
            changes[port] = both
        members = self._members[family]
        before = {m for m in members}
        for key, (old, new) in changes.items():
            members.update(sets.of_way(key, new, facts))
            members.subtract(sets.of_way(key, old, facts))
        for fresh, gone, into in (
            (*delta.cluster_ips, lambda found: {(sets.HELD, a) for a in found}),
            (*delta.hairpins, sets.of_hairpins),
        ):
            members.update(into(fresh))
            members.subtract(into(gone))
        members = self._members[family] = +members
        wanted = servers.of_changes(changes, facts, self._scheduler)
        # New addresses and members first, then virtual servers, then what is gone: no packet meets half a Service.
        self._enter(family, before, set(members))
        self._serve_all(wanted, self._servers[family])
        self._leave(family, before, set(members))
        for place, server in wanted.items():
            if server is None:
                self._servers[family].pop(place, None)
            else:
                self._servers[family][place] = server
        self._facts[family] = facts
        self._sweep(family)

    def _enter(self, family: int, held: Members, wanted: Members) -> None:
        """The addresses and members that are new."""
        fresh = wanted - held
        self._device.add(sorted(address for base, address in fresh if base == sets.HELD))
        self._ipset.apply(sets.changed(family, set(), fresh))

    def _leave(self, family: int, held: Members, wanted: Members) -> None:
        """The addresses and members that are gone."""
        gone = held - wanted
        self._ipset.apply(sets.changed(family, gone, set()))
        self._device.remove(sorted(address for base, address in gone if base == sets.HELD))

    def _serve_all(self, changed: Mapping[Address, Server | None], there: Mapping[Address, Server]) -> None:
        for place, server in changed.items():
            self._serve(place, server, there.get(place))

    def _serve(self, place: Address, server: Server | None, old: Server | None) -> None:
        if server is None:
            if old is not None:
                self._kernel.remove(place)
                self._leaving = {k: t for k, t in self._leaving.items() if k[0] != place}
            return
        if old is None or old[:2] != server[:2]:
            self._kernel.put(place, server.scheduler, server.seconds, old is None)
        had = old.ends if old is not None else ()
        for end in server.ends:
            if end not in had:
                leaving = self._leaving.pop((place, end), None)
                self._kernel.put_destination(place, end, 1, leaving is None)
        for end in had:
            if end not in server.ends:
                # Graceful: no new connections, and gone when the last has ended. UDP has none to wait for.
                if place.protocol == "udp":
                    self._kernel.remove_destination(place, end)
                else:
                    self._kernel.put_destination(place, end, 0, False)
                    self._leaving[(place, end)] = time.monotonic()

    def _sweep(self, family: int) -> None:
        """Removes leaving endpoints whose last connection has ended, or whose time has passed."""
        now = time.monotonic()
        for place in {p for p, _ in self._leaving if (":" in p.address) == (family == 6)}:
            for found in self._kernel.destinations(family, place):
                since = self._leaving.get((place, found.end))
                if since is not None and (not found.connections or now - since > DRAIN):
                    self._kernel.remove_destination(place, found.end)
                    del self._leaving[(place, found.end)]

    async def audit(self, family: int, table: Callable[[], ServiceTable], unchanged: Callable[[], bool]) -> str:
        if family not in self._facts:
            return ""
        self._sweep(family)
        saved = await asyncio.to_thread(self._ipset.held)
        held = await asyncio.to_thread(self._tool.save, family)
        if family not in self._facts or not unchanged():
            return ""
        told = self._wrong(family, sets.held(family, saved), held)
        if told:
            self.whole(table())
        return told

    def _wrong(self, family: int, members: Members, held: dict[str, dict[str, list[str]]]) -> str:
        wanted = set(self._members[family])
        if members != wanted:
            return f"an ipset differs, first by {min(members ^ wanted)}"
        known = self._servers[family]
        there = self._there(family, known)
        # The kernel keeps an order of its own.
        if {p: (*s[:2], set(s.ends)) for p, s in there.items()} != {p: (*s[:2], set(s.ends)) for p, s in known.items()}:
            return "virtual servers differ"
        if self._device.held(family) != {address for base, address in wanted if base == sets.HELD}:
            return "the addresses of kube-ipvs0 differ"
        for name, chains in rules.chains(self._facts[family]).items():
            for chain, own in chains.items():
                if len(held.get(name, {}).get(chain, ())) != len(own):
                    return f"{chain} of {name} has not its {len(own)} rules"
        return "a built-in chain no longer leads to ours" if rules.hooks(held) else ""

    async def retire(self) -> None:
        """Virtual servers stay, and carry on by themselves."""

    def drain(self, bound: float, ended: Callable[[], bool]) -> bool:
        """Waits until the last connection has ended, or for `bound` seconds; another mode has the new ones already. False where
        who waits has ended first: by then it may be IPVS's turn again."""
        end = time.monotonic() + bound
        while time.monotonic() < end and not ended():
            there = (
                d for f in (4, 6) for place in self._kernel.servers(f) for d in self._kernel.destinations(f, place)
            )
            if not any(found.connections for found in there):
                break
            time.sleep(0.5)
        return not ended()

    def cleanup(self, kept: frozenset[tuple[str, str]] = frozenset()) -> None:
        for family in (4, 6):
            text = rules.cleanup(self._tool.save(family), kept)
            if text:
                self._tool.restore(family, text)
            for place in self._kernel.servers(family):
                self._kernel.remove(place)
            there = self._ipset.held()
            self._ipset.apply(line for line in sets.destroyed(family) if line.split(" ")[1] in there)
        self._device.close()
        self._facts.clear()
        self._leaving.clear()
