"""Buckets that fill evenly, by the generic cell rate algorithm (ITU-T I.371): of each only the time at which it will be full is
kept. Pure: who asks says what time it is.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

# Of a fleet; the buckets that nobody asked for longest go first, and are full for who asks for them again.
MOST = 100_000


class Limit(NamedTuple):
    """`requests` in `seconds`, and `burst` more at once."""

    requests: int
    seconds: int
    burst: int = 0

    @property
    def size(self) -> int:
        return self.requests + self.burst

    @property
    def interval(self) -> float:
        """Between two requests at the rate of the limit."""
        return self.seconds / self.requests


class Verdict(NamedTuple):
    """`remaining`: how many the bucket still holds. `seconds`: until it holds one more, or, where it refused, enough."""

    allowed: bool
    size: int
    remaining: int
    seconds: float


class Buckets:
    """The buckets of one fleet, by keys that say which limit they are of, too."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._full: OrderedDict[bytes, float] = OrderedDict()  # when each will be full; the one used last is last

    def __len__(self) -> int:
        return len(self._full)

    def take(self, wanted: Sequence[tuple[bytes, Limit]], hits: int, now: float) -> list[Verdict]:
        """Takes `hits` from all of these buckets, or, where one has not so many, from none."""
        missing = [self._missing(key, limit, now) for key, limit in wanted]
        allowed = [lacks + hits <= limit.size for lacks, (_, limit) in zip(missing, wanted, strict=True)]
        taken = hits if all(allowed) else 0
        found = []
        for (key, limit), lacks, enough in zip(wanted, missing, allowed, strict=True):
            after = lacks + taken
            if after > 0:
                self._full[key] = now + after * limit.interval
                self._full.move_to_end(key)
            # Rounded first: of ten tenths nothing is to be left over.
            remaining = max(0, math.floor(round(limit.size - after, 6)))
            short = after - (limit.size - remaining - 1) if enough else lacks + hits - limit.size
            found.append(Verdict(enough, limit.size, remaining, max(0.0, short * limit.interval)))
        self._forget(now)
        return found

    def _missing(self, key: bytes, limit: Limit, now: float) -> float:
        """How many requests a bucket is short of being full."""
        return max(0.0, self._full.get(key, now) - now) / limit.interval

    def _forget(self, now: float) -> None:
        """What is full may as well not be there; of what is not, what nobody used longest goes when there are too many."""
        while self._full:
            key, full = next(iter(self._full.items()))
            if full > now and len(self._full) <= self._most:
                return
            del self._full[key]
