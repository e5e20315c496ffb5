"""Sockets as listeners. What is in one follows from its chains alone: an edited route, a renewed certificate or an endpoint that
comes and goes leaves every listener as it is, and a new chain leaves the others'.
"""

from __future__ import annotations

from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation import addresses, clients, connections, streams, tls
from seaway.envoy.translation.marks import mark
from seaway.envoy.translation.wire import packed, serialised
from seaway.routing import http3
from seaway.routing.ir import Chain, Fleet, Socket
from seaway.routing.policy import ClientPolicy

_TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"
_PROXY_PROTOCOL = "envoy.filters.listener.proxy_protocol"


def listener(fleet: Fleet, socket: Socket, address: str, quic: bool = False) -> bytes:
    """The Listener of a socket; `address` to bind to, `::` for both families. `quic`: there is one for QUIC beside it."""
    found = _bound(socket.name, address, socket.port)
    gateway = fleet.title
    if socket.transport == "udp":
        found.address.socket_address.protocol = found.address.socket_address.UDP
        found.udp_listener_config.SetInParent()
        chain = socket.chains[0]
        if chain.stream is not None:
            found.listener_filters.add(
                name="envoy.filters.udp_listener.udp_proxy",
                typed_config=packed(streams.udp(gateway, chain.name, chain.stream)),
            )
        mark(found.metadata, chain.source)
        return serialised(found)
    if http3.proxied(socket):
        # Before TLS is looked for. Both versions are taken; a connection without a header is closed.
        found.listener_filters.add(name=_PROXY_PROTOCOL, typed_config=packed(messages.ProxyProtocol()))
    if any(chain.tls is not None or chain.names for chain in socket.chains):
        found.listener_filters.add(name=_TLS_INSPECTOR, typed_config=packed(messages.TlsInspector()))
    advertised = http3.chains(socket) if quic else ()
    for chain in socket.chains:
        for one, forwarders in _split(found, chain):
            _chain(one, gateway, chain, forwarders, socket.port if chain in advertised else 0)
    return serialised(found)


def quic_name(port: int) -> str:
    return f"quic-{port}"


def quic(fleet: Fleet, socket: Socket, address: str) -> bytes | None:
    """The Listener by which chains of a socket are served over QUIC, None where none is."""
    chains = http3.chains(socket)
    if not chains:
        return None
    found = _bound(quic_name(socket.port), address, socket.port)
    found.address.socket_address.protocol = found.address.socket_address.UDP
    options = found.udp_listener_config.quic_options
    options.SetInParent()
    for chain in chains:
        policy = chain.client or ClientPolicy()
        if chain.tls is None:
            continue  # there is none of those (http3.chains)
        if policy.idle_timeout:
            clients.seconds(options.idle_timeout, policy.idle_timeout)
        for one, forwarders in _split(found, chain):
            one.filter_chain_match.server_names.extend(chain.names)
            one.transport_socket.name = "envoy.transport_sockets.quic"
            one.transport_socket.typed_config.CopyFrom(packed(tls.quic(chain.tls, policy)))
            manager = connections.manager(fleet.title, chain, forwarders, quic=True)
            one.filters.add(name="envoy.filters.network.http_connection_manager", typed_config=packed(manager))
            mark(one.metadata, chain.source)
    return serialised(found)


def _bound(name: str, address: str, port: int) -> Any:
    found = messages.Listener(name=name, stat_prefix=name)
    bound = found.address.socket_address
    bound.address, bound.port_value = address, port
    bound.ipv4_compat = address == "::"
    found.traffic_direction = (
        messages.Listener.DESCRIPTOR.fields_by_name["traffic_direction"].enum_type.values_by_name["INBOUND"].number
    )
    found.per_connection_buffer_limit_bytes.value = 32768
    return found


def _split(found: Any, chain: Chain) -> list[tuple[Any, tuple[tuple[str, int], ...]]]:
    """The filter chains of a chain: one for everybody; where forwarders are trusted by their addresses one for them besides."""
    parts: list[tuple[Any, tuple[tuple[str, int], ...]]] = [(found.filter_chains.add(name=chain.name), ())]
    forwarders = clients.networks(chain)
    if forwarders:
        trusted = found.filter_chains.add(name=f"{chain.name} forwarders")
        clients.ranges(trusted.filter_chain_match.source_prefix_ranges, forwarders)
        parts.append((trusted, forwarders))
    return parts


def _chain(found: Any, gateway: str, chain: Chain, forwarders: tuple[tuple[str, int], ...], quic_port: int) -> None:
    policy = chain.client or ClientPolicy()
    found.filter_chain_match.server_names.extend(chain.names)
    if chain.tls is not None or chain.names:
        found.filter_chain_match.transport_protocol = "tls"
    if chain.tls is not None:
        found.transport_socket.name = "envoy.transport_sockets.tls"
        found.transport_socket.typed_config.CopyFrom(packed(tls.server(chain.tls, policy)))
        found.transport_socket_connect_timeout.FromSeconds(15)
    clients.limited(found, chain.name, policy.connections)
    if chain.stream is not None:
        if chain.stream.allow or chain.stream.deny:
            checked = addresses.connections(chain.stream.allow, chain.stream.deny)
            found.filters.add(name="envoy.filters.network.rbac", typed_config=packed(checked))
        proxy = streams.tcp(gateway, chain.name, chain.stream, policy)
        found.filters.add(name="envoy.filters.network.tcp_proxy", typed_config=packed(proxy))
    else:
        manager = connections.manager(gateway, chain, forwarders, quic_port)
        found.filters.add(name="envoy.filters.network.http_connection_manager", typed_config=packed(manager))
    mark(found.metadata, chain.source)


def clusters(socket: Socket) -> frozenset[str]:
    return frozenset(name for chain in socket.chains if chain.stream for name in streams.clusters(chain.stream))


def secrets(socket: Socket) -> frozenset[str]:
    return frozenset(name for chain in socket.chains for name in tls.secrets_of_server(chain.tls))


def quic_secrets(socket: Socket) -> frozenset[str]:
    return frozenset(name for chain in http3.chains(socket) for name in tls.secrets_of_server(chain.tls))
