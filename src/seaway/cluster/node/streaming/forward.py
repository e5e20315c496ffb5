"""Port-forward: connections from a client to ports inside a pod's network, over SPDY streams or WebSocket channels."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from seaway.cluster.node.shims import ShimError
from seaway.cluster.node.streaming.channels import Form
from seaway.cluster.node.streaming.peers import Peer, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from seaway.cluster.node.pods import PodWorker

CHUNK = 1 << 15
PAIR_WITHIN = 30.0  # seconds in which the second stream of a pair follows the first
DIAL_WITHIN = 20.0
Read = Callable[[], Awaitable[bytes]]
Write = Callable[[bytes], Awaitable[None]]


class ForwardError(Exception):
    """The port cannot be reached; the text is what the client shows."""


async def dial(worker: PodWorker, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to localhost:`port` inside the pod's network: by IPv4, else by IPv6, as container runtimes do."""
    loop = asyncio.get_running_loop()
    told = []
    for family, name, host, shown in (
        (socket.AF_INET, "IPv4: dial tcp4", "127.0.0.1", f"127.0.0.1:{port}"),
        (socket.AF_INET6, "IPv6 dial tcp6", "::1", f"[::1]:{port}"),
    ):
        if worker.shim is None:
            raise ForwardError(f"error forwarding port {port} to pod {worker.uid}, uid : the pod is not running")
        try:
            sock = socket.socket(fileno=await worker.shim.tcp(family))
        except (ShimError, OSError) as e:
            told.append(f"{name} {shown}: {e}")
            continue
        sock.setblocking(False)
        try:
            async with asyncio.timeout(DIAL_WITHIN):
                await loop.sock_connect(sock, (host, port))
            return await asyncio.open_connection(sock=sock)
        except (OSError, TimeoutError) as e:
            sock.close()
            number = e.errno if isinstance(e, OSError) else None
            why = os.strerror(number).lower() if number else "i/o timeout"
            told.append(f"{name} {shown}: connect: {why}")
    where = f"failed to connect to localhost:{port} inside the network of pod {worker.key.namespace}/{worker.key.name}"
    raise ForwardError(
        f"error forwarding port {port} to pod {worker.uid}, uid : failed to execute portforward: {where}, {' '.join(told)}"
    )


async def connect(worker: PodWorker, port: int, read: Read, write: Write) -> None:
    """One forwarded connection, each direction until its own end. `read` gives nothing at the client's end."""
    reader, writer = await dial(worker, port)

    async def up() -> None:
        while data := await read():
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def down() -> None:
        while data := await reader.read(CHUNK):
            await write(data)

    there, back = asyncio.ensure_future(up()), asyncio.ensure_future(down())
    try:
        # The pod's end is the end; the client's end lets the pod finish what it says, unless it cannot be sent.
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        if there.done() and there.exception() is None:
            await asyncio.wait({back})
    finally:
        for task in (there, back):
            task.cancel()
        await asyncio.gather(there, back, return_exceptions=True)
        writer.close()


# SPDY: a pair of streams (error, data) with one requestID a connection


async def over_spdy(worker: PodWorker, peer: Peer) -> None:
    """Serves a client until it has gone."""
    reading = asyncio.ensure_future(peer.run())
    half: dict[str, dict[str, Stream]] = {}
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    def give_up(request: str) -> None:
        for stream in half.pop(request, {}).values():
            keep(stream.abort())

    def keep(work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        while (stream := await peer.accept()) is not None:
            kind = stream.headers.get("streamtype", "")
            port = stream.headers.get("port", "")
            if kind not in ("error", "data") or not port.isdigit() or not 0 < int(port) < 65536:
                await stream.abort()
                continue
            # Clients before requestID open the error stream first and the data stream right after it.
            number = stream.number if kind == "error" else stream.number - 2
            request = stream.headers.get("requestid") or f"stream {number}"
            pair = half.setdefault(request, {})
            if kind in pair:
                await stream.abort()
                continue
            pair[kind] = stream
            if len(pair) == 1:
                loop.call_later(PAIR_WITHIN, give_up, request)
            else:
                del half[request]
                keep(_pair(worker, peer, int(port), pair["error"], pair["data"]))
    finally:
        for task in list(tasks):
            task.cancel()
        reading.cancel()
        await asyncio.gather(reading, *tasks, return_exceptions=True)


async def _pair(worker: PodWorker, peer: Peer, port: int, error: Stream, data: Stream) -> None:
    try:
        await connect(worker, port, data.read, data.write)
    except ForwardError as e:
        with contextlib.suppress(ConnectionError):
            await error.write(str(e).encode())
    except OSError:
        pass  # one side broke off: both streams end
    await error.end()
    await data.end()
    while await data.read():  # what the client still sends goes nowhere, and must not fill the connection
        pass
    peer.forget(data)
    peer.forget(error)


# WebSocket: for each port a data and an error channel, which begin with the port's number (wsstream port-forward)


async def over_channels(worker: PodWorker, socket_: web.WebSocketResponse, form: Form, ports: list[int]) -> None:
    """Serves a client with one connection a port until it has gone."""
    inputs: list[asyncio.Queue[bytes]] = [asyncio.Queue(16) for _ in ports]
    closed: set[int] = set()

    async def send(channel: int, data: bytes) -> None:
        message = form.pack(channel, data)
        try:
            await (socket_.send_str(message) if isinstance(message, str) else socket_.send_bytes(message))
        except RuntimeError as e:
            raise ConnectionError(str(e)) from e

    async def serve(index: int, port: int) -> None:
        async def write(data: bytes) -> None:
            await send(2 * index, data)

        try:
            await connect(worker, port, inputs[index].get, write)
        except ForwardError as e:
            with contextlib.suppress(ConnectionError):
                await send(2 * index + 1, str(e).encode())
        except OSError:
            pass
        closed.add(index)
        while not inputs[index].empty():  # whoever waits to put something in does so, in vain
            inputs[index].get_nowait()
        if len(closed) == len(ports):
            with contextlib.suppress(ConnectionError, RuntimeError):
                await socket_.close()

    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            await send(channel, struct.pack("<H", port))
    tasks = [asyncio.ensure_future(serve(i, p)) for i, p in enumerate(ports)]
    try:
        async for message in socket_:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                continue
            found = form.unpack(message.data)
            if found and found[1] and found[0] % 2 == 0 and found[0] // 2 < len(ports) and found[0] // 2 not in closed:
                await inputs[found[0] // 2].put(found[1])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Tunnel:
    """SPDY bytes inside binary messages (KEP-4006), as a carrier of a Peer."""

    def __init__(self, socket_: web.WebSocketResponse) -> None:
        self._socket = socket_

    async def incoming(self) -> AsyncIterator[bytes]:
        async for message in self._socket:
            if message.type == WSMsgType.BINARY and message.data:
                yield message.data

    async def send(self, data: bytes) -> None:
        await self._socket.send_bytes(data)
