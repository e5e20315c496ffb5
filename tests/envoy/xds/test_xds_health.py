"""Routes are led to a cluster with health checks when each of its endpoints has answered once, and no request fails meanwhile."""

from __future__ import annotations

import asyncio
import time

import pytest
from realenvoy import table
from test_xds_envoy import FLEET, MAIN, load, until, world

from seaway.envoy.translation.clusters import cluster as translated
from seaway.envoy.translation.clusters import endpoints as translated_endpoints
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, Name, Resource, resource
from seaway.routing.ir import Cluster, End, Endpoints
from seaway.routing.policy import BackendPolicy, HealthCheck

LATE = 0.4  # seconds until an endpoint says how it is


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /health "):
                await asyncio.sleep(LATE)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _checked(name: str, port: int) -> list[Resource]:
    policy = BackendPolicy(health=HealthCheck(path="/health", timeout=5.0))
    body, ends = translated(Cluster(name, policy=policy)), translated_endpoints(Endpoints(name, (End("127.0.0.1", port),)))
    return [resource(CLUSTER, name, body, frozenset({Name(ENDPOINT, name)})), resource(ENDPOINT, name, ends)]


@pytest.mark.parametrize("name", ["shop/web/80", "old"], ids=["a new cluster", "a cluster that gets health checks"])
def test_a_cluster_is_led_to_when_its_endpoints_have_been_asked(name: str) -> None:
    async def play() -> None:
        server = await asyncio.start_server(_serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with world("old") as found:
            async with load(found.front, ["/old"]) as requests:
                await until(lambda: bool(requests.told), "requests are answered")
                began = time.monotonic()
                found.fleets.update(FLEET, [*_checked(name, port), table("main", {"/old": name})])
                wanted = [Name(CLUSTER, name), MAIN]
                await until(lambda: all(found.fleets.in_force(FLEET, n) for n in wanted), "the route leads to it")
                took = time.monotonic() - began
                asked = sum(requests.told.values())
                await until(lambda: sum(requests.told.values()) > asked + 20, "requests go on")
            assert set(requests.told) == {200}, requests.failed[:10]
            assert took >= LATE
        server.close()

    asyncio.run(play())
