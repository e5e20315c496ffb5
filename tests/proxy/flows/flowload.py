"""Clients that keep going while a proxy changes under them, as tasks of an agent: new connections, one that is held, and one
UDP flow whose socket never changes. They write down what they met and when."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import Any

Tree = dict[str, Any]
PATIENCE = 3.0


def _socket(family: int, kind: int) -> socket.socket:
    return socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind | socket.SOCK_NONBLOCK)


class Load:
    """`went`: what each stream met, as (seconds, text) where that changed; `count`: exchanges that were answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: list[asyncio.Task[None]] = []
        self._began = 0.0
        self._streams: list[Tree] = []

    def go(self, streams: list[Tree]) -> None:
        """`kind`: connect, hold or flow; `to`, `family`, `protocol`, `source`, `every` seconds, `patience` for an answer."""
        self._began = time.monotonic()
        for stream in streams:
            kept: Tree = {"name": stream["name"], "went": [], "count": 0, "slowest": 0.0}
            self._streams.append(kept)
            how = {"connect": self._connect, "hold": self._hold, "flow": self._flow}[stream["kind"]]
            self._tasks.append(self._loop.create_task(how(stream, kept)))

    async def halt(self) -> list[Tree]:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        found, self._tasks, self._streams = self._streams, [], []
        return found

    def peek(self) -> list[Tree]:
        return self._streams

    def _met(self, kept: Tree, text: str) -> None:
        if not kept["went"] or kept["went"][-1][1] != text:
            kept["went"].append([round(time.monotonic() - self._began, 3), text])

    async def _connect(self, stream: Tree, kept: Tree) -> None:
        """A new connection every time; failures are all that is written down."""
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(stream.get("patience", PATIENCE)):
                    await self._once(stream)
                kept["count"] += 1
            except TimeoutError:
                kept["went"].append([round(began - self._began, 3), "silence"])
            except OSError as e:
                kept["went"].append([round(began - self._began, 3), errno.errorcode.get(e.errno or 0, str(e))])
            took = time.monotonic() - began
            kept["slowest"] = max(kept["slowest"], round(took, 3))
            await asyncio.sleep(max(0.0, stream["every"] - took))

    async def _once(self, stream: Tree) -> None:
        kind = socket.SOCK_STREAM if stream["protocol"] == "tcp" else socket.SOCK_DGRAM
        with _socket(stream["family"], kind) as client:
            if stream["source"]:
                client.bind((stream["source"], 0))
            await self._loop.sock_connect(client, tuple(stream["to"]))
            await self._loop.sock_sendall(client, b"?\n")
            if not await self._loop.sock_recv(client, 2048):
                raise OSError(errno.ECONNRESET, "closed")

    async def _hold(self, stream: Tree, kept: Tree) -> None:
        """One TCP connection with an exchange every time; its end is written down, and it ends there."""
        with _socket(stream["family"], socket.SOCK_STREAM) as client:
            if stream["source"]:
                client.bind((stream["source"], 0))
            try:
                patience = stream.get("patience", PATIENCE)
                async with asyncio.timeout(patience):
                    await self._loop.sock_connect(client, tuple(stream["to"]))
                while True:
                    async with asyncio.timeout(patience):
                        await self._loop.sock_sendall(client, b"?\n")
                        answer = await self._loop.sock_recv(client, 2048)
                    if not answer:
                        raise OSError(errno.ECONNRESET, "closed")
                    self._met(kept, answer.decode().split()[0])
                    kept["count"] += 1
                    await asyncio.sleep(stream["every"])
            except TimeoutError:
                self._met(kept, "silence")
            except OSError as e:
                self._met(kept, errno.errorcode.get(e.errno or 0, str(e)))

    async def _flow(self, stream: Tree, kept: Tree) -> None:
        """One UDP socket; who answers, and every change of that, is written down. `connected`: by connect(2), and as clients do
        that get an error other than a refusal, anew."""
        while True:
            with _socket(stream["family"], socket.SOCK_DGRAM) as client:
                if stream["source"]:
                    client.bind((stream["source"], 0))
                try:
                    if stream.get("connected"):
                        client.connect(tuple(stream["to"]))
                    await self._exchange(client, stream, kept)
                except OSError as e:
                    self._met(kept, errno.errorcode.get(e.errno or 0, str(e)))
                await asyncio.sleep(stream["every"])

    async def _exchange(self, client: socket.socket, stream: Tree, kept: Tree) -> None:
        """Until the socket is of no use any more."""
        while True:
            try:
                async with asyncio.timeout(stream.get("patience", 0.3)):
                    if stream.get("connected"):
                        await self._loop.sock_sendall(client, b"?\n")
                    else:
                        await self._loop.sock_sendto(client, b"?\n", tuple(stream["to"]))
                    answer = await self._loop.sock_recv(client, 2048)
                self._met(kept, answer.decode().split()[0])
                kept["count"] += 1
            except TimeoutError:
                self._met(kept, "silence")
            except (ConnectionRefusedError, PermissionError) as e:
                self._met(kept, errno.errorcode[e.errno])
            await asyncio.sleep(stream["every"])
