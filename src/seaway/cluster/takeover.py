"""An HTTP request's connection, taken over after `101 Switching Protocols`: SPDY and spliced streams need it raw."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web


class Taken(web.Response):
    """An answer that has been given on the raw transport already."""

    def __init__(self, request: web.BaseRequest) -> None:
        super().__init__()
        self.force_close()
        self._handler = request.protocol

    @property
    def prepared(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> Any:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        # The server's own protocol no longer hears of the connection's end: without this it would be counted for ever.
        asyncio.get_running_loop().call_soon(self._handler.connection_lost, None)


def take_over(request: web.BaseRequest) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The client's side as a pair of streams; nothing has been answered yet. ConnectionError where it has gone."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionError("the client has gone")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
