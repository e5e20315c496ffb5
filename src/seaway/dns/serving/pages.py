"""The HTTP of the DNS server: /health, /ready and /metrics, at the addresses that the settings name. Three pages without
arguments need no library, which would be a fifth of the memory of a node's cache."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial

log = logging.getLogger("dns")
HEAD = 8192  # bytes of a request
CONNECTIONS = 64  # at one address; whoever comes then has to come again
IDLE, ANSWER = 75.0, 10.0  # seconds for a request to come, all of it; for its answer to be taken
PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
PLAIN, METRICS = "text/plain; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"


class Page:
    """An answer."""

    def __init__(self, status: int, text: str, media: str = PLAIN) -> None:
        self.status, self.body, self.media = status, text.encode(), media

    def wire(self, keep: bool, body: bool) -> bytes:
        head = (
            f"HTTP/1.1 {self.status} {PHRASES[self.status]}\r\n"
            f"Content-Type: {self.media}\r\nContent-Length: {len(self.body)}\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        return head.encode() + (self.body if body else b"")


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
            connected = partial(self._connected, pages, set())
            await asyncio.start_server(connected, sock=sockets[address], limit=HEAD)

    async def _connected(
        self,
        pages: set[str],
        open_now: set[asyncio.StreamWriter],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if len(open_now) < CONNECTIONS:
            open_now.add(writer)
            try:
                while await self._exchange(pages, reader, writer):
                    pass
            except (OSError, TimeoutError, EOFError):
                pass
            finally:
                open_now.discard(writer)
        if writer.transport.get_write_buffer_size():
            writer.transport.abort()  # it does not take its answer
        else:
            writer.close()

    async def _exchange(self, pages: set[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another may follow."""
        try:
            async with asyncio.timeout(IDLE):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            head = b""
        method, keep, page = await self._page(pages, head)
        writer.write(page.wire(keep, method != "HEAD"))
        async with asyncio.timeout(ANSWER):
            await writer.drain()
        return keep

    async def _page(self, pages: set[str], head: bytes) -> tuple[str, bool, Page]:
        """(method, whether the connection stays, the answer)."""
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            return "", False, Page(400, "bad request\n")
        headers = {name.lower(): value.strip().lower() for name, _, value in (line.partition(":") for line in lines if line)}
        told = headers.get("connection", "")
        # A body is not read: what follows it could not be told from it.
        bare = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        keep = bare and ("keep-alive" in told if words[2] == "HTTP/1.0" else "close" not in told)
        return words[0], keep, await self._answer(pages, words[0], words[1].partition("?")[0])

    async def _answer(self, pages: set[str], method: str, path: str) -> Page:
        if path not in pages:
            return Page(404, "404 page not found\n")
        if method not in ("GET", "HEAD"):
            return Page(405, "method not allowed\n")
        if path == "/metrics":
            return Page(200, await self._metrics(), METRICS)
        if path == "/ready" and not self._ready():
            return Page(503, "kubernetes\n")
        return Page(200, "OK")
