"""Events (core/v1) as people read them in `kubectl describe`: written in the background, repeated ones counted."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from seaway.api.tree import stamp
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.rest import Api, kind_of

Tree = dict[str, Any]
EVENTS_KEPT = 500


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
