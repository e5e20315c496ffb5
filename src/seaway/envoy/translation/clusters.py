"""Service ports as clusters, and who answers for them as assignments."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation import balancing, health, tls
from seaway.envoy.translation.marks import mark
from seaway.envoy.translation.wire import packed, serialised
from seaway.routing.ir import Cluster, End, Endpoints, Source
from seaway.routing.policy import BackendPolicy, Breaker

_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TCP = "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions"
_CONNECT = 5.0  # seconds
_BOTH_FAMILIES = 5  # DnsLookupFamily.ALL
_UNLIMITED = 4294967295
_RETRIES_AT_ONCE = 100
_RETRY_PERCENT = 25.0


def source_of(name: str) -> Source:
    """The Service that a cluster is a port of."""
    namespace, service, port, *_ = (*name.split("/"), "", "")
    return Source("Service", namespace, service, f"ports[{port}]" if port else "")


def _limits(found: Any, breaker: Breaker) -> None:
    """Envoy's own bounds (1,024 requests, 3 retries at once) make a busy Service fail, and retries useless. How many a backend
    bears is its policy to say; retries are bounded by a share of what is under way. All of it a proxy at a time."""
    limits = found.circuit_breakers.thresholds.add()
    limits.max_connections.value = breaker.connections or _UNLIMITED
    limits.max_pending_requests.value = breaker.pending or _UNLIMITED
    limits.max_requests.value = breaker.requests or _UNLIMITED
    limits.retry_budget.budget_percent.value = _RETRY_PERCENT
    limits.retry_budget.min_retry_concurrency.value = _RETRIES_AT_ONCE


def _speak(found: Any, wanted: Cluster, policy: BackendPolicy) -> None:
    options = messages.UpstreamHttpProtocolOptions()
    if policy.idle_timeout > 0:
        _seconds(options.common_http_protocol_options.idle_timeout, policy.idle_timeout)
    if policy.breaker is not None and policy.breaker.requests_per_connection:
        options.common_http_protocol_options.max_requests_per_connection.value = policy.breaker.requests_per_connection
    if wanted.protocol == "h2":
        options.explicit_http_config.http2_protocol_options.SetInParent()
    elif wanted.protocol == "auto" and wanted.tls is not None:
        options.auto_config.http_protocol_options.SetInParent()
        options.auto_config.http2_protocol_options.SetInParent()
    elif wanted.protocol == "auto":
        options.use_downstream_protocol_config.http_protocol_options.SetInParent()
        options.use_downstream_protocol_config.http2_protocol_options.SetInParent()
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    found.typed_extension_protocol_options[_HTTP].CopyFrom(packed(options))


def _seconds(duration: Any, value: float) -> None:
    duration.FromNanoseconds(max(round(value * 1e9), 1_000_000))


def _transport(found: Any, wanted: Cluster, version: int) -> None:
    """What connections to endpoints begin with: a PROXY header, TLS."""
    inner, name = None, "envoy.transport_sockets.raw_buffer"
    if wanted.tls is not None:
        inner, name = tls.backend(wanted.tls, wanted.protocol), "envoy.transport_sockets.tls"
    if version and wanted.protocol != "udp":
        outer = messages.ProxyProtocolUpstreamTransport()
        outer.config.version = outer.config.V1 if version == 1 else outer.config.V2
        outer.transport_socket.name = name
        outer.transport_socket.typed_config.CopyFrom(packed(inner or messages.RawBuffer()))
        inner, name = outer, "envoy.transport_sockets.upstream_proxy_protocol"
    if inner is not None:
        found.transport_socket.name = name
        found.transport_socket.typed_config.CopyFrom(packed(inner))


def cluster(wanted: Cluster) -> bytes:
    found, policy = messages.Cluster(name=wanted.name), wanted.policy or BackendPolicy()
    _seconds(found.connect_timeout, policy.connect_timeout or _CONNECT)
    balancing.balance(found, policy)
    found.per_connection_buffer_limit_bytes.value = 32768
    _limits(found, policy.breaker or Breaker())
    if wanted.external:
        resolved = messages.DnsCluster(respect_dns_ttl=True)
        resolved.dns_lookup_family = _BOTH_FAMILIES
        found.cluster_type.name = "envoy.clusters.dns"
        found.cluster_type.typed_config.CopyFrom(packed(resolved))
        found.load_assignment.cluster_name = wanted.name
        _address(
            found.load_assignment.endpoints.add().lb_endpoints.add().endpoint, wanted.external, wanted.port, wanted
        )
    else:
        found.type = found.EDS
        tls.by_ads(found.eds_cluster_config.eds_config)
    if wanted.protocol != "udp":
        found.upstream_connection_options.tcp_keepalive.SetInParent()
    if wanted.protocol not in ("tcp", "udp"):
        _speak(found, wanted, policy)
    elif wanted.protocol == "tcp" and policy.idle_timeout > 0:
        options = messages.TcpProtocolOptions()
        _seconds(options.idle_timeout, policy.idle_timeout)
        found.typed_extension_protocol_options[_TCP].CopyFrom(packed(options))
    if policy.health is not None and wanted.protocol != "udp":
        health.check(found, wanted, policy.health)
    _transport(found, wanted, policy.proxy_protocol)
    mark(found.metadata, source_of(wanted.name))
    return serialised(found)


def _address(endpoint: Any, address: str, port: int, wanted: Cluster | None = None) -> None:
    socket = endpoint.address.socket_address
    socket.address, socket.port_value = address, port
    if wanted is not None and wanted.protocol == "udp":
        socket.protocol = socket.UDP


def endpoints(wanted: Endpoints) -> bytes:
    """Localities by zone; those that drain come into use where nobody else is left."""
    found = messages.ClusterLoadAssignment(cluster_name=wanted.cluster)
    ready = any(not end.draining for end in wanted.ends)

    def group(end: End) -> tuple[int, str]:
        return int(end.draining and ready), end.zone

    for (priority, zone), ends in groupby(sorted(wanted.ends, key=lambda e: (group(e), e)), key=group):
        locality = found.endpoints.add(priority=priority)
        if zone:
            locality.locality.zone = zone
        for end in ends:
            one = locality.lb_endpoints.add()
            _address(one.endpoint, end.address, end.port)
    return serialised(found)
