"""Lists and watches by HTTP/1.1 and no library: for processes that only read and are to be small, since aiohttp takes 10 MB.
The edge to sockets; how responses are read is in `responses`."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.client.api import Tree
from seaway.client.errors import Unavailable, from_answer
from seaway.client.kubeconfig import Credentials
from seaway.client.responses import BadResponse, Response

CONNECT, WHOLE = 5.0, 30.0  # seconds: for a connection; for all of a list
IDLE = 60.0  # seconds that a connection is kept for the next request: below what servers keep it
ROOM = 1 << 18
_decode = msgspec.json.Decoder().decode
FAILURES = (OSError, TimeoutError, BadResponse, EOFError)  # ssl.SSLError is an OSError


class Connection:
    """One to the server; a request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.idle_since = 0.0
        sock = writer.get_extra_info("socket")
        # A watch on a server that has vanished ends within half a minute.
        for level, option, value in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        ):
            sock.setsockopt(level, option, value)

    async def ask(self, head: bytes) -> tuple[Response, bytes]:
        """The response once its head is there, and what of the body came with it."""
        self._writer.write(head)
        await self._writer.drain()
        response = Response()
        body = b""
        while not response.status:
            body = await self.more(response)
        return response, body

    async def more(self, response: Response) -> bytes:
        """Bytes of the body, of which there may be none in what came."""
        data = await self._reader.read(ROOM)
        if not data:
            response.end()
        return response.feed(data) if data else b""

    def close(self) -> None:
        self._writer.close()

    @property
    def is_open(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing())


class Reader:
    """A client of one server that only lists and watches. Use as an async context manager."""

    def __init__(self, credentials: Credentials, user_agent: str = "seaway") -> None:
        self.credentials = credentials
        url = urlsplit(credentials.server)
        self._host, self._port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        self._tls: ssl.SSLContext | None = credentials.tls if url.scheme == "https" else None
        self._prefix, self._agent = url.path.rstrip("/"), user_agent
        self._netloc = url.netloc.rpartition("@")[2]
        self._idle: list[Connection] = []

    async def __aenter__(self) -> Reader:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _head(self, path: str, query: Mapping[str, str]) -> bytes:
        asked = f"?{urlencode(query)}" if query else ""
        lines = [f"GET {self._prefix}{path}{asked} HTTP/1.1", f"Host: {self._netloc}", "Accept: application/json",
                 f"User-Agent: {self._agent}"]  # fmt: skip
        if authorization := self.credentials.authorization():
            lines.append(f"Authorization: {authorization}")
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    async def _open(self) -> Connection:
        async with asyncio.timeout(CONNECT):
            tls: dict[str, Any] = {"ssl": self._tls, "server_hostname": self._host} if self._tls else {}
            return Connection(*await asyncio.open_connection(self._host, self._port, limit=ROOM, **tls))

    async def _ask(self, head: bytes) -> tuple[Connection, Response, bytes]:
        """By a connection that is at hand, or anew: the server may close one while it is asked."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            kept = self._idle.pop()
            if kept.is_open and now - kept.idle_since < IDLE:
                try:
                    return (kept, *await kept.ask(head))
                except FAILURES:
                    kept.close()
                    break
                except BaseException:
                    kept.close()
                    raise
            kept.close()
        fresh = await self._open()
        try:
            return (fresh, *await fresh.ask(head))
        except BaseException:
            fresh.close()
            raise

    def _done(self, connection: Connection, response: Response) -> None:
        if response.keeps:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    async def _rest(self, connection: Connection, response: Response, body: bytes) -> bytes:
        parts = [body]
        while not response.done:
            parts.append(await connection.more(response))
        return b"".join(parts)

    async def list(self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None) -> Tree:
        path = kinds.path(kind, namespace)
        try:
            async with asyncio.timeout(WHOLE):
                connection, response, body = await self._ask(self._head(path, query or {}))
                try:
                    raw = await self._rest(connection, response, body)
                except BaseException:
                    connection.close()
                    raise
            self._done(connection, response)
            if response.status >= 300:
                raise from_answer(response.status, _status(raw), f"GET {path}")
            found: Tree = _decode(raw)
            return found
        except (*FAILURES, msgspec.DecodeError) as e:
            raise Unavailable(f"GET {path}: {type(e).__name__}: {e}") from e

    async def watch(
        self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None
    ) -> AsyncIterator[Tree]:
        """Watch events as trees, until the server ends the stream."""
        path = kinds.path(kind, namespace)
        try:
            async with asyncio.timeout(WHOLE):
                connection, response, body = await self._ask(self._head(path, {"watch": "true", **(query or {})}))
            try:
                if response.status >= 300:
                    async with asyncio.timeout(WHOLE):
                        raw = await self._rest(connection, response, body)
                    raise from_answer(response.status, _status(raw), f"WATCH {path}")
                rest = b""
                while True:
                    *lines, rest = (rest + body).split(b"\n")
                    for line in lines:
                        if line:
                            yield _decode(line)
                    if response.done:
                        return
                    body = await connection.more(response)
            finally:
                connection.close()
        except (*FAILURES, msgspec.DecodeError) as e:
            raise Unavailable(f"WATCH {path}: {type(e).__name__}: {e}") from e


def _status(raw: bytes) -> Tree:
    try:
        found = _decode(raw)
        return found if isinstance(found, dict) else {}
    except msgspec.DecodeError:
        return {"message": raw[:300].decode("utf-8", "replace").strip()}
