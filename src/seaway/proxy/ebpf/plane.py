"""The eBPF plane: maps and programs of the socket layer above, the nftables plane beneath."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from seaway.proxy.ebpf import elf, entries, kernel, layout, sockets
from seaway.proxy.ebpf.entries import Wanted
from seaway.proxy.ebpf.kernel import Map
from seaway.proxy.kernel import KernelError
from seaway.proxy.planes import Plane
from seaway.proxy.table import Delta, Facts, ServiceTable

OBJECT = Path(__file__).with_name("sockets.o")
PREFIX = "sw_"
KEPT = ("clients", "pins", "flows")  # what sockets have noted: a new process goes on with it
WATCH = (
    900.0  # seconds after the last loss of a UDP endpoint in which sockets connected to it are refused what they send
)


class _Have:
    """What the kernel holds of one address."""

    def __init__(self, number: int, wanted: Wanted) -> None:
        self.number, self.wanted = number, wanted


def _differences(
    maps: Mapping[str, Map], family: int, have: list[tuple[bytes, _Have]]
) -> dict[str, tuple[dict[bytes, bytes], list[bytes]]]:
    """map -> (entries that are missing or other, keys that nobody has put there)."""
    wanted: dict[str, dict[bytes, bytes]] = {"services": {}, "backends": {}, "members": {}}
    for vip, each in have:
        new = each.wanted
        wanted["services"][vip] = layout.SERVICE.pack(each.number, len(new.ends), new.sticky, new.seconds)
        wanted["backends"].update({layout.SLOT.pack(each.number, i): layout.backend(e) for i, e in enumerate(new.ends)})
        wanted["members"].update({vip + layout.backend(end): layout.BITS.pack(bits) for end, bits in new.members})
    found = {}
    for name, entries_ in wanted.items():
        held = maps[name].all()
        fresh = {key: value for key, value in entries_.items() if held.get(key) != value}
        # An endpoint is of the family of its Service; where its number is nobody's it is never read.
        own = (key for key in held if name != "backends" and layout.family_of(key) == family)
        found[name] = (fresh, [key for key in own if key not in entries_])
    return found


class EbpfPlane:
    """`cgroup` is the folder of the node's cgroup (version 2), `packets` the plane for what does not come by its sockets."""

    def __init__(self, cgroup: str, packets: Plane) -> None:
        self._packets, self._folder = packets, cgroup
        try:
            self._cgroup = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as e:
            raise KernelError(f"eBPF mode needs a cgroup of version 2; {cgroup} is none: {e.strerror}") from None
        self._object = elf.read(OBJECT.read_bytes())
        self._maps: dict[str, Map] = {}
        self._have: dict[int, dict[bytes, _Have]] = {4: {}, 6: {}}
        self._facts: dict[int, Facts] = {}
        self._next = 1
        self._attached: set[int] = set()
        self._watched: dict[int, float] = {}  # family -> until when packets that leave are looked at
        self._taken_over = False

    def _name(self, section: str) -> str:
        return PREFIX + section.rpartition("/")[2]

    def _sections(self, family: int, packets: bool = False) -> list[str]:
        """The programs of a family: those at sockets, or the one for packets that leave."""
        found = (s for s in self._object.programs if s.endswith(str(family)))
        return [s for s in found if s.startswith(kernel.EGRESS) == packets]

    def _ours(self, section: str) -> list[tuple[int, list[int]]]:
        """(program, ids of its maps) of those that a process of ours has attached."""
        found = []
        for program in kernel.attached(self._cgroup, section):
            name, maps = kernel.program_info(program)
            if name == self._name(section):
                found.append((program, maps))
            else:
                os.close(program)
        return found

    def _open(self) -> None:
        """The maps: fresh ones for Services, and where an earlier process has left them those that sockets have noted in."""
        if self._maps:
            return
        kept: dict[str, Map] = {}
        for section in self._object.programs:
            for program, numbers in self._ours(section):
                os.close(program)
                for number in numbers:
                    name, size, found = kernel.map_of(number)
                    if name in KEPT and size == self._object.maps[name] and name not in kept:
                        kept[name] = found
                    else:
                        os.close(found.fd)
        made = {n: kept.get(n) or kernel.create(n, size) for n, size in self._object.maps.items()}
        # What an earlier process knows of members is true no longer: its judgement of packets ends before ours of sockets begins.
        self._detach([s for s in self._object.programs if s.startswith(kernel.EGRESS)])
        self._taken_over = bool(kept)
        self._maps = made

    def _attach(self, family: int) -> None:
        """Our programs in, then those of an earlier process out: between the two both translate, which is once."""
        if family in self._attached:
            return
        self._exchange(self._sections(family))
        self._attached.add(family)

    def _exchange(self, sections: Iterable[str]) -> None:
        fds = {name: found.fd for name, found in self._maps.items()}
        for section in sections:
            before = self._ours(section)
            fd = kernel.load(self._name(section), section, elf.linked(self._object.programs[section], fds))
            try:
                kernel.attach(self._cgroup, fd, section)
                for old, _ in before:
                    kernel.detach(self._cgroup, old, section)
            finally:
                os.close(fd)
                for old, _ in before:
                    os.close(old)

    def _watch(self, family: int) -> None:
        """Looks at packets that leave, from now on for a while: only then is there a socket with an endpoint that has gone. Of
        sockets in network namespaces that this process cannot enter nothing else can be had."""
        if family not in self._watched:
            self._exchange(self._sections(family, packets=True))
        self._watched[family] = time.monotonic() + WATCH

    def _watch_no_more(self, family: int) -> None:
        until = self._watched.get(family)
        if until is not None and until < time.monotonic():
            self._detach(self._sections(family, packets=True))
            del self._watched[family]

    def whole(self, table: ServiceTable) -> None:
        family = table.family
        self._packets.whole(table)
        self._open()
        wanted = entries.of_table(table)
        gone: dict[bytes, Wanted | None] = {vip: None for vip in self._have[family] if vip not in wanted}
        self._write(family, {**gone, **wanted})
        self._facts[family] = table.facts
        again = family in self._attached or self._taken_over
        self._attach(family)
        if again:  # endpoints may have gone that nobody has told us of
            self._watch(family)

    def change(self, family: int, delta: Delta) -> None:
        facts = self._facts.get(family)
        if facts is None:
            raise KernelError("what the kernel holds is not known")
        del self._facts[family]
        self._packets.change(family, delta)
        changes = [*delta.vips.values(), *delta.node_ports.values()]
        self._write(family, {**entries.of_changes(delta.vips, facts), **entries.of_changes(delta.node_ports, facts)})
        self._facts[family] = facts
        lost = entries.lost(changes)
        if lost:
            self._watch(family)
            sockets.end_later(self._folder, family, lost, self.has_used)

    def has_used(self, cookie: int, end: tuple[str, int]) -> bool:
        """Whether a socket has come to an endpoint by a Service's address."""
        return self._maps["flows"].get(layout.flow(cookie, end)) is not None

    def _write(self, family: int, wanted: Mapping[bytes, Wanted | None]) -> None:
        """New endpoints and members, then the addresses in one step each, then what is left over."""
        have = self._have[family]
        slots: dict[bytes, bytes] = {}
        members: dict[bytes, bytes] = {}
        services: dict[bytes, bytes] = {}
        fresh: dict[bytes, _Have] = {}
        for vip, new in wanted.items():
            old = have.get(vip)
            if new is None or (old is not None and old.wanted == new):
                continue
            number, self._next = self._next, self._next % 0xFFFFFFF0 + 1
            for index, end in enumerate(new.ends):
                slots[layout.SLOT.pack(number, index)] = layout.backend(end)
            for end, bits in new.members:
                members[vip + layout.backend(end)] = layout.BITS.pack(bits)
            services[vip] = layout.SERVICE.pack(number, len(new.ends), new.sticky, new.seconds)
            fresh[vip] = _Have(number, new)
        self._maps["backends"].put_all(slots)
        self._maps["members"].put_all(members)
        self._maps["services"].put_all(services)
        left = [vip for vip, new in wanted.items() if new is None and vip in have]
        self._maps["services"].remove(left)
        for vip in (*fresh, *left):
            old = have.pop(vip, None)
            kept = {end for end, _ in fresh[vip].wanted.members} if vip in fresh else set()
            if old is not None:
                self._maps["members"].remove(vip + layout.backend(e) for e, _ in old.wanted.members if e not in kept)
                self._maps["backends"].remove(layout.SLOT.pack(old.number, i) for i in range(len(old.wanted.ends)))
            if vip in fresh:
                have[vip] = fresh[vip]

    async def audit(self, family: int, table: Callable[[], ServiceTable], unchanged: Callable[[], bool]) -> str:
        """The packets' rules, whether our programs are still attached, and what is in the maps of Services."""
        told = await self._packets.audit(family, table, unchanged)
        self._watch_no_more(family)
        missing = [s for s in self._sections(family) if not self._present(s)]
        if missing and unchanged():
            self._attached.discard(family)
            self._attach(family)
            told = told or f"the program {missing[0]} was detached"
        have = list(self._have[family].items())
        wrong = await asyncio.to_thread(_differences, self._maps, family, have)
        if any(fresh or gone for fresh, gone in wrong.values()) and unchanged():
            for name in ("backends", "members", "services"):
                fresh, gone = wrong[name]
                self._maps[name].put_all(fresh)
                self._maps[name].remove(gone)
            names = [name for name, both in wrong.items() if any(both)]
            return told or f"entries of the map {names[0]} differed"
        return told

    def _present(self, section: str) -> bool:
        found = self._ours(section)
        for program, _ in found:
            os.close(program)
        return bool(found)

    async def retire(self) -> None:
        """Nothing to do: programs stay attached."""

    def cleanup(self) -> None:
        self.detach()
        self._packets.cleanup()

    def detach(self) -> bool:
        """Takes our programs off the cgroup; whether there were any."""
        found = self._detach(self._object.programs)
        self._attached.clear()
        self._watched.clear()
        return found

    def _detach(self, sections: Iterable[str]) -> bool:
        found = False
        for section in sections:
            for program, _ in self._ours(section):
                with contextlib.suppress(KernelError):
                    kernel.detach(self._cgroup, program, section)
                os.close(program)
                found = True
        return found
