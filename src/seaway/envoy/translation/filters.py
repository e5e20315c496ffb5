"""What a route says to filters: CORS and session persistence."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation.rewrites import quoted
from seaway.envoy.translation.wire import packed
from seaway.routing.ir import Cors, Session


@lru_cache(maxsize=1024)
def cors(wanted: Cors) -> Any:
    found = messages.CorsPolicy()
    for origin in wanted.origins:
        if origin == "*":
            found.allow_origin_string_match.add().safe_regex.regex = ".*"
        elif "*" in origin:
            # GEP-1767: the wildcard stands for one or more labels.
            pattern = "[^/]+".join(quoted(part) for part in origin.split("*"))
            found.allow_origin_string_match.add().safe_regex.regex = pattern
        else:
            one = found.allow_origin_string_match.add()
            one.exact, one.ignore_case = origin, True
    # Of `*` Envoy makes what the preflight asks for, which is also right with credentials (Fetch 3.2.5).
    found.allow_methods = ", ".join(wanted.methods)
    found.allow_headers = ", ".join(wanted.headers)
    found.expose_headers = ", ".join(wanted.expose)
    found.max_age = str(wanted.max_age)
    found.allow_credentials.value = wanted.credentials
    found.forward_not_matching_preflights.value = False
    return packed(found)


@lru_cache(maxsize=1024)
def session(wanted: Session) -> Any:
    found = messages.StatefulSessionPerRoute()
    state = found.stateful_session.session_state
    if wanted.kind == "header":
        state.name = "envoy.http.stateful_session.header"
        state.typed_config.CopyFrom(packed(messages.HeaderBasedSessionState(name=wanted.name)))
        return packed(found)
    state.name = "envoy.http.stateful_session.cookie"
    kept = messages.CookieBasedSessionState()
    kept.cookie.name, kept.cookie.path = wanted.name, wanted.path or "/"
    if wanted.permanent and wanted.seconds:
        kept.cookie.ttl.FromSeconds(wanted.seconds)
    for name, value in wanted.attributes:
        kept.cookie.attributes.add(name=name, value=value)
    state.typed_config.CopyFrom(packed(kept))
    return packed(found)
