"""The API over HTTP: get, list, watch, create, patch, delete. The only door to aiohttp's client.

Objects are trees; `kind` names what is meant. Writers patch or create, never PUT a re-encoded object: fields that we do
not know must live on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.client.api import JSON_PATCH as JSON_PATCH
from seaway.client.api import MERGE as MERGE
from seaway.client.api import STRATEGIC as STRATEGIC
from seaway.client.api import Api as Api
from seaway.client.api import Tree
from seaway.client.api import kind_of as kind_of
from seaway.client.errors import Unavailable, from_answer
from seaway.client.kubeconfig import Credentials

TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def _kept_alive(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose peer is looked for while it is silent: a watch on a server that has vanished ends within half a minute."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock


class Rest:
    """A client of one server. Use as an async context manager."""

    def __init__(self, credentials: Credentials, user_agent: str = "seaway") -> None:
        self.credentials = credentials
        self._agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Rest:
        connector = aiohttp.TCPConnector(
            ssl=self.credentials.tls or False, limit=0, keepalive_timeout=60, socket_factory=_kept_alive
        )
        self._session = aiohttp.ClientSession(
            connector=connector, headers={"User-Agent": self._agent}, timeout=TIMEOUT, read_bufsize=1 << 18
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session:
            await self._session.close()

    def _headers(self, media: str = "") -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if media:
            headers["Content-Type"] = media
        authorization = self.credentials.authorization()
        if authorization:
            headers["Authorization"] = authorization
        return headers

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        media: str = "application/json",
    ) -> Tree:
        """One exchange; ApiStatusError for a refusal, Unavailable for no answer."""
        assert self._session, "use `async with`"
        data = None if body is None else _encode(body)
        try:
            async with self._session.request(
                method,
                self.credentials.server + path,
                data=data,
                params=query,
                headers=self._headers(media if data is not None else ""),
            ) as answer:
                raw = await answer.read()
                if answer.status >= 400:
                    raise from_answer(answer.status, self._status(raw), f"{method} {path}")
                found: Tree = _decode(raw) if raw else {}
                return found
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            raise Unavailable(f"{method} {path}: {type(e).__name__}: {e}") from e

    @staticmethod
    def _status(raw: bytes) -> Tree:
        try:
            found = _decode(raw)
            return found if isinstance(found, dict) else {}
        except msgspec.DecodeError:
            return {"message": raw[:300].decode("utf-8", "replace").strip()}

    async def get(self, kind: Kind, namespace: str, name: str) -> Tree:
        return await self.request("GET", kinds.path(kind, namespace, name))

    async def list(self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None) -> Tree:
        return await self.request("GET", kinds.path(kind, namespace), query=query)

    async def watch(
        self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None
    ) -> AsyncIterator[Tree]:
        """Watch events as trees, until the server ends the stream."""
        rest = b""
        chunks = self.chunks(kind, namespace, query)
        try:
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line:
                        yield _decode(line)
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]

    async def chunks(
        self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """A watch as it comes: bytes of JSON lines, cut anywhere."""
        assert self._session, "use `async with`"
        path = kinds.path(kind, namespace)
        asked = {"watch": "true", **(query or {})}
        try:
            async with self._session.get(
                self.credentials.server + path, params=asked, headers=self._headers(), timeout=WATCH_TIMEOUT
            ) as answer:
                if answer.status >= 400:
                    raise from_answer(answer.status, self._status(await answer.read()), f"WATCH {path}")
                async for chunk in answer.content.iter_any():
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            raise Unavailable(f"WATCH {path}: {type(e).__name__}: {e}") from e

    async def create(self, kind: Kind, namespace: str, tree: Tree, subresource: str = "", name: str = "") -> Tree:
        return await self.request("POST", kinds.path(kind, namespace, name, subresource), tree)

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Any, subresource: str = "", media: str = MERGE
    ) -> Tree:
        return await self.request("PATCH", kinds.path(kind, namespace, name, subresource), patch, media=media)

    async def delete(self, kind: Kind, namespace: str, name: str, options: Tree | None = None) -> Tree:
        return await self.request("DELETE", kinds.path(kind, namespace, name), options)


async def wait_ready(api: Rest, deadline: float) -> None:
    """Polls /readyz until it answers ok; Unavailable at the deadline (seconds from now)."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    while True:
        try:
            assert api._session
            async with api._session.get(api.credentials.server + "/readyz") as answer:
                if answer.status == 200:
                    return
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        if loop.time() > end:
            raise Unavailable(f"the API server at {api.credentials.server} was not ready within {deadline:.0f} s")
        await asyncio.sleep(0.02)
