"""A real Envoy with the rendered bootstrap at the other end of the channel: who it says it is, how soon it is back, and that
new certificates need no restart. Files lie as the kubelet lays them; everything listens on loopback."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from seaway.cluster.node import envoy, volumes
from seaway.envoy.xds.identity import identity as spiffe
from seaway.gateway import identity
from seaway.gateway.identity import Authorities
from seaway.gateway.infrastructure import bootstrap
from seaway.gateway.infrastructure.objects import secret
from seaway.gateway.infrastructure.parameters import SMALL
from seaway.gateway.infrastructure.values import PROBES, Identity, Port, Wanted
from seaway.pki import reading
from seaway.pki.authority import Pair
from seaway.routing.ir import Fleet

EDGE = Fleet("Gateway", "shop", "edge")
NAME = identity.server_names()[0]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Controller:
    """The server's side: takes streams, says nothing, and notes what each client showed."""

    def __init__(self, port: int) -> None:
        self.port, self.server = port, None
        self.seen: asyncio.Queue[tuple[float, bytes, bytes]] = asyncio.Queue()

    async def _stream(self, requests: Any, context: Any) -> Any:
        first = await anext(aiter(requests))
        [pem] = context.auth_context()["x509_pem_cert"]
        self.seen.put_nowait((time.monotonic(), pem, first))
        async for _ in requests:
            pass
        return
        yield b""

    async def start(self, pair: Pair, authorities: bytes) -> None:
        options = [("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 5000)]
        self.server = grpc.aio.server(options=options)
        handler = grpc.stream_stream_rpc_method_handler(self._stream)
        service = "envoy.service.discovery.v3.AggregatedDiscoveryService"
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"DeltaAggregatedResources": handler}),))
        credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)], authorities, require_client_auth=True)
        assert self.server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        await self.server.start()

    async def kill(self) -> None:
        await self.server.stop(0)

    async def next(self, within: float = 10) -> tuple[float, bytes, bytes]:
        """When the next client came, the certificate that it showed, the first request."""
        return await asyncio.wait_for(self.seen.get(), within)


class Proxy:
    """An Envoy process with the files of its pod in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.probes = free_port()
        self.keys = str(folder / "keys")

    def wanted(self, known: Identity) -> Wanted:
        return Wanted(EDGE, "shop", "edge-seaway", None, (Port("http", 80),), known, "key", SMALL, controller=(NAME, self.port))

    def lay(self, known: Identity) -> None:
        """The Secret's volume, as the kubelet writes it."""
        volumes.write(self.keys, {k: (v, 0o600) for k, v in volumes.data_of("secrets", secret(self.wanted(known))).items()})

    def start(self, known: Identity) -> subprocess.Popen[str]:
        self.lay(known)
        places = {bootstrap.FOLDER: self.folder, bootstrap.KEYS: self.keys, bootstrap.RUN: self.folder}
        for name, text in bootstrap.files(self.wanted(known)).items():
            for inside, here in places.items():
                text = text.replace(f'"{inside}/', f'"{here}/').replace(f'"{inside}"', f'"{here}"')
            text = text.replace(f'"address": "{NAME}"', '"address": "127.0.0.1"').replace('"address": "::"', '"address": "127.0.0.1"')
            text = text.replace('"ipv4_compat": true', '"ipv4_compat": false').replace(str(PROBES), str(self.probes))
            (self.folder / name).write_text(text)
        words = [envoy.program(), "-c", str(self.folder / bootstrap.CONFIG), "--service-node", "shop/edge-1", "--disable-hot-restart",
                 "--concurrency", "1", "--log-level", "warn"]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("w"), text=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sw") as found:  # short: a socket's path has 107 bytes
        yield Path(found)


def test_an_envoy_shows_whose_it_is_is_back_within_two_seconds_and_takes_new_certificates_as_they_come(folder: Path) -> None:
    now = time.time()
    by = identity.authorities(None, now)
    first = identity.identity(None, EDGE, by, now)
    server = identity.server(None, identity.server_names(), by, now)

    async def story() -> None:
        controller, proxy = Controller(free_port()), Proxy(folder, 0)
        proxy.port = controller.port
        await controller.start(server, by.trusted)
        process = proxy.start(first)
        try:
            _, shown, request = await controller.next()
            assert shown == first.certificate and reading.certificate(shown).uris == (spiffe(EDGE),)
            assert b"shop/edge-1" in request and b"Gateway/shop/edge" in request

            # The controller dies, and is away for longer than any first try.
            await controller.kill()
            await asyncio.sleep(3)
            await controller.start(server, by.trusted)
            back = time.monotonic()
            at, shown, _ = await controller.next()
            assert shown == first.certificate and at - back < 2, "the longest wait between two tries is a second"

            # Another authority, trusted beside the old one, and a certificate that it signed: files alone change.
            other = identity.authorities(None, now)
            both = Authorities(other.pair, other.trusted + by.trusted)
            second = identity.identity(None, EDGE, both, now)
            proxy.lay(second)
            await asyncio.sleep(0.5)
            await controller.kill()
            await controller.start(identity.server(server, identity.server_names(), both, now), both.trusted)
            _, shown, _ = await controller.next()
            assert shown == second.certificate and process.poll() is None

            # A controller that is somebody else, though of the same authority, is told nothing.
            await controller.kill()
            await controller.start(identity.server(None, ("other.example.com",), by, now), by.trusted)
            with pytest.raises(TimeoutError):
                await controller.next(2)
        finally:
            process.kill()
            process.wait()
            await controller.kill()

    asyncio.run(story())
