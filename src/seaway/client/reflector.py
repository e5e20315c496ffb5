"""The list/watch/410 state machine that keeps a cache true; pure. `informer` does what it asks for.

Input: what happened (`Listed`, `Watched`, `Ended`, `Failed`). Output: what to do next (`List`, `Watch`, `Sleep`) and the
changes for the cache. It never misses a change: a watch continues from the last version seen, and where the server has
forgotten that version, a new list is compared with the cache, so that deletions in between come out as deletions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seaway.api.tree import Key, key_of

Tree = dict[str, Any]
BACKOFF = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the cache: `new` None is a deletion, `old` None an addition."""

    key: Key
    old: Tree | None
    new: Tree | None


@dataclass(frozen=True, slots=True)
class List:
    """Ask for the whole list."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Watch from after this resourceVersion."""

    version: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait, then do what follows."""

    seconds: float
    then: List | Watch


Next = List | Watch | Sleep


class Reflector:
    """State: the cache (key -> tree), the last version, whether the first list has come, failures in a row."""

    def __init__(self) -> None:
        self.cache: dict[Key, Tree] = {}
        self.version = ""
        self.synced = False
        self.failures = 0

    def start(self) -> Next:
        return Watch(self.version) if self.synced else List()

    def listed(self, items: list[Tree], version: str) -> tuple[list[Change], Next]:
        fresh = {key_of(t): t for t in items}
        changes = [Change(k, t, None) for k, t in self.cache.items() if k not in fresh]
        for key, tree in fresh.items():
            old = self.cache.get(key)
            if old is None or not same(old, tree):
                changes.append(Change(key, old, tree))
        self.cache, self.version, self.synced, self.failures = fresh, version, True, 0
        return changes, Watch(version)

    def watched(self, event: Mapping[str, Any]) -> tuple[list[Change], Next | None]:
        """One event of the running watch; a Next means that the watch is over."""
        kind, tree = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            if tree.get("code") == 410:
                return [], List()
            return [], self.failed()
        self.failures = 0
        version = (tree.get("metadata") or {}).get("resourceVersion")
        if version:
            self.version = version
        if kind == "BOOKMARK":
            return [], None
        key = key_of(tree)
        old = self.cache.get(key)
        if kind == "DELETED":
            if old is None:
                return [], None
            del self.cache[key]
            return [Change(key, old, None)], None
        self.cache[key] = tree
        if old is not None and same(old, tree):
            return [], None
        return [Change(key, old, tree)], None

    def ended(self) -> Next:
        """The server closed the watch, as it does after a while."""
        return Watch(self.version)

    def failed(self, code: int = 0) -> Next:
        """No answer, or an error: once more after a while; 410 means that the version is forgotten."""
        then: List | Watch = List() if code == 410 or not self.synced else Watch(self.version)
        wait = 0.0 if code == 410 else BACKOFF[min(self.failures, len(BACKOFF) - 1)]
        self.failures += 1
        return Sleep(wait, then) if wait else then


def same(old: Tree, new: Tree) -> bool:
    """The same version of the same object."""
    a, b = old.get("metadata") or {}, new.get("metadata") or {}
    return a.get("uid") == b.get("uid") and a.get("resourceVersion") == b.get("resourceVersion")
