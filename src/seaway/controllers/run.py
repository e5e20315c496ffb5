"""Running controllers: shared caches, expectations, and the process's loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

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

    def of(self, resource: str) -> Informer:
        if resource not in self._informers:
            self._informers[resource] = Informer(self.api, kind_of(resource))
        return self._informers[resource]

    def all(self) -> Iterable[Informer]:
        return self._informers.values()


class Controller(Protocol):
    """A controller registers its listeners in its constructor; `queue` does the rest."""

    queue: Reconciler[Key]


class Expectations:
    """What a controller has done but not yet seen in its cache: until it has, it must not count again (client-go's
    ControllerExpectations, with names instead of numbers)."""

    def __init__(self) -> None:
        self._waiting: dict[Key, tuple[set[str], float]] = {}

    def expect(self, key: Key, name: str) -> None:
        names, _ = self._waiting.get(key, (set(), 0.0))
        names.add(name)
        self._waiting[key] = (names, time.monotonic() + EXPECT_FOR)

    def seen(self, key: Key, name: str) -> None:
        entry = self._waiting.get(key)
        if entry:
            entry[0].discard(name)
            if not entry[0]:
                del self._waiting[key]

    def met(self, key: Key) -> bool:
        entry = self._waiting.get(key)
        if entry is None:
            return True
        if time.monotonic() > entry[1]:
            del self._waiting[key]
            return True
        return False


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
