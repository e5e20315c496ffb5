"""Who may pass, as what a route says to the filters that see to it.

- addresses (rbac): which clients, by address
- guard (Lua, guard.lua): passwords, API keys, asking a Service by HTTP; it says that a request may pass
- gate (rbac): lets nothing pass of which the guard has not said so, whatever became of the guard
- tokens (jwt_authn, tokens.py), and authorizers that speak gRPC or are shown bodies (ext_authz)

All stand in every chain and do nothing by default: see `connections._filters`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation import addresses
from seaway.envoy.translation.names import (
    ADDRESS_FILTER,
    AUTHZ_FILTER,
    GATE_FILTER,
    GUARD_FILTER,
    NOWHERE,
    TOKEN_FILTER,
)
from seaway.envoy.translation.tokens import requirement, tell
from seaway.envoy.translation.wire import packed
from seaway.routing.policy import External, RoutePolicy

GUARD = files("seaway.envoy.translation").joinpath("guard.lua").read_text()
PASSED = "passed"
UNANSWERED = 503  # the answer where an authorizer gives none
_TIMEOUT = 2.0
SHOWN = ("authorization", "x-forwarded-for", "x-forwarded-proto", "x-request-id")  # to whom is asked by HTTP, always


def write(route: Any, policy: RoutePolicy) -> None:
    """Into a route."""
    configs = route.typed_per_filter_config
    if policy.allow or policy.deny:
        configs[ADDRESS_FILTER].CopyFrom(_addresses(policy.allow, policy.deny))
    if is_guarded(policy):
        configs[GUARD_FILTER].CopyFrom(_guard(policy))
        configs[GATE_FILTER].CopyFrom(_gate())
    if policy.jwt:
        configs[TOKEN_FILTER].CopyFrom(packed(messages.JwtPerRoute(requirement_name=requirement(policy.jwt))))
        tell(route, policy.jwt)
    if policy.external is not None and not _by_guard(policy.external):
        configs[AUTHZ_FILTER].CopyFrom(_authorizer(policy.external))


def clusters(policy: RoutePolicy | None) -> set[str]:
    """Those that requests of a route are asked about at."""
    if policy is None:
        return set()
    found = {provider.cluster for provider in policy.jwt}
    if policy.external is not None:
        found.add(policy.external.cluster)
    return found - {""}


def is_guarded(policy: RoutePolicy | None) -> bool:
    """Whether the guard has something to see to: also that nobody says for himself what only the proxy says."""
    return policy is not None and bool(policy.basic or policy.api_keys or policy.jwt or policy.external)


def asks(policy: RoutePolicy | None) -> bool:
    """Whether not everybody may pass."""
    return is_guarded(policy) or (policy is not None and bool(policy.allow or policy.deny or policy.closed))


def _by_guard(external: External) -> bool:
    """Whether the guard asks. Envoy's own filter cannot be told by a route which headers it shows, and asks for no fixed path;
    but it can hold bodies back."""
    return external.kind == "request" or (external.kind == "http" and not external.body)


def _stripped(policy: RoutePolicy) -> Iterable[str]:
    if policy.basic is not None:
        yield policy.basic.header
    if policy.api_keys is not None:
        yield policy.api_keys.header
    for provider in policy.jwt:
        yield from (header.lower() for _, header in provider.headers)
    if policy.external is not None:
        yield from policy.external.headers_out


@lru_cache(maxsize=1024)
def _guard(policy: RoutePolicy) -> Any:
    said: dict[str, object] = {"guard": True}
    # What credentials themselves stand in is what they are read from, and goes on as it came.
    strip = {name for name in _stripped(policy) if name} - {"authorization", "cookie"}
    if strip:
        said["strip"] = ",".join(sorted(strip))
    if policy.basic is not None or policy.jwt:
        said["single"] = True
    if policy.basic is not None:
        said["realm"] = policy.basic.realm or "restricted"
        for line in policy.basic.users.splitlines():
            user, _, digest = line.partition(":")
            said.setdefault(f"u:{user}", digest)  # of two lines the first holds, as in Apache
        if policy.basic.header:
            said["user-header"] = policy.basic.header
    if policy.api_keys is not None:
        said["places"] = ",".join(f"{kind}:{name}" for kind, name in policy.api_keys.places)
        said.update((f"k:{key}", client) for client, key in policy.api_keys.keys)
        if policy.api_keys.header:
            said["client-header"] = policy.api_keys.header
    if policy.external is not None and _by_guard(policy.external):
        said |= _question(policy.external)
    found = messages.LuaPerRoute()
    found.filter_context.update(said)
    return packed(found)


def _question(external: External) -> dict[str, object]:
    said: dict[str, object] = {
        "ask": external.cluster or NOWHERE,
        "ask-timeout": max(round((external.timeout or _TIMEOUT) * 1000), 1),
        "ask-out": ",".join(external.headers_out),
    }
    if external.kind == "request":
        said |= {
            "ask-method": external.method,
            "ask-path": external.path or "/",
            "ask-host": external.host or external.cluster,
        }
        if external.signin:
            said["signin"] = external.signin
        if external.headers_set:
            said["ask-set"] = dict(external.headers_set)
    else:
        said |= {
            "ask-before": external.path.rstrip("/"),
            "ask-in": ",".join(dict.fromkeys((*SHOWN, *external.headers_in))),
        }
    return said


@lru_cache(maxsize=1)
def _gate() -> Any:
    found = messages.RbacPerRoute()
    rules = found.rbac.rules
    rules.action = rules.ALLOW
    policy = rules.policies["guard"]
    policy.principals.add(any=True)
    matcher = policy.permissions.add().sourced_metadata.metadata_matcher
    matcher.filter = GUARD_FILTER
    matcher.path.add(key=PASSED)
    matcher.value.bool_match = True
    return packed(found)


@lru_cache(maxsize=1024)
def _addresses(allow: tuple[str, ...], deny: tuple[str, ...]) -> Any:
    found = messages.RbacPerRoute()
    addresses.rules(found.rbac.rules, allow, deny)
    return packed(found)


@lru_cache(maxsize=1024)
def _authorizer(external: External) -> Any:
    found = messages.ExtAuthzPerRoute()
    settings = found.check_settings
    seconds = external.timeout or _TIMEOUT
    if external.kind == "grpc":
        settings.grpc_service.envoy_grpc.cluster_name = external.cluster or NOWHERE
        settings.grpc_service.timeout.FromNanoseconds(round(seconds * 1e9))
    else:
        service = settings.http_service
        service.server_uri.uri = f"http://{external.host or 'authorizer'}"
        service.server_uri.cluster = external.cluster or NOWHERE
        service.server_uri.timeout.FromNanoseconds(round(seconds * 1e9))
        service.path_prefix = external.path.rstrip("/")
        for name in external.headers_out:
            service.authorization_response.allowed_upstream_headers.patterns.add(exact=name, ignore_case=True)
    if external.body:
        settings.with_request_body.max_request_bytes = external.body
        settings.with_request_body.allow_partial_message = True
    return packed(found)


def authorizer_default() -> Any:
    """The filter of every chain: it asks nobody, and whoever gets past `authorizer_off` without a route's word is refused. Being
    one for gRPC it shows all headers to whom a route wants to be asked."""
    found = messages.ExtAuthz()
    found.grpc_service.envoy_grpc.cluster_name = NOWHERE
    found.disallowed_headers.patterns.add(prefix="x-seaway-")
    found.status_on_error.code = UNANSWERED
    return found


def authorizer_off() -> Any:
    return packed(messages.ExtAuthzPerRoute(disabled=True))
