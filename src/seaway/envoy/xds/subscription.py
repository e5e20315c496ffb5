"""What one stream asked for of one type, and what it holds of it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from seaway.envoy.xds.blame import Group
from seaway.envoy.xds.resources import Resource
from seaway.envoy.xds.usage import Usage

WILDCARD = "*"


class Flight(NamedTuple):
    """A response that is not answered yet; None where it takes a resource away."""

    nonce: str
    at: int
    sent: dict[str, Resource | None]


class Refusal(NamedTuple):
    """The version that a proxy refused, alone in its response, and what it said."""

    version: str
    message: str

    def collides(self) -> bool:
        """It may be good, but for another that the proxy has (lds_api.cc, scoped_rds.cc)."""
        return "conflict" in self.message or "duplicate" in self.message


class Subscription:
    """The names of a type, their versions on the proxy, and what is still to be looked at."""

    def __init__(self, type: str, usage: Usage) -> None:
        self.type = type
        self.wildcard = False
        self.names: set[str] = set()
        self.resumed = False  # the proxy came with versions of an earlier stream
        self.unanswered = False  # a wildcard that waits for a first answer, even an empty one
        self.held: dict[str, Resource] = {}
        self.foreign: set[str] = set()  # held in a version of which nobody here knows the needs
        self.possible: dict[str, list[Resource]] = {}  # sent, and perhaps in force: in flight, or in a refused response
        self.dirty: set[str] = set()
        self.forced: set[str] = set()  # to be answered even when nothing changed
        self.leaving: set[str] = set()  # not wanted, and kept for their users
        self.trials: deque[Group] = deque()
        self.refused: dict[str, Refusal] = {}
        self.flight: Flight | None = None
        self._usage = usage

    def covers(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def idle(self) -> bool:
        """Nothing to look at, and nothing on its way."""
        return not (self.dirty or self.trials or self.unanswered or self.flight)

    def has(self, name: str) -> bool:
        """The proxy has it, or may have it."""
        return name in self.held or name in self.possible

    def hold(self, name: str, found: Resource, foreign: bool = False) -> None:
        """The proxy has this now, instead of what it had."""
        self._usage.add(found)
        old = self.held.get(name)
        if old is not None:
            self._usage.drop(old)
        self.held[name] = found
        if foreign:
            self.foreign.add(name)
        else:
            self.foreign.discard(name)

    def may_hold(self, name: str, found: Resource) -> None:
        self._usage.add(found)
        self.possible.setdefault(name, []).append(found)

    def settle(self, name: str) -> None:
        """The proxy said what it has of this name: what it might have had, it has not."""
        for found in self.possible.pop(name, ()):
            self._usage.drop(found)

    def never_held(self, name: str, found: Resource) -> None:
        """This one version was refused for certain."""
        left = self.possible.get(name, [])
        if found in left:
            left.remove(found)
            self._usage.drop(found)
        if not left:
            self.possible.pop(name, None)

    def lose(self, name: str) -> None:
        """The proxy has it no longer."""
        old = self.held.pop(name, None)
        if old is not None:
            self._usage.drop(old)
        self.foreign.discard(name)
        self.leaving.discard(name)
