"""A rule as Envoy's routes, serialised: mostly one, more where its shares or its CORS preflight need their own."""

from __future__ import annotations

from typing import Any

import msgspec

from seaway.envoy import messages
from seaway.envoy.translation import actions, filters, headers, limits, matches, security, sticky
from seaway.envoy.translation.marks import mark
from seaway.envoy.translation.names import CORS_FILTER, NO_RULE, SESSION_FILTER
from seaway.envoy.translation.wire import serialised
from seaway.routing.ir import Forward, Redirect, Respond, Rule, Target

NOT_FOUND = 404
MISDIRECTED = 421
NO_BACKEND = Respond(500)


def routes(rule: Rule, measured: bool = False) -> tuple[bytes, ...]:
    """The routes of a rule in order. `measured`: with counters of their object, by its name."""
    found = []
    if rule.cors is not None and rule.match.method and rule.match.method != "OPTIONS":
        # A preflight has a method of its own, and would miss a rule for GET.
        found += _variants(rule, preflight=True)
    found += _variants(rule)
    if measured:
        for route in found:
            route.stat_prefix = f"{rule.source.namespace}/{rule.source.name}".replace(".", "_")  # a dot ends a tag
    return tuple(serialised(r) for r in found)


def portless(rule: Rule, domain: str) -> Rule:
    """A redirect that names no host and is to have no port: Envoy would take Host as it came, with the port that is in it. Where
    only one host is meant it is named."""
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


def _variants(rule: Rule, preflight: bool = False) -> list[Any]:
    action = rule.action
    if isinstance(action, Redirect):
        route = _start(rule, preflight)
        actions.redirect(route, action, rule.match)
        actions.edit_both(route, rule.request, rule.response)
        return [route]
    if isinstance(action, Respond):
        route = _start(rule, preflight)
        actions.edit_both(route, rule.request, rule.response)
        actions.respond(route, action)
        return [route]
    targets = actions.live(action.targets)
    if not any(t.cluster or t.redirect for t in targets):
        route = _start(rule, preflight)
        actions.respond(route, NO_BACKEND)
        return [route]
    found = []
    session = sticky.session_of(action, targets)
    if session is not None:
        for target in sticky.kept(targets):
            route = _start(rule, preflight)
            sticky.match(route.match, session, target)
            _forward(route, rule, action, (target,))
            found.append(route)
        targets = [sticky.told(target, session) for target in targets]
    for share, upto in actions.shares(targets):
        route = _start(rule, preflight)
        if upto < 1_000_000:
            fraction = route.match.runtime_fraction.default_value
            fraction.numerator, fraction.denominator = upto, fraction.MILLION
        single = share[0] if len(share) == 1 else None
        if single is not None and single.redirect is not None:
            actions.redirect(route, single.redirect, rule.match)
            actions.edit_both(route, rule.request, headers.then(rule.response, single.response))
        else:
            _forward(route, rule, action, share)
        found.append(route)
    return found


def _forward(route: Any, rule: Rule, action: Forward, share: tuple[Target, ...]) -> None:
    actions.forward(route, action, share, rule)
    if action.session is not None:
        route.typed_per_filter_config[SESSION_FILTER].CopyFrom(filters.session(action.session))


def _start(rule: Rule, preflight: bool) -> Any:
    route = messages.Route(name=rule.source.title)
    matches.write(route.match, rule.match, preflight)
    mark(route.metadata, rule.source, rule=rule.name)
    limits.write(route.metadata, rule)
    if rule.cors is not None:
        route.typed_per_filter_config[CORS_FILTER].CopyFrom(filters.cors(rule.cors))
    if rule.policy is not None:
        security.write(route, rule.policy)
    return route


def used(rule: Rule) -> set[str]:
    """The clusters that a rule sends requests to, or asks about them."""
    asked = security.clusters(rule.policy)
    if not isinstance(rule.action, Forward):
        return asked
    named = {t.cluster for t in actions.live(rule.action.targets) if t.redirect is None}
    return (asked | named | {m.cluster for m in rule.action.mirrors if m.numerator > 0}) - {""}


def answer(name: str, code: int) -> bytes:
    """A route that answers everything with a status."""
    route = messages.Route(name=name)
    route.match.prefix = "/"
    route.direct_response.status = code
    return serialised(route)


def no_rule(misdirected: bool) -> bytes:
    """What stands after all rules of a domain."""
    return answer(NO_RULE, MISDIRECTED if misdirected else NOT_FOUND)
