"""Which clusters of a proxy are warm: only those may be routed to.

A cluster is warm once it was acknowledged and, of what it waits for, each was answered after it was sent: Envoy acknowledges a
cluster only when all are warm, but while it starts it does so before, and then the answer of its endpoints tells. It stays warm,
whatever its new versions, until it is taken away: an old version serves until the new one is warm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from seaway.envoy.xds.resources import Name


@dataclass(slots=True)
class _Cold:
    sent: int
    acked: bool
    waits: set[Name]


class Warming:
    """The warm clusters of one proxy, and what the others wait for. `at` counts the stream's responses."""

    def __init__(self) -> None:
        self.warm: set[str] = set()
        self._cold: dict[str, _Cold] = {}
        self._waiting: dict[Name, set[str]] = {}

    def sent(self, cluster: str, waits: Iterable[Name], at: int) -> None:
        """It goes out, in a new version too; a warm one stays warm."""
        if cluster not in self.warm:
            self.gone(cluster)
            self._cold[cluster] = cold = _Cold(at, False, set(waits))
            for need in cold.waits:
                self._waiting.setdefault(need, set()).add(cluster)

    def acked(self, cluster: str) -> list[str]:
        """It was acknowledged; the clusters that are warm by it."""
        cold = self._cold.get(cluster)
        if cold is None:
            return []
        cold.acked = True
        return self._check([cluster])

    def answered(self, need: Name, at: int) -> list[str]:
        """An answer that was sent then was acknowledged; the clusters that are warm by it."""
        found = [c for c in self._waiting.get(need, ()) if at > self._cold[c].sent]
        for cluster in found:
            self._forget(cluster, need)
        return self._check(found)

    def waits(self, cluster: str) -> frozenset[Name]:
        """What a cluster that is not warm waits for besides its acknowledgement."""
        cold = self._cold.get(cluster)
        return frozenset(cold.waits) if cold is not None else frozenset()

    def gone(self, cluster: str) -> None:
        """It was taken away, or is about to be."""
        self.warm.discard(cluster)
        cold = self._cold.get(cluster)
        if cold is not None:
            for need in list(cold.waits):
                self._forget(cluster, need)
            del self._cold[cluster]

    def _forget(self, cluster: str, need: Name) -> None:
        self._cold[cluster].waits.discard(need)
        waiting = self._waiting[need]
        waiting.discard(cluster)
        if not waiting:
            del self._waiting[need]

    def _check(self, clusters: list[str]) -> list[str]:
        warm = [c for c in clusters if self._cold[c].acked and not self._cold[c].waits]
        for cluster in warm:
            del self._cold[cluster]
            self.warm.add(cluster)
        return warm
