"""What the proxy says of its health: /healthz and /livez of the proxy itself (pkg/proxy/healthcheck/proxy_health.go), and
healthCheckNodePort, by which a load balancer learns whether this node has an endpoint of a Service with
externalTrafficPolicy Local (service_health.go). `wanted`, `answer` and `proxy_answer` are pure."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from aiohttp import web

from seaway.metrics import exposition
from seaway.proxy.metrics import Metrics
from seaway.services.resolve import Resolved

log = logging.getLogger("kube-proxy")
RETRY = 1.0
NOSNIFF = {"X-Content-Type-Options": "nosniff"}
ANY = {4: "0.0.0.0", 6: "::"}
Place = tuple[int, int]  # family, port


class Health(NamedTuple):
    """What a port says: whose Service, and how many ready endpoints of it this node has."""

    namespace: str
    name: str
    local_endpoints: int


class ProxyState(NamedTuple):
    """Seconds since the epoch of the last sync and of now; whether syncs keep up; whether the node may be sent to."""

    last_sync: float
    now: float
    healthy: bool
    eligible: bool


def proxy_answer(path: str, state: ProxyState) -> tuple[int, dict[str, object]] | None:
    """(status, body) of the proxy's own health; a node on its way out fails /healthz and is not spoken of by /livez. None: no
    such path. While all is well `lastUpdated` is now, as clients of the first releases expect."""
    if path not in ("/healthz", "/livez"):
        return None
    well = state.healthy and (state.eligible or path == "/livez")
    times = {"lastUpdated": state.now if well else state.last_sync, "currentTime": state.now}
    body: dict[str, object] = {k: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t)) for k, t in times.items()}
    if path == "/healthz":
        body["nodeEligible"] = state.eligible
    return 200 if well else 503, body


def wanted(services: Iterable[Resolved], node: str) -> dict[Place, Health]:
    """The ports to open. Ready endpoints only: one that is terminating still serves, but attracts nobody."""
    found: dict[Place, Health] = {}
    for service in services:
        if service.health_port and service.external_local and service.kind == "LoadBalancer":
            local = {e.address for p in service.ports for e in p.endpoints if e.node == node and e.ready}
            found[(service.family, service.health_port)] = Health(service.namespace, service.name, len(local))
    return found


def answer(health: Health, proxy_healthy: bool) -> tuple[int, dict[str, object], dict[str, str]]:
    """(status, body, headers) of a health port."""
    status = 200 if health.local_endpoints and proxy_healthy else 503
    body: dict[str, object] = {
        "service": {"namespace": health.namespace, "name": health.name},
        "localEndpoints": health.local_endpoints,
        "serviceProxyHealthy": proxy_healthy,
    }
    return status, body, {**NOSNIFF, "X-Load-Balancing-Endpoint-Weight": str(health.local_endpoints)}


def _nobody(health: Health, port: int, why: str) -> None:
    pass


class HealthPorts:
    """The servers of the health ports, one a family and port; a port that is taken is tried again, and `failed` is told the first
    time. `hosts`: the address of each family that is listened on."""

    def __init__(
        self,
        healthy: Callable[[], bool],
        hosts: Mapping[int, str] = ANY,
        failed: Callable[[Health, int, str], None] = _nobody,
    ) -> None:
        self._healthy, self._hosts, self._failed = healthy, hosts, failed
        self._refused: set[Place] = set()
        self._wanted: Mapping[Place, Health] = {}
        self._open: dict[Place, asyncio.Server] = {}
        self._wake = asyncio.Event()

    def set(self, places: Mapping[Place, Health]) -> None:
        """What is to be open from now on, and what it says."""
        self._wanted = places
        if places.keys() != self._open.keys():
            self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for place in [p for p in self._open if p not in self._wanted]:
                self._open.pop(place).close()
            self._refused &= self._wanted.keys()
            for place in [p for p in self._wanted if p not in self._open]:
                try:
                    self._open[place] = await self._serve(place)
                    self._refused.discard(place)
                except OSError as e:
                    if place not in self._refused:
                        self._refused.add(place)
                        self._failed(self._wanted[place], place[1], e.strerror or str(e))
                    log.error("health check node port %d: %s; again in %.0f s", place[1], e.strerror, RETRY)
                    asyncio.get_running_loop().call_later(RETRY, self._wake.set)

    async def _serve(self, place: Place) -> asyncio.Server:
        async def handle(request: web.BaseRequest) -> web.Response:
            health = self._wanted.get(place)
            if health is None:
                return web.Response(status=404, text="404 page not found\n")
            status, body, headers = answer(health, self._healthy())
            return web.json_response(body, status=status, headers=headers)

        family = socket.AF_INET if place[0] == 4 else socket.AF_INET6
        return await asyncio.get_running_loop().create_server(
            web.Server(handle, access_log=None), self._hosts[place[0]], place[1], family=family
        )


async def serve_metrics(where: tuple[str, int], mode: str, metrics: Metrics) -> None:
    """Opens the port of /metrics, and of /proxyMode, which says how packets are steered."""

    async def say(request: web.BaseRequest) -> web.Response:
        if request.path == "/metrics":
            return web.Response(
                body=exposition.render(metrics.registry).encode(), headers={"Content-Type": exposition.CONTENT_TYPE}
            )
        if request.path == "/proxyMode":
            return web.Response(text=mode, headers=NOSNIFF)
        return web.Response(status=404, text="404 page not found\n")

    server = web.Server(say, access_log=None)
    await asyncio.get_running_loop().create_server(server, where[0] or None, where[1], reuse_address=True)


async def serve(where: tuple[str, int], state: Callable[[], ProxyState], metrics: Metrics | None = None) -> None:
    """Opens the proxy's own health port, in both families where no address is given."""

    async def say(request: web.BaseRequest) -> web.Response:
        found = proxy_answer(request.path, state())
        if found is None:
            return web.Response(status=404, text="404 page not found\n")
        if metrics is not None:
            (metrics.healthz if request.path == "/healthz" else metrics.livez).inc(str(found[0]))
        return web.json_response(found[1], status=found[0], headers=NOSNIFF)

    server = web.Server(say, access_log=None)
    await asyncio.get_running_loop().create_server(server, where[0] or None, where[1], reuse_address=True)
