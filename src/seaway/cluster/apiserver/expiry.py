"""Events are forgotten an hour after their last write (upstream's `--event-ttl`)."""

from __future__ import annotations

import asyncio
from typing import Any

from seaway.api import kinds
from seaway.api import tree as trees
from seaway.cluster.apiserver import delete
from seaway.cluster.apiserver.authz import SYSTEM
from seaway.cluster.apiserver.calls import Call, Writer
from seaway.cluster.apiserver.status import ApiError

Tree = dict[str, Any]
TTL = 3600.0  # seconds
EVERY = 60.0


def last_write(event: Tree) -> float:
    """When an Event was last written, by the server's own clock: reporters' clocks may be anywhere."""
    meta = event["metadata"]
    written = [meta.get("creationTimestamp"), *(m.get("time") for m in meta.get("managedFields") or ())]
    return max(trees.seconds(t) or 0.0 for t in written)


def expired(event: Tree, now: float) -> bool:
    return last_write(event) + TTL <= now


async def sweep(writer: Writer) -> int:
    """Deletes the Events whose time is over; says how many."""
    kind, now, gone = kinds.by_kind()[("v1", "Event")], writer.edges.now(), 0
    for number, entry in enumerate(list(writer.storage.newest_all(kind.group_resource))):
        if number % 100 == 99:
            await asyncio.sleep(0)  # requests come first
        if expired(entry.tree, now):
            namespace, _, name = entry.key.partition("/")
            try:
                await delete.delete(writer, Call(kind, namespace, name, SYSTEM), {"gracePeriodSeconds": 0})
                gone += 1
            except ApiError:  # somebody else deleted it, or the disk is full: the next round sees
                continue
    return gone


async def run(writer: Writer) -> None:
    while True:
        await sweep(writer)
        await asyncio.sleep(EVERY)
