"""The status of policies: for each Gateway or class that one reaches, whether it is in force, and which of its fields lost to
whom (GEP-713)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from seaway.api.tree import Key
from seaway.routing.conditions import Condition, rendered
from seaway.routing.engine import Status
from seaway.routing.gateway.classes import CONTROLLER
from seaway.routing.gateway.listeners import KINDS as PROTOCOLS
from seaway.routing.gateway.listeners import listeners
from seaway.routing.incremental import View
from seaway.routing.ingress.classes import Settings
from seaway.routing.policies import clients
from seaway.routing.policies.force import Verdict, verdict
from seaway.routing.policies.reach import Ancestor, ancestors, exists, inner, missing, silent
from seaway.routing.policies.security import ASKS, OF_ADDRESSES
from seaway.routing.policies.targets import CLIENTS, GATEWAY_GROUP, GROUPS, KINDS, SECURITY, Target, attached, targets

Tree = dict[str, Any]
MOST = 16  # ancestors of a status
MOST_NAMED = 8  # of the policies that a message names


def policy_status(resource: str, settings: Settings) -> Callable[[View, str, str], Status | None]:
    """The decision for a kind of policy."""

    def status(view: View, namespace: str, name: str) -> Status | None:
        tree = view.get(resource, namespace, name)
        if tree is None:
            return None
        generation = int(tree["metadata"].get("generation") or 0)
        key = Key(namespace, name)
        judged = view.ask(verdict, resource, namespace, name)
        entries = [
            {
                "ancestorRef": _reference(where),
                "controllerName": where.controller,
                "conditions": rendered(conditions, generation),
            }
            for where, conditions in _said(view, settings, resource, key, targets(tree), judged)[:MOST]
        ]
        return Status(resource, namespace, name, {"ancestors": entries})

    return status


def _reference(where: Ancestor) -> Tree:
    group = "policy.seaway.dev" if where.kind in KINDS.values() else GROUPS.get(where.kind, GATEWAY_GROUP)
    namespace = {"namespace": where.namespace} if where.namespace else {}
    return {"group": group, "kind": where.kind, **namespace, "name": where.name}


def _said(
    view: View, settings: Settings, resource: str, key: Key, attached_to: list[Target], judged: Verdict
) -> list[tuple[Ancestor, list[Condition]]]:
    """What is said of a policy to each ancestor, in order of their names."""
    reached: dict[Ancestor, dict[Target, str]] = {}
    nowhere: dict[Target, str] = {}
    for target in attached_to:
        found = view.ask(ancestors, settings, *target.whole[:3])
        for ancestor, why in found:
            reached.setdefault(ancestor, {})[target] = view.ask(missing, target) or why
        if not found and (judged.problem or not exists(view, target)):
            nowhere[target.whole] = view.ask(missing, target.whole)
    said = [
        (where, _conditions(view, settings, resource, key, judged, on, where)) for where, on in sorted(reached.items())
    ]
    speaks = (view.fact("controllers") or (CONTROLLER,))[0]
    for target, why in sorted(nowhere.items()):
        condition = _invalid(judged) if judged.problem else Condition("Accepted", False, "TargetNotFound", why)
        said.append((Ancestor(*target[:3], speaks), [condition]))
    if judged.problem and not said:
        said.append((Ancestor(KINDS[resource], *key, speaks), [_invalid(judged)]))
    return said


def _invalid(judged: Verdict) -> Condition:
    return Condition("Accepted", False, "Invalid", judged.problem + ("; nobody may pass" if judged.closes else ""))


def _conditions(
    view: View,
    settings: Settings,
    resource: str,
    key: Key,
    judged: Verdict,
    on: dict[Target, str],
    where: Ancestor,
) -> list[Condition]:
    """Of a policy at an ancestor. `on`: its targets there, with what is missing of each."""
    if judged.problem:
        return [_invalid(judged)]
    there = [target for target, why in on.items() if not why]
    absent = [why for why in on.values() if why]
    if not there:
        return [Condition("Accepted", False, "TargetNotFound", "; ".join(absent))]
    unasked = [why for t in there if (why := silent(view, t))] if resource == CLIENTS else []
    if len(unasked) == len(there):
        return [Condition("Accepted", False, "Conflicted", "; ".join(unasked))]
    streams = {t: why for t in there if (why := _unasked(view, t, judged))} if resource == SECURITY else {}
    if len(streams) == len(there) and all(t.section for t in there):
        shut = "; nobody may pass" if any(name in ASKS for name in judged.fields) else ""
        return [Condition("Accepted", False, "Invalid", "; ".join(streams.values()) + shut)]
    lost = _lost(view, resource, key, judged, there)
    if lost and len(lost) == len(judged.fields):
        return [Condition("Accepted", False, "Conflicted", _won(resource, lost))]
    idle = clients.idle(judged.fields) if resource == CLIENTS else []
    others = _shut(view, resource, key, there)
    message = "; ".join(["the policy is in force", *others, *absent, *unasked, *streams.values(), *idle])
    found = [Condition("Accepted", True, "Accepted", message)]
    if lost:
        found.append(Condition("Conflicted", True, "FieldsLost", _won(resource, lost)))
    overridden = _overridden(view, settings, resource, judged, there, where)
    if overridden:
        found.append(Condition("Overridden", True, "Overridden", overridden))
    return found


def _shut(view: View, resource: str, key: Key, there: Iterable[Target]) -> list[str]:
    """Other policies on the same targets that let nobody pass, whatever this one says."""
    found = {
        f"nobody may pass {target.title}: {KINDS[resource]} {other} cannot be carried out"
        for target in there
        for section, other in view.ask(attached, resource, *target.whole[:3])
        if other != key and section in ("", target.section) and view.ask(verdict, resource, *other).closes
    }
    return sorted(found)[:MOST_NAMED]


def _unasked(view: View, target: Target, judged: Verdict) -> str:
    """What of a security policy is about requests, and the listeners of a target that pass connections on without one."""
    fields = [name for name in judged.fields if name not in OF_ADDRESSES]
    if target.kind != "Gateway" or not fields:
        return ""
    names = [
        f"{li.name} ({li.protocol})"
        for li in view.ask(listeners, target.namespace, target.name) or ()
        if li.where.kind == "Gateway"
        and target.section in ("", li.name)
        and "HTTPRoute" not in PROTOCOLS.get(li.protocol, ("HTTPRoute",))
    ]
    return f"{', '.join(fields)}: of requests, not of what passes listener {', '.join(names)}" if names else ""


def _lost(view: View, resource: str, key: Key, judged: Verdict, there: Iterable[Target]) -> dict[str, Key]:
    """Fields that an older policy on the same targets says: field -> that policy. A field counts as lost where it is for every
    target."""
    found: dict[str, Key] = {}
    for name in judged.fields:
        winners = [
            next(
                (
                    other
                    for section, other in view.ask(attached, resource, *target.whole[:3])
                    if section == target.section and name in view.ask(verdict, resource, *other).fields
                ),
                key,
            )
            for target in there
        ]
        if key not in winners:
            found[name] = winners[0]
    return found


def _won(resource: str, lost: dict[str, Key]) -> str:
    return "; ".join(f"{name} is that of {KINDS[resource]} {winner}" for name, winner in sorted(lost.items()))


def _overridden(
    view: View, settings: Settings, resource: str, judged: Verdict, there: Iterable[Target], where: Ancestor
) -> str:
    """Which fields more specific policies say otherwise for a part of what the targets are."""
    found: dict[tuple[str, Target, Key], None] = {}
    for outer in there:
        for target, other in inner(view, settings, resource, outer, where):
            theirs = view.ask(verdict, resource, *other).fields
            found.update(((name, target, other), None) for name in judged.fields if name in theirs)
    if not found:
        return ""
    told = [f"{name} is that of {KINDS[resource]} {other} at {at.title}" for name, at, other in sorted(found)]
    rest = f"; and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    return "; ".join(told[:MOST_NAMED]) + rest
