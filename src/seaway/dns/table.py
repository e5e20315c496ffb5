"""What a worker has answered and may say again: `Table` of known answers by question, and of images by a query's bytes; pure.

The hot path is one look-up: a query from byte 2 on is the key, an `Image` the value. An image of an answer that counts down
holds for the rest of a second. What the cluster's zone said holds until a change voids its owners; it is bounded, since names
are; what was forwarded is bounded by the `cache` plugin's numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from seaway.dns.answer import Answer

ZONE_ENTRIES, ZONE_BYTES = 65_536, 12 << 20
VARIANTS = 16  # images of one answer: EDNS sizes, flags
OVERHEAD = 500  # bytes that an answer costs beside its body


class Image:
    """Replies to one exact query, each sent in turn: `hits` counts and turns at once. `until`: monotonic seconds."""

    __slots__ = ("count", "hits", "images", "labels", "told", "until")

    def __init__(self, images: list[bytes], until: float, labels: tuple[str, ...]) -> None:
        self.images, self.until, self.labels = images, until, labels
        self.count, self.hits, self.told = len(images), 0, 0


class Known:
    """An answer and the queries it has images for. `recent`, `since`: how often it was asked in the prefetch's window."""

    __slots__ = ("answer", "hot", "recent", "refreshing", "since")

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.hot: list[tuple[dict[bytes, Image], bytes]] = []
        self.recent, self.since, self.refreshing = 0, 0.0, False


def key_of(name: bytes, kind: int, do: bool, cd: bool) -> bytes:
    return name + kind.to_bytes(2, "big") + bytes((do | cd << 1,))


class Table:
    """`positive` and `denials`: how many forwarded answers of each kind are kept. `dropped`: images that went with counts that
    nobody has seen."""

    def __init__(self, positive: int, denials: int) -> None:
        self._known: dict[bytes, Known] = {}
        self._zone: dict[bytes, None] = {}
        self._positive: dict[bytes, None] = {}
        self._denials: dict[bytes, None] = {}
        self._by_owner: dict[bytes, list[bytes]] = {}
        self._limits = (positive, denials)
        self._zone_bytes = 0
        self.dropped: list[Image] = []
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._known)

    def sizes(self) -> tuple[int, int]:
        """(positive, denials) of what was forwarded."""
        return len(self._positive), len(self._denials)

    def get(self, key: bytes) -> Known | None:
        return self._known.get(key)

    def keep(self, key: bytes, answer: Answer) -> Known:
        """Takes an answer; the oldest make room."""
        self.drop(key)
        known = self._known[key] = Known(answer)
        if answer.until == inf:
            self._zone[key] = None
            self._zone_bytes += OVERHEAD + len(answer.body)
            while len(self._zone) > ZONE_ENTRIES or (self._zone_bytes > ZONE_BYTES and len(self._zone) > 1):
                self._evict(self._zone)
        else:
            order, limit = (self._positive, self._limits[0]) if answer.is_positive else (self._denials, self._limits[1])
            order[key] = None
            while len(order) > limit:
                self._evict(order)
        for owner in answer.owners:
            self._by_owner.setdefault(owner, []).append(key)
        return known

    def _evict(self, order: dict[bytes, None]) -> None:
        self.evictions += 1
        self.drop(next(iter(order)))

    def heat(self, known: Known, hot: dict[bytes, Image], query: bytes, image: Image) -> int:
        """An image for a query's exact bytes, in the place of the one before; how often that one was sent."""
        old = hot.get(query)
        sent = 0
        if old is not None:
            sent = old.hits - old.told
            self._fold(old)
            image.hits = image.told = old.hits  # the addresses' turn goes on
        hot[query] = image
        if (hot, query) not in known.hot:
            if len(known.hot) >= VARIANTS:
                self._cool(*known.hot.pop(0))
            known.hot.append((hot, query))
        return sent

    def _cool(self, hot: dict[bytes, Image], query: bytes) -> None:
        image = hot.pop(query, None)
        if image is not None:
            self._fold(image)

    def _fold(self, image: Image) -> None:
        if image.hits != image.told:
            self.dropped.append(image)

    def drop(self, key: bytes) -> None:
        known = self._known.pop(key, None)
        if known is None:
            return
        for hot, query in known.hot:
            self._cool(hot, query)
        if key in self._zone:
            del self._zone[key]
            self._zone_bytes -= OVERHEAD + len(known.answer.body)
        self._positive.pop(key, None)
        self._denials.pop(key, None)
        for owner in known.answer.owners:
            keys = self._by_owner.get(owner)
            if keys is not None:
                if len(keys) == 1:
                    del self._by_owner[owner]
                else:
                    keys.remove(key)

    def take_dropped(self) -> list[Image]:
        found, self.dropped = self.dropped, []
        return found

    def clear(self) -> None:
        """Drops all."""
        for key in list(self._known):
            self.drop(key)

    def void(self, owners: Iterable[bytes]) -> int:
        """Drops all that was made of these; how many."""
        number = 0
        for owner in owners:
            for key in self._by_owner.pop(owner, ()):
                self.drop(key)
                number += 1
        return number

    def clear_zone(self) -> None:
        """Drops all that the cluster's zone had a part in."""
        self.void(list(self._by_owner))
        for key in list(self._zone):
            self.drop(key)
