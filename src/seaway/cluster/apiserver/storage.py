"""Objects in memory with one resourceVersion, their recent history, and the watches on it.

Rules: a write is checked against the newest state, durable or not; reads and watches see durable states only; an answer
and its watch event leave after the journal's fsync, in the order of resourceVersions. Everything here runs on the event
loop; only `Journal.write` runs in a thread.
"""

from __future__ import annotations

import asyncio
import bisect
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from seaway.cluster.apiserver.journal import ADDED, DELETED, MODIFIED, Change, Journal

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
NAMES = {ADDED: "ADDED", MODIFIED: "MODIFIED", DELETED: "DELETED"}
KEEP_EVENTS, KEEP_BYTES = 30_000, 64 << 20
WATCH_BACKLOG, WATCH_BYTES = 20_000, 32 << 20  # what may wait for one watch
WATCH_CHUNK = 128 << 10  # what a watch takes at a time
SHARED = 256  # events whose encoded forms are kept for the watches that have not taken them yet


class StorageError(Exception):
    """The journal refused a group: nothing of it happened."""


class Compacted(Exception):
    """The history no longer reaches back to the resourceVersion asked for."""


class Entry:
    """A stored object: its encoded form and its version. `tree` decodes anew each time: nobody shares it.

    `checked` is the mark of the custom definition whose schema had nothing to change in it.
    """

    __slots__ = ("_index", "checked", "data", "key", "rv")

    def __init__(self, key: str, rv: int, data: bytes) -> None:
        self.key, self.rv, self.data = key, rv, data
        self.checked = ""
        self._index: dict[str, Any] | None = None

    @property
    def tree(self) -> dict[str, Any]:
        found: dict[str, Any] = decode(self.data)
        return found

    def index(self, of: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """What selectors look at, computed once."""
        if self._index is None:
            self._index = of(self.tree)
        return self._index


class Event:
    """A durable change as watches see it. `cache` holds encoded forms that watches share."""

    __slots__ = ("cache", "entry", "kind", "prev", "resource")

    def __init__(self, kind: int, resource: str, entry: Entry, prev: Entry | None) -> None:
        self.kind, self.resource, self.entry, self.prev = kind, resource, entry, prev
        self.cache: dict[Any, bytes] = {}

    @property
    def size(self) -> int:
        return len(self.entry.data)


class Watch:
    """A queue of events of one resource. Iterating waits; it ends when the watch is closed or has fallen too far behind."""

    def __init__(self, storage: Storage, resource: str, prefix: str, too_slow: Callable[[], None]) -> None:
        self._storage, self.resource, self.prefix, self._too_slow = storage, resource, prefix, too_slow
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._wake: asyncio.Future[None] | None = None
        self.closed = False

    def offer(self, event: Event) -> None:
        self._bytes += event.size
        self._events.append(event)
        if len(self._events) > WATCH_BACKLOG or self._bytes > WATCH_BYTES:
            self._events.clear()
            self.close()  # a reader this slow starts again from its last version
            self._too_slow()
            return
        self.wake()

    @property
    def idle(self) -> bool:
        """Whether every event so far has been taken."""
        return not self._events

    def wake(self) -> None:
        if self._wake and not self._wake.done():
            self._wake.set_result(None)

    async def take(self, timeout: float) -> list[Event]:
        """Events that are there, at most a chunk, after waiting at most `timeout` seconds; empty at the time-out or the end."""
        if not self._events and not self.closed:
            self._wake = asyncio.get_running_loop().create_future()
            handle = asyncio.get_running_loop().call_later(timeout, self.wake)
            try:
                await self._wake
            finally:
                handle.cancel()
        events, size = [], 0
        while self._events and size < WATCH_CHUNK:
            events.append(event := self._events.popleft())
            size += event.size
        self._bytes -= size
        return events

    def close(self) -> None:
        self.closed = True
        self._storage.watches.get(self.resource, set()).discard(self)
        self.wake()


class Storage:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.objects: dict[str, dict[str, Entry]] = {}
        self._sorted: dict[str, list[str]] = {}
        self._pending: dict[tuple[str, str], Entry | None] = {}
        self._queue: list[tuple[Change, Event, asyncio.Future[Entry]]] = []
        self._writing = False
        self.history: deque[Event] = deque()
        self._history_bytes = 0
        self.watches: dict[str, set[Watch]] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self.trouble = ""  # why the last group of writes was refused; "" after one that was not
        self._thread = ThreadPoolExecutor(1, "journal")
        self.rv, self.compacted, objects, history = journal.load()
        self.next_rv = self.rv + 1
        self._compact_to = 0
        for resource, key, rv, data in objects:
            self.objects.setdefault(resource, {})[key] = Entry(key, rv, data)
        for c in history:
            prev = Entry(c.key, 0, c.prev) if c.prev is not None else None
            self._remember(Event(c.kind, c.resource, Entry(c.key, c.rv, c.data), prev))

    # reading

    def get(self, resource: str, key: str) -> Entry | None:
        """The durable state."""
        return self.objects.get(resource, {}).get(key)

    def newest(self, resource: str, key: str) -> Entry | None:
        """The state that the next write builds on, durable or not."""
        if (resource, key) in self._pending:
            return self._pending[(resource, key)]
        return self.get(resource, key)

    def newest_all(self, resource: str) -> Iterator[Entry]:
        """All newest states of a resource (for allocators and admission)."""
        pending = {k: e for (r, k), e in self._pending.items() if r == resource}
        for key, entry in self.objects.get(resource, {}).items():
            if key not in pending:
                yield entry
        yield from (e for e in pending.values() if e is not None)

    def keys(self, resource: str, prefix: str) -> list[str]:
        """Sorted keys under a prefix (`namespace/`, or empty for all)."""
        known = self._sorted.get(resource)
        if known is None:
            known = self._sorted[resource] = sorted(self.objects.get(resource, ()))
        if not prefix:
            return known
        start = bisect.bisect_left(known, prefix)
        return known[start : bisect.bisect_left(known, prefix[:-1] + "0", start)]  # "0" follows "/"

    def entries(self, resource: str, prefix: str) -> list[Entry]:
        table = self.objects.get(resource, {})
        return [table[k] for k in self.keys(resource, prefix)]

    def list_at(self, resource: str, prefix: str, rv: int) -> list[Entry]:
        """The list as it was at a version, by undoing what came after; Compacted when that is too long ago."""
        if rv < self.compacted:
            raise Compacted
        table = {e.key: e for e in self.entries(resource, prefix)}
        for event in reversed(self.history):
            if event.entry.rv <= rv:
                break
            if event.resource == resource and event.entry.key.startswith(prefix):
                if event.prev is None:
                    table.pop(event.entry.key, None)
                else:
                    table[event.entry.key] = event.prev
        return [table[k] for k in sorted(table)]

    # writing

    def write(self, resource: str, key: str, kind: int, tree: dict[str, Any]) -> asyncio.Future[Entry]:
        """Queues a change and answers with a future that is done once it is durable. `tree` gets its resourceVersion."""
        before = self.newest(resource, key)
        rv = self.next_rv
        self.next_rv += 1
        tree["metadata"]["resourceVersion"] = str(rv)
        entry = Entry(key, rv, encode(tree))
        self._pending[(resource, key)] = None if kind == DELETED else entry
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Entry] = loop.create_future()
        prev = before.data if before is not None else None
        change = Change(rv, resource, key, kind, entry.data, prev)
        self._queue.append((change, Event(kind, resource, entry, before), future))
        if not self._writing:
            self._writing = True
            loop.call_soon(self._start_group, loop)
        return future

    def _start_group(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._queue = self._queue, []
        compact, self._compact_to = self._compact_to, 0
        done = loop.run_in_executor(self._thread, self.journal.write, [c for c, _, _ in group], compact)
        done.add_done_callback(lambda result: self._end_group(loop, group, result))

    def _end_group(
        self,
        loop: asyncio.AbstractEventLoop,
        group: list[tuple[Change, Event, asyncio.Future[Entry]]],
        result: asyncio.Future[None],
    ) -> None:
        failure = result.exception()
        self.trouble = str(failure) if failure is not None else ""
        if failure is not None:
            # What was queued meanwhile built on states that never came to be.
            failed, self._queue = group + self._queue, []
            self._pending.clear()
            self.next_rv = self.rv + 1
            for _, _, future in failed:
                if not future.done():
                    future.set_exception(StorageError(f"the storage refused the write: {failure}"))
            self._writing = False
            return
        for change, event, future in group:
            self._publish(change, event)
            if not future.done():
                future.set_result(event.entry)
        if self._queue:
            self._start_group(loop)
        else:
            self._writing = False

    def _publish(self, change: Change, event: Event) -> None:
        resource, key = change.resource, change.key
        table = self.objects.setdefault(resource, {})
        order = self._sorted.get(resource)
        if change.kind == DELETED:
            table.pop(key, None)
            if order is not None:
                at = bisect.bisect_left(order, key)
                if at < len(order) and order[at] == key:
                    del order[at]
        else:
            if key not in table and order is not None:
                bisect.insort(order, key)
            table[key] = event.entry
        pending = self._pending.get((resource, key), False)
        if pending is event.entry or (pending is None and change.kind == DELETED):
            del self._pending[(resource, key)]
        self.rv = change.rv
        self._remember(event)
        for listener in self.listeners:
            listener(event)
        for watch in tuple(self.watches.get(resource, ())):
            if key.startswith(watch.prefix):
                watch.offer(event)

    def _remember(self, event: Event) -> None:
        self.history.append(event)
        if len(self.history) > SHARED:
            self.history[-SHARED].cache.clear()
        self._history_bytes += event.size
        while len(self.history) > KEEP_EVENTS or self._history_bytes > KEEP_BYTES:
            old = self.history.popleft()
            self._history_bytes -= old.size
            self.compacted = self._compact_to = old.entry.rv

    def forget(self) -> None:
        """Ends the history here: what came before can no longer be watched or listed."""
        self.history.clear()
        self._history_bytes = 0
        self.compacted = self._compact_to = self.rv

    # watching

    def watch(
        self, resource: str, prefix: str, since: int | None, too_slow: Callable[[], None] = lambda: None
    ) -> Watch:
        """A watch from after `since` (None: from now on); Compacted when the history starts later.

        `too_slow` is called when its reader has fallen so far behind that the watch is ended.
        """
        watch = Watch(self, resource, prefix, too_slow)
        if since is not None and since < self.rv:
            if since < self.compacted:
                raise Compacted
            backlog: list[Event] = []
            for event in reversed(self.history):
                if event.entry.rv <= since:
                    break
                if event.resource == resource and event.entry.key.startswith(prefix):
                    backlog.append(event)
            watch._events.extend(reversed(backlog))
            watch._bytes = sum(e.size for e in backlog)
        self.watches.setdefault(resource, set()).add(watch)
        return watch

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self.journal.close()
