"""What the tests on the wire share: certificates, a server, and a client of gRPC that speaks delta ADS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from seaway.envoy import messages
from seaway.envoy.counting.fleets import Counts
from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.identity import identity
from seaway.envoy.xds.server import Credentials, Limits, Server
from seaway.pki.authority import Authority, Pair
from seaway.routing.ir import Fleet

ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
SERVER = "seaway-gateway.seaway-system.svc"


def authority(name: str = "ca") -> Authority:
    return Authority.new(name, time.time())


def server_credentials(by: Authority) -> Credentials:
    pair = by.issue("server", time.time(), hosts=(SERVER, "127.0.0.1"), server=True)
    return Credentials(pair.certificate, pair.key, by.pair.certificate)


def fleet_pair(by: Authority, fleet: Fleet) -> Pair:
    return by.issue("proxy", time.time(), uris=(identity(fleet),))


@asynccontextmanager
async def serving(
    fleets: Fleets,
    by: Authority,
    limits: Limits = Limits(),  # noqa: B008
    counts: Counts | None = None,
) -> AsyncIterator[tuple[Server, int]]:
    server = Server(fleets, limits, counts)
    port = await server.start("127.0.0.1:0", server_credentials(by))
    try:
        yield server, port
    finally:
        await server.stop()


@asynccontextmanager
async def channel(port: int, by: Authority, pair: Pair | None) -> AsyncIterator[Any]:
    credentials = grpc.ssl_channel_credentials(by.pair.certificate, pair.key if pair else None, pair.certificate if pair else None)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as found:
        yield found


class Client:
    """One stream of delta ADS."""

    def __init__(self, found: Any, node: str = "") -> None:
        method = found.stream_stream(
            ADS + "DeltaAggregatedResources",
            request_serializer=messages.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=messages.DeltaDiscoveryResponse.FromString,
        )
        self._call, self._node = method(), node

    async def ask(self, type: str, *names: str, **more: Any) -> None:
        node, self._node = self._node, ""
        request = messages.DeltaDiscoveryRequest(type_url=type, resource_names_subscribe=names, **more)
        if node:
            request.node.id = node
        try:
            await self._call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the answer says why

    async def answer(self, seconds: float = 10) -> Any:
        """The next response, or None at the end of the stream."""
        try:
            found = await asyncio.wait_for(self._call.read(), seconds)
        except grpc.aio.AioRpcError:
            return None
        return None if found is grpc.aio.EOF else found

    async def take(self) -> Any:
        """The next response, acknowledged."""
        found = await self.answer()
        await self.ask(found.type_url, response_nonce=found.nonce)
        return found

    async def status(self) -> tuple[Any, str]:
        return await self._call.code(), await self._call.details()

    def cancel(self) -> None:
        self._call.cancel()
