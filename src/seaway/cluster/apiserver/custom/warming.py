"""Compiles the rules of the definitions that were stored before the server started, so that no request waits for it."""

from __future__ import annotations

import asyncio
import traceback

from seaway.cluster.apiserver.custom.registry import Registry
from seaway.cluster.apiserver.expressions import judging
from seaway.cluster.apiserver.storage import Storage


async def warm(registry: Registry, storage: Storage) -> None:
    """Place by place; requests come in between. Kinds of which there is no object are left to the first one: the cluster
    serves many that nobody may ever use."""
    for kind in registry.served.custom:
        if not storage.keys(kind.group_resource, ""):
            continue
        try:
            for site in judging.sites(kind.custom.rules.root):
                await asyncio.sleep(0)
                _ = site.rules
        except Exception:
            traceback.print_exc()  # the first object will tell
