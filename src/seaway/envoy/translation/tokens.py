"""JSON Web Tokens (RFC 7519): who issued one is checked by a filter whose providers come as a resource of their own, so that no
listener changes with a policy. A route names what it requires.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation.names import TOKEN_FILTER
from seaway.envoy.translation.wire import packed, serialised
from seaway.routing.policy import JwtProvider

_FETCH = 5  # seconds for a key set
_FILTER = "envoy.filters.http.jwt_authn"  # whose metadata claims are in
_OVERWRITE = 2  # HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
_KEPT = 300  # seconds that a fetched key set is believed

Providers = tuple[JwtProvider, ...]


def requirement(providers: Providers) -> str:
    """The name of what a route with these providers requires: a valid token of one of them."""
    return hashlib.blake2b(repr(providers).encode(), digest_size=8).hexdigest()


def tokens(wanted: Iterable[Providers]) -> bytes:
    """The filter's configuration as a TypedExtensionConfig."""
    found = messages.JwtAuthentication()
    for providers in wanted:
        name = requirement(providers)
        needs = found.requirement_map[name]
        for i, provider in enumerate(providers):
            own = f"{name}/{i}"
            _provider(found.providers[own], provider, _payload(i))
            if len(providers) == 1:
                needs.provider_name = own
            else:
                needs.requires_any.requirements.add(provider_name=own)
    return serialised(messages.TypedExtensionConfig(name=TOKEN_FILTER, typed_config=packed(found)))


def _payload(provider: int) -> str:
    """The name in the filter's metadata that the claims of a route's provider have."""
    return f"claims-{provider}"


def tell(route: Any, providers: Providers) -> None:
    """Claims as headers for the backend. Not by the filter's own means: it takes away headers of such names from requests of all
    routes, also of those that have nothing to do with tokens."""
    for i, provider in enumerate(providers):
        for claim, header in provider.headers:
            path = ":".join((_payload(i), *claim.split(".")))
            one = route.request_headers_to_add.add(append_action=_OVERWRITE)
            one.header.key, one.header.value = header, f"%DYNAMIC_METADATA({_FILTER}:{path})%"


def _provider(found: Any, wanted: JwtProvider, payload: str) -> None:
    made = messages.JwtProvider(issuer=wanted.issuer, audiences=wanted.audiences, forward=True)
    # Of the header alone: a token in a URL ends in logs (RFC 6750 5.3).
    made.from_headers.add(name="Authorization", value_prefix="Bearer ")
    if wanted.headers:
        made.payload_in_metadata = payload
    if wanted.cluster:
        uri = made.remote_jwks.http_uri
        uri.cluster = wanted.cluster
        namespace, service, port, *_ = (*wanted.cluster.split("/"), "", "")
        uri.uri = f"http://{service}.{namespace}.svc:{port}{wanted.uri or '/'}"
        uri.timeout.FromSeconds(_FETCH)
        made.remote_jwks.cache_duration.FromSeconds(_KEPT)
        made.remote_jwks.async_fetch.fast_listener = True
    else:
        made.local_jwks.inline_string = wanted.keys
    found.CopyFrom(made)
