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


class State:
    """Of one upstream: smoothed round-trip time and its spread in seconds, failures in a row."""

    __slots__ = ("down", "fails", "probing", "spread", "time")

    def __init__(self) -> None:
        self.time = self.spread = 0.0
        self.fails = 0
        self.down = self.probing = False

    def measured(self, took: float) -> None:
        """A round trip: of the first question only, a repeated one's answer tells no time (RFC 6298 3)."""
        if self.time:
            off = took - self.time
            self.spread += 2 * SMOOTH * ((off if off > 0 else -off) - self.spread)
            self.time += SMOOTH * off
        else:
            self.time, self.spread = took, took / 2

    def hedge(self) -> float:
        """Seconds without an answer after which another is asked."""
        if not self.time:
            return FIRST_HEDGE
        return min(max(self.time + 4 * self.spread, LEAST_HEDGE), MOST_HEDGE)


class Watched:
    """What a Choice needs of an upstream."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State()


Target = TypeVar("Target", bound=Watched)


class Choice(Generic[Target]):
    """The order in which a question's upstreams are tried, by policy; those that are down come last."""

    def __init__(self, targets: Sequence[Target], policy: str, chance: random.Random) -> None:
        self.targets = list(targets)
        self._policy, self._chance = policy, chance
        self._next = 0
        self._down = 0

    def order(self) -> list[Target]:
        if len(self.targets) < 2:
            return self.targets
        found = list(self.targets)
        if self._policy == "random":
            self._chance.shuffle(found)
        elif self._policy == "round_robin":
            self._next = (self._next + 1) % len(found)
            found = found[self._next :] + found[: self._next]
        if self._down:
            found.sort(key=lambda t: t.state.down)
        return found

    def answered(self, target: Target) -> bool:
        """It is there. True: it was down."""
        state = target.state
        if not state.fails:
            return False
        state.fails = 0
        was_down, state.down = state.down, False
        self._count()
        return was_down

    def failed(self, target: Target, most: int) -> bool:
        """A question timed out, or the address refused. True: it is down from now on. `most` 0: never."""
        state = target.state
        state.fails += 1
        if most and not state.down and state.fails >= most:
            state.down = True
            self._count()
            return True
        return False

    def exclude(self, target: Target) -> None:
        """Never asks it again."""
        self.targets = [t for t in self.targets if t is not target]
        self._count()

    def _count(self) -> None:
        self._down = sum(t.state.down for t in self.targets)

    @property
    def all_down(self) -> bool:
        return self._down == len(self.targets)
