"""Which listeners a route attaches to, and why it does not."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import Key
from seaway.routing.conditions import GROUP
from seaway.routing.gateway.hostnames import covers, intersection
from seaway.routing.gateway.listeners import Listener, Where, is_ours, listeners, selected, set_allowed, set_parent
from seaway.routing.gateway.rivals import OTHER, rivals
from seaway.routing.incremental import View

Tree = dict[str, Any]
ROUTES = {
    "httproutes": "HTTPRoute",
    "grpcroutes": "GRPCRoute",
    "tlsroutes": "TLSRoute",
    "tcproutes": "TCPRoute",
    "udproutes": "UDPRoute",
}
NAMED = ("HTTPRoute", "GRPCRoute", "TLSRoute")  # those that have host names


class Place(NamedTuple):
    """A listener that a route is attached to, with the domains that it serves there."""

    listener: Listener
    domains: tuple[str, ...]


class Attachment(NamedTuple):
    """What has become of one parentRef that leads to a Gateway of ours. `reason` empty: attached at `places`."""

    parent: Tree
    controller: str
    gateway: tuple[str, str]
    reason: str
    message: str
    places: tuple[Place, ...] = ()


def attachments(view: View, resource: str, namespace: str, name: str) -> tuple[Attachment, ...]:
    """A decision: what has become of each parentRef of a route that is ours to judge."""
    tree = view.get(resource, namespace, name)
    if tree is None:
        return ()
    kind = ROUTES[resource]
    hostnames = tuple(str(h) for h in tree["spec"].get("hostnames") or ()) if kind in NAMED else ()
    found = []
    for ref in tree["spec"].get("parentRefs") or ():
        if ref.get("group", GROUP) != GROUP:
            continue
        own = str(ref.get("namespace") or namespace)
        where = Where(str(ref.get("kind") or "Gateway"), own, str(ref["name"]))
        gateway = _gateway(view, where)
        controller = view.ask(is_ours, *gateway) if gateway is not None else ""
        if gateway is not None and controller:
            one = Attachment(
                ref, controller, gateway, *_attached(view, kind, namespace, hostnames, ref, where, gateway)
            )
            found.append(_without_rivals(view, resource, namespace, name, one) if resource in OTHER else one)
    return tuple(found)


def _without_rivals(view: View, resource: str, namespace: str, name: str, one: Attachment) -> Attachment:
    """Without the listeners at which an older route of the other type has a host name of this one's."""
    taken: dict[tuple[str, ...], tuple[Key, tuple[str, ...]]] = {}
    for key in view.ask(rivals, resource, namespace, name) if one.places else ():
        for theirs in view.ask(attachments, OTHER[resource], *key):
            for place in theirs.places:
                taken.setdefault((*place.listener.where, place.listener.name), (key, place.domains))
    places = []
    why = ""
    for place in one.places:
        key, domains = taken.get((*place.listener.where, place.listener.name), (Key("", ""), ()))
        both = [d for d in place.domains for t in domains if _meet(d, t)]
        if both:
            why = f"{ROUTES[OTHER[resource]]} {key} is older and has {both[0]} at listener {place.listener.name}"
        else:
            places.append(place)
    if why and not places:
        return one._replace(reason="HostnameConflict", message=why, places=())
    return one._replace(places=tuple(places))


def _meet(one: str, other: str) -> bool:
    wide, narrow = ("" if one == "*" else one), ("" if other == "*" else other)
    return covers(wide, narrow) or covers(narrow, wide)


def _gateway(view: View, where: Where) -> tuple[str, str] | None:
    if where.kind == "Gateway":
        return where.namespace, where.name
    tree = view.get("listenersets", where.namespace, where.name) if where.kind == "ListenerSet" else None
    return set_parent(tree) if tree is not None else None


def _attached(
    view: View,
    kind: str,
    namespace: str,
    hostnames: tuple[str, ...],
    ref: Tree,
    where: Where,
    gateway: tuple[str, str],
) -> tuple[str, str, tuple[Place, ...]]:
    if where.kind == "ListenerSet" and not view.ask(set_allowed, where.namespace, where.name):
        return "NoMatchingParent", f"ListenerSet {where.namespace}/{where.name} is not allowed by its Gateway", ()
    section, port = ref.get("sectionName"), ref.get("port")
    known = view.ask(listeners, *gateway) or ()
    candidates = [
        li
        for li in known
        if li.where == where and (not section or li.name == section) and (not port or li.port == port)
    ]
    if not candidates:
        wanted = " and ".join(f"{k} {v}" for k, v in (("name", section), ("port", port)) if v)
        return "NoMatchingParent", f"no listener has {wanted}" if wanted else "there is no listener", ()
    allowed = [
        li
        for li in candidates
        if kind in li.kinds and selected(view, li.spaces, li.selector, li.where.namespace, namespace)
    ]
    if not allowed:
        names = ", ".join(li.name for li in candidates)
        return "NotAllowedByListeners", f"{kind}s of namespace {namespace} are not allowed by listener {names}", ()
    if kind not in NAMED:
        return "", "", tuple(Place(li, ("*",)) for li in allowed)
    places = tuple(Place(li, found) for li in allowed if (found := intersection(li.hostname, hostnames)))
    if not places:
        names = ", ".join(f"{li.name} ({li.hostname})" for li in allowed)
        return "NoMatchingListenerHostname", f"no host name is one of listener {names}", ()
    return "", "", places


def attached(view: View, resource: str, namespace: str, name: str) -> tuple[tuple[str, ...], ...]:
    """A decision: the listeners that count a route, each once."""
    return tuple(
        sorted(
            {
                ("attached", *place.listener.where, place.listener.name)
                for one in view.ask(attachments, resource, namespace, name)
                for place in one.places
            }
        )
    )
