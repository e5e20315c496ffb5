"""The parts of all Services as one table that changes cost only what has changed; pure.

Of two Services that claim one address and port the first by order has it (kube-proxy's rule), and the other gets it when the
first lets go: so every claim is kept, not only the winners.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from seaway.proxy.table import Change, Delta, Facts, NodePortKey, ServicePart, ServiceTable, VipKey, Way


class Ordered(Hashable, Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


Owner = TypeVar("Owner", bound=Ordered)
Key = TypeVar("Key", bound=Hashable)


class _Claims(Generic[Owner, Key]):
    """Who claims each key, and who has it."""

    def __init__(self) -> None:
        self.held: dict[Key, tuple[Owner, Way]] = {}
        self._waiting: dict[Key, dict[Owner, Way]] = {}

    def put(self, owner: Owner, key: Key, way: Way | None) -> None:
        """Sets, or with None takes away, an owner's claim."""
        held, waiting = self.held.get(key), self._waiting.get(key)
        if waiting is None and (held is None or held[0] == owner):
            if way is None:
                self.held.pop(key, None)
            else:
                self.held[key] = (owner, way)
            return
        claims = {} if waiting is None else waiting
        if held is not None:
            claims[held[0]] = held[1]
        if way is None:
            claims.pop(owner, None)
        else:
            claims[owner] = way
        winner = min(claims)
        self.held[key] = (winner, claims.pop(winner))
        if claims:
            self._waiting[key] = claims
        else:
            self._waiting.pop(key, None)

    def way(self, key: Key) -> Way | None:
        held = self.held.get(key)
        return held[1] if held else None


def _replace(
    claims: _Claims[Owner, Key],
    owner: Owner,
    old: Mapping[Key, Way],
    new: Mapping[Key, Way],
    before: dict[Key, Way | None],
) -> None:
    """An owner's old claims become its new ones; `before` collects what each touched key meant at first."""
    for key in old.keys() | new.keys():
        way = new.get(key)
        if old.get(key) != way:
            before.setdefault(key, claims.way(key))
            claims.put(owner, key, way)


def _changed(claims: _Claims[Owner, Key], before: Mapping[Key, Way | None]) -> dict[Key, Change]:
    return {key: (old, now) for key, old in before.items() if (now := claims.way(key)) != old}


class _Counted:
    """A set whose members many put in."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def change(self, gone: set[str], fresh: set[str], touched: dict[str, bool]) -> None:
        for member in gone - fresh:
            touched.setdefault(member, True)
            self.counts[member] -= 1
            if not self.counts[member]:
                del self.counts[member]
        for member in fresh - gone:
            touched.setdefault(member, member in self.counts)
            self.counts[member] += 1

    def difference(self, touched: Mapping[str, bool]) -> tuple[frozenset[str], frozenset[str]]:
        return (
            frozenset(m for m, was in touched.items() if not was and m in self.counts),
            frozenset(m for m, was in touched.items() if was and m not in self.counts),
        )


_NOTHING: dict[Any, Way] = {}


class Ledger(Generic[Owner]):
    """The table of one family in the making. `Owner` names a Service and sorts."""

    def __init__(self) -> None:
        self.parts: dict[Owner, ServicePart] = {}
        self._vips: _Claims[Owner, VipKey] = _Claims()
        self._node_ports: _Claims[Owner, NodePortKey] = _Claims()
        self._cluster_ips, self._hairpins = _Counted(), _Counted()

    def change(self, parts: Mapping[Owner, ServicePart | None]) -> Delta:
        """Takes new parts in, None for a Service that is gone; what the table differs by afterwards."""
        vips: dict[VipKey, Way | None] = {}
        node_ports: dict[NodePortKey, Way | None] = {}
        cluster_ips: dict[str, bool] = {}
        hairpins: dict[str, bool] = {}
        for owner, new in parts.items():
            old = self.parts.pop(owner, None)
            if new is not None:
                self.parts[owner] = new
            _replace(self._vips, owner, old.vips if old else _NOTHING, new.vips if new else _NOTHING, vips)
            _replace(
                self._node_ports,
                owner,
                old.node_ports if old else _NOTHING,
                new.node_ports if new else _NOTHING,
                node_ports,
            )
            self._cluster_ips.change(
                {old.cluster_ip} if old else set(), {new.cluster_ip} if new else set(), cluster_ips
            )
            self._hairpins.change(old.hairpins if old else set(), new.hairpins if new else set(), hairpins)
        return Delta(
            _changed(self._vips, vips),
            _changed(self._node_ports, node_ports),
            self._cluster_ips.difference(cluster_ips),
            self._hairpins.difference(hairpins),
        )

    def table(self, facts: Facts) -> ServiceTable:
        """All of it, as a value of its own."""
        return ServiceTable(
            facts,
            {key: way for key, (_, way) in self._vips.held.items()},
            {key: way for key, (_, way) in self._node_ports.held.items()},
            frozenset(self._cluster_ips.counts),
            frozenset(self._hairpins.counts),
        )
