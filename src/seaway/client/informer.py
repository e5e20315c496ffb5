"""An informer: the cache of one resource, kept true by a reflector, with indexes and listeners.

Everything happens on the event loop. A listener is called for each change, after the cache has it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seaway.api.kinds import Kind
from seaway.api.tree import Key
from seaway.client.api import Reads
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.reflector import Change, List, Next, Reflector, Sleep

Tree = dict[str, Any]
log = logging.getLogger("seaway.client")
PAGE = 500


class Informer:
    """`transform` shapes each tree before it is kept (to drop what nobody reads). `page`: objects a page of the list."""

    def __init__(
        self,
        api: Reads,
        kind: Kind,
        namespace: str = "",
        query: Mapping[str, str] | None = None,
        transform: Callable[[Tree], Tree] | None = None,
        page: int = PAGE,
    ) -> None:
        self.api, self.kind, self.namespace = api, kind, namespace
        self._query = dict(query or {})
        self._transform = transform
        self._page = page
        self._reflector = Reflector()
        self._listeners: list[Callable[[Change], None]] = []
        self._indexes: dict[str, tuple[Callable[[Tree], Iterable[str]], dict[str, set[Key]]]] = {}
        self.synced = asyncio.Event()
        self.trouble: ApiStatusError | Unavailable | None = None  # what the last list or watch ended with

    # reading

    def get(self, namespace: str, name: str) -> Tree | None:
        return self._reflector.cache.get(Key(namespace, name))

    def all(self) -> list[Tree]:
        return list(self._reflector.cache.values())

    @property
    def version(self) -> int:
        """The resourceVersion that the cache has come to; 0 before the first list."""
        return int(self._reflector.version or 0)

    def names(self) -> list[Key]:
        return list(self._reflector.cache)

    def add_index(self, name: str, of: Callable[[Tree], Iterable[str]]) -> None:
        """An index, before the informer runs: `of` gives the values that an object is found under."""
        self._indexes[name] = (of, {})

    def by(self, index: str, value: str) -> list[Tree]:
        found = self._indexes[index][1].get(value, ())
        return [self._reflector.cache[k] for k in sorted(found)]

    def count(self, index: str, value: str) -> int:
        """How many objects `by` would give."""
        return len(self._indexes[index][1].get(value, ()))

    def listen(self, listener: Callable[[Change], None]) -> None:
        self._listeners.append(listener)

    # keeping

    async def run(self) -> None:
        """Lists and watches until cancelled; connection failures are waited out."""
        step: Next = self._reflector.start()
        while True:
            if isinstance(step, Sleep):
                await asyncio.sleep(step.seconds)
                step = step.then
                continue
            try:
                step = await (self._list() if isinstance(step, List) else self._watch(step.version))
            except Unavailable as e:
                self.trouble = e
                step = self._reflector.failed()
            except ApiStatusError as e:
                if e.code not in (410, 429, 503, 504) and str(e) != str(self.trouble):
                    log.warning("%s: %s", self.kind.resource, e)
                self.trouble = e
                step = self._reflector.failed(e.code)

    async def _list(self) -> Next:
        items: list[Tree] = []
        query = {**self._query, "limit": str(self._page)}
        while True:
            page = await self.api.list(self.kind, self.namespace, query)
            # The items of a list do not say what they are; watch events do, and so do cached objects.
            named = {"kind": self.kind.kind, "apiVersion": self.kind.api_version}
            items += [self._shape({**named, **t}) for t in page.get("items") or ()]
            more = page["metadata"].get("continue")
            if not more:
                break
            query["continue"] = more
        changes, step = self._reflector.listed(items, page["metadata"]["resourceVersion"])
        self._tell(changes)
        self.trouble = None
        self.synced.set()
        return step

    async def _watch(self, version: str) -> Next:
        query = {**self._query, "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": "600"}
        stream = self.api.watch(self.kind, self.namespace, query)
        try:
            async for event in stream:
                if event.get("type") not in ("ERROR", "BOOKMARK"):  # a bookmark is no object: it has a version alone
                    event = {**event, "object": self._shape(event["object"])}
                changes, over = self._reflector.watched(event)
                self._tell(changes)
                if over is not None:
                    return over
        finally:
            await stream.aclose()  # type: ignore[attr-defined]
        return self._reflector.ended()

    def _shape(self, tree: Tree) -> Tree:
        return self._transform(tree) if self._transform else tree

    def _tell(self, changes: list[Change]) -> None:
        for change in changes:
            for of, table in self._indexes.values():
                before = set(of(change.old)) if change.old is not None else set()
                after = set(of(change.new)) if change.new is not None else set()
                for value in before - after:
                    keys = table.get(value, set())
                    keys.discard(change.key)
                    if not keys:
                        table.pop(value, None)
                for value in after - before:
                    table.setdefault(value, set()).add(change.key)
        for change in changes:
            for listener in self._listeners:
                listener(change)
