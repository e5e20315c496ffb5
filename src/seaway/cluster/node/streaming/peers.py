"""A SPDY connection at work: the state machine of `spdy` on a carrier of bytes, its streams with their own buffers."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from seaway.cluster.node.streaming import spdy

HELD_LIMIT = 1 << 20  # bytes that wait in streams before the connection is read no further
CHUNK = 1 << 16


class Carrier(Protocol):
    """What a connection's bytes travel on."""

    def incoming(self) -> AsyncIterator[bytes]: ...
    async def send(self, data: bytes) -> None: ...


class Raw:
    """A connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def incoming(self) -> AsyncIterator[bytes]:
        with contextlib.suppress(OSError):
            while data := await self._reader.read(CHUNK):
                yield data

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class Stream:
    """One stream that the client opened."""

    def __init__(self, peer: Peer, number: int, headers: Mapping[str, str]) -> None:
        self._peer, self.number, self.headers = peer, number, headers
        self._chunks: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self.reset = False

    def put(self, data: bytes, fin: bool) -> None:
        if data:
            self._chunks.append(data)
        self._ended = self._ended or fin
        self._news.set()

    async def read(self) -> bytes:
        """The next bytes; nothing at the end."""
        while not self._chunks:
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()
        data = self._chunks.popleft()
        self._peer.consumed(len(data))
        return data

    async def write(self, data: bytes, fin: bool = False) -> None:
        if self._peer.over or self.reset or not self._peer.connection.send(self.number, data, fin):
            raise ConnectionError("the client has closed the stream")
        await self._peer.flush()

    async def end(self) -> None:
        """No more bytes will follow; nothing happens where the client has gone already."""
        with contextlib.suppress(ConnectionError):
            await self.write(b"", True)

    async def abort(self) -> None:
        """Gives the stream up: what still comes on it is dropped."""
        while self._chunks:
            self._peer.consumed(len(self._chunks.popleft()))
        self._ended = True
        if not self._peer.over:
            self._peer.connection.reset(self.number)
            with contextlib.suppress(ConnectionError):
                await self._peer.flush()


class Peer:
    """The client behind a carrier. `run` reads until it has gone; `accept` gives the streams that it opens."""

    def __init__(self, carrier: Carrier) -> None:
        self.connection = spdy.Connection()
        self.over = False
        self._carrier = carrier
        self._streams: dict[int, Stream] = {}
        self._opened: asyncio.Queue[Stream | None] = asyncio.Queue()
        self._held = 0
        self._room = asyncio.Event()
        self._room.set()

    async def run(self) -> None:
        """Until the client has gone, or has broken the protocol."""
        try:
            async for data in self._carrier.incoming():
                for event in self.connection.receive(data):
                    self._take(event)
                await self.flush()
                await self._room.wait()
        except spdy.SpdyError:
            self.connection.go_away(spdy.PROTOCOL_ERROR)
            with contextlib.suppress(ConnectionError):
                await self.flush()
        except ConnectionError:
            pass
        finally:
            self.over = True
            for stream in self._streams.values():
                stream.put(b"", True)
            self._opened.put_nowait(None)

    def _take(self, event: spdy.Event) -> None:
        if isinstance(event, spdy.Opened):
            stream = Stream(self, event.stream, event.headers)
            self._streams[event.stream] = stream
            self.connection.reply(event.stream)
            if event.fin:
                stream.put(b"", True)
            self._opened.put_nowait(stream)
        elif isinstance(event, spdy.Data) and event.stream in self._streams:
            self._held += len(event.data)
            if self._held > HELD_LIMIT:
                self._room.clear()
            self._streams[event.stream].put(event.data, event.fin)
        elif isinstance(event, spdy.Reset) and event.stream in self._streams:
            self._streams[event.stream].reset = True
            self._streams[event.stream].put(b"", True)

    def consumed(self, size: int) -> None:
        self._held -= size
        if self._held <= HELD_LIMIT:
            self._room.set()

    def forget(self, stream: Stream) -> None:
        """A stream that nobody reads or writes any more."""
        self._streams.pop(stream.number, None)

    async def accept(self) -> Stream | None:
        """The next stream that the client opens; None: it has gone."""
        return await self._opened.get()

    async def flush(self) -> None:
        data = self.connection.take()
        if data:
            try:
                await self._carrier.send(data)
            except (OSError, RuntimeError) as e:
                raise ConnectionError(str(e)) from e
