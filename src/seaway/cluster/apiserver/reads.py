"""get, list and watch: selectors, pages, versions, and the forms answers take (JSON, Table, PartialObjectMetadata)."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seaway.api import selectors
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import fields, forms, listing, tables
from seaway.cluster.apiserver.answers import Form
from seaway.cluster.apiserver.calls import Edges
from seaway.cluster.apiserver.journal import ADDED, DELETED, MODIFIED
from seaway.cluster.apiserver.listing import PIECE, ROWS, Listing
from seaway.cluster.apiserver.listoptions import check_list, check_watch, decode_continue, encode_continue
from seaway.cluster.apiserver.options import flag, number
from seaway.cluster.apiserver.status import (
    ApiError,
    bad_request,
    expired,
    not_found,
)
from seaway.cluster.apiserver.storage import NAMES, Compacted, Entry, Event, Storage, encode
from seaway.cluster.apiserver.watchlines import Shower

Tree = dict[str, Any]
Turn = Callable[[], Awaitable[None]]
BLOCK = 200  # objects that selectors look at in one go
BOOKMARK_EVERY = 55.0
BOOKMARK_BEFORE_END = 2.0
WATCH_LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class Filter:
    """The selectors of a list or watch."""

    kind: Kind
    labels: selectors.Selector
    terms: tuple[selectors.FieldTerm, ...]

    @classmethod
    def read(cls, kind: Kind, query: Mapping[str, str], name: str = "") -> Filter:
        try:
            labels = selectors.parse_labels(query.get("labelSelector", ""))
            terms = selectors.parse_fields(query.get("fieldSelector", ""))
        except selectors.SelectorError as e:
            raise bad_request(str(e)) from None
        if kind.custom is not None:
            fields.check_custom(kind.custom.selectable, kind.namespaced, terms)
        else:
            fields.check(kind.group_resource, kind.kind, terms)
        terms = forms.terms(kind, terms)
        if name:
            terms = (*terms, selectors.FieldTerm("metadata.name", name, True))
        return cls(kind, labels, terms)

    @property
    def everything(self) -> bool:
        return not self.terms and not self.labels.requirements

    def matches(self, entry: Entry) -> bool:
        if self.everything:
            return True
        index = entry.index(self._index)
        if not self.labels.matches(index["labels"]):
            return False
        have = index["fields"]
        if self.kind.custom is not None and self.kind.custom.selectable and self.terms:
            version = self.kind.custom
            of = f"{version.definition.mark}/{version.name}"
            if of not in index:
                index[of] = {**have, **fields.custom_values(version.selectable, forms.seen(self.kind, entry))}
            have = index[of]
        return fields.matches(self.terms, have)

    @property
    def stored(self) -> str:
        return forms.stored_kind(self.kind).group_resource

    def _index(self, tree: Tree) -> Tree:
        return {"labels": tree["metadata"].get("labels") or {}, "fields": fields.values(self.stored, tree)}


async def _matching(wanted: Filter, entries: list[Entry], turn: Turn) -> list[Entry]:
    """The entries that selectors choose. Looking at one for the first time means decoding it."""
    found: list[Entry] = []
    for at in range(0, len(entries), BLOCK):
        if at:
            await turn()
        found += [e for e in entries[at : at + BLOCK] if wanted.matches(e)]
    return found


class Reads:
    def __init__(self, storage: Storage, edges: Edges) -> None:
        self.storage, self.edges = storage, edges

    def get(self, kind: Kind, key: str, name: str) -> Entry:
        stored = forms.stored_kind(kind)
        entry = self.storage.get(stored.group_resource, key)
        if entry is None:
            raise not_found(stored, name)
        return entry

    def show(self, kind: Kind, entry: Entry, form: Form) -> bytes:
        if form.shape == "table":
            tree = forms.opened(kind, entry)
            meta = {"resourceVersion": tree["metadata"]["resourceVersion"]}
            return encode(listing.table_of(kind, [tree], meta, self.edges.now(), form.include))
        if form.shape == "metadata":
            return encode(tables.partial(entry.tree))
        return forms.data(kind, entry)

    async def list(self, kind: Kind, namespace: str, query: Mapping[str, str], form: Form, turn: Turn) -> Listing:
        """What a list shows. `turn` is awaited before each piece of long work."""
        storage, wanted = self.storage, Filter.read(kind, query)
        prefix = f"{namespace}/" if namespace else ""
        limit = max(number(query, "limit") or 0, 0)
        start, rv = "", storage.rv
        version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        check_list(query)
        number(query, "timeoutSeconds")
        token = query.get("continue", "")
        if token:
            rv, start = decode_continue(token)
        elif match == "Exact" or (version not in ("", "0") and limit and not match):
            rv = int(version)
        if version and version != "0" and int(version) > storage.rv:
            raise self._too_large(int(version))
        if rv > storage.rv:
            raise self._too_large(rv)
        try:
            entries = (
                storage.entries(wanted.stored, prefix)
                if rv == storage.rv
                else storage.list_at(wanted.stored, prefix, rv)
            )
        except Compacted:
            if token:
                error = expired(
                    "The provided continue parameter is too old to display a consistent list result. You can "
                    "start a new list without the continue parameter, or use the continue token in this response "
                    "to retrieve the remainder of the results. Continuing with the provided token results in an "
                    "inconsistent list - objects that were created, modified, or deleted between the time the "
                    "first chunk was returned and now may show up in the list."
                )
                error.tree["metadata"] = {"continue": encode_continue(storage.rv, start)}
                raise error from None
            raise expired(f"The resourceVersion for the provided list is too old: {rv}") from None
        if start:
            entries = entries[bisect.bisect_left(entries, start, key=lambda e: e.key) :]
        if wanted.terms:
            await forms.prepare(kind, entries, True)
        if not wanted.everything:
            entries = await _matching(wanted, entries, turn)
        chosen = entries[:limit] if limit else entries
        remaining = len(entries) - len(chosen)
        await forms.prepare(kind, chosen, True)
        meta: Tree = {"resourceVersion": str(rv)}
        if remaining:
            meta["continue"] = encode_continue(rv, chosen[-1].key + "\0")
            if wanted.everything:
                meta["remainingItemCount"] = remaining
        return Listing(kind, wanted.stored, chosen, meta, form, self.edges.now())

    def _too_large(self, rv: int) -> ApiError:
        message = f"Too large resource version: {rv}, current: {self.storage.rv}"
        details = {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }
        return ApiError(504, "Timeout", f"Timeout: {message}", details)

    async def watch(
        self,
        kind: Kind,
        namespace: str,
        query: Mapping[str, str],
        form: Form,
        name: str,
        turn: Turn,
        too_slow: Callable[[], None],
    ) -> AsyncIterator[bytes]:
        """The lines of a watch. Errors before the first line are raised, later ones are ERROR events.

        `turn` is awaited before each piece of the initial events; `too_slow` is called where the reader is left behind.
        """
        wanted = Filter.read(kind, query, name)
        version = query.get("resourceVersion", "")
        check_watch(query)
        if form.shape == "metadata-list":
            form = Form("metadata")
        # Initial events that are not asked for are not sent: the watch then starts at the newest version.
        initial = flag(query, "sendInitialEvents")
        if "sendInitialEvents" in query and not initial and version in ("", "0"):
            version = str(self.storage.rv)
        timeout = min(float(number(query, "timeoutSeconds") or WATCH_LONGEST), WATCH_LONGEST)
        bookmarks = flag(query, "allowWatchBookmarks")
        shower = Shower(kind, form, self.edges)
        return self._stream(wanted, namespace, version, initial, shower, timeout, bookmarks, turn, too_slow)

    async def _stream(
        self,
        wanted: Filter,
        namespace: str,
        version: str,
        initial: bool,
        shower: Shower,
        timeout: float,
        bookmarks: bool,
        turn: Turn,
        too_slow: Callable[[], None],
    ) -> AsyncIterator[bytes]:
        storage = self.storage
        prefix = f"{namespace}/" if namespace else ""
        from_now = version in ("", "0") or initial
        if version not in ("", "0") and int(version) > storage.rv:
            yield shower.error(self._too_large(int(version)))
            return
        try:
            watch = storage.watch(wanted.stored, prefix, None if from_now else int(version), too_slow)
        except Compacted:
            yield shower.error(expired(f"too old resource version: {version} ({storage.compacted + 1})"))
            return
        try:
            if from_now:
                start = storage.rv
                async for lines in self._initial(wanted, storage.entries(wanted.stored, prefix), shower, turn):
                    yield lines
                if initial and bookmarks:
                    yield shower.bookmark(start, ended=True)
            loop = asyncio.get_running_loop()
            end = loop.time() + timeout
            next_bookmark = self._next_bookmark(loop.time(), end)
            while not watch.closed and (left := end - loop.time()) > 0:
                events = await watch.take(min(left, max(next_bookmark - loop.time(), 0.01)))
                if events:
                    seen = (e for event in events for e in (event.entry, event.prev) if e is not None)
                    await forms.prepare(wanted.kind, seen)
                out = [line for event in events if (line := self._line(wanted, event, shower))]
                if out:
                    yield b"".join(out)
                # With nothing waiting, everything up to the newest version has been sent.
                if loop.time() >= next_bookmark and watch.idle:
                    next_bookmark = self._next_bookmark(loop.time(), end)
                    if bookmarks:
                        yield shower.bookmark(storage.rv)
        except ApiError as e:  # a conversion webhook that does not answer
            yield shower.error(e)
        finally:
            watch.close()

    @staticmethod
    async def _initial(wanted: Filter, entries: Sequence[Entry], shower: Shower, turn: Turn) -> AsyncIterator[bytes]:
        """The ADDED events of what is there, in pieces."""
        await forms.prepare(wanted.kind, entries)
        lines: list[bytes] = []
        size = 0
        for count, entry in enumerate(entries, 1):
            if wanted.matches(entry):
                lines.append(shower.entry("ADDED", entry))
                size += len(lines[-1])
            if size >= PIECE or (count % ROWS == 0 and not (shower.as_stored and wanted.everything)):
                if lines:
                    yield b"".join(lines)
                    lines, size = [], 0
                await turn()
        if lines:
            yield b"".join(lines)

    @staticmethod
    def _next_bookmark(now: float, end: float) -> float:
        """About every minute, and once more just before the watch ends, so that its client continues from there."""
        last = end - BOOKMARK_BEFORE_END
        return min(now + BOOKMARK_EVERY, last) if last > now else now + BOOKMARK_EVERY

    @staticmethod
    def _line(wanted: Filter, event: Event, shower: Shower) -> bytes:
        """An event as this watch sees it: what enters or leaves its selectors is ADDED or DELETED."""
        kind = event.kind
        if not wanted.everything:
            now = kind != DELETED and wanted.matches(event.entry)
            before = event.prev is not None and wanted.matches(event.prev)
            if kind == DELETED:
                if not before and not wanted.matches(event.entry):
                    return b""
            elif now:
                kind = MODIFIED if before else ADDED
            elif before and event.prev is not None:
                return shower.line(NAMES[DELETED], event.prev, event.entry.rv)
            else:
                return b""
        return shower.event(event, kind)
