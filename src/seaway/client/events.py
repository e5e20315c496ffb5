"""Events as people read them in `kubectl describe`: written in the background, repeated ones counted. `Events` writes core/v1,
`Recorder` events.k8s.io/v1."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, NamedTuple

from seaway.api.tree import stamp, stamp_micro
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.rest import Api, kind_of

Tree = dict[str, Any]
EVENTS_KEPT = 500
TRIES, WAIT = 12, 10.0  # of an event that cannot be written, and seconds between two
SERIES = 360.0  # seconds after which what happens again is an event of its own (client-go tools/events, finishTime)


class Events:
    """Events about objects, repeated ones counted (client-go's correlator, in short). Losing one is no error."""

    def __init__(self, api: Api, component: str, host: str) -> None:
        self._api, self._component, self._host = api, component, host
        self._known: dict[tuple[str, ...], tuple[str, str, int]] = {}
        self._queue: asyncio.Queue[tuple[Tree, str, str, str, str]] = asyncio.Queue(EVENTS_KEPT)

    def tell(self, about: Tree, kind: str, reason: str, message: str, path: str = "") -> None:
        try:
            self._queue.put_nowait((about, kind, reason, message[:1024], path))
        except asyncio.QueueFull:
            pass

    async def run(self) -> None:
        while True:
            about, kind, reason, message, path = await self._queue.get()
            try:
                await self._write(about, kind, reason, message, path)
            except (ApiStatusError, Unavailable):
                continue

    async def _write(self, about: Tree, kind: str, reason: str, message: str, path: str) -> None:
        meta = about["metadata"]
        events, now = kind_of("events"), time.time()
        key = (meta["uid"], kind, reason, message, path)
        known = self._known.get(key)
        if known:
            namespace, name, count = known
            self._known[key] = (namespace, name, count + 1)
            await self._api.patch(events, namespace, name, {"count": count + 1, "lastTimestamp": stamp(now)})
            return
        name = f"{meta['name']}.{int(now * 1e9):x}"
        namespace = meta.get("namespace") or "default"
        ref = {
            "kind": about["kind"],
            "namespace": meta.get("namespace", ""),
            "name": meta["name"],
            "uid": meta["uid"],
            "apiVersion": about["apiVersion"],
            "resourceVersion": meta.get("resourceVersion", ""),
        }
        if path:
            ref["fieldPath"] = path
        tree = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": ref,
            "reason": reason,
            "message": message,
            "type": kind,
            "count": 1,
            "firstTimestamp": stamp(now),
            "lastTimestamp": stamp(now),
            "source": {"component": self._component, "host": self._host},
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
        if len(self._known) > EVENTS_KEPT:
            self._known.clear()
        self._known[key] = (namespace, name, 1)
        await self._api.create(events, namespace, tree)


class _Told(NamedTuple):
    """An event that was written: where, how often it has happened, and when for the last time."""

    namespace: str
    name: str
    times: int
    last: float


class Recorder:
    """Events of events.k8s.io/v1 about objects by reference; what happens again becomes a series, whatever its note says then
    (client-go tools/events). Losing one is no error."""

    def __init__(self, api: Api, controller: str, host: str) -> None:
        self._api, self._controller, self._instance = api, controller, f"{controller}-{host}"
        self._known: dict[tuple[str, ...], _Told] = {}
        self._queue: asyncio.Queue[tuple[Tree, str, str, str, str]] = asyncio.Queue(EVENTS_KEPT)

    def tell(self, regarding: Tree, kind: str, reason: str, action: str, note: str) -> None:
        """`regarding` is an ObjectReference."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait((regarding, kind, reason, action, note[:1024]))

    async def run(self) -> None:
        while True:
            told = await self._queue.get()
            try:
                await self._try(told, time.time())
            finally:
                self._queue.task_done()

    async def _try(self, told: tuple[Tree, str, str, str, str], now: float) -> None:
        """Refused is lost; while nobody answers it is tried again."""
        for _ in range(TRIES):
            try:
                return await self._write(told, now)
            except ApiStatusError:
                return
            except Unavailable:
                await asyncio.sleep(WAIT)

    async def flush(self, seconds: float) -> None:
        """Waits until everything is written, or for some time: for a process that ends."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), seconds)

    async def _write(self, told: tuple[Tree, str, str, str, str], now: float) -> None:
        regarding, kind, reason, action, note = told
        events = kind_of("events.events.k8s.io")
        key = (*(regarding.get(k, "") for k in ("kind", "namespace", "name", "uid")), kind, reason, action)
        known = self._known.get(key)
        if known is not None and now - known.last < SERIES:
            series = {"series": {"count": known.times + 1, "lastObservedTime": stamp_micro(now)}}
            await self._api.patch(events, known.namespace, known.name, series)
            self._known[key] = known._replace(times=known.times + 1, last=now)
            return
        namespace = regarding.get("namespace") or "default"
        name = f"{regarding['name']}.{int(now * 1e9):x}"
        tree = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": stamp_micro(now),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": action,
            "reason": reason,
            "regarding": regarding,
            "note": note,
            "type": kind,
        }
        await self._api.create(events, namespace, tree)
        if len(self._known) > EVENTS_KEPT:
            self._known.clear()
        self._known[key] = _Told(namespace, name, 1, now)
