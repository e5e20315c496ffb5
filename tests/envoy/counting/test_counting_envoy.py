"""Real Envoys that ask a real controller about requests, on the channel that brings them their configuration: what they share, what
others' proxies cannot touch, and what becomes of requests when the controller is away. Times are hours: nothing is refilled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc
import pytest
from channel import authority, channel, fleet_pair, serving
from proxied import free_port
from realenvoy import running, upstream
from translated import GATEWAY, TABLE, rule

from seaway.envoy import messages
from seaway.envoy.counting.fleets import Counts
from seaway.envoy.translation import limits
from seaway.envoy.translation.fleet import Translation
from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.server import LIMITS, Server
from seaway.routing.ir import (
    Chain,
    Cluster,
    End,
    Endpoints,
    Fleet,
    Forward,
    Host,
    Pieces,
    Rule,
    Socket,
    Target,
)
from seaway.routing.policy import LimitKey, RateLimit, RoutePolicy

EDGE, OTHER = Fleet("Gateway", "shop", "edge"), Fleet("IngressClass", "", "seaway")
HOUR, WEB = 3600, "shop/web/80"
USER, GOLD = LimitKey("header", "x-user"), LimitKey("header", "x-plan", "gold")
Answer = tuple[int, dict[str, str]]
Ask = Callable[..., Awaitable[Answer]]


def shared(path: str, *found: RateLimit) -> Rule:
    policy = RoutePolicy(limits=found)
    return rule(path, Forward((Target(WEB),)), name=path.strip("/"), policy=policy)


def over_all(requests: int, *keys: LimitKey, exempt: tuple[str, ...] = (), burst: int = 0) -> RateLimit:
    return RateLimit(requests, HOUR, burst, keys, "global", exempt)


RULES = (
    shared("/all", over_all(5)),
    shared("/burst", over_all(2, burst=2)),
    shared("/client", over_all(2, LimitKey("client"))),
    shared("/user", over_all(2, USER)),
    shared("/gold", over_all(2, GOLD)),
    shared("/several", over_all(3, USER), over_all(4)),
    shared("/spared", over_all(1, exempt=("127.0.0.8/29",))),
    shared("/near", RateLimit(2, HOUR)),
    shared("/free"),
)
HOSTS = {n: Host(n, RULES) for n in ("a.example.com", "*.wild.example.com")}


def pieces(port: int, backend: int) -> Pieces:
    return Pieces(
        sockets={f"tcp-{port}": Socket(port, "tcp", (Chain("http", GATEWAY, table=TABLE),))},
        hosts={TABLE: dict(HOSTS)},
        clusters={WEB: Cluster(WEB)},
        endpoints={WEB: Endpoints(WEB, (End("127.0.0.1", backend),))},
    )


async def ask(port: int, path: str, *headers: str, host: str = "a.example.com", address: str = "127.0.0.1") -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", "")
        writer.write("\r\n".join(lines).encode())
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode().lower()
        first, *rest = head.strip().splitlines()
        return int(first.split()[1]), dict(line.split(": ", 1) for line in rest)  # type: ignore[misc]
    finally:
        writer.close()


async def codes(port: int, path: str, count: int, *headers: str, **more: str) -> list[int]:
    return [(await ask(port, path, *headers, **more))[0] for _ in range(count)]


async def serves(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            if (await ask(port, "/free"))[0] == 200:
                return
        except (OSError, asyncio.IncompleteReadError):
            pass
        assert time.monotonic() < end, "the proxy does not serve"
        await asyncio.sleep(0.02)


async def counted(server: Server, port: int) -> None:
    """Limits hold in every way; 3 of the 5 of `/all` are taken."""
    first = await ask(port, "/all")
    assert first[0] == 200 and {k: v for k, v in first[1].items() if k.startswith("x-ratelimit")} == {
        "x-ratelimit-limit": "5",
        "x-ratelimit-remaining": "4",
        "x-ratelimit-reset": "720",
    }
    assert await codes(port, "/all", 1, host="A.Example.com") == [200]
    assert await codes(port, "/all", 1, host="x.wild.example.com") == [200], "a rule of several hosts is one"
    assert await codes(port, "/burst", 6) == [200] * 4 + [429] * 2
    refused = await ask(port, "/burst")
    assert refused[1]["x-ratelimit-remaining"] == "0" and 1700 < int(refused[1]["retry-after"]) <= 1800
    for i in range(2, 6):
        assert await codes(port, "/client", 3, f"X-Forwarded-For: 192.0.2.{i}", address=f"127.0.0.{i}") == [200, 200, 429]
    users = [f"X-User: {i}" for i in range(25)]
    assert [[(await ask(port, "/user", user))[0] for user in users] for _ in range(3)] == [[200] * 25, [200] * 25, [429] * 25]
    assert await codes(port, "/user", 4) == [200] * 4
    assert await codes(port, "/gold", 3, "X-Plan: gold") == [200, 200, 429]
    assert await codes(port, "/gold", 4, "X-Plan: tin") == [200] * 4
    # Who is refused by one takes nothing from the other.
    assert await codes(port, "/several", 6, "X-User: x") == [200] * 3 + [429] * 3
    assert await codes(port, "/several", 2, "X-User: y") == [200, 429]
    assert await codes(port, "/spared", 3, address="127.0.0.9") == [200] * 3
    assert await codes(port, "/spared", 3, "X-Forwarded-For: 127.0.0.9") == [200, 429, 429]
    assert await codes(port, "/near", 3) == [200, 200, 429], "limits of each proxy come on the same stream"
    grpc_call = ("Content-Type: application/grpc", "X-User: x")
    assert (await ask(port, "/user", "X-User: g"))[0] == (await ask(port, "/user", "X-User: g"))[0] == 200
    status, headers = await ask(port, "/user", grpc_call[0], "X-User: g")
    assert (status, headers["grpc-status"]) == (200, "8")


def test_proxies_of_a_fleet_share_counts_and_no_other_fleets_and_go_on_without_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATIENCE", 20.0)  # a busy machine is not a controller that is away
    told: list[tuple[Fleet, str]] = []

    async def story() -> None:
        by, fleets = authority(), Fleets()
        counts = Counts(lambda fleet, verdict, _: told.append((fleet, verdict)))
        ports = {EDGE: free_port(), OTHER: free_port()}
        async with upstream() as backend, serving(fleets, by, counts=counts) as (server, port):
            for fleet, own in ports.items():
                change = Translation(fleet, "127.0.0.1").apply(pieces(own, backend))
                fleets.update(fleet, change.put)
            async with running("shop/edge-0", port, by, fleet_pair(by, EDGE)):
                await serves(ports[EDGE])
                await counted(server, ports[EDGE])
            async with (
                running("shop/edge-1", port, by, fleet_pair(by, EDGE)),
                running("other/x-0", port, by, fleet_pair(by, OTHER)),
            ):
                await serves(ports[EDGE])
                await serves(ports[OTHER])
                assert await codes(ports[EDGE], "/all", 4) == [200, 200, 429, 429], "what another proxy let through counts"
                assert await codes(ports[OTHER], "/all", 6) == [200] * 5 + [429]
                assert told.count((OTHER, "passed")) == 5 and told.count((OTHER, "refused")) == 1
                await server.stop()
                assert await codes(ports[EDGE], "/all", 3) == [200] * 3, "limits are no security: without the controller all pass"
                assert await codes(ports[EDGE], "/near", 3) == [200, 200, 429], "and each proxy goes on with its own"

    asyncio.run(story())


def test_only_proxies_of_known_fleets_are_answered() -> None:
    async def play() -> None:
        by, fleets = authority(), Fleets()
        fleets.update(EDGE, ())
        question = messages.RateLimitRequest(domain="x")
        question.descriptors.add().entries.add(key="limit", value="1/3600s+0 x")

        async def asked(pair: object) -> object:
            async with channel(port, by, pair) as found:  # type: ignore[arg-type]
                method = found.unary_unary(
                    f"/{LIMITS}/ShouldRateLimit",
                    request_serializer=messages.RateLimitRequest.SerializeToString,
                    response_deserializer=messages.RateLimitResponse.FromString,
                )
                try:
                    return (await method(question, timeout=20)).overall_code
                except grpc.aio.AioRpcError as e:
                    return e.code()

        async with serving(fleets, by) as (_, port):
            assert [await asked(fleet_pair(by, EDGE)) for _ in range(3)] == [1, 2, 2]
            assert await asked(fleet_pair(by, OTHER)) is grpc.StatusCode.UNAVAILABLE
            assert await asked(by.issue("x", time.time(), uris=("spiffe://x/y",))) is grpc.StatusCode.PERMISSION_DENIED
            assert await asked(None) is grpc.StatusCode.UNAVAILABLE, "no handshake"
            fleets.forget(EDGE)
            assert await asked(fleet_pair(by, EDGE)) is grpc.StatusCode.UNAVAILABLE

    asyncio.run(play())
