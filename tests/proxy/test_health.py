"""Health ports of Services and the proxy's own health: what is opened, what is said, ports that come and go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing

import aiohttp
import pytest

from seaway.proxy import health
from seaway.proxy.health import Health, HealthPorts, ProxyState, answer, proxy_answer, wanted
from seaway.services.resolve import Endpoint, Port, Resolved

LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def endpoint(address: str, node: str = "here", ready: bool = True, terminating: bool = False) -> Endpoint:
    return Endpoint(address, 8080, ready, True, terminating, node, "", (), ())


def service(*endpoints: Endpoint, family: int = 4, kind: str = "LoadBalancer", local: bool = True, port: int = 31000, ports: int = 1) -> Resolved:
    rows = tuple(Port(f"p{i}", "TCP", 80 + i, 30080 + i, endpoints) for i in range(ports))
    return Resolved("shop", "web", family, kind, "10.96.0.1", (), (), (), 0, False, local, port, rows)


A, B = endpoint("10.244.0.1"), endpoint("10.244.0.2")
FAR = endpoint("10.244.1.1", "there")


@pytest.mark.parametrize(
    ("services", "want"),
    [
        ([], {}),
        ([service(A, B, FAR)], {(4, 31000): 2}),
        ([service(FAR)], {(4, 31000): 0}),
        ([service()], {(4, 31000): 0}),
        ([service(endpoint("10.244.0.1", ready=False))], {(4, 31000): 0}),
        ([service(endpoint("10.244.0.1", ready=False, terminating=True))], {(4, 31000): 0}),  # it serves, but attracts nobody
        ([service(endpoint("10.244.0.1", ready=True, terminating=True))], {(4, 31000): 1}),  # publishNotReadyAddresses
        ([service(A, B, ports=3)], {(4, 31000): 2}),  # an address counts once, however many ports it has
        ([service(A, local=False)], {}),
        ([service(A, kind="NodePort")], {}),
        ([service(A, kind="ClusterIP")], {}),
        ([service(A, port=0)], {}),
        ([service(A), service(endpoint("fd00::1"), endpoint("fd00::2"), family=6)], {(4, 31000): 1, (6, 31000): 2}),
        ([service(A), service(B, port=31001)], {(4, 31000): 1, (4, 31001): 1}),
    ],
)
def test_which_ports_are_opened_and_how_many_ready_endpoints_are_here(services: list, want: dict) -> None:
    found = wanted(services, "here")
    assert {place: h.local_endpoints for place, h in found.items()} == want
    assert all((h.namespace, h.name) == ("shop", "web") for h in found.values())


@pytest.mark.parametrize(("count", "healthy", "status"), [(0, True, 503), (1, True, 200), (7, True, 200), (1, False, 503), (0, False, 503)])
def test_a_health_port_says_200_with_ready_endpoints_and_a_healthy_proxy(count: int, healthy: bool, status: int) -> None:
    assert answer(Health("shop", "web", count), healthy) == (
        status,
        {"service": {"namespace": "shop", "name": "web"}, "localEndpoints": count, "serviceProxyHealthy": healthy},
        {"X-Content-Type-Options": "nosniff", "X-Load-Balancing-Endpoint-Weight": str(count)},
    )


SYNCED, NOW = "2026-01-01T00:00:00Z", "2026-01-01T00:01:40Z"


@pytest.mark.parametrize(
    ("path", "healthy", "eligible", "status"),
    [
        ("/healthz", True, True, 200), ("/healthz", True, False, 503), ("/healthz", False, True, 503), ("/healthz", False, False, 503),
        ("/livez", True, True, 200), ("/livez", True, False, 200), ("/livez", False, True, 503), ("/livez", False, False, 503),
    ],
)
def test_a_node_on_its_way_out_fails_healthz_and_not_livez(path: str, healthy: bool, eligible: bool, status: int) -> None:
    found = proxy_answer(path, ProxyState(1767225600.0, 1767225700.0, healthy, eligible))
    body = {"lastUpdated": NOW if status == 200 else SYNCED, "currentTime": NOW}
    assert found == (status, {**body, "nodeEligible": eligible} if path == "/healthz" else body)


@pytest.mark.parametrize("path", ["/", "/healthz/", "/metrics", "/LIVEZ", ""])
def test_other_paths_are_none(path: str) -> None:
    assert proxy_answer(path, ProxyState(0, 0, True, True)) is None


def free_port() -> int:
    """A port that is free in both families of loopback."""
    with closing(socket.socket(socket.AF_INET6)) as six, closing(socket.socket()) as four:
        six.bind(("::1", 0))
        port: int = six.getsockname()[1]
        four.bind(("127.0.0.1", port))
        return port


async def get(port: int, family: int = 4) -> tuple[int, dict, str]:
    """(status, body, weight); status 0 where nobody answers as a health port does."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://{'[::1]' if family == 6 else '127.0.0.1'}:{port}/") as r:
            return r.status, await r.json() if r.status != 404 else {}, r.headers.get("X-Load-Balancing-Endpoint-Weight", "")
    except (aiohttp.ClientError, OSError):
        return 0, {}, ""


async def until(port: int, status: int, family: int = 4, also: Callable[[], object] = lambda: True) -> None:
    async with asyncio.timeout(10):
        while (await get(port, family))[0] != status or not also():
            await asyncio.sleep(0.005)


def test_health_ports_open_say_what_is_true_now_and_close() -> None:
    async def go() -> None:
        well = True
        ports, port = HealthPorts(lambda: well, LOOPBACK), free_port()
        task = asyncio.ensure_future(ports.run())
        try:
            ports.set({(4, port): Health("shop", "web", 2), (6, port): Health("shop", "web", 0)})
            await until(port, 200)
            await until(port, 503, 6)
            assert (await get(port))[1:] == ({"service": {"namespace": "shop", "name": "web"}, "localEndpoints": 2, "serviceProxyHealthy": True}, "2")
            ports.set({(4, port): Health("shop", "web", 0), (6, port): Health("shop", "web", 1)})
            assert [(await get(port))[0], (await get(port, 6))[0]] == [503, 200], "no port is opened anew: the next answer says it"
            well = False
            assert (await get(port, 6))[0] == 503
            ports.set({(6, port): Health("shop", "web", 1)})
            await until(port, 0)
            assert (await get(port, 6))[0] == 503
            ports.set({})
            await until(port, 0, 6)
            ports.set({(4, port): Health("shop", "other", 1)})
            await until(port, 503)
            assert (await get(port))[1]["service"]["name"] == "other"
        finally:
            ports.set({})
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())


def test_a_port_that_is_taken_is_opened_when_it_is_free_and_harms_no_other(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(health, "RETRY", 0.02)

    async def go() -> None:
        taken, other = free_port(), free_port()
        thief = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", taken)
        ports = HealthPorts(lambda: True, LOOPBACK)
        task = asyncio.ensure_future(ports.run())
        try:
            ports.set({(4, taken): Health("shop", "a", 1), (4, other): Health("shop", "b", 1)})
            await until(other, 200)
            async with asyncio.timeout(10):
                while not caplog.messages:
                    await asyncio.sleep(0.005)
            assert f"health check node port {taken}:" in caplog.messages[0]
            assert (await get(taken))[0] == 0
            thief.close()
            await thief.wait_closed()
            await until(taken, 200)
            assert (await get(taken))[1]["service"]["name"] == "a"
        finally:
            ports.set({})
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
