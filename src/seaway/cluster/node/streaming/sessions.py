"""The client's side of an exec or attach: what it sends and is sent, by channel, whatever carries it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from seaway.cluster.node.streaming.channels import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, Form
from seaway.cluster.node.streaming.peers import Peer, Stream

Tree = dict[str, Any]
STREAMS_WITHIN = 30.0  # seconds in which a SPDY client opens the streams that it asked for
NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}


@dataclass(frozen=True, slots=True)
class Wants:
    """Which streams a client asks for; a terminal has no stderr of its own."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class Session(Protocol):
    """`events` gives (channel, bytes) until the client has gone; (CLOSE, channel) ends an input."""

    def events(self) -> AsyncIterator[tuple[int, bytes]]: ...
    async def send(self, channel: int, data: bytes) -> None: ...
    async def end(self, status: Tree) -> None: ...


class WebSocketSession:
    """Channels as WebSocket messages."""

    def __init__(self, socket: web.WebSocketResponse, form: Form, wants: Wants) -> None:
        self._socket, self._form = socket, form
        self._unwanted = {c for c, w in ((STDOUT, wants.stdout), (STDERR, wants.stderr)) if not w}

    async def greet(self) -> None:
        """An empty message on the lowest channel that we write: the connection stands (k8s.io/streaming wsstream)."""
        await self.send(next(c for c in (STDOUT, STDERR, ERROR) if c not in self._unwanted), b"")

    async def events(self) -> AsyncIterator[tuple[int, bytes]]:
        async for message in self._socket:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                continue
            found = self._form.unpack(message.data)
            if found is not None and (found[0] != CLOSE or self._form.closes):
                yield found

    async def send(self, channel: int, data: bytes) -> None:
        if channel in self._unwanted:
            return
        message = self._form.pack(channel, data)
        try:
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)
        except RuntimeError as e:  # the socket is closing
            raise ConnectionError(str(e)) from e

    async def end(self, status: Tree) -> None:
        with contextlib.suppress(ConnectionError):
            word = self._form.last_word(status)
            if word:
                await self.send(ERROR, word)
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.close()


class SpdySession:
    """Channels as streams of a SPDY connection."""

    def __init__(self, peer: Peer, streams: dict[int, Stream], form: Form) -> None:
        self._peer, self._streams, self._form = peer, streams, form

    @classmethod
    async def open(cls, peer: Peer, wants: Wants, form: Form) -> SpdySession | None:
        """Waits for the streams that the client asked for; None where they do not come."""
        missing = {ERROR}
        missing |= {STDIN} if wants.stdin else set()
        missing |= {STDOUT} if wants.stdout else set()
        missing |= {STDERR} if wants.stderr else set()
        if wants.tty and form.protocol.startswith(("v3.", "v4.")):
            missing.add(RESIZE)
        found: dict[int, Stream] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STREAMS_WITHIN):
                while missing:
                    stream = await peer.accept()
                    if stream is None:
                        return None
                    channel = NAMES.get(stream.headers.get("streamtype", ""), -1)
                    if channel in found or channel < 0:
                        await stream.abort()
                        continue
                    found[channel] = stream
                    missing.discard(channel)
        return None if missing else cls(peer, found, form)

    async def events(self) -> AsyncIterator[tuple[int, bytes]]:
        queue: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(2)

        async def read(channel: int, stream: Stream) -> None:
            while data := await stream.read():
                await queue.put((channel, data))
            if not self._peer.over:
                await queue.put((CLOSE, bytes((channel,))))

        async def end() -> None:
            while await self._peer.accept() is not None:
                pass
            await queue.put(None)

        tasks = [asyncio.ensure_future(read(c, s)) for c, s in self._streams.items() if c in (STDIN, RESIZE)]
        tasks.append(asyncio.ensure_future(end()))
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            for task in tasks:
                task.cancel()

    async def send(self, channel: int, data: bytes) -> None:
        if channel in self._streams:
            await self._streams[channel].write(data)

    async def end(self, status: Tree) -> None:
        with contextlib.suppress(ConnectionError):
            word = self._form.last_word(status)
            if word:
                await self.send(ERROR, word)
        for channel in (STDOUT, STDERR, ERROR, RESIZE, STDIN):
            if channel in self._streams:
                await self._streams[channel].end()
