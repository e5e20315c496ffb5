"""The DNS process: watches Services and EndpointSlices, answers on UDP and TCP, both families. Ready after the first sync;
at its end it stays for a moment, unready, so that no query is lost on the way (lameduck)."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import struct
from typing import Any

import uvloop
from aiohttp import web

from seaway.api.tree import Key
from seaway.client import kubeconfig
from seaway.client.informer import Informer
from seaway.client.reflector import Change
from seaway.client.rest import Rest, kind_of
from seaway.dns import message
from seaway.dns.answer import Responder
from seaway.dns.zone import Zone
from seaway.services.resolve import SERVICE_NAME

Tree = dict[str, Any]
log = logging.getLogger("dns")
TCP_IDLE, TCP_LIMIT, TCP_CONNECTIONS = 10.0, 65535, 500


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        reply = respond(self._responder, data, None)
        if reply and self._transport:
            self._transport.sendto(reply, addr)


def respond(responder: Responder, data: bytes, limit: int | None) -> bytes:
    """The reply to a packet; empty: none. `limit` None: what the client's EDNS0 says (UDP)."""
    try:
        query = message.read(data)
    except message.BadMessage as e:
        return e.reply
    return responder.answer(query, limit or query.size)


async def _stream(
    responder: Responder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, busy: set[Any]
) -> None:
    """RFC 7766: queries with a length in front, any number on a connection."""
    if len(busy) >= TCP_CONNECTIONS:
        writer.close()
        return
    busy.add(writer)
    try:
        while True:
            head = await asyncio.wait_for(reader.readexactly(2), TCP_IDLE)
            data = await asyncio.wait_for(reader.readexactly(struct.unpack("!H", head)[0]), TCP_IDLE)
            reply = respond(responder, data, TCP_LIMIT)
            if not reply:
                return
            writer.write(struct.pack("!H", len(reply)) + reply)
            await asyncio.wait_for(writer.drain(), TCP_IDLE)
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        busy.discard(writer)
        writer.close()


class Source:
    """Keeps the zone true from the API."""

    def __init__(self, api: Rest, responder: Responder) -> None:
        self.responder = responder
        self.services = Informer(api, kind_of("services"))
        self.slices = Informer(api, kind_of("endpointslices.discovery.k8s.io"))
        self.slices.add_index("service", self._service_of)
        self.services.listen(lambda change: self._put(change.key))
        self.slices.listen(self._slice_changed)

    @staticmethod
    def _service_of(tree: Tree) -> list[str]:
        name = (tree["metadata"].get("labels") or {}).get(SERVICE_NAME)
        return [f"{tree['metadata']['namespace']}/{name}"] if name else []

    def _put(self, key: Key) -> None:
        self.responder.zone.put(key, self.services.get(*key), self.slices.by("service", str(key)))

    def _slice_changed(self, change: Change) -> None:
        for tree in (change.old, change.new):
            if tree is not None:
                for name in self._service_of(tree):
                    self._put(Key(*name.split("/", 1)))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.services.run())
            group.create_task(self.slices.run())
            await self.services.synced.wait()
            await self.slices.synced.wait()
            self.responder.synced = True
            log.info("synced: %d services", len(self.services.all()))


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("seaway dns", description="Answers cluster DNS names.")
    parser.add_argument("--kubeconfig", default="", help="path to a kubeconfig; the pod's ServiceAccount otherwise")
    parser.add_argument("--zone", default="cluster.local", help="the cluster's domain")
    parser.add_argument("--port", type=int, default=53, help="UDP and TCP port")
    parser.add_argument("--ready-port", type=int, default=8181, help="HTTP port of /ready and /health")
    parser.add_argument("--lameduck", type=float, default=1.0, help="seconds to go on answering, unready, at the end")
    return parser


async def _listen(responder: Responder, port: int) -> None:
    loop = asyncio.get_running_loop()
    busy: set[Any] = set()
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            udp = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            udp.bind((host, port))
        except OSError as e:
            if family == socket.AF_INET:
                raise
            log.info("no IPv6 here: %s", e)
            continue
        await loop.create_datagram_endpoint(lambda: Datagrams(responder), sock=udp)
        await asyncio.start_server(lambda r, w: _stream(responder, r, w, busy), host, port, backlog=1024)


async def _main(args: argparse.Namespace) -> None:
    responder = Responder(Zone(), args.zone)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)

    async def health(request: web.BaseRequest) -> web.Response:
        if request.path == "/ready":
            ok = responder.synced and not stopping.is_set()
            return web.Response(status=200 if ok else 503, text="OK" if ok else "not ready")
        return web.Response(text="OK") if request.path == "/health" else web.Response(status=404)

    await _listen(responder, args.port)
    await loop.create_server(web.Server(health, access_log=None), None, args.ready_port, reuse_address=True)
    async with Rest(kubeconfig.find(args.kubeconfig), "dns") as api:
        running = asyncio.ensure_future(Source(api, responder).run())
        done = asyncio.ensure_future(stopping.wait())
        await asyncio.wait((running, done), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        await asyncio.sleep(args.lameduck)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def main(argv: list[str]) -> int:
    args = options().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    uvloop.run(_main(args))
    return 0
