"""Parts of many objects become what each fleet does. Kept, not recomputed: a part's change touches what it names."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import msgspec

from seaway.routing.ir import Chain, Cluster, Host, Pieces, Socket
from seaway.routing.parts import Domain, Entry, Order, Part, Way

V = TypeVar("V")
Owner = Hashable


class Claims(Generic[V]):
    """Who says what about a name: the first by order wins, then by the owner's name."""

    __slots__ = ("_best", "_held")

    def __init__(self) -> None:
        self._held: dict[Owner, tuple[tuple[Any, str], V]] = {}
        self._best: Owner = None  # whose claim is known to be the first; None: not known

    def put(self, owner: Owner, order: Any, value: V) -> None:
        if owner == self._best:
            self._best = None
        self._held[owner] = ((order, _text(owner)), value)
        if len(self._held) == 1 or (self._best is not None and self._held[owner][0] < self._held[self._best][0]):
            self._best = owner

    def remove(self, owner: Owner) -> None:
        self._held.pop(owner, None)
        if owner == self._best:
            self._best = None

    def winner(self) -> V | None:
        if not self._held:
            return None
        if self._best is None:
            self._best = min(self._held, key=lambda o: self._held[o][0])
        return self._held[self._best][1]


def _text(owner: Owner) -> str:
    """An owner's name, the same in every process: functions by their names."""
    parts = owner if isinstance(owner, tuple) else (owner,)
    return " ".join(_text(p) if isinstance(p, tuple) else str(getattr(p, "__qualname__", p)) for p in parts)


class _Chain:
    """Who has a part in a chain, and the server names that those who share it give."""

    __slots__ = ("_claims", "_shared")

    def __init__(self) -> None:
        self._claims: Claims[tuple[Chain, bool]] = Claims()
        self._shared: dict[str, int] = {}  # server name -> how many give it

    def put(self, owner: Owner, way: Way) -> None:
        self._claims.put(owner, way.order, (way.chain, way.share))
        for name in way.chain.names if way.share else ():
            self._shared[name] = self._shared.get(name, 0) + 1

    def remove(self, owner: Owner, way: Way) -> None:
        self._claims.remove(owner)
        for name in way.chain.names if way.share else ():
            self._shared[name] -= 1
            if not self._shared[name]:
                del self._shared[name]

    def chain(self) -> Chain | None:
        winner = self._claims.winner()
        if winner is None:
            return None
        chain, share = winner
        if share and len(self._shared) != len(chain.names):
            chain = msgspec.structs.replace(chain, names=tuple(sorted(self._shared)))
        return chain


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
        self._ways: dict[tuple[int, str], dict[str, _Chain]] = defaultdict(dict)
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
            last = claims.winner()
            if name in after:
                claims.put(owner, "", after[name])
            else:
                claims.remove(owner)
            if claims.winner() != last:
                self._touched_clusters.add(name)

    def _change_ways(self, owner: Owner, old: tuple[Way, ...], new: tuple[Way, ...]) -> None:
        if old == new:
            return
        named = dict.fromkeys((w.port, w.transport, w.chain.name) for w in (*old, *new))
        held = {n: self._ways[n[:2]].setdefault(n[2], _Chain()) for n in named}
        before = {n: chain.chain() for n, chain in held.items()}
        for way in old:
            held[way.port, way.transport, way.chain.name].remove(owner, way)
        for way in new:
            held[way.port, way.transport, way.chain.name].put(owner, way)
        # Most ways are many objects' and the same: a socket has changed only where what comes of them has.
        self._touched_sockets |= {n[:2] for n, chain in held.items() if chain.chain() != before[n]}

    def _change_domains(self, owner: Owner, old: tuple[Domain, ...], new: tuple[Domain, ...]) -> None:
        if old == new:
            return
        before, after = set(old), set(new)  # a Gateway with many listeners has many times as many
        for domain in old:
            if domain not in after:
                self._at(domain.table, domain.domain).reserved.remove((owner, domain.source))
        for domain in new:
            if domain not in before:
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
            chains = {name: chain for name, known in held.items() if (chain := known.chain()) is not None}
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
