"""Limits on requests that each proxy counts for itself.

The buckets are those of a filter whose configuration comes as a resource of its own: an edited route does not fill them, and of
a rule that becomes several of Envoy's routes (shares, shards, hosts) all take from the same. There, limits stand by their *kind*,
so many in such a time for each of what; a route's metadata says which kinds hold for it, and under which name it is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation.names import LIMIT_FILTER, LIMITS
from seaway.envoy.translation.wire import packed, serialised
from seaway.routing.ir import Rule
from seaway.routing.policy import LimitKey, RateLimit, RoutePolicy

# Of each kind so many buckets are kept, the ones used last: who comes back after so many others begins with a full one.
KEPT = 10_000
TOO_MANY = 429
_LARGEST = 4_294_967_295  # of a token bucket
_REMOTE = "remote_address"  # the key that Envoy gives clients' addresses


def local(policy: RoutePolicy | None) -> tuple[RateLimit, ...]:
    """The kinds of limits that proxies count by themselves, each once."""
    limits = policy.limits if policy is not None else ()
    return tuple(dict.fromkeys(limit for limit in limits if limit.scope == "local"))


def key_name(key: LimitKey) -> str:
    return _REMOTE if key.kind == "client" else key.name


def kind(limit: RateLimit) -> str:
    """The name of all limits like this one, for people to read and for Envoy to tell them apart."""
    by = (f"{key.name}={key.value!r}" if key.value else key_name(key) for key in limit.keys)
    return " ".join((f"{limit.requests}/{limit.seconds}s+{limit.burst}", *by))


def write(metadata: Any, rule: Rule) -> None:
    """Into a route's metadata: its kinds of limits. What is counted is the rule, whatever number of matches and hosts it has."""
    for limit in local(rule.policy):
        metadata.filter_metadata[LIMITS].fields[kind(limit)].string_value = rule.source.title


def by_keys(actions: Any, keys: Iterable[LimitKey]) -> None:
    """Into the actions of a limit: what of the request goes into its descriptor. Who lacks a header that is counted by is not
    counted (as in nginx's limit_req_zone)."""
    for key in keys:
        action = actions.add()
        if key.kind == "client":
            action.remote_address.SetInParent()  # the one that the connection manager trusts
        else:
            action.request_headers.header_name = action.request_headers.descriptor_key = key.name


def empty() -> Any:
    """The filter without a limit."""
    found = messages.LocalRateLimit(stat_prefix="limits")
    for share in (found.filter_enabled, found.filter_enforced):
        share.default_value.numerator = 100
    found.status.code = TOO_MANY
    found.rate_limited_as_resource_exhausted = True
    found.enable_x_ratelimit_headers = 1  # DRAFT_VERSION_03
    found.max_dynamic_descriptors.value = KEPT
    return found


def filter_of(limits: Iterable[RateLimit]) -> bytes:
    """The filter's configuration as a TypedExtensionConfig."""
    found = empty()
    for limit in sorted(limits, key=kind):
        name = kind(limit)
        entry = found.rate_limits.add()
        of_route = entry.actions.add().metadata
        of_route.descriptor_key = name
        of_route.metadata_key.key = LIMITS
        of_route.metadata_key.path.add(key=name)
        of_route.source = of_route.ROUTE_ENTRY
        by_keys(entry.actions, limit.keys)
        descriptor = found.descriptors.add()
        descriptor.entries.add(key=name)  # no value: each has a bucket
        for key in limit.keys:
            descriptor.entries.add(key=key_name(key), value=key.value)
        bucket = descriptor.token_bucket
        bucket.max_tokens = min(limit.requests + limit.burst, _LARGEST)
        bucket.tokens_per_fill.value = min(limit.requests, _LARGEST)
        bucket.fill_interval.FromSeconds(limit.seconds)
    return serialised(messages.TypedExtensionConfig(name=LIMIT_FILTER, typed_config=packed(found)))
