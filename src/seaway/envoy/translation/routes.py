"""A rule as Envoy's routes, serialised: mostly one, more where its shares or its CORS preflight need their own."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation import actions, bodies, filters, headers, limits, matches, security, sticky
from seaway.envoy.translation.marks import mark
from seaway.envoy.translation.names import CORS_FILTER, NO_RULE, SESSION_FILTER
from seaway.envoy.translation.redirects import redirects
from seaway.envoy.translation.wire import serialised
from seaway.routing.ir import Forward, Match, PathMatch, Redirect, Respond, Rule, Target

_ALL = 1_000_000
NOT_FOUND = 404
MISDIRECTED = 421
NO_BACKEND = Respond(500)
_LITERAL = re.compile(r"[A-Za-z0-9/_~-]*/")  # how a regex begins, as long as it is text


def routes(rule: Rule, measured: bool = False) -> tuple[bytes, ...]:
    """The routes of a rule in order. `measured`: with counters of their object, by its name."""
    found = []
    if rule.cors is not None and rule.match.method and rule.match.method != "OPTIONS":
        # A preflight has a method of its own, and would miss a rule for GET.
        found += _variants(rule, preflight=True)
    own = _variants(rule)
    if rule.policy is not None and rule.policy.largest_body and isinstance(rule.action, Forward):
        own = bodies.bounded(rule.policy.largest_body, rule.match, _start(rule, False), own)
    found += own
    if measured:
        for route in found:
            route.stat_prefix = f"{rule.source.namespace}/{rule.source.name}".replace(".", "_")  # a dot ends a tag
    return tuple(serialised(r) for r in found)


def _variants(rule: Rule, preflight: bool = False) -> list[Any]:
    action = rule.action
    if isinstance(action, Redirect):
        found = redirects(partial(_start, rule, preflight), action, rule.match)
        for route in found:
            actions.edit_both(route, rule.request, rule.response)
        return found
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
        start = partial(_start, rule, preflight, upto)
        single = share[0] if len(share) == 1 else None
        if single is not None and single.redirect is not None:
            for route in redirects(start, single.redirect, rule.match):
                actions.edit_both(route, rule.request, headers.then(rule.response, single.response))
                found.append(route)
        else:
            route = start()
            _forward(route, rule, action, share)
            found.append(route)
    return found


def _forward(route: Any, rule: Rule, action: Forward, share: tuple[Target, ...]) -> None:
    actions.forward(route, action, share, rule)
    if rule.policy is not None:
        headers.peer(route, rule.policy.peer)
    if action.session is not None:
        route.typed_per_filter_config[SESSION_FILTER].CopyFrom(filters.session(action.session))


def _start(rule: Rule, preflight: bool, upto: int = _ALL) -> Any:
    """A route that matches and does nothing yet. `upto`: of a million requests so many, in order of their luck."""
    route = messages.Route(name=rule.source.title)
    matches.write(route.match, rule.match, preflight)
    if upto < _ALL:
        fraction = route.match.runtime_fraction.default_value
        fraction.numerator, fraction.denominator = upto, fraction.MILLION
    mark(route.metadata, rule.source, rule=rule.name)
    if rule.cors is not None:
        route.typed_per_filter_config[CORS_FILTER].CopyFrom(filters.cors(rule.cors))
    if rule.policy is not None:
        security.write(route, rule.policy)
        limits.write(route, rule.policy, rule.source.title)
    return route


def shut(rule: Rule) -> tuple[bytes, ...]:
    """What stands in place of a rule that cannot stand itself: nothing, so that its requests are others', unless it says who may
    pass. Then what begins as its path does is answered with an error, whatever else it looks at: another rule may ask less."""
    if not security.asks(rule.policy):
        return ()
    path = rule.match.path
    value = path.value
    if path.kind == "regex":
        literal = _LITERAL.match(value.removeprefix("^"))
        value = (literal[0] if literal else "").rpartition("/")[0]
    if path.kind != "exact":
        value = value.rstrip("/") or "/"
    route = messages.Route(name=rule.source.title)
    matches.write(route.match, Match(PathMatch(path.kind if path.kind == "exact" else "prefix", value), rule.match.method))
    actions.respond(route, NO_BACKEND)
    try:
        return (serialised(route),)
    except UnicodeEncodeError:
        return (answer(NO_RULE, NO_BACKEND.code),)


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
