"""A table's hosts as scopes: what Envoy is told anew when a host changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache

from seaway.envoy import messages
from seaway.envoy.translation import bodies, shards
from seaway.envoy.translation.actions import retry_policy
from seaway.envoy.translation.names import (
    ANY,
    AUTHZ_FILTER,
    BUFFER_FILTER,
    FALLBACK_FILTER,
    GUARD_FILTER,
    HOST_HEADER,
    SHARD_FILTER,
    SHARDED,
    TABLE_HEADER,
    Scope,
    is_exact,
)
from seaway.envoy.translation.routes import no_rule
from seaway.envoy.translation.security import authorizer_off, is_guarded
from seaway.envoy.translation.wire import number_of, packed, serialised
from seaway.protowire import each, sized
from seaway.routing.ir import Host, Respond, Rule

Rendered = Callable[[Rule], tuple[bytes, ...]]  # a rule's routes, which the caller may keep


def scope_of(table: str, domain: str) -> Scope:
    """The scope that a domain's rules are in."""
    return Scope(table, domain if is_exact(domain) else ANY)


@cache
def _common(sharded: bool, guarded: bool) -> bytes:
    """What all route configurations say: scripts are off where the scope is right and nothing is there for them to do, our own
    headers go no further, and nobody is asked about a request unless its route says so."""
    found = messages.RouteConfiguration()
    off = packed(messages.FilterConfig(disabled=True))
    found.typed_per_filter_config[FALLBACK_FILTER].CopyFrom(off)
    if not sharded:
        found.typed_per_filter_config[SHARD_FILTER].CopyFrom(off)
    if not sharded and not guarded:
        found.typed_per_filter_config[GUARD_FILTER].CopyFrom(off)
    found.typed_per_filter_config[AUTHZ_FILTER].CopyFrom(authorizer_off())
    found.typed_per_filter_config[BUFFER_FILTER].CopyFrom(bodies.off())
    found.request_headers_to_remove.extend((HOST_HEADER, TABLE_HEADER))
    found.response_headers_to_remove.append("x-envoy-upstream-service-time")
    found.ignore_port_in_host_matching = True
    # A cluster that is not there is a 500 for its requests, not a refused table; the server sees to the order.
    found.validate_clusters.value = False
    return serialised(found)


@cache
def _retries() -> bytes:
    found = messages.VirtualHost()
    retry_policy(found.retry_policy, None)
    return serialised(found)


def _largest_body(hosts: Iterable[Host]) -> int:
    return max(
        (len(r.action.body.encode(errors="replace")) for h in hosts for r in h.rules if isinstance(r.action, Respond)), default=0
    )


def _virtual_host(name: str, domain: str, routes: Iterable[bytes]) -> bytes:
    kind = messages.VirtualHost
    return (
        sized(number_of(kind, "name"), name.encode())
        + sized(number_of(kind, "domains"), domain.encode())
        + each(number_of(kind, "routes"), routes)
        + _retries()
    )


def _scope(
    scope: Scope, hosts: Iterable[bytes], sharded: bool = False, guarded: bool = False, body: int = 0
) -> bytes:
    kind = messages.RouteConfiguration
    routes = sized(number_of(kind, "name"), scope.name.encode())
    routes += each(number_of(kind, "virtual_hosts"), hosts)
    if body > 4096:  # Envoy's own bound on the body of an answer
        routes += serialised(kind(max_direct_response_body_size_bytes={"value": body}))
    routes += _common(sharded, guarded)
    head = messages.ScopedRouteConfiguration(name=scope.name)
    for part in scope.key:
        head.key.fragments.add(string_key=part)
    return serialised(head) + sized(number_of(messages.ScopedRouteConfiguration, "route_configuration"), routes)


def whole(scope: Scope, hosts: Sequence[Host], rendered: Rendered) -> bytes:
    """A scope, or one shard of it, with all the rules of `hosts`."""
    found = []
    for host in hosts:
        routes = [route for rule in host.rules for route in rendered(rule)]
        routes.append(no_rule(host.misdirected))
        # Alone in its scope a host takes whatever came to it: the key has said which it is.
        # Its name is also that of counters, in which a dot ends a word (RFC 1123 has no underscores to be taken for it).
        name = host.domain.replace(".", "_")
        found.append(_virtual_host(name, host.domain if scope.domain == ANY else "*", routes))
    guarded = any(is_guarded(rule.policy) for host in hosts for rule in host.rules)
    return _scope(scope, found, guarded=guarded, body=_largest_body(hosts))


def sharded(scope: Scope, depth: int) -> bytes:
    """A scope that only says how its shards are found."""
    route = messages.Route(name=SHARDED)
    route.match.prefix = "/"
    route.direct_response.status = 404
    fields_ = route.metadata.filter_metadata[SHARD_FILTER].fields
    fields_["shards"].number_value = shards.COUNT
    fields_["depth"].number_value = depth
    return _scope(scope, [_virtual_host(SHARDED, "*", [serialised(route)])], sharded=True)
