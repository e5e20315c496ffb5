"""A rule's match as Envoy's."""

from __future__ import annotations

from typing import Any

from seaway.routing.ir import Match, PathMatch, ValueMatch


def _path(route: Any, path: PathMatch) -> None:
    if path.kind == "regex":
        route.safe_regex.regex = path.value
    elif path.kind == "exact":
        route.path = path.value
    elif path.value in ("", "/"):
        route.prefix = "/"
    elif "?" in path.value or "#" in path.value:
        route.path = path.value  # in no path that is ever matched, and refused by Envoy as a prefix
    else:
        route.path_separated_prefix = path.value.rstrip("/")


def _value(matcher: Any, match: ValueMatch) -> None:
    matcher.name = match.name
    if match.kind == "present":
        matcher.present_match = True
    elif match.kind == "regex":
        matcher.string_match.safe_regex.regex = match.value
    else:
        # An empty value too has to be said (Envoy tells an unset matcher from one of "").
        matcher.string_match.exact = match.value


def write(route: Any, match: Match, preflight: bool = False) -> None:
    """Into the RouteMatch `route`. `preflight`: of the CORS preflight for what the match would let in."""
    _path(route, match.path)
    if preflight:
        _value(route.headers.add(), ValueMatch(":method", "exact", "OPTIONS"))
        _value(route.headers.add(), ValueMatch("access-control-request-method", "exact", match.method))
        _value(route.headers.add(), ValueMatch("origin", "present"))
    elif match.method:
        _value(route.headers.add(), ValueMatch(":method", "exact", match.method))
    for header in match.headers:
        if not preflight or header.name.startswith(":"):  # a browser's preflight has the host, and no header of its request
            _value(route.headers.add(), header)
    for parameter in match.query:
        _value(route.query_parameters.add(), parameter)
    if match.grpc:
        route.grpc.SetInParent()
