"""The status of routes: for each parentRef of ours whether it is accepted there, and whether its references lead somewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.routing.conditions import Condition, rendered, worst
from seaway.routing.engine import Status
from seaway.routing.fleets import REFUSED
from seaway.routing.gateway.attaching import ROUTES, Attachment, attachments
from seaway.routing.gateway.httprules import Compiled, compiled
from seaway.routing.gateway.listeners import fleet_of
from seaway.routing.gateway.parts import section_of
from seaway.routing.gateway.streams import stream_of
from seaway.routing.incremental import View

Tree = dict[str, Any]
GOOD = "all references lead somewhere"


def route_status(resource: str) -> Callable[[View, str, str], Status | None]:
    """The decision for a kind of route."""

    def status(view: View, namespace: str, name: str) -> Status | None:
        tree = view.get(resource, namespace, name)
        if tree is None:
            return None
        generation = int(tree["metadata"].get("generation") or 0)
        parents = [
            {
                "parentRef": one.parent,
                "controllerName": one.controller,
                "conditions": rendered(_conditions(view, resource, namespace, name, one), generation),
            }
            for one in view.ask(attachments, resource, namespace, name)
        ]
        return Status(resource, namespace, name, {"parents": parents})

    return status


def _conditions(view: View, resource: str, namespace: str, name: str, one: Attachment) -> list[Condition]:
    fleet = fleet_of(*one.gateway)
    if resource not in ("httproutes", "grpcroutes"):
        unresolved = view.ask(stream_of, resource, namespace, name, fleet).unresolved
        return [_accepted(one), worst(unresolved, "ResolvedRefs", "ResolvedRefs", GOOD)]
    scheme, port, section = "http", 80, ""  # as its parts ask, so that it is not made twice
    for place in one.places:
        scheme, port = ("http" if place.listener.protocol == "HTTP" else "https"), place.listener.port
        section = section_of(view, place.listener, fleet)
    found = view.ask(compiled, resource, namespace, name, fleet, scheme, port, section)
    conditions = [_accepted(one), worst(found.unresolved, "ResolvedRefs", "ResolvedRefs", GOOD)]
    if not one.reason and found.dropped:
        conditions = [*_dropped(found), conditions[1]]
    refused = view.fact("refused", *fleet, f"{ROUTES[resource]}/{namespace}/{name}") or ()
    if refused and not one.reason:
        conditions[0] = Condition("Accepted", False, "UnsupportedValue", f"{REFUSED}: {'; '.join(refused)}")
    return conditions


def _accepted(one: Attachment) -> Condition:
    if one.reason:
        return Condition("Accepted", False, one.reason, one.message)
    return Condition(
        "Accepted", True, "Accepted", "attached to " + ", ".join(sorted({p.listener.title for p in one.places}))
    )


def _dropped(found: Compiled) -> list[Condition]:
    """Rules that cannot be served: the others are, unless there is none (RouteConditionPartiallyInvalid)."""
    message = "; ".join(m for _, _, m in found.dropped)
    if len(found.dropped) == found.count:
        return [Condition("Accepted", False, found.dropped[0][1], message)]
    which = ", ".join(str(i) for i, _, _ in found.dropped)
    return [
        Condition("Accepted", True, "Accepted", "attached, but for the rules that are dropped"),
        Condition("PartiallyInvalid", True, "UnsupportedValue", f"Dropped Rule {which}: {message}"),
    ]
