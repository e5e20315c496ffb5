"""Statuses written: what is wanted against what is there, one object at a time, again where somebody else was faster.

Where another controller writes over what we write (two installations with one controllerName) neither can win: the pause between
two writes of such an object doubles each time, and its owner is told.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from seaway.api.tree import Key, stamp
from seaway.client.errors import ApiStatusError, Conflict, NotFound, Unavailable
from seaway.client.reconcile import Reconciler
from seaway.client.rest import Api
from seaway.gateway import statuses
from seaway.gateway.watching import Watching
from seaway.routing.engine import Status

Tree = dict[str, Any]
log = logging.getLogger("seaway.gateway")
WORKERS = 8
MANAGER = "seaway-gateway"  # of what we write, by the name of this client
LOOK_AGAIN = 0.1  # seconds until a status that was left as it stands is looked at again
LONGEST = 60.0  # seconds between two writes of a status that others write over; after as long a peace it is forgotten
TOLD_AT = 3  # times that it was written over: once may be a hand's work


class _Written(NamedTuple):
    """When a status was written last, what it was to be, and how often it had to be written again for others had changed it."""

    at: float
    wanted: Tree
    again: int = 0


class StatusWriter:
    """`wrote` is called for each write; `unknown`: what proxies hold is not known yet. `pause`: least seconds between two writes
    of one object, so that what changes by the second costs a write a while. `contested(object, manager)`: somebody else, by the
    name in its managed fields, writes over it again and again."""

    def __init__(
        self,
        api: Api,
        watching: Watching,
        controllers: Callable[[], tuple[str, ...]],
        pause: float = 0.2,
        wrote: Callable[[], None] = lambda: None,
        unknown: Callable[[], bool] = lambda: False,
        contested: Callable[[Tree, str], None] = lambda about, manager: None,
    ) -> None:
        self._api, self._watching, self._controllers, self._pause = api, watching, controllers, pause
        self._wrote, self._unknown, self._contested = wrote, unknown, contested
        self._wanted: dict[tuple[str, Key], Status] = {}
        self._clearing: dict[tuple[str, Key], Callable[[Tree], bool]] = {}
        self._last: dict[tuple[str, Key], _Written] = {}
        self.queue: Reconciler[tuple[str, Key]] = Reconciler("status", self._write, WORKERS)

    def want(self, status: Status) -> None:
        place = (status.resource, Key(status.namespace, status.name))
        self._wanted[place] = status
        self._clearing.pop(place, None)
        self.queue.add(place)

    def clear(self, resource: str, key: Key, due: Callable[[Tree], bool]) -> None:
        """Its load balancer's addresses go, once, when `due(object)`: as soon as they are known to be what we wrote. Once, for
        another controller may have the same ones."""
        self._clearing[resource, key] = due
        self.queue.add((resource, key))

    def look_at_cleared(self) -> None:
        """What is due to be cleared may have changed."""
        for place in self._clearing:
            self.queue.add(place)

    def look(self, resource: str, key: Key) -> None:
        """The object has changed: somebody may have written over its status."""
        if (resource, key) in self._wanted or (resource, key) in self._clearing:
            self.queue.add((resource, key))

    def forget(self, resource: str, key: Key) -> None:
        self._wanted.pop((resource, key), None)
        self._clearing.pop((resource, key), None)
        self._last.pop((resource, key), None)

    async def run(self) -> None:
        await self.queue.run()

    async def _write(self, place: tuple[str, Key]) -> float | None:
        resource, key = place
        status, current = self._wanted.get(place), self._watching.get(resource, key)
        if current is None:
            return None
        if status is None:
            due = self._clearing.get(place)
            if due is None or not due(current):
                return None
            status = Status(resource, *key, {"loadBalancer": {}})
        patch = statuses.merged(status, current, self._controllers(), stamp(time.time()))
        if patch is None:
            return None
        if self._unknown() and statuses.stands(current, self._controllers()):
            return LOOK_AGAIN
        now, last, again = time.monotonic(), self._last.get(place), 0
        if last is not None:
            pause = min(self._pause * 2**last.again, max(LONGEST, self._pause))
            again = last.again if now - last.at < pause + LONGEST else 0
            written_over = last.wanted == status.tree
            wait = last.at + (pause if written_over else self._pause) - now
            if wait > 0:
                return wait
            again += written_over
        kind = self._watching.kinds[resource]
        body = {"metadata": {"resourceVersion": current["metadata"]["resourceVersion"]}, "status": patch}
        try:
            await self._api.patch(kind, key.namespace, key.name, body, "status")
        except Conflict:
            return 0.02  # the newer object is on its way
        except NotFound:
            return None
        self._last[place] = _Written(now, status.tree, again)
        if again == TOLD_AT:
            self._contested(current, await self._rival(resource, key))
        self._wrote()
        self._clearing.pop(place, None)
        return None

    async def _rival(self, resource: str, key: Key) -> str:
        """Who else writes the status of an object, as its managed fields say; "" where they do not."""
        try:
            tree = await self._api.get(self._watching.kinds[resource], key.namespace, key.name)
        except (ApiStatusError, Unavailable):
            return ""
        fields = tree["metadata"].get("managedFields") or ()
        others = [f for f in fields if f.get("subresource") == "status" and f.get("manager") != MANAGER]
        return str(max(others, key=lambda f: str(f.get("time") or ""))["manager"]) if others else ""
