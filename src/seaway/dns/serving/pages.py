"""The pages of the DNS server: /health, /ready and /metrics, at the addresses that the settings name."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from seaway.metrics.pages import METRICS, Page, serve


class Pages:
    """`ready` says whether the zone is whole and the end has not begun; `metrics` gives the exposition."""

    def __init__(self, ready: Callable[[], bool], metrics: Callable[[], Awaitable[str]]) -> None:
        self._ready, self._metrics = ready, metrics

    async def serve(self, sockets: dict[str, socket.socket], health: str, ready: str, metrics: str) -> None:
        """One server an address; pages that share an address are served together."""
        wanted: dict[str, dict[str, Callable[[], Awaitable[Page]]]] = {}
        for address, path, page in (
            (health, "/health", self._health),
            (ready, "/health", self._health),  # one port is enough for a kubelet
            (ready, "/ready", self._readiness),
            (metrics, "/metrics", self._exposition),
        ):
            if address:
                wanted.setdefault(address, {})[path] = page
        for address, pages in wanted.items():
            await serve(pages, sockets[address])

    async def _health(self) -> Page:
        return Page(200, "OK")

    async def _readiness(self) -> Page:
        return Page(200, "OK") if self._ready() else Page(503, "kubernetes\n")

    async def _exposition(self) -> Page:
        return Page(200, await self._metrics(), METRICS)
