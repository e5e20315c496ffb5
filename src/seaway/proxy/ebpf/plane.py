"""The eBPF plane: maps and programs of the socket layer above, the nftables plane beneath."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
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


class _Have:
    """What the kernel holds of one address."""

    def __init__(self, number: int, wanted: Wanted) -> None:
        self.number, self.wanted = number, wanted


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

    def _name(self, section: str) -> str:
        return PREFIX + section.removeprefix("cgroup/")

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
        self._maps = made

    def _attach(self, family: int) -> None:
        """Our programs in, then those of an earlier process out: between the two both translate, which is once."""
        if family in self._attached:
            return
        fds = {name: found.fd for name, found in self._maps.items()}
        for section, program in self._object.programs.items():
            if not section.endswith(str(family)):
                continue
            before = self._ours(section)
            fd = kernel.load(self._name(section), section, elf.linked(program, fds))
            try:
                kernel.attach(self._cgroup, fd, section)
                for old, _ in before:
                    kernel.detach(self._cgroup, old, section)
            finally:
                os.close(fd)
                for old, _ in before:
                    os.close(old)
        self._attached.add(family)

    def whole(self, table: ServiceTable) -> None:
        family = table.family
        self._packets.whole(table)
        self._open()
        wanted = entries.of_table(table)
        gone: dict[bytes, Wanted | None] = {vip: None for vip in self._have[family] if vip not in wanted}
        self._write(family, {**gone, **wanted})
        self._facts[family] = table.facts
        self._attach(family)

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
        """The packets' rules, and whether our programs are still attached: their maps nobody else writes."""
        told = await self._packets.audit(family, table, unchanged)
        missing = [s for s in self._object.programs if s.endswith(str(family)) and not self._present(s)]
        if missing and unchanged():
            self._attached.discard(family)
            self._attach(family)
            return told or f"the program {missing[0]} was detached"
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
        found = False
        for section in self._object.programs:
            for program, _ in self._ours(section):
                with contextlib.suppress(KernelError):
                    kernel.detach(self._cgroup, program, section)
                os.close(program)
                found = True
        self._attached.clear()
        return found
