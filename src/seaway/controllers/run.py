"""Running controllers: shared caches, expectations, and the process's loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any, Protocol

from seaway.api.tree import Key
from seaway.client.informer import Informer
from seaway.client.reconcile import Reconciler
from seaway.client.rest import Api, kind_of

EXPECT_FOR = 30.0


class Caches:
    """One informer a resource, made when first asked for."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._informers: dict[str, Informer] = {}

    def of(self, resource: str, fields: str = "") -> Informer:
        """`fields`: a field selector, for those who need a few objects of many."""
        name = f"{resource}?{fields}" if fields else resource
        if name not in self._informers:
            query = {"fieldSelector": fields} if fields else None
            self._informers[name] = Informer(self.api, kind_of(resource), query=query)
        return self._informers[name]

    def known(self, resource: str) -> Informer | None:
        """The informer of a whole resource, where somebody has asked for it."""
        return self._informers.get(resource)

    def all(self) -> Iterable[Informer]:
        return self._informers.values()


class Controller(Protocol):
    """A controller registers its listeners in its constructor; `queue` does the rest."""

    queue: Reconciler[Key]


class Expectations:
    """What a controller has done but not yet seen in its cache: until it has, it must not count again (client-go's
    ControllerExpectations, with names and versions instead of numbers). resourceVersions grow (KEP-5504): a cache that has come
    past a version has seen what became of that write, even where the object was gone again before a list could show it."""

    def __init__(self, cache: Informer | None = None) -> None:
        self._cache = cache
        self._waiting: dict[Key, dict[str, tuple[int, float]]] = {}

    def expect(self, key: Key, name: str, version: str = "0") -> None:
        """`name` is to be seen, at this version or a later one."""
        self._waiting.setdefault(key, {})[name] = (int(version), time.monotonic() + EXPECT_FOR)

    def expect_answer(self, key: Key, answer: dict[str, Any], cached: dict[str, Any] | None) -> None:
        """An object as a write returned it; nothing is expected where the cache has it, or a later state, already."""
        meta = answer["metadata"]
        if cached is None or int(cached["metadata"]["resourceVersion"]) < int(meta["resourceVersion"]):
            self.expect(key, meta["name"], meta["resourceVersion"])

    def seen(self, key: Key, name: str, version: str = "0") -> None:
        waiting = self._waiting.get(key)
        if waiting and name in waiting and int(version) >= waiting[name][0]:
            del waiting[name]
            if not waiting:
                del self._waiting[key]

    def met(self, key: Key) -> bool:
        waiting = self._waiting.get(key)
        if not waiting:
            return True
        now, past = time.monotonic(), self._cache.version if self._cache else 0
        for name in [n for n, (version, until) in waiting.items() if now > until or 0 < version <= past]:
            del waiting[name]
        if not waiting:
            del self._waiting[key]
        return not waiting


async def run(caches: Caches, controllers: Iterable[Controller]) -> None:
    """Fills the caches, then works until cancelled."""
    controllers = list(controllers)
    async with asyncio.TaskGroup() as group:
        for informer in caches.all():
            group.create_task(informer.run())
        for informer in caches.all():
            await informer.synced.wait()
        for controller in controllers:
            group.create_task(controller.queue.run())
