"""Which pod is next: by priority, then by age; those that found no node wait until something that matters changes; pure
(pkg/scheduler/backend/queue). Times are passed in."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from seaway.api.tree import Key

FIRST, LONGEST = 1.0, 10.0  # podInitialBackoffSeconds, podMaxBackoffSeconds
FLUSH = 300.0  # nobody waits longer than this for an event

# What a change may mean: the plugins whose refusals it can lift (each plugin's EventsToRegister).
WAKES: dict[str, frozenset[str]] = {
    "NodeAdd": frozenset({"*"}),
    "NodeDelete": frozenset({"PodTopologySpread"}),
    "NodeAllocatable": frozenset({"NodeResourcesFit"}),
    "NodeLabel": frozenset({"NodeAffinity", "PodTopologySpread", "InterPodAffinity"}),
    "NodeTaint": frozenset({"TaintToleration", "NodeUnschedulable", "PodTopologySpread"}),
    "PodPlaced": frozenset({"InterPodAffinity", "PodTopologySpread"}),
    "PodGone": frozenset({"NodeResourcesFit", "NodePorts", "InterPodAffinity", "PodTopologySpread"}),
    "Namespace": frozenset({"InterPodAffinity"}),
    "Claim": frozenset({"VolumeBinding"}),
}


def backoff(attempts: int) -> float:
    return min(FIRST * 2.0 ** max(attempts - 1, 0), LONGEST)


@dataclass(slots=True)
class _Entry:
    """A pod that is known to the queue. `state`: active, waiting (for an event), backing off, or out (being decided)."""

    priority: int
    created: str
    state: str = "active"
    attempts: int = 0
    until: float = 0.0
    since: float = 0.0
    plugins: frozenset[str] = frozenset()
    turn: int = 0


class Queue:
    def __init__(self) -> None:
        self._known: dict[Key, _Entry] = {}
        self._active: list[tuple[int, str, Key, int]] = []
        self._resting: set[Key] = set()  # waiting or backing off
        self._turn = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._known

    def _activate(self, key: Key, entry: _Entry) -> None:
        self._turn += 1
        self._resting.discard(key)
        entry.state, entry.turn = "active", self._turn
        heapq.heappush(self._active, (-entry.priority, entry.created, key, self._turn))

    def add(self, key: Key, priority: int, created: str) -> None:
        """A new pod, or one whose own change may help it."""
        entry = self._known.setdefault(key, _Entry(priority, created))
        entry.priority, entry.created = priority, created
        self._activate(key, entry)

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)
        self._resting.discard(key)

    def pop(self, now: float) -> Key | None:
        """The next pod to decide on. Where nobody else is due, one that backs off is taken before its time (KEP-5142),
        unless it came from an error."""
        self._flush(now)
        while self._active:
            _, _, key, turn = heapq.heappop(self._active)
            entry = self._known.get(key)
            if entry is not None and entry.state == "active" and entry.turn == turn:
                entry.state = "out"
                return key
        resting = ((k, self._known[k]) for k in self._resting)
        early = [(e.until, k) for k, e in resting if e.state == "backing off" and e.plugins]
        if not early:
            return None
        key = min(early)[1]
        self._resting.discard(key)
        self._known[key].state = "out"
        return key

    def refused(self, key: Key, plugins: Iterable[str], now: float) -> None:
        """No node would have it: it waits for a change."""
        entry = self._known.get(key)
        if entry is None:
            return
        entry.attempts += 1
        self._resting.add(key)
        entry.plugins, entry.state, entry.since = frozenset(plugins), "waiting", now
        entry.until = now + backoff(entry.attempts)

    def failed(self, key: Key, now: float) -> None:
        """An error: again after the back-off."""
        entry = self._known.get(key)
        if entry is not None:
            entry.attempts += 1
            self._resting.add(key)
            entry.state, entry.until, entry.plugins = "backing off", now + backoff(entry.attempts), frozenset()

    def wake(self, event: str, now: float) -> None:
        """Something changed: those whose refusal it may lift become due."""
        helped = WAKES[event]
        for key in list(self._resting):
            entry = self._known[key]
            if entry.state == "waiting" and ("*" in helped or entry.plugins & helped):
                if entry.until > now:
                    entry.state = "backing off"
                else:
                    self._activate(key, entry)

    def _flush(self, now: float) -> None:
        for key in list(self._resting):
            entry = self._known[key]
            if (entry.state == "backing off" and entry.until <= now) or (
                entry.state == "waiting" and now - entry.since > FLUSH
            ):
                self._activate(key, entry)

    def due(self, now: float) -> float | None:
        """Seconds until a pod is due by time alone; None: none."""
        resting = [self._known[key] for key in self._resting]
        times = [e.until if e.state == "backing off" else e.since + FLUSH for e in resting]
        return max(min(times) - now, 0.0) if times else None
