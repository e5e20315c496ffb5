"""A small HTTP server for pages without arguments: health, readiness, metrics. It needs no library, which would be a fifth of
the memory of a node's cache."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from seaway.metrics import exposition

HEAD = 8192  # bytes of a request
CONNECTIONS = 64  # at one address; whoever comes then has to come again
IDLE, ANSWER = 75.0, 10.0  # seconds for a request to come, all of it; for its answer to be taken
PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
PLAIN, METRICS = "text/plain; charset=utf-8", exposition.CONTENT_TYPE


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


Pages = Mapping[str, Callable[[], Awaitable[Page]]]  # by path


async def serve(
    pages: Pages, sock: socket.socket | None = None, host: str | None = None, port: int | None = None
) -> asyncio.Server:
    """Serves pages on a socket that listens, or at a host's port; no host: at all addresses."""
    connected = partial(_connected, pages, set())
    if sock is not None:
        return await asyncio.start_server(connected, sock=sock, limit=HEAD)
    return await asyncio.start_server(connected, host or None, port, reuse_address=True, limit=HEAD)


async def _connected(
    pages: Pages, open_now: set[asyncio.StreamWriter], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    if len(open_now) < CONNECTIONS:
        open_now.add(writer)
        try:
            while await _exchange(pages, reader, writer):
                pass
        except (OSError, TimeoutError, EOFError):
            pass
        finally:
            open_now.discard(writer)
    if writer.transport.get_write_buffer_size():
        writer.transport.abort()  # it does not take its answer
    else:
        writer.close()


async def _exchange(pages: Pages, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """One request; whether another may follow."""
    try:
        async with asyncio.timeout(IDLE):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        head = b""
    method, keep, page = await _page(pages, head)
    writer.write(page.wire(keep, method != "HEAD"))
    async with asyncio.timeout(ANSWER):
        await writer.drain()
    return keep


async def _page(pages: Pages, head: bytes) -> tuple[str, bool, Page]:
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
    return words[0], keep, await _answer(pages, words[0], words[1].partition("?")[0])


async def _answer(pages: Pages, method: str, path: str) -> Page:
    page = pages.get(path)
    if page is None:
        return Page(404, "404 page not found\n")
    if method not in ("GET", "HEAD"):
        return Page(405, "method not allowed\n")
    return await page()
