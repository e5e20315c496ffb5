"""Where a policy's targets lead: the Gateways and classes of ours that they belong to, and which targets lie within others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api.tree import Key, get
from seaway.routing.gateway.attaching import ROUTES, attachments
from seaway.routing.gateway.backendtls import USERS, gateways_using
from seaway.routing.gateway.listeners import is_ours, listeners
from seaway.routing.incremental import View
from seaway.routing.ingress.classes import Settings, class_of, ours
from seaway.routing.policies.targets import CLASS, Target, attached, index, targets

Tree = dict[str, Any]
RESOURCES = {
    **{kind: resource for resource, kind in ROUTES.items()},
    "Gateway": "gateways",
    "Service": "services",
    "Ingress": "ingresses",
    CLASS: "ingressclasses",
}
ROUTE_KINDS = tuple(ROUTES.values())
INGRESSES = "ingresses by service"  # index: "NAMESPACE/SERVICE"
# The larger, the more specific; of one object a section is more so than the whole.
RANKS = {"Gateway": 0, CLASS: 0, "Service": 1, "Ingress": 2, **dict.fromkeys(ROUTE_KINDS, 2)}


class Ancestor(NamedTuple):
    """A fleet's owner, and the controller that speaks of it."""

    kind: str
    namespace: str
    name: str
    controller: str


def within(resource: str) -> str:
    """The index of policies that are attached to something within Gateways and classes."""
    return f"{resource} within Gateways"


def is_within(tree: Tree) -> list[str]:
    return [""] if any(RANKS.get(t.kind, 0) > 0 for t in targets(tree)) else []


def services_of(tree: Tree) -> Iterable[str]:
    """The Services that an Ingress names."""
    own = tree["metadata"]["namespace"]
    backends = [get(tree, "spec", "defaultBackend")]
    for rule in get(tree, "spec", "rules") or ():
        backends += [path.get("backend") for path in get(rule, "http", "paths") or ()]
    for backend in backends:
        name = get(backend, "service", "name")
        if name:
            yield f"{own}/{name}"


def exists(view: View, target: Target) -> bool:
    resource = RESOURCES.get(target.kind)
    return resource is not None and view.get(resource, target.namespace, target.name) is not None


def ancestors(view: View, settings: Settings, kind: str, namespace: str, name: str) -> tuple[tuple[Ancestor, str], ...]:
    """A decision: the Gateways and classes of ours that an object is one of, is attached to or is used by; with why a route is
    not served there, "" where it is."""
    found: dict[Ancestor, str] = {}
    if kind == "Gateway":
        controller = view.ask(is_ours, namespace, name)
        if controller:
            found[Ancestor(kind, namespace, name, controller)] = ""
    elif kind == CLASS:
        if view.ask(ours, settings, name):
            found[_class(view, name)] = ""
    elif kind == "Ingress":
        class_name = view.ask(class_of, settings, namespace, name)
        if class_name:
            found[_class(view, class_name)] = ""
    elif kind in ROUTE_KINDS:
        for one in view.ask(attachments, RESOURCES[kind], namespace, name):
            ancestor = Ancestor("Gateway", *one.gateway, one.controller)
            why = f"{kind} {namespace}/{name} is not attached: {one.message}" if one.reason else ""
            found[ancestor] = why and found.get(ancestor, why)
    elif kind == "Service":
        for controller, space, gateway in view.ask(gateways_using, f"{namespace}/{name}"):
            found[Ancestor("Gateway", space, gateway, controller)] = ""
        for key in view.find(INGRESSES, f"{namespace}/{name}"):
            class_name = view.ask(class_of, settings, *key)
            if class_name:
                found[_class(view, class_name)] = ""
    return tuple(sorted(found.items()))


def _class(view: View, name: str) -> Ancestor:
    return Ancestor(CLASS, "", name, str(get(view.get("ingressclasses", "", name), "spec", "controller") or ""))


def missing(view: View, target: Target) -> str:
    """A decision: what of a target is not there: the object, or the section of it."""
    kind, namespace, name, section = target
    if not exists(view, target):
        return f"{target.whole.title} does not exist"
    if not section:
        return ""
    tree = view.get(RESOURCES[kind], namespace, name)
    if kind == "Gateway":
        known = [str(li.get("name")) for li in get(tree, "spec", "listeners") or ()]
    elif kind in ROUTE_KINDS:
        known = [str(r.get("name") or "") for r in get(tree, "spec", "rules") or ()]
    elif kind == "Service":
        ports = get(tree, "spec", "ports") or ()
        known = [word for p in ports for word in (str(p.get("name") or ""), str(p["port"]))]
    else:
        known = []
    return "" if section in known else f"{target.whole.title} has no section {section}"


def inner(
    view: View, settings: Settings, resource: str, outer: Target, ancestor: Ancestor
) -> Iterable[tuple[Target, Key]]:
    """The policies on what lies within a target, at a Gateway or class: (what they are attached to, policy)."""
    if not outer.section:
        for section, key in view.ask(attached, resource, *outer.whole[:3]):
            if section and not view.ask(missing, outer._replace(section=section)):
                yield outer._replace(section=section), key
    for key in _candidates(view, resource, outer):
        for target in view.ask(_targets, resource, key):
            if RANKS.get(target.kind, 0) <= RANKS.get(outer.kind, 0):
                continue
            reached = dict(view.ask(ancestors, settings, *target.whole[:3]))
            if reached.get(ancestor) == "" and not view.ask(missing, target) and view.ask(_uses, outer, target):
                yield target, key


def _targets(view: View, resource: str, key: Key) -> tuple[Target, ...]:
    """A decision: what a policy is attached to."""
    tree = view.get(resource, *key)
    return tuple(targets(tree)) if tree is not None else ()


def _candidates(view: View, resource: str, outer: Target) -> list[Key]:
    if RANKS.get(outer.kind) == 0:
        return list(view.find(within(resource)))
    if outer.kind != "Service":
        return []
    found: set[Key] = set()
    service = f"{outer.namespace}/{outer.name}"
    users = [(kind, key) for r, kind in ROUTES.items() for key in view.find(f"{USERS} {r}", service)]
    for kind, key in (*users, *(("Ingress", key) for key in view.find(INGRESSES, service))):
        found.update(view.find(index(resource), f"{kind}/{key.namespace}/{key.name}"))
    return sorted(found)


def _uses(view: View, outer: Target, target: Target) -> bool:
    """A decision, of two targets at one Gateway or class: whether the narrower has to do with the section, or Service, of the
    wider."""
    if outer.kind == "Service":
        return _leads(view, target, outer)
    if outer.kind != "Gateway" or not outer.section:
        return True
    routes = [(RESOURCES[target.kind], Key(*target[1:3]))] if target.kind in ROUTE_KINDS else []
    if target.kind == "Service":
        service = f"{target.namespace}/{target.name}"
        routes = [(r, key) for r in ROUTES for key in view.find(f"{USERS} {r}", service)]
    return any(
        place.listener.where == ("Gateway", *outer[1:3]) and place.listener.name == outer.section
        for resource, key in routes
        for one in view.ask(attachments, resource, *key)
        for place in one.places
    )


def _leads(view: View, route: Target, service: Target) -> bool:
    """Whether a route, or the rule of it that is meant, leads to the Service's port that is meant."""
    tree = view.get(RESOURCES[route.kind], route.namespace, route.name)
    if route.kind == "Ingress":
        return f"{service.namespace}/{service.name}" in services_of(tree or {"metadata": {"namespace": ""}})
    ports = get(view.get("services", service.namespace, service.name), "spec", "ports") or ()
    wanted = {p["port"] for p in ports if service.section in ("", str(p.get("name") or ""), str(p["port"]))}
    return any(
        ref.get("name") == service.name
        and (ref.get("namespace") or route.namespace) == service.namespace
        and ref.get("port") in wanted
        for rule in get(tree, "spec", "rules") or ()
        if route.section in ("", str(rule.get("name") or ""))
        for ref in rule.get("backendRefs") or ()
    )


def silent(view: View, target: Target) -> str:
    """Why what clients are asked at a listener is not this target's to say: plain HTTP of a port is one way in."""
    if target.kind != "Gateway" or not target.section:
        return ""
    found = view.ask(listeners, target.namespace, target.name) or ()
    mine = next((li for li in found if li.where.kind == "Gateway" and li.name == target.section), None)
    if mine is None or mine.protocol != "HTTP":
        return ""
    first = next((li for li in found if li.protocol == "HTTP" and li.port == mine.port and li.serves), mine)
    if first is mine:
        return ""
    return f"listener {mine.name} shares port {mine.port} with listener {first.title}, of which clients are asked"
