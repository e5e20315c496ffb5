"""The HTTP connection manager of a chain: an edge proxy's settings, the same for every chain but for its table and its names.

Nothing in it follows from a route, so that no edit of one drains connections (Envoy's "best practices for edge proxies").
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.envoy import messages
from seaway.envoy.translation import bodies, clients, limits
from seaway.envoy.translation.accesslog import access_log
from seaway.envoy.translation.headers import literal
from seaway.envoy.translation.names import (
    ADDRESS_FILTER,
    ADVERTISED_FILTER,
    AUTHZ_FILTER,
    BUFFER_FILTER,
    CORS_FILTER,
    FALLBACK_FILTER,
    GATE_FILTER,
    GUARD_FILTER,
    HOST_HEADER,
    LIMIT_FILTER,
    SESSION_FILTER,
    SHARD_FILTER,
    SHARED_LIMIT_FILTER,
    TABLE_HEADER,
    TOKEN_FILTER,
)
from seaway.envoy.translation.scripts import FALLBACK, SHARD
from seaway.envoy.translation.security import GUARD, authorizer_default
from seaway.envoy.translation.tls import by_ads
from seaway.envoy.translation.wire import packed
from seaway.routing.ir import Chain
from seaway.routing.policy import ClientPolicy

# HTTP/1.0 has no Host: such requests are for `*` (RFC 2606: nobody's name).
NO_HOST = "host.invalid"
_OVERWRITE = 2  # HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


def manager(
    gateway: str, chain: Chain, forwarders: tuple[tuple[str, int], ...] = (), quic_port: int = 0, quic: bool = False
) -> Any:
    """The HttpConnectionManager of a chain that serves a table. `forwarders`: connections come from these alone, who are trusted
    to say who the client is. `quic_port`: where the chain is served over QUIC, too; `quic`: there it is."""
    found = messages.HttpConnectionManager(stat_prefix=chain.table)
    policy = chain.client or ClientPolicy()
    _scopes(found, chain.table, bool(forwarders))
    _hygiene(found)
    _limits(found)
    clients.believe(found, policy, forwarders)
    clients.bound(found, policy)
    if quic:
        clients.over_quic(found, policy)
    if quic_port:
        found.http_filters.add(name=ADVERTISED_FILTER, typed_config=packed(clients.advertised(quic_port)))
    found.upgrade_configs.add(upgrade_type="websocket")
    found.access_log.add().CopyFrom(access_log(gateway, chain.name, True))
    if chain.tls is not None and chain.tls.client is not None and chain.tls.client.required:
        # Of a client that was checked its backend may know; what the client says itself of that is thrown away. Where bad
        # certificates are let in nothing is told: Envoy would tell of those, too (conn_manager_utility.cc).
        found.forward_client_cert_details = found.SANITIZE_SET
        details = found.set_current_client_cert_details
        details.subject.value = details.dns = details.uri = True
    _filters(found)
    return found


def _scopes(found: Any, table: str, forwarded: bool) -> None:
    """Which scope a request is in is said by two headers, set before the first look at a route.

    The name and sources of the scopes are the same everywhere: all chains of a fleet share one subscription.
    """
    scopes = found.scoped_routes
    scopes.name = "scopes"
    by_ads(scopes.rds_config_source)
    by_ads(scopes.scoped_rds.scoped_rds_config_source)
    # Host goes on as it came: its port is not looked at, but not taken off either.
    for header, separator in zip((HOST_HEADER, TABLE_HEADER), (":", ""), strict=True):
        extractor = scopes.scope_key_builder.fragments.add().header_value_extractor
        extractor.name, extractor.element_separator, extractor.index = header, separator, 0
    early = messages.EarlyHeaderMutation()
    if forwarded:
        # What speaks to the proxy itself Envoy throws away where it does not believe forwarders; a forwarder is believed who the
        # client is, but it may pass on what the client has made up.
        early.mutations.add().remove_on_match.key_matcher.prefix = "x-envoy-"
    for name, value in ((HOST_HEADER, "%REQ(:AUTHORITY)%"), (TABLE_HEADER, literal(table))):
        early.mutations.add(remove=name)
        append = early.mutations.add().append
        append.append_action = _OVERWRITE
        append.header.key, append.header.value = name, value
    found.early_header_mutation_extensions.add(
        name="envoy.http.early_header_mutation.header_mutation", typed_config=packed(early)
    )


def _hygiene(found: Any) -> None:
    """Requests are brought into one form before a route is looked for, so that no other spelling passes one by."""
    found.normalize_path.value = True
    found.merge_slashes = True
    # %2F and %5C: a backend may read them as slashes, so that a route must have read them so too.
    found.path_with_escaped_slashes_action = found.UNESCAPE_AND_REDIRECT
    found.strip_trailing_host_dot = True
    found.append_x_forwarded_port = True
    found.use_remote_address.value = True
    found.server_header_transformation = found.PASS_THROUGH
    common = found.common_http_protocol_options
    # As nginx does: `x_user` and `x-user` are one to many backends.
    common.headers_with_underscores_action = common.DROP_HEADER
    found.http_protocol_options.accept_http_10 = True
    found.http_protocol_options.default_host_for_http_10 = NO_HOST


def _limits(found: Any) -> None:
    found.max_request_headers_kb.value = 60
    common = found.common_http_protocol_options
    common.max_headers_count.value = 100
    common.idle_timeout.FromSeconds(3600)
    found.request_headers_timeout.FromSeconds(30)
    found.stream_idle_timeout.FromSeconds(300)
    http2 = found.http2_protocol_options
    http2.max_concurrent_streams.value = 100
    http2.initial_stream_window_size.value = 65536
    http2.initial_connection_window_size.value = 1048576


def _filters(found: Any) -> None:
    """In order. All stand in every chain and do nothing until a route speaks to them: one that a route would have to switch on
    stays off where a script chooses the route."""
    for name, config in (
        (FALLBACK_FILTER, _script(FALLBACK, "fallback")),
        (SHARD_FILTER, _script(SHARD, "shard")),
        # A preflight has no credentials (Fetch 4.8): it is answered before anybody is asked for some.
        (CORS_FILTER, messages.Cors()),
        (ADDRESS_FILTER, messages.Rbac()),
        # Before anybody is asked who they are: guesses count.
        (LIMIT_FILTER, _Discovered(limits.empty())),
        (SHARED_LIMIT_FILTER, limits.asking()),
        (GUARD_FILTER, _script(GUARD, "guard")),
        (GATE_FILTER, messages.Rbac()),
        # Until issuers have come none is known, and a route that requires one of them lets nobody pass.
        (TOKEN_FILTER, _Discovered(messages.JwtAuthentication())),
        (AUTHZ_FILTER, authorizer_default()),
        # Of nobody who may not pass is anything held.
        (BUFFER_FILTER, bodies.none()),
        (SESSION_FILTER, messages.StatefulSession()),
        ("envoy.filters.http.router", messages.Router()),
    ):
        one = found.http_filters.add(name=name)
        if isinstance(config, _Discovered):
            _discovered(one.config_discovery, packed(config.until))
        else:
            one.typed_config.CopyFrom(packed(config))


class _Discovered(NamedTuple):
    """A filter whose configuration is a resource of its own, with what holds until it has come."""

    until: Any


def _discovered(found: Any, until: Any) -> None:
    by_ads(found.config_source)
    found.default_config.CopyFrom(until)
    found.apply_default_config_without_warming = True
    found.type_urls.append(until.type_url)


def _script(code: str, prefix: str) -> Any:
    """A script that chooses another route only where it says so. Envoy would choose anew whenever one edits headers, as the guard
    does by names that users give: another route, which has not been asked what it requires."""
    found = messages.Lua(stat_prefix=prefix)
    found.clear_route_cache.value = False
    found.default_source_code.inline_string = code
    return found
