"""What a worker has answered and may say again: images by a query's bytes, answers by question; pure.

The hot path is one look-up: a query from byte 2 on is the key, an `Image` the value. What the cluster's zone said holds until a
change voids its owners: its images are all that is kept of most of it, few of its answers are, for queries that are worded oddly.
What was forwarded is bounded by the `cache` plugin's numbers; its images hold for the rest of a second, since TTLs count down.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from math import inf

from seaway.dns.answer import Answer

ZONE_ANSWERS = 4_096
ZONE_BYTES = 24 << 20  # of the zone's images
OVERHEAD = 420  # bytes that an image costs beside its replies
VARIANTS = 16  # images of one forwarded answer: EDNS sizes, flags
LONG = 64  # queries of one owner
Labels = tuple[bytes, int, int, int, int, int, bool]
Hot = dict[bytes, "Image"]


class Image:
    """Replies to one exact query, each sent in turn: `hits` counts and turns at once. `until`: monotonic seconds."""

    __slots__ = ("count", "hits", "images", "labels", "told", "until")

    def __init__(self, images: tuple[bytes, ...], until: float, labels: Labels) -> None:
        self.count, self.hits, self.told = len(images), 0, 0
        self.images: bytes | tuple[bytes, ...] = images if len(images) > 1 else images[0]  # most have one: no tuple for it
        self.until, self.labels = until, labels

    def turn(self) -> bytes:
        """The next reply, counted."""
        self.hits += 1
        return self.images[self.hits % self.count] if isinstance(self.images, tuple) else self.images

    @property
    def size(self) -> int:
        return OVERHEAD + (sum(map(len, self.images)) if isinstance(self.images, tuple) else len(self.images))


class Known:
    """An answer, and the exact queries it has images for if it was forwarded. `recent`, `since`: how often it was asked in the
    prefetch's window."""

    __slots__ = ("answer", "failed", "hot", "recent", "refreshing", "since")

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.hot: tuple[bytes, ...] = ()
        self.recent, self.since, self.failed, self.refreshing = 0, 0.0, -inf, False


_FLAGS = {(False, False): b"\0", (True, False): b"\1", (False, True): b"\2", (True, True): b"\3"}


def key_of(name: bytes, kind: int, do: bool, cd: bool) -> bytes:
    return name + kind.to_bytes(2, "big") + _FLAGS[do, cd]


class Table:
    """`positive` and `denials`: how many forwarded answers of each kind are kept. `counted`: what images that
    went had counted."""

    def __init__(self, positive: int, denials: int) -> None:
        self._known: dict[bytes, Known] = {}
        # Ordered, since a dict that loses its first again and again walks over what it lost.
        self._zone: OrderedDict[bytes, None] = OrderedDict()
        self._positive: OrderedDict[bytes, None] = OrderedDict()
        self._denials: OrderedDict[bytes, None] = OrderedDict()
        self._limits = (positive, denials)
        self._answers_of: dict[bytes, list[bytes]] = {}
        self._images_of: dict[bytes, list[bytes]] = {}
        self.hots: list[Hot] = []  # the images of each socket
        self._long: dict[bytes, int] = {}  # lists of that which are long, and how long they may become
        self._zone_bytes = 0
        self.counted: dict[Labels, int] = {}
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
        if key in self._known:
            self.drop(key)
        known = self._known[key] = Known(answer)
        if answer.until == inf:
            order, limit = self._zone, ZONE_ANSWERS
        elif answer.is_positive:
            order, limit = self._positive, self._limits[0]
        else:
            order, limit = self._denials, self._limits[1]
        order[key] = None
        if len(order) > limit:
            self.evictions += order is not self._zone
            oldest = order.popitem(last=False)[0]
            self._end(oldest, self._known.pop(oldest))
        if order:  # a limit of 0 keeps nothing
            for owner in answer.owners:
                self._answers_of.setdefault(owner, []).append(key)
        return known

    def heat(self, known: Known, hot: Hot, query: bytes, image: Image) -> int:
        """An image for a query's exact bytes, in the place of the one before; how often that one was sent."""
        old = hot.get(query)
        sent = 0
        if old is not None:
            sent = old.hits - old.told
            self._fold(old)
            image.hits = image.told = old.hits  # the addresses' turn goes on
            if old.until == inf:
                self._zone_bytes -= old.size
        hot[query] = image
        if image.until == inf:
            self._zone_bytes += image.size
            if self._zone_bytes > ZONE_BYTES:
                self._cool_oldest(hot)
            if old is None:
                for owner in known.answer.owners:
                    self._note(owner, query)
        elif old is None or query not in known.hot:
            if len(known.hot) >= VARIANTS:
                self._cool(known.hot[0])
            known.hot = (*known.hot[-VARIANTS + 1 :], query)
        return sent

    def _note(self, owner: bytes, query: bytes) -> None:
        """That a query has an image made of an owner. When a list has doubled, what has no image any more is left out: no number
        of odd queries for one name makes it long."""
        queries = self._images_of.setdefault(owner, [])
        queries.append(query)
        if len(queries) > self._long.get(owner, LONG):
            queries[:] = [q for q in dict.fromkeys(queries) if any(q in hot for hot in self.hots)]
            self._long[owner] = max(2 * len(queries), LONG)

    def _cool(self, query: bytes) -> None:
        for hot in self.hots:
            image = hot.pop(query, None)
            if image is not None:
                self._fold(image)
                if image.until == inf:
                    self._zone_bytes -= image.size

    def _cool_oldest(self, hot: Hot) -> None:
        """An eighth of the images goes, the oldest first; their owners' lists are shortened by and by."""
        for query in [q for q, image in hot.items() if image.until == inf][: len(hot) // 8 + 1]:
            self._cool(query)

    def _fold(self, image: Image) -> None:
        if image.hits != image.told:
            self.counted[image.labels] = self.counted.get(image.labels, 0) + image.hits - image.told
            image.told = image.hits

    def drop(self, key: bytes) -> None:
        known = self._known.pop(key, None)
        if known is None:
            return
        self._zone.pop(key, None)
        self._positive.pop(key, None)
        self._denials.pop(key, None)
        self._end(key, known)

    def _end(self, key: bytes, known: Known) -> None:
        """What hangs on an answer that is no longer there."""
        for query in known.hot:
            self._cool(query)
        for owner in known.answer.owners:
            keys = self._answers_of.get(owner)
            if keys is not None:
                if len(keys) == 1:
                    del self._answers_of[owner]
                elif key in keys:
                    keys.remove(key)

    def void(self, owners: Iterable[bytes]) -> None:
        """Drops all that was made of these."""
        for owner in owners:
            for key in self._answers_of.pop(owner, ()):
                self.drop(key)
            for query in self._images_of.pop(owner, ()):
                self._cool(query)
            self._long.pop(owner, None)

    def clear_zone(self) -> None:
        """Drops all that the cluster's zone had a part in."""
        self.void([*self._answers_of, *self._images_of])

    def clear(self) -> None:
        """Drops all."""
        self.clear_zone()
        for key in list(self._known):
            self.drop(key)
