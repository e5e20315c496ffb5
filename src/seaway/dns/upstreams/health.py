"""What is known of the upstreams, and whom to ask next; pure: time and chance are passed in.

An upstream that lets questions time out is suspected, then down: it is asked nothing but probes until one is answered. The
round-trip times tell when a second question (a hedge) is worth more than waiting.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Generic, TypeVar

FIRST_HEDGE, LEAST_HEDGE, MOST_HEDGE = 0.1, 0.02, 0.4  # seconds
SMOOTH = 0.125  # RFC 6298 2.3: alpha; beta is twice that
Key = TypeVar("Key")


class State:
    """Of one upstream: smoothed round-trip time and its spread in seconds, failures in a row."""

    __slots__ = ("asked", "down", "failed_probes", "fails", "probing", "spread", "time")

    def __init__(self) -> None:
        self.time = self.spread = 0.0
        self.fails = self.failed_probes = self.asked = 0
        self.down = self.probing = False

    def answered(self, took: float | None) -> None:
        """It is there. `took` None: no measure (a repeated question's answer tells no time, RFC 6298 3)."""
        self.fails = self.failed_probes = 0
        self.down = False
        if took is None:
            return
        if not self.time:
            self.time, self.spread = took, took / 2
            return
        self.spread += 2 * SMOOTH * (abs(took - self.time) - self.spread)
        self.time += SMOOTH * (took - self.time)

    def failed(self, most: int) -> bool:
        """A question timed out, or the address refused. True: it is down from now on. `most` 0: never."""
        self.fails += 1
        if most and not self.down and self.fails >= most:
            self.down = True
            return True
        return False

    def hedge(self) -> float:
        """Seconds without an answer after which another is asked."""
        if not self.time:
            return FIRST_HEDGE
        return min(max(self.time + 4 * self.spread, LEAST_HEDGE), MOST_HEDGE)


class Choice(Generic[Key]):
    """The order in which a question's upstreams are tried, by policy; those that are down come last."""

    def __init__(self, upstreams: Sequence[Key], policy: str, chance: random.Random) -> None:
        self.states: dict[Key, State] = {u: State() for u in upstreams}
        self._upstreams, self._policy, self._chance = tuple(self.states), policy, chance
        self._next = 0

    def order(self) -> list[Key]:
        found = list(self._upstreams)
        if len(found) > 1:
            if self._policy == "random":
                self._chance.shuffle(found)
            elif self._policy == "round_robin":
                self._next = (self._next + 1) % len(found)
                found = found[self._next :] + found[: self._next]
            if any(s.down for s in self.states.values()):
                found.sort(key=lambda u: self.states[u].down)
        return found

    @property
    def is_empty(self) -> bool:
        return not self._upstreams

    def has(self, upstream: Key) -> bool:
        return upstream in self._upstreams

    def exclude(self, upstream: Key) -> bool:
        """Never asks it again; False: it was not asked."""
        if upstream not in self._upstreams:
            return False
        self._upstreams = tuple(u for u in self._upstreams if u != upstream)
        return True

    @property
    def all_down(self) -> bool:
        return all(self.states[u].down for u in self._upstreams)
