"""Limits on requests.

**Local** ones are counted by each proxy for itself. The buckets are those of a filter whose configuration comes as a resource of
its own: an edited route does not fill them, and of a rule that becomes several of Envoy's routes (shares, shards, hosts) all take
from the same. There, limits stand by their *kind*, so many in such a time for each of what; a route's metadata says which kinds
hold for it, and under which name it is counted.

**Global** ones are counted by the controller (`envoy.counting`), for all proxies of the fleet. A route says all there is to know
of its limits, and the proxy passes it on with what it knows of the request.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from seaway.envoy import messages
from seaway.envoy.counting.buckets import Limit
from seaway.envoy.counting.questions import LIMIT, NO, SPARED, text
from seaway.envoy.translation import addresses
from seaway.envoy.translation.names import ADDRESS_FILTER, COUNTING, LIMIT_FILTER, LIMITS, SHARED_LIMIT_FILTER
from seaway.envoy.translation.wire import packed, serialised
from seaway.routing.policy import LimitKey, RateLimit, RoutePolicy

# Of each kind so many buckets are kept, the ones used last: who comes back after so many others begins with a full one.
KEPT = 10_000
TOO_MANY = 429
# Seconds until a controller that does not answer has let a request pass.
PATIENCE = 0.2
_LARGEST = 4_294_967_295  # of a token bucket
_REMOTE = "remote_address"  # the key that Envoy gives clients' addresses
_SOME = ("some",)
# What rbac's shadow rules say of a request (rbac_filter.cc).
_SHADOW, _SHADOWS, _VERDICT = "seaway_spared_", "envoy.filters.http.rbac", "shadow_engine_result"


def _known(limit: RateLimit) -> RateLimit:
    """A limit as it is counted, within what Envoy can count. Whom it spares its rule says; here it matters only that it does."""
    requests = min(limit.requests, _LARGEST)
    burst = max(0, min(limit.burst, _LARGEST - requests))
    return msgspec.structs.replace(limit, requests=requests, burst=burst, exempt=_SOME if limit.exempt else ())


def _of_scope(policy: RoutePolicy | None, scope: str) -> tuple[RateLimit, ...]:
    limits = policy.limits if policy is not None else ()
    # What is no limit limits nothing: Envoy would refuse it, and all others with it.
    counted = (limit for limit in limits if limit.scope == scope and limit.requests > 0 and limit.seconds > 0)
    return tuple(dict.fromkeys(map(_known, counted)))


def local(policy: RoutePolicy | None) -> tuple[RateLimit, ...]:
    """The kinds of limits that proxies count by themselves, each once."""
    return _of_scope(policy, "local")


def _key_name(key: LimitKey) -> str:
    return _REMOTE if key.kind == "client" else key.name


def kind(limit: RateLimit) -> str:
    """The name of all limits like this one and of no other, for people to read: Envoy refuses all limits where two are one."""
    by = (f"{key.kind}:{key.name}" + (f"={key.value!r}" if key.value else "") for key in limit.keys)
    return " ".join((f"{limit.requests}/{limit.seconds}s+{limit.burst}", *(["!"] if limit.exempt else ()), *by))


def write(route: Any, policy: RoutePolicy, rule: str) -> None:
    """Into a route. What is counted is `rule`, whatever number of matches and hosts it has."""
    for limit in local(policy):
        route.metadata.filter_metadata[LIMITS].fields[kind(limit)].string_value = rule
    shared = _of_scope(policy, "global")
    if shared:
        found = messages.RateLimitPerRoute()
        for limit in shared:
            actions = found.rate_limits.add().actions
            first = actions.add().generic_key
            first.descriptor_key = LIMIT
            first.descriptor_value = text(Limit(limit.requests, limit.seconds, limit.burst), rule)
            _who(actions, limit)
        route.typed_per_filter_config[SHARED_LIMIT_FILTER].CopyFrom(packed(found))
    spared = next((limit.exempt for limit in policy.limits if limit.exempt), ())
    if spared:
        _spare(route.typed_per_filter_config[ADDRESS_FILTER], spared)


def _spare(config: Any, networks: tuple[str, ...]) -> None:
    """Into the configuration of the filter of addresses, which may have rules already: others, whose verdict is only noted."""
    found = messages.RbacPerRoute()
    if config.type_url:
        config.Unpack(found)
    addresses.rules(found.rbac.shadow_rules, networks, ())
    found.rbac.shadow_rules_stat_prefix = _SHADOW
    config.CopyFrom(packed(found))


def _who(actions: Any, limit: RateLimit) -> None:
    """Into the actions of a limit: what of the request goes into its descriptor. Who lacks a header that is counted by is not
    counted (as in nginx's limit_req_zone)."""
    if limit.exempt:
        verdict = actions.add().metadata
        verdict.descriptor_key = SPARED
        verdict.metadata_key.key = _SHADOWS
        verdict.metadata_key.path.add(key=_SHADOW + _VERDICT)
        verdict.source = verdict.DYNAMIC
    for key in limit.keys:
        action = actions.add()
        if key.kind == "client":
            action.remote_address.SetInParent()  # the one that the connection manager trusts
        elif key.value and limit.scope == "global":
            action.header_value_match.descriptor_key = key.name
            action.header_value_match.descriptor_value = key.value
            action.header_value_match.headers.add(name=key.name).string_match.exact = key.value
        else:
            action.request_headers.header_name = action.request_headers.descriptor_key = key.name


def empty() -> Any:
    """The filter of local limits, without one."""
    found = messages.LocalRateLimit(stat_prefix="limits")
    for share in (found.filter_enabled, found.filter_enforced):
        share.default_value.numerator = 100
    found.status.code = TOO_MANY
    found.rate_limited_as_resource_exhausted = True
    found.enable_x_ratelimit_headers = 1  # DRAFT_VERSION_03
    found.max_dynamic_descriptors.value = KEPT
    return found


def filter_of(limits: Iterable[RateLimit]) -> bytes:
    """The configuration of the filter of local limits, as a TypedExtensionConfig."""
    found = empty()
    for limit in sorted(limits, key=kind):
        name = kind(limit)
        entry = found.rate_limits.add()
        of_route = entry.actions.add().metadata
        of_route.descriptor_key = name
        of_route.metadata_key.key = LIMITS
        of_route.metadata_key.path.add(key=name)
        of_route.source = of_route.ROUTE_ENTRY
        _who(entry.actions, limit)
        descriptor = found.descriptors.add()
        descriptor.entries.add(key=name)  # no value: each has a bucket
        if limit.exempt:
            descriptor.entries.add(key=SPARED, value=NO)
        for key in limit.keys:
            descriptor.entries.add(key=_key_name(key), value=key.value)
        bucket = descriptor.token_bucket
        bucket.max_tokens = limit.requests + limit.burst
        bucket.tokens_per_fill.value = limit.requests
        bucket.fill_interval.FromSeconds(limit.seconds)
    return serialised(messages.TypedExtensionConfig(name=LIMIT_FILTER, typed_config=packed(found)))


def asking() -> Any:
    """The filter of global limits. It asks only about what a route tells it to; a controller that is away limits nobody."""
    found = messages.RateLimit(domain="seaway", failure_mode_deny=False, stat_prefix="shared")
    found.timeout.FromNanoseconds(round(PATIENCE * 1e9))
    found.rate_limited_as_resource_exhausted = True
    found.disable_x_envoy_ratelimited_header = True  # the service says it in the same words as local limits
    found.rate_limit_service.grpc_service.envoy_grpc.cluster_name = COUNTING
    found.rate_limit_service.transport_api_version = 2  # V3
    return found
