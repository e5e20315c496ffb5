"""What the controller says of itself over HTTP: /healthz, /readyz, /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from seaway.metrics import exposition
from seaway.metrics.families import Registry


async def serve(
    host: str, port: int, pages: dict[str, Callable[[], tuple[int, str]]], registry: Registry | None
) -> None:
    """Opens a port for `pages`, path -> what gives (status, text)."""

    async def say(request: web.BaseRequest) -> web.Response:
        if registry is not None and request.path == "/metrics":
            text = exposition.render(registry).encode()
            return web.Response(body=text, headers={"Content-Type": exposition.CONTENT_TYPE})
        page = pages.get(request.path)
        if page is None:
            return web.Response(status=404, text="404 page not found\n")
        status, body = page()
        return web.Response(status=status, text=body)

    server = web.Server(say, access_log=None)
    await asyncio.get_running_loop().create_server(server, host or None, port, reuse_address=True)
