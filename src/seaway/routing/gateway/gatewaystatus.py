"""The status of Gateways and ListenerSets: conditions of the whole and of each listener, addresses, attached routes.

`Programmed` is said only of what every connected proxy holds: the process puts what it knows of a fleet as facts.
"""

from __future__ import annotations

from typing import Any

from seaway.routing.conditions import GROUP, Condition, rendered, worst
from seaway.routing.engine import Status
from seaway.routing.fleets import REFUSED, Addresses, InForce
from seaway.routing.gateway.backendtls import client_certificate
from seaway.routing.gateway.classes import parameters, unknown_parameters
from seaway.routing.gateway.listeners import KINDS, Listener, is_ours, listeners, set_allowed, set_keys, set_parent
from seaway.routing.gateway.listenertls import validation
from seaway.routing.incremental import View

Tree = dict[str, Any]


def fleet_fact(view: View, what: str, namespace: str, name: str) -> Any:
    return view.fact(what, "Gateway", namespace, name)


def gateway_status(view: View, namespace: str, name: str) -> Status | None:
    """A decision: the status of a Gateway of ours."""
    if not view.ask(is_ours, namespace, name):
        return None
    tree = view.get("gateways", namespace, name) or {}
    generation = int(tree["metadata"].get("generation") or 0)
    found = view.ask(listeners, namespace, name) or ()
    own = [li for li in found if li.where.kind == "Gateway"]
    force: InForce | None = fleet_fact(view, "in force", namespace, name)
    addresses: Addresses = fleet_fact(view, "addresses", namespace, name) or Addresses()
    accepted = view.ask(gateway_accepted, namespace, name)
    status: Tree = {
        "addresses": [{"type": kind, "value": value} for kind, value in addresses.usable[:16]],
        "conditions": rendered(
            [
                accepted,
                _programmed(accepted, found, force, addresses),
                *_references(view, namespace, name, own),
                *_insecure(tree, own),
            ],
            generation,
        ),
        "listeners": [listener_status(view, li, force, generation) for li in own],
        "attachedListenerSets": len(view.ask(set_keys, namespace, name)),
    }
    return Status("gateways", namespace, name, status)


def gateway_accepted(view: View, namespace: str, name: str) -> Condition:
    """A decision: the condition Accepted of a Gateway of ours."""
    tree = view.get("gateways", namespace, name) or {"metadata": {"name": name}}
    own = [li for li in view.ask(listeners, namespace, name) or () if li.where.kind == "Gateway"]
    addresses: Addresses = fleet_fact(view, "addresses", namespace, name) or Addresses()
    reference = parameters(tree, "infrastructure", "parametersRef")
    problem = view.fact("parameters problem", "Gateway", namespace, tree["metadata"]["name"]) or ""
    if reference is not None and not problem:
        problem = unknown_parameters(view, reference, namespace)
    if problem:
        return Condition("Accepted", False, "InvalidParameters", problem)
    if addresses.unsupported:
        return Condition("Accepted", False, "UnsupportedAddress", addresses.unsupported)
    bad = [li for li in own if li.refused or li.conflicts or li.unresolved]
    if not bad:
        return Condition("Accepted", True, "Accepted", "the Gateway is served by this controller")
    names = ", ".join(li.name for li in bad)
    message = f"not all is well with listener {names}: see its conditions"
    some = any(not li.refused and not li.conflicts for li in own)
    return Condition("Accepted", some, "ListenersNotValid", message)


def _programmed(
    accepted: Condition, found: tuple[Listener, ...], force: InForce | None, addresses: Addresses
) -> Condition:
    if not accepted.status:
        return Condition("Programmed", False, "Invalid", "the Gateway is not accepted")
    if addresses.unusable:
        return Condition("Programmed", False, "AddressNotUsable", addresses.unusable)
    if not addresses.usable:
        return Condition("Programmed", False, "AddressNotAssigned", "the load balancer has no address yet")
    if force is None or not force.proxies:
        return Condition("Programmed", False, "NoResources", "no proxy is connected yet")
    if force.waiting:
        return Condition("Programmed", False, "Pending", f"proxies do not hold {', '.join(sorted(force.waiting))} yet")
    return Condition("Programmed", True, "Programmed", "held by all proxies")


def _references(view: View, namespace: str, name: str, own: list[Listener]) -> list[Condition]:
    """ResolvedRefs of the Gateway itself: of the certificate that it shows to backends, and of its listeners."""
    _, (reason, message) = view.ask(client_certificate, namespace, name)
    if reason:
        return [Condition("ResolvedRefs", False, reason, message)]
    bad = ", ".join(li.name for li in own if li.unresolved)
    if bad:
        return [Condition("ResolvedRefs", False, "ListenersNotResolved", f"references of listener {bad} lead nowhere")]
    return [Condition("ResolvedRefs", True, "ResolvedRefs", "all references lead somewhere")]


def _insecure(tree: Tree, own: list[Listener]) -> list[Condition]:
    frontend = (tree["spec"].get("tls") or {}).get("frontend") or {}
    ports = sorted({li.port for li in own if li.protocol == "HTTPS"})
    open_ports = [p for p in ports if validation(frontend, p).get("mode") == "AllowInsecureFallback"]
    if not open_ports:
        return []
    message = f"port {', '.join(map(str, open_ports))}: clients with a bad certificate, or none, are let in"
    return [Condition("InsecureFrontendValidationMode", True, "ConfigurationChanged", message)]


def listener_status(view: View, listener: Listener, force: InForce | None, generation: int) -> Tree:
    """The entry of a listener in its object's status."""
    accepted = worst(listener.refused, "Accepted", "Accepted", "the listener is served")
    if listener.conflicts:
        accepted = Condition("Accepted", False, *listener.conflicts[0])
    unresolved = list(listener.unresolved)
    conditions = [
        accepted,
        worst(unresolved, "ResolvedRefs", "ResolvedRefs", "all references lead somewhere"),
        Condition("Conflicted", True, *listener.conflicts[0])
        if listener.conflicts
        else Condition("Conflicted", False, "NoConflicts", "no other listener is in the way"),
        _listener_programmed(listener, force),
    ]
    if listener.overlaps:
        others = ", ".join(listener.overlaps)
        conditions.append(
            Condition("OverlappingTLSConfig", True, "OverlappingHostnames", f"host names are also those of {others}")
        )
    kinds = listener.kinds if listener.protocol in KINDS else ()
    return {
        "name": listener.name,
        "attachedRoutes": view.fact("attached", *listener.where, listener.name) or 0,
        "supportedKinds": [{"group": GROUP, "kind": kind} for kind in kinds],
        "conditions": rendered(conditions, generation),
    }


def _listener_programmed(listener: Listener, force: InForce | None) -> Condition:
    if listener.conflicts and listener.where.kind == "ListenerSet":
        return Condition("Programmed", False, *listener.conflicts[0])
    if not listener.serves:
        return Condition("Programmed", False, "Invalid", "there is nothing that could be served")
    refused = "; ".join(m for title, m in (force.refused if force else ()) if title == listener.source.title)
    if refused:
        return Condition("Programmed", False, "Invalid", f"{REFUSED}: {refused}")
    if force is None or not force.proxies:
        return Condition("Programmed", False, "Pending", "no proxy is connected yet")
    if f"{listener.transport}-{listener.port}" in force.waiting:
        return Condition("Programmed", False, "Pending", "not all proxies hold it yet")
    return Condition("Programmed", True, "Programmed", "held by all proxies")


def set_status(view: View, namespace: str, name: str) -> Status | None:
    """A decision: the status of a ListenerSet of a Gateway of ours (GEP-1713)."""
    tree = view.get("listenersets", namespace, name)
    gateway = set_parent(tree) if tree is not None else ("", "")
    if tree is None or not view.ask(is_ours, *gateway):
        return None
    generation = int(tree["metadata"].get("generation") or 0)
    if not view.ask(set_allowed, namespace, name):
        refused = "the Gateway does not allow ListenerSets of this namespace"
        conditions = [
            Condition("Accepted", False, "NotAllowed", refused),
            Condition("Programmed", False, "NotAllowed", refused),
        ]
        return Status(
            "listenersets", namespace, name, {"conditions": rendered(conditions, generation), "listeners": []}
        )
    force: InForce | None = fleet_fact(view, "in force", *gateway)
    addresses: Addresses = fleet_fact(view, "addresses", *gateway) or Addresses()
    parent = view.ask(gateway_accepted, *gateway)
    if not parent.status:
        refused = f"the Gateway is not accepted: {parent.message}"
        conditions = [
            Condition("Accepted", False, "ParentNotAccepted", refused),
            Condition("Programmed", False, "ParentNotAccepted", refused),
        ]
        return Status(
            "listenersets", namespace, name, {"conditions": rendered(conditions, generation), "listeners": []}
        )
    mine = ("ListenerSet", namespace, name)
    own = [li for li in view.ask(listeners, *gateway) or () if li.where == mine]
    bad = [li for li in own if li.refused or li.conflicts or li.unresolved]
    accepted = Condition("Accepted", True, "Accepted", "the ListenerSet is served")
    if bad:
        message = f"not all is well with listener {', '.join(li.name for li in bad)}: see its conditions"
        some = any(not li.refused and not li.conflicts for li in own)
        accepted = Condition("Accepted", some, "ListenersNotValid", message)
    programmed = _programmed(accepted, tuple(own), force, addresses)
    if accepted.status is False:
        programmed = Condition("Programmed", False, "ListenersNotValid", accepted.message)
    return Status(
        "listenersets",
        namespace,
        name,
        {
            "conditions": rendered([accepted, programmed], generation),
            "listeners": [listener_status(view, li, force, generation) for li in own],
        },
    )
