"""Connections: how many there are, how long one may say nothing, and what bytes that are no request are answered with."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from seaway.cluster.apiserver.status import bad_request
from seaway.cluster.apiserver.storage import encode

HEADER_SECONDS = (
    32.0  # until the first request's head is there (k8s.io/apiserver SecureServingInfo.Serve: ReadHeaderTimeout)
)
IDLE_SECONDS = 90.0  # between requests, as upstream
LAST_LOOK = 0.1
STALL_SECONDS = 60  # that a peer may take nothing of what is sent to it
LINE_BYTES = 64 << 10  # of a request line or a header
MOST = 16_000  # connections at a time
RESERVED = 256  # file descriptors for everything else
EVICTED = 64  # idle connections that go at once where there are too many


def most_connections() -> int:
    """How many connections there may be, after asking for as many files as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(min(MOST, soft - RESERVED), RESERVED)


def prepare(sock: socket.socket) -> None:
    """Accepted connections inherit this: the kernel ends those whose peer takes nothing (RFC 5482, zero windows too)."""
    sock.setblocking(False)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_SECONDS * 1000)


class Connection(web.RequestHandler):
    """One connection. Everything is aiohttp's but its first deadline, and errors in the API's own form."""

    __slots__ = ("_looked",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        manager = self._manager
        if isinstance(manager, Server) and not manager.has_room():
            assert isinstance(transport, asyncio.Transport)
            transport.abort()
        self._looked = 0.0
        super().connection_made(transport)
        if self._keepalive_handle is not None:
            self._keepalive_handle.cancel()
            self._next_keepalive_close_time = self._loop.time() + HEADER_SECONDS
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    def _process_keepalive(self) -> None:
        """Its time is over. What came in time may still be unread, where the event loop was late: that is read first."""
        if self._looked != self._next_keepalive_close_time <= self._loop.time():
            self._looked = self._next_keepalive_close_time
            self._keepalive_handle = self._loop.call_later(LAST_LOOK, self._process_keepalive)
            return
        super()._process_keepalive()

    @property
    def idle_since(self) -> float | None:
        """A number that is less the longer it has waited for a request; None while one is worked on."""
        return self._next_keepalive_close_time if self._waiter is not None and not self._request_in_progress else None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, HttpProcessingError) or status >= 500:
            return super().handle_error(request, status, exc, message)
        told = " ".join((message or str(exc) or "malformed").split()).rstrip("^ ")
        error = bad_request(f"the request is no HTTP request: {told[:300]}")
        response = web.Response(status=error.code, body=encode(error.tree), content_type="application/json")
        response.force_close()
        return response


class Server(web.Server):
    """All connections. Where there are too many, those that have been idle for longest go first."""

    def __init__(self, *args: Any, most: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most = most

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)

    def has_room(self) -> bool:
        """Whether a new connection may stay."""
        if len(self._connections) < self.most:
            return True
        idle = [
            (since, c) for c in self.connections if isinstance(c, Connection) and (since := c.idle_since) is not None
        ]
        idle.sort(key=lambda found: found[0])
        for _, connection in idle[:EVICTED]:
            connection.force_close()
        return bool(idle)
