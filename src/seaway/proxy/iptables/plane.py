"""The iptables plane: texts to iptables-restore, and now and then a look whether the chains are still there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

from seaway.proxy.iptables import render
from seaway.proxy.iptables.names import NODE_PORTS, OF_SERVICES, SERVICES, endpoint_text
from seaway.proxy.iptables.render import LARGE, SMALL, State
from seaway.proxy.iptables.tool import Held, Tool
from seaway.proxy.kernel import KernelError
from seaway.proxy.planes import RuleCount
from seaway.proxy.table import Backend, Delta, ServiceTable

ROUTE_LOCALNET = "/proc/sys/net/ipv4/conf/all/route_localnet"  # without it no node port on 127.0.0.1 (KEP-6032)


def _counts(held: Held) -> dict[str, dict[str, int]]:
    return {table: {chain: len(rules) for chain, rules in chains.items()} for table, chains in held.items()}


class IptablesPlane:
    def __init__(self, tool: Tool) -> None:
        self._tool, self.backend = tool, tool.backend
        self._large = (SMALL if tool.bounded else LARGE) if tool.backend == "nft" else 1 << 30
        self._states: dict[int, State] = {}
        self._written: dict[int, dict[str, int]] = {}

    def whole(self, table: ServiceTable) -> None:
        """Everything declared anew, over whatever is there: each chain is replaced, none is missing for a moment."""
        family = table.family
        self._states.pop(family, None)
        if family == 4 and table.facts.every_address and table.facts.localhost:
            with suppress(OSError), open(ROUTE_LOCALNET, "w") as f:
                f.write("1")
        held = self._tool.save(family)
        texts, state = render.whole(table, _counts(held), self._large)
        self._restore(family, texts)
        missing = render.hooks(held)
        if missing:
            self._tool.restore(family, missing)
        self._states[family] = state

    def change(self, family: int, delta: Delta) -> None:
        state = self._states.pop(family, None)
        if state is None:
            raise KernelError("what the kernel holds is not known")
        self._restore(family, render.change(state, delta, self._large))
        self._states[family] = state

    def _restore(self, family: int, texts: list[str]) -> None:
        for text in texts:
            self._tool.restore(family, text)
        self._written[family] = render.written(texts)

    def rules(self) -> list[RuleCount]:
        """For the metrics."""
        return [
            RuleCount(family, table, sum(chains.values()), self._written[family].get(table, 0))
            for family, state in self._states.items()
            for table, chains in state.expected().items()
        ]

    async def audit(self, family: int, table: Callable[[], ServiceTable], unchanged: Callable[[], bool]) -> str:
        held = await asyncio.to_thread(self._tool.save, family)
        state = self._states.get(family)
        if state is None or not unchanged():
            return ""
        there = _counts(held)
        wrong = [
            f"{chain} of {name} has {there.get(name, {}).get(chain, 'no')} rules instead of {count}"
            for name, chains in state.expected().items()
            for chain, count in chains.items()
            if there.get(name, {}).get(chain) != count
        ]
        if render.hooks(held):
            wrong.append("a built-in chain no longer leads to our chains")
        if wrong:
            self.whole(table())
        return wrong[0] if wrong else ""

    async def retire(self) -> None:
        """Nothing to do: rules and connections stay."""

    def leads_to(self, family: int, backends: Collection[Backend]) -> bool:
        """Whether packets are still led to one of some endpoints; False where another mode has made the chains its own."""
        chains = self._tool.save(family).get("nat", {})
        entries = [rule.rpartition("-j ")[2] for rule in chains.get(SERVICES, ())]
        if NODE_PORTS in entries:
            entries += [rule.rpartition("-j ")[2] for rule in chains.get(NODE_PORTS, ())]
        there = {endpoint_text(b) for b in backends}
        ends = (rule.partition("--to-destination ")[2] for rules in chains.values() for rule in rules)
        return any(name.startswith(OF_SERVICES) for name in entries) and any(end in there for end in ends)

    def cleanup(self, families: Collection[int] = (4, 6), kept: frozenset[tuple[str, str]] = frozenset()) -> None:
        for family in families:
            text = render.cleanup(self._tool.save(family), kept)
            if text:
                self._tool.restore(family, text)
            self._states.pop(family, None)
