"""The one door to Envoy's protobuf messages: `messages.Cluster` is that of envoy.config.cluster.v3, loaded when first asked for.

A message is looked for in the files that `FILES` names, so that a process pays only for what it uses.
"""

from __future__ import annotations

import importlib
import typing

# Where the messages live; `A@B` is message A under the name B, where two have one name.
FILES = {
    "envoy.config.accesslog.v3.accesslog_pb2": "AccessLog",
    "envoy.config.route.v3.route_components_pb2": (
        "DirectResponseAction FilterConfig HeaderMatcher QueryParameterMatcher RedirectAction RetryPolicy Route RouteAction"
        " RouteMatch VirtualHost WeightedCluster"
    ),
    "envoy.extensions.access_loggers.stream.v3.stream_pb2": "StdoutAccessLog",
    "envoy.extensions.clusters.dns.v3.dns_cluster_pb2": "DnsCluster",
    "envoy.extensions.filters.http.buffer.v3.buffer_pb2": "Buffer BufferPerRoute",
    "envoy.extensions.filters.http.cors.v3.cors_pb2": "Cors CorsPolicy",
    "envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2": "ExtAuthz ExtAuthzPerRoute",
    "envoy.extensions.filters.http.jwt_authn.v3.config_pb2": "JwtAuthentication JwtProvider PerRouteConfig@JwtPerRoute",
    "envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2": "LocalRateLimit",
    "envoy.extensions.filters.http.lua.v3.lua_pb2": "Lua LuaPerRoute",
    "envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2": "RateLimit RateLimitPerRoute",
    "envoy.extensions.filters.http.rbac.v3.rbac_pb2": "RBAC@Rbac RBACPerRoute@RbacPerRoute",
    "envoy.extensions.filters.http.stateful_session.v3.stateful_session_pb2": "StatefulSession StatefulSessionPerRoute",
    "envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2": "HeaderMutation",
    "envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2": "ProxyProtocol",
    "envoy.extensions.filters.network.connection_limit.v3.connection_limit_pb2": "ConnectionLimit",
    "envoy.extensions.http.original_ip_detection.xff.v3.xff_pb2": "XffConfig",
    "envoy.extensions.transport_sockets.quic.v3.quic_transport_pb2": "QuicDownstreamTransport",
    "envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2": "TlsInspector",
    "envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2": "TcpProxy",
    "envoy.extensions.filters.udp.udp_proxy.v3.route_pb2": "Route@UdpRoute",
    "envoy.extensions.filters.udp.udp_proxy.v3.udp_proxy_pb2": "UdpProxyConfig",
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2": "HeaderMutation@EarlyHeaderMutation",
    "envoy.extensions.http.stateful_session.cookie.v3.cookie_pb2": "CookieBasedSessionState",
    "envoy.extensions.http.stateful_session.header.v3.header_pb2": "HeaderBasedSessionState",
    "envoy.extensions.load_balancing_policies.maglev.v3.maglev_pb2": "Maglev",
    "envoy.extensions.load_balancing_policies.ring_hash.v3.ring_hash_pb2": "RingHash",
    "envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2": "SourceIPInput SourcePortInput",
    "envoy.extensions.matching.input_matchers.ip.v3.ip_pb2": "Ip@IpMatcher",
    "envoy.extensions.filters.network.rbac.v3.rbac_pb2": "RBAC@NetworkRbac",
    "envoy.extensions.matching.input_matchers.runtime_fraction.v3.runtime_fraction_pb2": (
        "RuntimeFraction@RuntimeFractionMatcher"
    ),
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2": "PreviousHostsPredicate",
    "envoy.config.bootstrap.v3.bootstrap_pb2": "Bootstrap",
    "envoy.config.cluster.v3.cluster_pb2": "Cluster",
    "envoy.config.core.v3.address_pb2": "Address SocketAddress",
    "envoy.config.core.v3.base_pb2": "DataSource HeaderValue HeaderValueOption Metadata Node TransportSocket",
    "envoy.config.core.v3.config_source_pb2": "AggregatedConfigSource ApiConfigSource ConfigSource",
    "envoy.config.core.v3.extension_pb2": "TypedExtensionConfig",
    "envoy.config.core.v3.protocol_pb2": "HttpProtocolOptions Http1ProtocolOptions Http2ProtocolOptions",
    "envoy.config.endpoint.v3.endpoint_pb2": "ClusterLoadAssignment",
    "envoy.config.endpoint.v3.endpoint_components_pb2": "Endpoint LbEndpoint LocalityLbEndpoints",
    "envoy.config.listener.v3.listener_pb2": "Listener",
    "envoy.config.listener.v3.listener_components_pb2": "Filter FilterChain FilterChainMatch ListenerFilter",
    "envoy.config.route.v3.route_pb2": "RouteConfiguration",
    "envoy.config.route.v3.scoped_route_pb2": "ScopedRouteConfiguration",
    "envoy.extensions.filters.http.router.v3.router_pb2": "Router",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2": (
        "HttpConnectionManager HttpFilter Rds ScopedRds ScopedRoutes"
    ),
    "envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2": "ProxyProtocolUpstreamTransport",
    "envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2": "RawBuffer",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2": "CommonTlsContext DownstreamTlsContext UpstreamTlsContext",
    "envoy.extensions.transport_sockets.tls.v3.common_pb2": "CertificateValidationContext TlsCertificate",
    "envoy.extensions.transport_sockets.tls.v3.secret_pb2": "SdsSecretConfig Secret",
    "envoy.extensions.upstreams.tcp.v3.tcp_protocol_options_pb2": "TcpProtocolOptions",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2": "HttpProtocolOptions@UpstreamHttpProtocolOptions",
    "envoy.service.ratelimit.v3.rls_pb2": "RateLimitRequest RateLimitResponse",
    "envoy.service.discovery.v3.discovery_pb2": "DeltaDiscoveryRequest DeltaDiscoveryResponse",
    "google.protobuf.any_pb2": "Any",
    "google.protobuf.duration_pb2": "Duration",
    "google.protobuf.struct_pb2": "Struct Value",
    "google.protobuf.wrappers_pb2": "BoolValue DoubleValue StringValue UInt32Value UInt64Value",
    "google.rpc.status_pb2": "Status",
}
NAMES = {
    name.rpartition("@")[2]: (module, name.partition("@")[0])
    for module, names in FILES.items()
    for name in names.split()
}


def __getattr__(name: str) -> typing.Any:
    """The message's class. The generated code has no types: what comes through this door is Any."""
    found = NAMES.get(name)
    if found is None:
        raise AttributeError(f"no message {name} in {__name__}: add it to FILES")
    module, message = found
    globals()[name] = value = getattr(importlib.import_module(module), message)
    return value
