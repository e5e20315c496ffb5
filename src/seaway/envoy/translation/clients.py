"""What a chain asks of its clients and grants them: who they are, how much they may, how long they may take.

All of it follows from the chain, none of it from a route.
"""

from __future__ import annotations

from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation.wire import packed
from seaway.routing.ir import Chain
from seaway.routing.policy import ClientPolicy

_LARGEST_HEADERS = 8192  # KiB (http_connection_manager.proto)
_MAX_AGE = 86400  # seconds that a client may believe that there is HTTP/3


def seconds(duration: Any, value: float) -> None:
    duration.FromNanoseconds(max(round(value * 1e9), 1_000_000))


def networks(chain: Chain) -> tuple[tuple[str, int], ...]:
    """The networks of forwarders that a chain trusts."""
    addresses = chain.client.trusted_addresses if chain.client is not None and chain.table else ()
    found = (a.partition("/") for a in addresses if a)
    return tuple((address, int(length or (128 if ":" in address else 32))) for address, _, length in found)


def ranges(found: Any, wanted: tuple[tuple[str, int], ...]) -> None:
    """Into a repeated field of CidrRange."""
    for address, length in wanted:
        found.add(address_prefix=address).prefix_len.value = length


def believe(manager: Any, policy: ClientPolicy, forwarders: tuple[tuple[str, int], ...]) -> None:
    """Whose word on the client counts, into an HttpConnectionManager. `forwarders`: this one has connections from these alone.

    By default nobody's: who is connected is the client, and what it says of X-Forwarded-For is passed on in front of its
    address without being believed. By hops: of X-Forwarded-For so many entries, from its end, were written by trusted
    proxies, and the client is the one that the first of these saw; requests with fewer entries are their sender's. By
    addresses: the client is the last of X-Forwarded-For who is no forwarder itself; for everybody else there is another
    filter chain, which believes nothing.
    """
    if forwarders:
        trusted = messages.XffConfig()
        trusted.skip_xff_append.value = False
        ranges(trusted.xff_trusted_cidrs.cidrs, forwarders)
        manager.original_ip_detection_extensions.add(
            name="envoy.http.original_ip_detection.xff", typed_config=packed(trusted)
        )
        manager.use_remote_address.value = False
    elif policy.trusted_hops:
        manager.xff_num_trusted_hops = policy.trusted_hops


def bound(manager: Any, policy: ClientPolicy) -> None:
    """How much and how long, into an HttpConnectionManager that has the defaults."""
    if policy.streams:
        manager.http2_protocol_options.max_concurrent_streams.value = policy.streams
    if policy.headers_kib:
        manager.max_request_headers_kb.value = min(policy.headers_kib, _LARGEST_HEADERS)
    if policy.idle_timeout:
        seconds(manager.common_http_protocol_options.idle_timeout, policy.idle_timeout)
    if policy.request_timeout:
        seconds(manager.request_timeout, policy.request_timeout)


def over_quic(manager: Any, policy: ClientPolicy) -> None:
    """HTTP/3, with the bounds that HTTP/2 has."""
    manager.codec_type = manager.HTTP3
    options = manager.http3_protocol_options.quic_protocol_options
    options.max_concurrent_streams.value = policy.streams or 100
    options.initial_stream_window_size.value = 65536
    options.initial_connection_window_size.value = 1048576


def advertised(port: int) -> Any:
    """A filter by which answers say that there is HTTP/3 at the port (RFC 9114 3.1.1), whatever the backend says of itself."""
    found = messages.HeaderMutation()
    one = found.mutations.response_mutations.add().append
    one.header.key, one.header.value = "alt-svc", f'h3=":{port}"; ma={_MAX_AGE}'
    one.append_action = one.OVERWRITE_IF_EXISTS_OR_ADD
    return found


def limited(chain: Any, name: str, most: int) -> None:
    """Into a FilterChain, before all other filters: so many connections at once, a proxy at a time (and trusted forwarders, who
    have a filter chain of their own, by themselves). One too many is closed before a byte of it is read."""
    if most:
        limit = messages.ConnectionLimit(stat_prefix=name)
        limit.max_connections.value = most
        chain.filters.add(name="envoy.filters.network.connection_limit", typed_config=packed(limit))
