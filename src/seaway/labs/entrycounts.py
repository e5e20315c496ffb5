"""What the clients of the labs about entry points saw, as numbers; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """`new`: the first of a connection; `entry`: the address of the Envoy that it came through; `pod`: who gave it."""

    at: float
    new: bool
    entry: str
    pod: str


class Lost(NamedTuple):
    """A request without an answer of 200. `entry`: where its connection led, where that is known."""

    began: float
    new: bool
    why: str
    entry: str


class Cut(NamedTuple):
    """A connection that ended without its client having been told before."""

    at: float
    entry: str


class Seen(NamedTuple):
    answers: tuple[Answer, ...] = ()
    lost: tuple[Lost, ...] = ()
    cut: tuple[Cut, ...] = ()

    @property
    def requests(self) -> int:
        return len(self.answers) + len(self.lost)


def read(tree: Mapping[str, Any]) -> Seen:
    """From the last line of entryload.py."""
    return Seen(
        tuple(sorted(Answer(at, bool(new), entry, pod) for at, new, entry, pod in tree["answers"])),
        tuple(sorted(Lost(began, bool(new), why, entry) for began, new, why, entry in tree["lost"])),
        tuple(sorted(Cut(at, entry) for at, entry in tree["cut"])),
    )


def between(seen: Seen, start: float, end: float) -> Seen:
    """What happened from `start` until before `end`."""
    return Seen(
        tuple(a for a in seen.answers if start <= a.at < end),
        tuple(one for one in seen.lost if start <= one.began < end),
        tuple(c for c in seen.cut if start <= c.at < end),
    )


def gap(seen: Seen) -> float:
    """The longest time between two answers, whoever asked."""
    return max((b.at - a.at for a, b in pairwise(seen.answers)), default=0.0)


def failing(seen: Seen) -> float:
    """How long new connections failed: from the beginning of the first that did to that of the last, in seconds."""
    times = [one.began for one in seen.lost if one.new]
    return max(times) - min(times) if times else 0.0


def over_time(seen: Seen, start: float, seconds: int) -> tuple[int, ...]:
    """Lost requests by the second in which they began, counted from `start`."""
    found = [0] * seconds
    for one in seen.lost:
        second = int(one.began - start)
        if 0 <= second < seconds:
            found[second] += 1
    return tuple(found)


def shares(seen: Seen, homes: Mapping[str, str], names: Sequence[str]) -> dict[str, float]:
    """Which part of the new connections each of `names` took; `homes`: of an entry's address, the name of where it is."""
    found = dict.fromkeys(names, 0)
    new = [homes.get(a.entry, "") for a in seen.answers if a.new]
    for name in new:
        if name in found:
            found[name] += 1
    return {name: count / max(len(new), 1) for name, count in found.items()}
