"""The configuration that an Envoy of a fleet begins with; pure.

It knows the controller and how to show who it is, its probes, and how to end without losing a request. All else comes from
the controller, resource by resource. Nothing of Envoy's administration is reachable but what stands in `_routes`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from seaway.api import quantities
from seaway.envoy.translation.names import CONTROLLER as XDS
from seaway.envoy.translation.names import COUNTING
from seaway.gateway.infrastructure.drain import DRAIN, HEADER, SCRIPT
from seaway.gateway.infrastructure.values import PROBES, Wanted

Tree = dict[str, Any]
FOLDER, CONFIG, KEYS = "/etc/envoy", "envoy.json", "/etc/seaway/identity"
IDENTITY, AUTHORITIES = "identity.json", "authorities.json"
RUN = "/run/seaway"  # an empty folder of the pod's, for sockets
ADMIN, PAUSE = f"{RUN}/admin.sock", f"{RUN}/pause.sock"
_TYPE = "type.googleapis.com/envoy."
CONNECTIONS_TO_PROBES = 64
# So many requests an Envoy asks its controller about at a time; more pass unasked, so that configuration is never late for it.
QUESTIONS = 128
# Instructions of a user's regex. RE2 takes time in proportion to them and to the text, never more; Envoy's own bound of 100
# refuses what people write (a path of 100 letters is one).
REGEX_SIZE = 2048
# What is never counted: series of each thread, of each cipher, of files and runtime keys, of what no chart shows. What
# is left of a cluster are requests, connections, times, members, outliers and circuit breakers.
UNCOUNTED = (
    r"^(listener|server)\..*(worker_\d+|main_thread)\..*",
    r".*\.ssl\.(ciphers|versions|curves|sigalgs)\..*",
    r"^(runtime|filesystem|workers|main_thread|thread_local_cluster_manager|dns|access_logs|tls_inspector)\..*",
    r"^cluster\..*\.(default|http1|http2|http3|internal|external|canary|zone|dynamic_host|tls_session)\..*",
    r"^cluster\..*\.circuit_breakers\.high\..*",
    r"^cluster\..*\.(assignment_|bind_errors|lb_|max_host_weight|membership_degraded|original_dst|retry_or_shadow|update_"
    r"|init_fetch_timeout|version|warming_state|upstream_(internal_redirect|flow_control|http3|queue)).*",
    r"^cluster\..*\.upstream_cx_(close_notify|connect_(attempts|ms|with)|destroy|http\d|idle|length|max_|none_healthy|pool"
    r"|preconnect|protocol|[rt]x_bytes_buffered).*",
    r"^cluster\..*\.upstream_rq_(\d\d\d$|0rtt|active_overflow|cancelled|completed|maintenance|max_duration|pending_failure"
    r"|per_cx|per_try_idle|retry_backoff|rx_reset|tx_reset).*",
)


def _any(kind: str, **fields: Any) -> Tree:
    return {"@type": _TYPE + kind, **fields}


def _pipe(path: str) -> Tree:
    return {"pipe": {"path": path}}


def _local(name: str, path: str) -> Tree:
    """A cluster of Envoy itself."""
    end = {"endpoint": {"address": _pipe(path)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [end]}]},
    }


def _secret(name: str, file: str) -> Tree:
    """Where a secret is read, and read anew: the folder's link is replaced when the volume changes."""
    return {
        "name": name,
        "sds_config": {"path_config_source": {"path": f"{FOLDER}/{file}"}, "resource_api_version": "V3"},
    }


def _controller(wanted: Wanted, name: str, **more: Any) -> Tree:
    """The way to the controller: mutual TLS 1.3, and quick to notice that it has gone."""
    host, port = wanted.controller
    tls = _any(
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=host,
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["h2"],
            "tls_certificate_sds_secret_configs": [_secret("identity", IDENTITY)],
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}]
                },
                "validation_context_sds_secret_config": _secret("authorities", AUTHORITIES),
            },
        },
    )
    http = _any(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={
            "http2_protocol_options": {
                # The server has to permit pings this often (grpc.http2.min_ping_interval_without_data_ms).
                "connection_keepalive": {"interval": "10s", "timeout": "5s"},
                "initial_stream_window_size": 1 << 20,
                "initial_connection_window_size": 4 << 20,
            }
        },
    )
    names = _any(
        "extensions.clusters.dns.v3.DnsCluster",
        dns_lookup_family="ALL",
        dns_refresh_rate="5s",
        dns_failure_refresh_rate={"base_interval": "0.2s", "max_interval": "1s"},
    )
    end = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
    return {
        "name": name,
        "cluster_type": {"name": "envoy.clusters.dns", "typed_config": names},
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [end]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http},
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 10, "keepalive_interval": 3}
        },
        **more,
    }


def _counting(wanted: Wanted) -> Tree:
    bounds = {"max_requests": QUESTIONS, "max_pending_requests": QUESTIONS}
    return _controller(wanted, COUNTING, circuit_breakers={"thresholds": [bounds]})


def _routes(drain_key: str) -> list[Tree]:
    """What may be asked of an Envoy by the network, by whole paths. Only who shows the key, the kubelet, may drain it."""

    def asked(path: str, *headers: Tree) -> Tree:
        get = {"name": ":method", "string_match": {"exact": "GET"}}
        return {"path": path, "headers": [get, *headers]}

    to_admin = {"cluster": "admin", "timeout": "10s"}
    shown = {"name": HEADER, "string_match": {"exact": drain_key}}
    return [
        {"match": asked("/ready"), "route": to_admin},
        {"match": asked("/stats/prometheus"), "route": to_admin},
        {
            "match": asked("/drain", shown),
            "direct_response": {"status": 500},
            "typed_per_filter_config": {
                "envoy.filters.http.lua": _any("extensions.filters.http.lua.v3.LuaPerRoute", name=DRAIN)
            },
        },
    ]


def _http(stat: str, routes: list[Tree], filters: list[Tree]) -> Tree:
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": _any("extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
    }
    manager = _any(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=stat,
        codec_type="HTTP1",
        normalize_path=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        request_headers_timeout="5s",
        # Draining takes as long as it takes.
        stream_idle_timeout="0s",
        common_http_protocol_options={"idle_timeout": "60s"},
        route_config={"name": stat, "virtual_hosts": [{"name": stat, "domains": ["*"], "routes": routes}]},
        http_filters=[*filters, router],
    )
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _probes(wanted: Wanted) -> Tree:
    """What the kubelet and Prometheus ask. It answers at any load: an Envoy at its limits is not one that is gone."""
    limit = _any(
        "extensions.filters.network.connection_limit.v3.ConnectionLimit",
        stat_prefix="probes",
        max_connections=CONNECTIONS_TO_PROBES,
    )
    script = _any(
        "extensions.filters.http.lua.v3.Lua",
        source_codes={DRAIN: {"inline_string": SCRIPT.format(**_times(wanted))}},
    )
    lua = {"name": "envoy.filters.http.lua", "typed_config": script}
    filters = [
        {"name": "envoy.filters.network.connection_limit", "typed_config": limit},
        _http("probes", _routes(wanted.drain_key), [lua]),
    ]
    return {
        "name": "probes",
        "stat_prefix": "probes",
        "address": {"socket_address": {"address": "::", "port_value": PROBES, "ipv4_compat": True}},
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
        "filter_chains": [{"filters": filters}],
    }


def _times(wanted: Wanted) -> dict[str, int]:
    most = wanted.parameters.drain_seconds
    least = min(wanted.parameters.settle_seconds, most)
    return {"least": least, "quiet": 2 * least, "most": most}


def _pause() -> Tree:
    """Answers after a second: the script's clock."""
    delay = _any(
        "extensions.filters.http.fault.v3.HTTPFault", delay={"fixed_delay": "1s", "percentage": {"numerator": 100}}
    )
    fault = {"name": "envoy.filters.http.fault", "typed_config": delay}
    filters = [_http("pause", [{"match": {"path": "/"}, "direct_response": {"status": 204}}], [fault])]
    return {
        "name": "pause",
        "stat_prefix": "pause",
        "address": _pipe(PAUSE),
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
        "filter_chains": [{"filters": filters}],
    }


def _overload(wanted: Wanted) -> Tree:
    """Envoy's practice for proxies at the edge: connections are bounded, and memory where its limit is known."""
    connections = _any(
        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=wanted.parameters.max_connections,
    )
    monitors = [{"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": connections}]
    found: Tree = {"refresh_interval": "0.25s", "resource_monitors": monitors}
    limit = wanted.parameters.memory_limit
    if limit:
        heap = _any(
            "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
            max_heap_size_bytes=int(quantities.parse(limit)) * 9 // 10,
        )
        monitors.append({"name": "envoy.resource_monitors.fixed_heap", "typed_config": heap})
        found["actions"] = [
            {
                "name": f"envoy.overload_actions.{name}",
                "triggers": [{"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": value}}],
            }
            for name, value in (
                ("shrink_heap", 0.9),
                ("disable_http_keepalive", 0.93),
                ("stop_accepting_requests", 0.97),
            )
        ]
    return found


def _source() -> Tree:
    """From the controller; an Envoy without its configuration waits for it, and is not ready."""
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def config(wanted: Wanted) -> Tree:
    """The bootstrap; node.id and the zone are arguments (see `workload`), since each pod has its own."""
    again = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}}
    return {
        "node": {"cluster": wanted.fleet.title},
        "admin": {"address": {"pipe": {"path": ADMIN, "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": XDS, "retry_policy": again}}],
            },
            "cds_config": _source(),
            "lds_config": _source(),
        },
        "static_resources": {
            "clusters": [
                _controller(wanted, XDS),
                _counting(wanted),
                _local("admin", ADMIN),
                _local("pause", PAUSE),
            ],
            "listeners": [_probes(wanted), _pause()],
        },
        "overload_manager": _overload(wanted),
        "layered_runtime": {
            "layers": [{"name": "regexes", "static_layer": {"re2.max_program_size.error_level": REGEX_SIZE}}]
        },
        "stats_flush_on_admin": True,
        "stats_config": {
            "stats_matcher": {
                "exclusion_list": {"patterns": [{"safe_regex": {"regex": pattern}} for pattern in UNCOUNTED]}
            }
        },
    }


def _watched(name: str, **fields: Any) -> Tree:
    secret = _any("extensions.transport_sockets.tls.v3.Secret", name=name, **fields)
    return {"resources": [secret]}


def files(wanted: Wanted) -> dict[str, str]:
    """The files of the ConfigMap: the bootstrap, and the two secrets' descriptions, which name the files of the Secret."""
    watch = {"path": KEYS}
    identity = {
        "certificate_chain": {"filename": f"{KEYS}/tls.crt"},
        "private_key": {"filename": f"{KEYS}/tls.key"},
        "watched_directory": watch,
    }
    authorities = {"trusted_ca": {"filename": f"{KEYS}/ca.crt"}, "watched_directory": watch}
    trees = {
        CONFIG: config(wanted),
        IDENTITY: _watched("identity", tls_certificate=identity),
        AUTHORITIES: _watched("authorities", validation_context=authorities),
    }
    return {name: json.dumps(tree, indent=1) + "\n" for name, tree in trees.items()}


def fingerprint(texts: dict[str, str]) -> str:
    """An Envoy reads its bootstrap once: pods are replaced when this changes."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()[:16]
