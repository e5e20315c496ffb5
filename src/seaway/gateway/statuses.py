"""What to write into an object's status, given what is there; pure. What is not ours stays."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from seaway.routing.engine import Status
from seaway.routing.fleets import REFUSED

Tree = dict[str, Any]
# The condition types that are ours wherever we write conditions; those of other parties stay.
OURS = frozenset(
    "Accepted Programmed ResolvedRefs Conflicted OverlappingTLSConfig PartiallyInvalid InsecureFrontendValidationMode"
    " SupportedVersion Overridden".split()
)
SHARED = {"parents": "parentRef", "ancestors": "ancestorRef"}  # lists in which every controller has entries of its own
MOST_ENTRIES = {"parents": 32, "ancestors": 16}


def merged(status: Status, current: Tree, controllers: Collection[str], now: str) -> Tree | None:
    """The merge patch for a status, None where there is nothing to write. `current` is the object; `now` the time for conditions
    that change."""
    there: Tree = current.get("status") or {}
    wanted: Tree = {}
    for name, value in status.tree.items():
        if name in SHARED:
            wanted[name] = _entries(name, value, there.get(name) or [], controllers, now)
        elif name == "conditions":
            wanted[name] = _conditions(value, there.get(name) or [], now)
        elif name == "listeners":
            wanted[name] = _listeners(value, there.get(name) or [], now)
        else:
            wanted[name] = value
    # An empty map goes: a merge patch removes by null.
    patch = {n: None if v == {} else v for n, v in wanted.items() if v != there.get(n) and (v or there.get(n))}
    return patch or None


def stands(current: Tree, controllers: Collection[str]) -> bool:
    """Whether the object has a status of ours for what it asks now: what a process that just began does not know, the last one
    may have known."""
    status: Tree = current.get("status") or {}
    generation = current["metadata"].get("generation")
    for name in SHARED:
        if name in status:
            mine = [e for e in status[name] if e.get("controllerName") in controllers]
            return bool(mine) and all(_tells(e.get("conditions"), generation) for e in mine)
    if "loadBalancer" in status:
        return bool(status["loadBalancer"].get("ingress"))
    return _tells(status.get("conditions"), generation)


def _tells(conditions: list[Tree] | None, generation: int | None) -> bool:
    ours = [c for c in conditions or () if c.get("type") in OURS]
    return bool(ours) and all(c.get("observedGeneration") == generation for c in ours)


def refused(current: Tree) -> bool:
    """Whether its status says that proxies refuse something of it."""
    status: Tree = current.get("status") or {}
    holders = [status, *(status.get("parents") or ()), *(status.get("listeners") or ())]
    return any(str(c.get("message")).startswith(REFUSED) for h in holders for c in h.get("conditions") or ())


def _conditions(wanted: list[Tree], there: list[Tree], now: str) -> list[Tree]:
    """A condition's time is that of its last change of status (metav1.Condition)."""
    known = {c.get("type"): c for c in there}
    types = {c["type"] for c in wanted}
    found = []
    for condition in wanted:
        old = known.get(condition["type"])
        same = old is not None and old.get("status") == condition["status"] and old.get("lastTransitionTime")
        # The schema's own first conditions carry the beginning of time.
        when = old["lastTransitionTime"] if old is not None and same else now
        found.append({**condition, "lastTransitionTime": when})
    return found + [c for c in there if c.get("type") not in types and c.get("type") not in OURS]


def _listeners(wanted: list[Tree], there: list[Tree], now: str) -> list[Tree]:
    known = {entry.get("name"): entry for entry in there}
    return [
        {
            **entry,
            "conditions": _conditions(entry["conditions"], known.get(entry["name"], {}).get("conditions") or [], now),
        }
        for entry in wanted
    ]


def _entries(name: str, wanted: list[Tree], there: list[Tree], controllers: Collection[str], now: str) -> list[Tree]:
    """Our entries anew, in the places of the old ones; those of other controllers as they are."""
    key = SHARED[name]
    left = list(wanted)
    found: list[Tree] = []
    for entry in there:
        if entry.get("controllerName") not in controllers:
            found.append(entry)
            continue
        mine = next((w for w in left if w[key] == entry.get(key)), None)
        if mine is not None:
            left.remove(mine)
            found.append({**mine, "conditions": _conditions(mine["conditions"], entry.get("conditions") or [], now)})
    found += [{**w, "conditions": _conditions(w["conditions"], [], now)} for w in left]
    return found[: MOST_ENTRIES[name]]
