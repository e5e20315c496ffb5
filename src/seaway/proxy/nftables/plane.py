"""The nftables plane: applies the texts of `render`, and looks now and then whether the kernel still holds what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from seaway.proxy.kernel import Kernel, KernelError
from seaway.proxy.nftables import listing, render
from seaway.proxy.nftables.layout import cleanup
from seaway.proxy.nftables.render import Held, State
from seaway.proxy.table import Backend, Delta, ServiceTable


class NftablesPlane:
    """`large`: how many elements one transaction may hold; a user namespace's socket buffers are small."""

    def __init__(self, kernel: Kernel, large: int = render.LARGE) -> None:
        self._kernel, self._large = kernel, large
        self._states: dict[int, State] = {}
        self._digests: dict[int, dict[str, str]] = {}

    def whole(self, table: ServiceTable) -> None:
        """Takes over what an earlier process has left, or begins anew; either way no Service is without rules for a moment."""
        self._states.pop(table.family, None)
        held, _ = listing.read(self._kernel.list(table.family))
        self._make(table, held)

    def _make(self, table: ServiceTable, held: Held) -> list[str]:
        found = render.repair(table, held, self._large)
        if found is None:
            self._digests.pop(table.family, None)
        texts, state = found or render.cold(table, self._large)
        for text in texts:
            self._kernel.nft(text)
        self._states[table.family] = state
        return texts

    def change(self, family: int, delta: Delta) -> None:
        # A refused transaction leaves the kernel as it was and the state ahead of it: the state is gone, `whole` comes next.
        state = self._states.pop(family, None)
        if state is None:
            raise KernelError("what the kernel holds is not known")
        for text in render.change(state, delta, self._large):
            self._kernel.nft(text)
        self._states[family] = state

    async def audit(self, family: int, table: Callable[[], ServiceTable], unchanged: Callable[[], bool]) -> str:
        """Lists the kernel's table beside the running proxy, and makes good what differs; says what that was."""
        document = await asyncio.to_thread(self._kernel.list, family)
        held, digests = await asyncio.to_thread(listing.read, document)
        if not unchanged() or family not in self._states:
            return ""
        wanted = table()
        known = self._digests.setdefault(family, {})
        foreign = sorted(name for name, digest in digests.items() if known.get(name, digest) != digest)
        if foreign:
            held.chains.clear()  # rules were exchanged by somebody: only a new start mends that
        texts = self._make(wanted, held)
        if not foreign and not texts:
            self._digests[family] = digests
        return _told(texts, foreign, held)

    def leads_to(self, family: int, backends: Collection[Backend]) -> bool:
        """Whether the kernel's table still names one of some endpoints; False where it is gone or another's."""
        held, _ = listing.read(self._kernel.list(family))
        there = {f" : {address} . {port}" for address, port in backends}
        return any(value in there for value in held.elements.values())

    async def retire(self) -> None:
        """Nothing to do: rules and connections stay."""

    def cleanup(self, families: Collection[int] = (4, 6)) -> None:
        for family in families:
            self._kernel.nft(cleanup(family))
            self._states.pop(family, None)


def _told(texts: list[str], foreign: list[str], held: Held) -> str:
    if foreign:
        return f"rules of {', '.join(foreign[:3])} were changed by somebody else"
    if not texts:
        return ""
    if not held.sets:
        return "the table was gone"
    lines = "".join(texts).splitlines()
    return f"{len(lines)} statements were needed, the first: {lines[0][:120]}"
