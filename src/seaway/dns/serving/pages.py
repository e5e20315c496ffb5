"""The HTTP of the DNS server: /health, /ready and /metrics, at the addresses that the settings name."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

log = logging.getLogger("dns")


class Pages:
    """`ready` says whether the zone is whole and the end has not begun; `metrics` gives the exposition."""

    def __init__(self, ready: Callable[[], bool], metrics: Callable[[], Awaitable[str]]) -> None:
        self._ready, self._metrics = ready, metrics

    async def serve(self, sockets: dict[str, socket.socket], health: str, ready: str, metrics: str) -> None:
        """One server an address; pages that share an address are served together."""
        wanted: dict[str, set[str]] = {}
        for address, page in ((health, "/health"), (ready, "/ready"), (metrics, "/metrics")):
            if address:
                wanted.setdefault(address, set()).add(page)
        if ready:
            wanted[ready].add("/health")  # one port is enough for a kubelet
        for address, pages in wanted.items():
            server = web.Server(self._handler(pages), access_log=None)
            await asyncio.get_running_loop().create_server(server, sock=sockets[address])

    def _handler(self, pages: set[str]) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if request.path not in pages:
                return web.Response(status=404, text="404 page not found\n")
            if request.method not in ("GET", "HEAD"):
                return web.Response(status=405, text="method not allowed\n")
            if request.path == "/metrics":
                return web.Response(text=await self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4"})
            if request.path == "/ready" and not self._ready():
                return web.Response(status=503, text="kubernetes\n")
            return web.Response(text="OK")

        return handle
