"""Compiles the rules of the definitions that were stored before the server started, so that no request waits for it."""

from __future__ import annotations

import asyncio
import traceback

from seaway.cluster.apiserver.custom.registry import Registry
from seaway.cluster.apiserver.expressions import judging


async def warm(registry: Registry) -> None:
    """Place by place; requests come in between."""
    for kind in registry.served.custom:
        try:
            for site in judging.sites(kind.custom.rules.root):
                await asyncio.sleep(0)
                _ = site.rules
        except Exception:
            traceback.print_exc()  # the first object will tell
