"""Parts of many objects become what each fleet does. Kept, not recomputed: a part's change touches what it names."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from seaway.routing.ir import Chain, Cluster, Host, Pieces, Socket
from seaway.routing.parts import Domain, Entry, Order, Part, Way

V = TypeVar("V")
Owner = Hashable


class Claims(Generic[V]):
    """Who says what about a name: the first by order wins, equal claims share."""

    def __init__(self) -> None:
        self._held: dict[Owner, tuple[Any, V]] = {}

    def put(self, owner: Owner, order: Any, value: V) -> None:
        self._held[owner] = order, value

    def remove(self, owner: Owner) -> None:
        self._held.pop(owner, None)

    def winner(self) -> V | None:
        if not self._held:
            return None
        if len(self._held) == 1:
            return next(iter(self._held.values()))[1]
        return min(self._held.items(), key=lambda item: (item[1][0], str(item[0])))[1][1]


class _Domain:
    """The rules under a domain of a table, kept in order."""

    __slots__ = ("reserved", "rules")

    def __init__(self) -> None:
        self.rules: list[tuple[Order, Entry]] = []
        self.reserved: Claims[Domain] = Claims()

    def add(self, entry: Entry) -> None:
        bisect.insort(self.rules, (entry.order, entry), key=lambda pair: pair[0])

    def remove(self, entry: Entry) -> None:
        at = bisect.bisect_left(self.rules, entry.order, key=lambda pair: pair[0])
        while at < len(self.rules):
            if self.rules[at][1] is entry or self.rules[at][1] == entry:
                del self.rules[at]
                return
            at += 1

    def host(self, domain: str) -> Host | None:
        reserved = self.reserved.winner()
        if reserved is None and not self.rules:
            return None
        misdirected = reserved is not None and reserved.misdirected and not self.rules
        return Host(domain, tuple(entry.rule for _, entry in self.rules), misdirected)


class FleetState:
    """All that a fleet does, with what has changed since it was last asked."""

    def __init__(self) -> None:
        self._ways: dict[tuple[int, str], dict[str, Claims[Chain]]] = defaultdict(dict)
        self._domains: dict[tuple[str, str], _Domain] = {}
        self._clusters: dict[str, Claims[Cluster]] = {}
        self._touched_sockets: set[tuple[int, str]] = set()
        self._touched_domains: set[tuple[str, str]] = set()
        self._touched_clusters: set[str] = set()

    def change(self, owner: Owner, old: Part | None, new: Part | None) -> None:
        """`owner` has another part now."""
        self._change_ways(owner, old.ways if old else (), new.ways if new else ())
        self._change_domains(owner, old.domains if old else (), new.domains if new else ())
        self._change_entries(old.entries if old else (), new.entries if new else ())
        before = {c.name: c for c in old.clusters} if old else {}
        after = {c.name: c for c in new.clusters} if new else {}
        for name in before.keys() | after.keys():
            if before.get(name) == after.get(name):
                continue
            claims = self._clusters.setdefault(name, Claims())
            if name in after:
                claims.put(owner, "", after[name])
            else:
                claims.remove(owner)
            self._touched_clusters.add(name)

    def _change_ways(self, owner: Owner, old: tuple[Way, ...], new: tuple[Way, ...]) -> None:
        if old == new:
            return
        for way in old:
            self._ways[way.port, way.transport][way.chain.name].remove(owner)
            self._touched_sockets.add((way.port, way.transport))
        for way in new:
            chains = self._ways[way.port, way.transport]
            chains.setdefault(way.chain.name, Claims()).put(owner, way.order, way.chain)
            self._touched_sockets.add((way.port, way.transport))

    def _change_domains(self, owner: Owner, old: tuple[Domain, ...], new: tuple[Domain, ...]) -> None:
        if old == new:
            return
        for domain in old:
            if domain not in new:
                self._at(domain.table, domain.domain).reserved.remove((owner, domain.source))
        for domain in new:
            if domain not in old:
                # Whose own domain it is comes before who only knows it as another's.
                order = (domain.misdirected, domain.source)
                self._at(domain.table, domain.domain).reserved.put((owner, domain.source), order, domain)

    def _change_entries(self, old: tuple[Entry, ...], new: tuple[Entry, ...]) -> None:
        kept = set(map(id, old)) & set(map(id, new))
        same = {}
        for entry in old:
            if id(entry) not in kept:
                same[entry.table, entry.domain, entry.order] = entry
        for entry in new:
            if id(entry) in kept:
                continue
            known = same.pop((entry.table, entry.domain, entry.order), None)
            if known == entry:
                continue
            if known is not None:
                self._at(entry.table, entry.domain).remove(known)
            self._at(entry.table, entry.domain).add(entry)
        for entry in same.values():
            self._at(entry.table, entry.domain).remove(entry)

    def _at(self, table: str, domain: str) -> _Domain:
        self._touched_domains.add((table, domain))
        return self._domains.setdefault((table, domain), _Domain())

    def take(self, pieces: Pieces) -> None:
        """Writes what has changed into `pieces`."""
        for port, transport in sorted(self._touched_sockets):
            held = self._ways[port, transport]
            chains = {name: chain for name, claims in held.items() if (chain := claims.winner()) is not None}
            self._ways[port, transport] = {name: held[name] for name in chains}
            found = Socket(port, transport, tuple(chains[name] for name in sorted(chains)))
            pieces.sockets[found.name] = found if chains else None
            if not chains:
                del self._ways[port, transport]
        for table, domain in sorted(self._touched_domains):
            host = self._domains[table, domain].host(domain)
            pieces.hosts.setdefault(table, {})[domain] = host
            if host is None:
                del self._domains[table, domain]
        for name in sorted(self._touched_clusters):
            cluster = self._clusters[name].winner()
            pieces.clusters[name] = cluster
            if cluster is None:
                del self._clusters[name]
        self._touched_sockets.clear()
        self._touched_domains.clear()
        self._touched_clusters.clear()

    @property
    def empty(self) -> bool:
        return not (self._ways or self._domains or self._clusters)
