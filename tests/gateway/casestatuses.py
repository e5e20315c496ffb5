"""What a status must say, judged against an object as it is stored; pure."""

from __future__ import annotations

from typing import Any, NamedTuple

Tree = dict[str, Any]
CONDITIONS = {"Accepted", "Programmed", "ResolvedRefs", "Conflicted", "PartiallyInvalid", "OverlappingTLSConfig", "SupportedVersion",
              "InsecureFrontendValidationMode", "AttachedListenerSets", "Overridden"}
PARENT = {"name", "namespace", "sectionName", "port", "kind", "group"}


class Judged(NamedTuple):
    """A wanted status, taken apart. `parents`: of a route's parents or a policy's ancestors: (reference, conditions); `counted`:
    there must be no others."""

    kind: str
    namespace: str
    name: str
    conditions: dict[str, str | None]
    parents: list[tuple[Tree, dict[str, str | None]]] | None
    listeners: dict[str, Tree]
    rest: Tree
    counted: bool = True


def _conditions(tree: Tree, where: str, known: set[str]) -> tuple[dict[str, str | None], Tree]:
    """Conditions (None: must not be there) and what else stands beside them."""
    found: dict[str, str | None] = {}
    rest = {}
    for key, value in tree.items():
        if key in CONDITIONS:
            value = str(value) if isinstance(value, bool) else value  # YAML reads a bare status so
            if value is not None and (not isinstance(value, str) or value.split(" ")[0] not in ("True", "False", "Unknown")):
                raise ValueError(f"{where}: {key} must be `STATUS REASON`, not {value!r}")
            found[key] = value
        elif key in known:
            rest[key] = value
        else:
            raise ValueError(f"{where}: no such key: {key}")
    return found, rest


def judged(tree: Tree, where: str) -> Judged:
    """A wanted status as it stands in a case; ValueError where it cannot be read."""
    known = {"of", "listeners", "parents", "ancestors", "addresses", "attachedListenerSets", "supportedFeatures", "loadBalancer",
             "onlyListeners", "labels", "annotations", "untouched", "gone", "events", "fields"}
    kind, _, name = str(tree.get("of", "")).partition("/")
    namespace, _, name = name.rpartition("/")
    if not kind or not name:
        raise ValueError(f"{where}: a status must say whose it is: `of: Kind/name`")
    where = f"{where}: {tree['of']}"
    conditions, rest = _conditions(tree, where, known)
    listeners = {}
    for listener, wanted in rest.pop("listeners", {}).items():
        found, more = _conditions(wanted, f"{where}: {listener}", {"attachedRoutes", "supportedKinds"})
        listeners[listener] = {"conditions": found, **more}
    entries = rest.pop("parents", None)
    entries = rest.pop("ancestors", entries)
    parents: list[tuple[Tree, dict[str, str | None]]] | None = None
    routed = kind.endswith(("Route", "Policy"))
    if entries is not None:
        parents = []
        for entry in entries:
            found, reference = _conditions(entry, where, PARENT)
            parents.append((reference, found))
    elif routed:
        parents, conditions = [({}, conditions)], {}
    rest.pop("of", None)
    counted = entries is not None or kind.endswith("Route")
    return Judged(kind, namespace, name, conditions, parents, listeners, rest, counted)


def problems(wanted: Judged, stored: Tree | None, controllers: tuple[str, ...]) -> list[str]:
    """What is not as it must be; nothing where all is."""
    where = f"{wanted.kind}/{wanted.name}"
    if wanted.rest.get("gone"):
        return [] if stored is None or stored["metadata"].get("deletionTimestamp") else [f"{where} is there still"]
    if stored is None:
        return [f"{where} is not there"]
    status = stored.get("status") or {}
    generation = stored["metadata"].get("generation")
    if wanted.rest.get("untouched"):  # as the API server made it: nobody of ours has observed it
        generation = None
    found = _condition_problems(where, wanted.conditions, status.get("conditions"), generation)
    if wanted.parents is not None:
        found += _parent_problems(where, wanted, status, generation, controllers)
    listeners = {entry["name"]: entry for entry in status.get("listeners") or ()}
    for name, want in wanted.listeners.items():
        if name not in listeners:
            found.append(f"{where}: listener {name} has no status")
            continue
        there = listeners[name]
        found += _condition_problems(f"{where} listener {name}", want["conditions"], there.get("conditions"), generation)
        if "attachedRoutes" in want and there.get("attachedRoutes") != want["attachedRoutes"]:
            found.append(f"{where} listener {name}: attachedRoutes {there.get('attachedRoutes')}, not {want['attachedRoutes']}")
        kinds = sorted(k["kind"] for k in there.get("supportedKinds") or ())
        if "supportedKinds" in want and kinds != sorted(want["supportedKinds"]):
            found.append(f"{where} listener {name}: supportedKinds {kinds}, not {sorted(want['supportedKinds'])}")
    if "onlyListeners" in wanted.rest and sorted(listeners) != sorted(wanted.rest["onlyListeners"]):
        found.append(f"{where}: listeners {sorted(listeners)} have a status, not {sorted(wanted.rest['onlyListeners'])}")
    for path, value in wanted.rest.get("fields", {}).items():
        at: Any = stored
        for key in path.split("/"):
            at = at[int(key)] if isinstance(at, list) else (at or {}).get(key)
        if at != value:
            found.append(f"{where}: {path} is {at!r}, not {value!r}")
    for field in ("labels", "annotations"):
        there = stored["metadata"].get(field) or {}
        for key, value in wanted.rest.get(field, {}).items():
            if there.get(key) != value:
                found.append(f"{where}: {field} {key} is {there.get(key)!r}, not {value!r}")
    return found + _rest_problems(where, wanted.rest, status)


def _rest_problems(where: str, rest: Tree, status: Tree) -> list[str]:
    found = []
    if "addresses" in rest:
        addresses = [a.get("value") for a in status.get("addresses") or ()]
        want = rest["addresses"]
        if (want == "some" and not addresses) or (isinstance(want, list) and addresses != want):
            found.append(f"{where}: addresses {addresses}, not {want}")
    if "loadBalancer" in rest:
        entries = (status.get("loadBalancer") or {}).get("ingress") or []
        if bool(entries) != (rest["loadBalancer"] == "some"):
            found.append(f"{where}: loadBalancer {entries}, not {rest['loadBalancer']}")
    if "attachedListenerSets" in rest and status.get("attachedListenerSets", 0) != rest["attachedListenerSets"]:
        found.append(f"{where}: attachedListenerSets {status.get('attachedListenerSets')}, not {rest['attachedListenerSets']}")
    if "supportedFeatures" in rest:
        names = [f["name"] for f in status.get("supportedFeatures") or ()]
        lacking = sorted(set(rest["supportedFeatures"]) - set(names))
        if lacking or names != sorted(names):
            found.append(f"{where}: supportedFeatures lacks {lacking}" if lacking else f"{where}: supportedFeatures are not sorted")
    return found


def event_problems(where: str, wanted: list[str], events: list[Tree]) -> list[str]:
    """What nobody was told in an event: `REASON: part of the message`."""
    said = [(e.get("reason", ""), e.get("message") or e.get("note") or "") for e in events]
    found = []
    for want in wanted:
        reason, _, part = want.partition(": ")
        if not any(r == reason and part in message for r, message in said):
            found.append(f"{where}: no event {want!r}; there are: {said}")
    return found


def _condition_problems(where: str, wanted: dict[str, str | None], stored: list[Tree] | None, generation: Any) -> list[str]:
    found = []
    there = {c["type"]: c for c in stored or ()}
    if len(there) != len(stored or ()):
        found.append(f"{where}: a condition's type stands twice")
    for kind, want in wanted.items():
        condition = there.get(kind)
        if want is None:
            if condition is not None:
                found.append(f"{where}: {kind} must not be there: {_said(condition)}")
            continue
        if condition is None:
            found.append(f"{where}: {kind} is not there (there are: {', '.join(sorted(there)) or 'none'}); wanted {want}")
            continue
        pair, _, message = want.partition(": ")
        status, _, reason = pair.partition(" ")
        if condition.get("status") != status or (reason and condition.get("reason") != reason) or message not in condition.get("message", ""):
            found.append(f"{where}: {kind} is {_said(condition)}; wanted {want}")
        elif condition.get("observedGeneration") != generation:
            found.append(f"{where}: {kind} observed generation {condition.get('observedGeneration')}, not {generation}")
        elif not condition.get("lastTransitionTime") and "lastTransitionTime" in condition:
            found.append(f"{where}: {kind} has no time")
    return found


def _said(condition: Tree) -> str:
    return f"{condition.get('status')} {condition.get('reason')} ({condition.get('message', '')})"


def _parent_problems(where: str, wanted: Judged, status: Tree, generation: Any, controllers: tuple[str, ...]) -> list[str]:
    policy = wanted.kind.endswith("Policy")
    reference = "ancestorRef" if policy else "parentRef"
    entries = [e for e in status.get("ancestors" if policy else "parents") or () if e.get("controllerName") in controllers]
    found = []
    assert wanted.parents is not None
    if wanted.counted and len(entries) != len(wanted.parents):
        found.append(f"{where}: {len(entries)} {'ancestors' if policy else 'parents'} have a status of ours, not {len(wanted.parents)}: {[e[reference] for e in entries]}")
    for parent, conditions in wanted.parents:
        fits = [e for e in entries if all(e[reference].get(k) == v for k, v in parent.items())]
        exact = [e for e in fits if ("sectionName" in e[reference]) == ("sectionName" in parent) and ("port" in e[reference]) == ("port" in parent)]
        chosen = exact or fits
        if not chosen:
            there = [e[reference] for e in entries]
            found.append(f"{where}: no status of ours for parent {parent or 'of any name'}; there are: {there}")
            continue
        found += _condition_problems(f"{where} at {chosen[0][reference]['name']}", conditions, chosen[0].get("conditions"), generation)
    return found
