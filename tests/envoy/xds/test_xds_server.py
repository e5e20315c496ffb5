"""The discovery server on the wire: who may ask, what is off, and what a proxy may cost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from channel import ADS, Client, authority, channel, fleet_pair, server_credentials, serving
from transcripts import FLEET, cluster, endpoints, listener, table

from seaway.envoy import messages
from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.identity import fleet_of, identity
from seaway.envoy.xds.messages import Response, encode
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, LISTENER, ROUTES, Name
from seaway.envoy.xds.server import Limits
from seaway.routing.ir import Fleet

OTHER = Fleet("IngressClass", "", "seaway")


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to be"
        await asyncio.sleep(0.01)


def test_a_response_is_what_protobuf_would_have_written() -> None:
    big = cluster("b" * 200, note="x" * 70_000)
    response = Response(CLUSTER, "12", (cluster("a"), big), ("gone", "é"))
    read = messages.DeltaDiscoveryResponse.FromString(encode(response))
    assert (read.type_url, read.nonce, list(read.removed_resources)) == (CLUSTER, "12", ["gone", "é"])
    found = [(r.name, r.version, r.resource.type_url, r.resource.value) for r in read.resources]
    assert found == [(r.name.name, r.version, CLUSTER, r.body) for r in response.resources]
    read.resources.sort(key=lambda r: r.name)
    assert len(read.SerializeToString()) == len(encode(response)), "no field that protobuf does not know"


@pytest.mark.parametrize("fleet", [FLEET, OTHER, Fleet("Gateway", "a-b", "x.y-z")])
def test_an_identity_names_its_fleet(fleet: Fleet) -> None:
    assert fleet_of(identity(fleet)) == fleet


@pytest.mark.parametrize(
    "uri",
    ["", "spiffe://seaway/fleet/Gateway/web", "spiffe://seaway/fleet/Gateway/web/main/x", "spiffe://other/fleet/Gateway/web/main",
     "spiffe://seaway/fleet/Gateway//main", "spiffe://seaway/fleet/Gateway/web/", "spiffe://seaway/fleet/Gateway/we%62/main",
     "spiffe://seaway/fleet/Gateway/web/main\n", "spiffe://seaway/fleet/Gateway/web/../main", "https://seaway/fleet/Gateway/web/main",
     "spiffe://seaway/fleet/Gateway/web/" + "x" * 3000],
)  # fmt: skip
def test_what_is_not_exactly_an_identity_is_none(uri: str) -> None:
    assert fleet_of(uri) is None


def test_a_stream_gets_its_certificates_fleet_whatever_it_says_it_is() -> None:
    async def play() -> None:
        by = authority()
        fleets = Fleets()
        fleets.update(FLEET, [cluster("web", eds=False)])
        fleets.update(OTHER, [cluster("secret", eds=False)])
        async with serving(fleets, by) as (_, port), channel(port, by, fleet_pair(by, FLEET)) as found:
            client = Client(found, node=OTHER.title)
            await client.ask(CLUSTER)
            assert [r.name for r in (await client.take()).resources] == ["web"]
            await client.ask(CLUSTER, "secret")
            assert list((await client.answer()).removed_resources) == ["secret"]
            assert list(fleets.state(FLEET)) == [OTHER.title] and fleets.state(OTHER) == {}

    asyncio.run(play())


def test_a_certificate_that_is_not_of_a_fleet_is_refused() -> None:
    async def play() -> None:
        by = authority()
        fleets = Fleets()
        fleets.update(FLEET, [cluster("web", eds=False)])
        uris: list[tuple[str, ...]] = [(), ("spiffe://seaway/controller",), (identity(FLEET), identity(OTHER))]
        async with serving(fleets, by) as (_, port):
            for some in uris:
                async with channel(port, by, by.issue("somebody", time.time(), uris=some)) as found:
                    client = Client(found)
                    assert await client.answer() is None
                    assert (await client.status())[0] == grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(play())


def test_without_a_certificate_or_with_a_strangers_there_is_no_connection() -> None:
    async def play() -> None:
        by = authority()
        fleets = Fleets()
        fleets.update(FLEET, [cluster("web", eds=False)])
        async with serving(fleets, by) as (_, port):
            for pair in (None, fleet_pair(authority("stranger"), FLEET)):
                async with channel(port, by, pair) as found:
                    client = Client(found)
                    assert await client.answer() is None
                    assert (await client.status())[0] == grpc.StatusCode.UNAVAILABLE
            assert fleets.streams(FLEET) == 0

    asyncio.run(play())


def test_it_speaks_tls_1_3_and_no_older() -> None:
    """In a process of its own: gRPC reads which suites it may use when it is loaded, here by other tests."""
    told = subprocess.run(
        [sys.executable, Path(__file__).with_name("tlsversions.py")], capture_output=True, text=True, timeout=60
    )
    assert told.stdout.splitlines() == ["TLSv1.3: TLSv1.3", "TLSv1.2: refused"], told.stderr


def test_all_other_methods_are_off() -> None:
    async def play() -> None:
        by = authority()
        async with serving(Fleets(), by) as (_, port), channel(port, by, fleet_pair(by, FLEET)) as found:
            for method in (
                ADS + "StreamAggregatedResources",
                "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters",
                "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            ):
                call = found.stream_stream(method)()
                assert await call.code() == grpc.StatusCode.UNIMPLEMENTED, method
            for method in ("/envoy.service.cluster.v3.ClusterDiscoveryService/FetchClusters", "/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets"):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await found.unary_unary(method)(b"")
                assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED, method

    asyncio.run(play())


def test_a_proxy_cannot_have_more_streams_names_or_bytes_than_it_may() -> None:
    async def play() -> None:
        by = authority()
        fleets = Fleets()
        fleets.update(FLEET, [cluster("web", eds=False)])
        limits = Limits(streams=2, request=200_000)
        async with serving(fleets, by, limits) as (_, port), channel(port, by, fleet_pair(by, FLEET)) as found:
            first, second = Client(found), Client(found)
            for client in (first, second):
                await client.ask(CLUSTER)
                await client.take()
            third = Client(found)
            assert await third.answer() is None
            assert await third.status() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Gateway/web/main has 2 streams")
            await first.ask(ENDPOINT, "x" * 2_000)
            assert await first.answer() is None
            assert await first.status() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "a name may have 1024 characters")
            await second.ask(ENDPOINT, *(f"{n:01000}" for n in range(300)))
            assert await second.answer() is None
            assert (await second.status())[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
            await until(lambda: fleets.streams(FLEET) == 0)

    asyncio.run(play())


def test_the_servers_certificate_and_authority_change_without_a_restart() -> None:
    async def play() -> None:
        old, new = authority("old"), authority("new")
        fleets = Fleets()
        fleets.update(FLEET, [cluster("web", eds=False)])
        async with serving(fleets, old) as (server, port), channel(port, old, fleet_pair(old, FLEET)) as before:
            client = Client(before)
            await client.ask(CLUSTER)
            await client.take()
            both = old.pair.certificate + new.pair.certificate
            server.renew(server_credentials(new)._replace(authorities=both))
            for by in (old, new):
                async with channel(port, new, fleet_pair(by, FLEET)) as after:
                    another = Client(after)
                    await another.ask(CLUSTER)
                    assert len((await another.take()).resources) == 1
            server.renew(server_credentials(new))
            async with channel(port, new, fleet_pair(old, FLEET)) as after:
                refused = Client(after)
                assert await refused.answer() is None
            fleets.update(FLEET, [cluster("web", eds=False, n=2)])
            assert len((await client.take()).resources) == 1, "the stream of before lives on"

    asyncio.run(play())


def test_a_proxy_that_does_not_read_delays_nobody_and_costs_no_memory() -> None:
    async def play() -> None:
        by = authority()
        fleets = Fleets()
        fleets.update(FLEET, [cluster("web", eds=False)])
        pair = fleet_pair(by, FLEET)
        async with serving(fleets, by) as (_, port), channel(port, by, pair) as one, channel(port, by, pair) as two:
            slow, quick = Client(one, node="slow"), Client(two, node="quick")
            for client in (slow, quick):
                await client.ask(CLUSTER)
            await quick.take()
            await until(lambda: len(fleets.state(FLEET)) == 2)
            for n in range(100):  # 100 MB to the one that does not read, were it kept for it
                fleets.update(FLEET, [cluster("web", eds=False, n=n, pad="x" * 1_000_000)])
                await quick.take()
            session = next(s for s in fleets.sessions(FLEET) if s.proxy.name == "slow")
            assert session.sent <= 2
            while (await slow.take()).resources[0].version != fleets.wanted(FLEET, Name(CLUSTER, "web")).version:  # type: ignore[union-attr]
                pass
            await until(lambda: fleets.in_force(FLEET, Name(CLUSTER, "web")))

    asyncio.run(play())


def test_what_is_in_force_and_what_was_refused_is_told_once_for_many_changes() -> None:
    async def play() -> None:
        by = authority()
        calls: list[float] = []
        fleets = Fleets(on_change=lambda: calls.append(time.monotonic()))
        fleets.update(FLEET, [cluster("a"), endpoints("a"), table("r", "a"), listener("l", "r")])
        async with serving(fleets, by) as (_, port), channel(port, by, fleet_pair(by, FLEET)) as found:
            client = Client(found, node="p")
            await client.ask(CLUSTER)
            await client.take()
            await client.ask(ENDPOINT, "a")
            await client.take()
            await client.ask(LISTENER)
            await client.take()
            await client.ask(ROUTES, "r")
            answer = await client.answer()
            assert not fleets.in_force(FLEET, Name(LISTENER, "l"))
            await client.ask(ROUTES, response_nonce=answer.nonce, error_detail=messages.Status(code=13, message="no such regex"))
            await until(lambda: bool(fleets.rejected(FLEET)))
            assert len(calls) == 1, "nobody asked yet"
            assert fleets.changes() == {FLEET} and fleets.changes() == frozenset()
            (refused,) = fleets.rejected(FLEET)
            assert (refused.name, refused.message) == (Name(ROUTES, "r"), "no such regex")
            fleets.update(FLEET, [table("r", "a", n=2)])
            await client.take()
            await until(lambda: fleets.in_force(FLEET, Name(LISTENER, "l")))
            assert fleets.rejected(FLEET) == () and len(calls) == 2

    asyncio.run(play())


def test_nothing_of_grpc_or_protobuf_is_loaded_before_the_server_starts() -> None:
    code = (
        "import sys, seaway.envoy.xds.server, seaway.envoy.messages\n"
        "print([m for m in ('grpc', 'google.protobuf', 'envoy') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"


def test_an_address_that_is_taken_is_said() -> None:
    async def play() -> None:
        by = authority()
        async with serving(Fleets(), by) as (_, port):
            from seaway.envoy.xds.server import Server

            with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
                await Server(Fleets()).start(f"127.0.0.1:{port}", server_credentials(by))

    asyncio.run(play())
