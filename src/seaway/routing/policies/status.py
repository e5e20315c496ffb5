"""The status of policies: for each Gateway or class that one reaches, whether it is in force, and which of its fields lost to
whom (GEP-713)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from seaway.api.tree import Key
from seaway.routing.conditions import Condition, rendered
from seaway.routing.engine import Status
from seaway.routing.gateway.attaching import ROUTES, attachments
from seaway.routing.gateway.backendtls import gateways_using
from seaway.routing.gateway.listeners import is_ours, listeners
from seaway.routing.incremental import View
from seaway.routing.policies.clients import certificates
from seaway.routing.policies.security import security
from seaway.routing.policies.targets import CLIENTS, KINDS, SECURITY, Target, Won, attached, targets
from seaway.routing.policies.traffic import OF_BACKENDS

Tree = dict[str, Any]
Ancestor = tuple[str, str, str, str]  # kind, namespace, name, controller
RESOURCES = {kind: resource for resource, kind in ROUTES.items()}
GATEWAY = "gateway.networking.k8s.io"
GROUPS = {"Gateway": GATEWAY, "IngressClass": "networking.k8s.io", "Ingress": "networking.k8s.io"}
MOST = 16  # ancestors of a status


def policy_status(resource: str) -> Callable[[View, str, str], Status | None]:
    """The decision for a kind of policy."""

    def status(view: View, namespace: str, name: str) -> Status | None:
        tree = view.get(resource, namespace, name)
        if tree is None:
            return None
        generation = int(tree["metadata"].get("generation") or 0)
        found: dict[Ancestor, list[Target]] = {}
        for target in targets(tree):
            for ancestor in _ancestors(view, target):
                found.setdefault(ancestor, []).append(target)
        entries = [
            {
                "ancestorRef": {
                    "group": GROUPS.get(ancestor[0], GATEWAY),
                    "kind": ancestor[0],
                    **({"namespace": ancestor[1]} if ancestor[1] else {}),
                    "name": ancestor[2],
                },
                "controllerName": ancestor[3],
                "conditions": rendered(_conditions(view, resource, Key(namespace, name), tree, on), generation),
            }
            for ancestor, on in sorted(found.items())[:MOST]
        ]
        return Status(resource, namespace, name, {"ancestors": entries})

    return status


def _ancestors(view: View, target: Target) -> Iterable[Ancestor]:
    """The Gateways of ours that a target is one of, is attached to, or is used by."""
    kind, namespace, name, _ = target
    if kind == "Gateway":
        controller = view.ask(is_ours, namespace, name)
        if controller:
            yield kind, namespace, name, controller
    elif kind in RESOURCES:
        for one in view.ask(attachments, RESOURCES[kind], namespace, name):
            yield "Gateway", *one.gateway, one.controller
    elif kind == "Service":
        for controller, space, gateway in view.ask(gateways_using, f"{namespace}/{name}"):
            yield "Gateway", space, gateway, controller


def _missing(view: View, target: Target) -> str:
    """What of a target is not there: the section of an object that is."""
    kind, namespace, name, section = target
    if not section:
        return ""
    if kind == "Gateway":
        known = [li.name for li in view.ask(listeners, namespace, name) or () if li.where.kind == "Gateway"]
    elif kind in RESOURCES:
        tree = view.get(RESOURCES[kind], namespace, name) or {}
        known = [str(r.get("name") or "") for r in (tree.get("spec") or {}).get("rules") or ()]
    elif kind == "Service":
        ports = ((view.get("services", namespace, name) or {}).get("spec") or {}).get("ports") or ()
        known = [word for p in ports for word in (str(p.get("name") or ""), str(p["port"]))]
    else:
        return ""
    return "" if section in known else f"{kind} {namespace}/{name} has no section {section}"


def _conditions(view: View, resource: str, key: Key, tree: Tree, on: list[Target]) -> list[Condition]:
    own = {n: Won(v, key) for n, v in tree["spec"].items() if n != "targetRefs"}
    missing = [m for m in (_missing(view, target) for target in on) if m]
    if len(missing) == len(on):
        return [Condition("Accepted", False, "TargetNotFound", "; ".join(missing))]
    problem = _problem(view, resource, own, on)
    if problem:
        return [Condition("Accepted", False, "Invalid", problem)]
    lost = _lost(view, resource, key, tree, on)
    if lost and all(name in lost for name in own):
        return [Condition("Accepted", False, "Conflicted", _told(resource, lost))]
    accepted = Condition(
        "Accepted", True, "Accepted", "the policy is in force" + ("; " + "; ".join(missing) if missing else "")
    )
    if lost:
        return [accepted, Condition("Conflicted", True, "FieldsLost", _told(resource, lost))]
    return [accepted]


def _problem(view: View, resource: str, own: dict[str, Won], on: list[Target]) -> str:
    if resource == SECURITY:
        closed = security(view, own).closed
        return f"{closed}; nobody may pass" if closed else ""
    if resource == CLIENTS:
        return certificates(view, own)[1]
    of_service = sorted(n for n in own if n not in OF_BACKENDS)
    if of_service and any(target.kind == "Service" for target in on):
        return f"spec.{of_service[0]}: holds for routes and Gateways, not for a Service"
    return ""


def _lost(view: View, resource: str, key: Key, tree: Tree, on: list[Target]) -> dict[str, Key]:
    """Fields that an older policy on the same targets sets: field -> that policy. A field counts as lost where it is for every
    target."""
    found: dict[str, Key] = {}
    names = [n for n in tree["spec"] if n != "targetRefs"]
    for name in names:
        winners = []
        for target in on:
            first = next(
                (
                    other
                    for section, other in view.ask(attached, resource, target.kind, target.namespace, target.name)
                    if section == target.section and name in (view.get(resource, *other) or {"spec": {}})["spec"]
                ),
                key,
            )
            winners.append(first)
        if winners and key not in winners:
            found[name] = winners[0]
    return found


def _told(resource: str, lost: dict[str, Key]) -> str:
    return "; ".join(f"{name} is that of {KINDS[resource]} {winner}" for name, winner in sorted(lost.items()))
