"""Sockets as listeners. What is in one follows from its chains alone: an edited route, a renewed certificate or an endpoint that
comes and goes leaves every listener as it is, and a new chain leaves the others'.
"""

from __future__ import annotations

from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation import addresses, connections, streams, tls
from seaway.envoy.translation.marks import mark
from seaway.envoy.translation.wire import packed, serialised
from seaway.routing.ir import Chain, Fleet, Socket

_INBOUND = 1  # TrafficDirection.INBOUND
_TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"


def listener(fleet: Fleet, socket: Socket, address: str) -> bytes:
    """The Listener of a socket; `address` to bind to, `::` for both families."""
    found = messages.Listener(name=socket.name, stat_prefix=socket.name)
    bound = found.address.socket_address
    bound.address, bound.port_value = address, socket.port
    bound.ipv4_compat = address == "::"
    found.traffic_direction = (
        messages.Listener.DESCRIPTOR.fields_by_name["traffic_direction"].enum_type.values_by_name["INBOUND"].number
    )
    found.per_connection_buffer_limit_bytes.value = 32768
    gateway = fleet.title
    if socket.transport == "udp":
        bound.protocol = bound.UDP
        found.udp_listener_config.SetInParent()
        chain = socket.chains[0]
        if chain.stream is not None:
            found.listener_filters.add(
                name="envoy.filters.udp_listener.udp_proxy",
                typed_config=packed(streams.udp(gateway, chain.name, chain.stream)),
            )
        mark(found.metadata, chain.source)
        return serialised(found)
    if any(chain.tls is not None or chain.names for chain in socket.chains):
        found.listener_filters.add(name=_TLS_INSPECTOR, typed_config=packed(messages.TlsInspector()))
    for chain in socket.chains:
        _chain(found.filter_chains.add(name=chain.name), gateway, chain)
    return serialised(found)


def _chain(found: Any, gateway: str, chain: Chain) -> None:
    found.filter_chain_match.server_names.extend(chain.names)
    if chain.tls is not None or chain.names:
        found.filter_chain_match.transport_protocol = "tls"
    if chain.tls is not None:
        found.transport_socket.name = "envoy.transport_sockets.tls"
        found.transport_socket.typed_config.CopyFrom(packed(tls.server(chain.tls)))
        found.transport_socket_connect_timeout.FromSeconds(15)
    if chain.stream is not None:
        if chain.stream.allow or chain.stream.deny:
            checked = addresses.connections(chain.stream.allow, chain.stream.deny)
            found.filters.add(name="envoy.filters.network.rbac", typed_config=packed(checked))
        proxy = streams.tcp(gateway, chain.name, chain.stream)
        found.filters.add(name="envoy.filters.network.tcp_proxy", typed_config=packed(proxy))
    else:
        manager = connections.manager(gateway, chain)
        found.filters.add(name="envoy.filters.network.http_connection_manager", typed_config=packed(manager))
    mark(found.metadata, chain.source)


def clusters(socket: Socket) -> frozenset[str]:
    return frozenset(name for chain in socket.chains if chain.stream for name in streams.clusters(chain.stream))


def secrets(socket: Socket) -> frozenset[str]:
    return frozenset(name for chain in socket.chains for name in tls.secrets_of_server(chain.tls))
