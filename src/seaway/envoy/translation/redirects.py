"""Redirects. Envoy takes the host of a Location from the request as it came, with the port that a client wrote there; what a
redirect says is the port of its scheme (HTTPRequestRedirectFilter.port), which is not written.

Where only one host is meant it is named. Everywhere else a host with a port has a route of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from seaway.envoy import messages
from seaway.envoy.translation import rewrites
from seaway.envoy.translation.names import FALLBACK_FILTER
from seaway.routing.ir import Forward, Match, Redirect, Rule

_CODES = {301: 0, 302: 1, 303: 2, 307: 3, 308: 4}  # RedirectAction.RedirectResponseCode
_PORTS = {"http": 80, "https": 443}
_WITH_PORT = ".*:[0-9]+"
_HOST = f"%DYNAMIC_METADATA({FALLBACK_FILTER}:host)%"  # of the request, without its port
_SCHEME = "x-forwarded-proto"  # whatever a client says: Envoy has set it


def portless(rule: Rule, domain: str) -> Rule:
    """A rule whose redirects that name no host, and are to have no port, name the one host that is meant."""
    action = rule.action
    if isinstance(action, Redirect) and not action.host and not action.port:
        return msgspec.structs.replace(rule, action=msgspec.structs.replace(action, host=domain))
    if isinstance(action, Forward) and any(t.redirect and not t.redirect.host for t in action.targets):
        targets = tuple(
            msgspec.structs.replace(t, redirect=msgspec.structs.replace(t.redirect, host=domain))
            if t.redirect and not t.redirect.host and not t.redirect.port
            else t
            for t in action.targets
        )
        return msgspec.structs.replace(rule, action=msgspec.structs.replace(action, targets=targets))
    return rule


def redirects(start: Callable[[], Any], action: Redirect, match: Match) -> list[Any]:
    """The routes of a redirect, in order; `start` makes one that matches and does nothing yet."""
    found = []
    if not action.host and not action.port:
        found += _without_port(start, action, match)
    found.append(_redirect(start(), action, match))
    return found


def _without_port(start: Callable[[], Any], action: Redirect, match: Match) -> list[Any]:
    """For requests whose host has a port."""
    found = []
    for scheme in (action.scheme,) if action.scheme or not action.path_kind else _PORTS:
        route = start()
        route.match.headers.add(name=":authority").string_match.safe_regex.regex = _WITH_PORT
        if not action.path_kind:
            _answer(route, action)
        else:
            # Only Envoy's own redirect makes another path, and it takes away the port for no other price than one of its own.
            if not action.scheme:
                route.match.headers.add(name=_SCHEME).string_match.exact = scheme
            _redirect(route, msgspec.structs.replace(action, port=_PORTS.get(scheme, 0)), match)
        found.append(route)
    return found


def _answer(route: Any, action: Redirect) -> None:
    """The same redirect as an answer with a Location."""
    route.direct_response.status = action.code if action.code in _CODES else 302
    added = route.response_headers_to_add.add(append_action=messages.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
    added.header.key = "location"
    added.header.value = f"{action.scheme or f'%REQ({_SCHEME})%'}://{_HOST}%REQ(:PATH)%"


def _redirect(route: Any, action: Redirect, match: Match) -> Any:
    found = route.redirect
    found.SetInParent()
    if action.scheme:
        found.scheme_redirect = action.scheme
    if action.host:
        found.host_redirect = action.host
    if action.port:
        found.port_redirect = action.port
    rewrites.redirected(found, action.path_kind, action.path, match.path)
    found.response_code = _CODES.get(action.code, 1)
    return route
