"""Topology hints of endpoints; pure. trafficDistribution (KEP-3015, KEP-4444) hints each endpoint's own place;
`service.kubernetes.io/topology-mode: Auto` (KEP-2433) shares endpoints out by the CPU of the zones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seaway.api import quantities
from seaway.api.tree import get, is_true, labels
from seaway.controllers.packing import Draft, Drafts
from seaway.controllers.podendpoints import ZONE

Tree = dict[str, Any]
MODE, OLD_MODE = "service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"
CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
OVERLOAD = 0.2  # a zone's endpoints may get this much more than their share of the traffic

NO_NODE_INFO = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
ONE_ZONE = "Nodes only ready in one zone"
TOO_FEW = "Insufficient number of endpoints"
TOO_UNEVEN = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
NO_ZONE = "One or more endpoints do not have a zone specified"


class Share(NamedTuple):
    """A zone's part of the endpoints: the fewest without overload, the most, and what would be exact."""

    minimum: int
    maximum: int
    desired: float


def automatic(service: Tree) -> bool:
    """Whether a Service asks for hints by CPU share; the old annotation has precedence (hintsEnabled)."""
    annotations = get(service, "metadata", "annotations") or {}
    return annotations.get(OLD_MODE, annotations.get(MODE)) in ("Auto", "auto")


def zone_ratios(nodes: Iterable[Tree]) -> dict[str, float] | None:
    """Each zone's part of the allocatable CPU of ready nodes; None where a node does not say its zone or CPU."""
    cpu: dict[str, float] = {}
    for node in nodes:
        if any(name in labels(node) for name in CONTROL_PLANE) or not is_true(node, "Ready"):
            continue
        zone = labels(node).get(ZONE)
        amount = float(quantities.parse(get(node, "status", "allocatable", "cpu") or 0))
        if not zone or not amount:
            return None
        cpu[zone] = cpu.get(zone, 0.0) + amount
    total = sum(cpu.values())
    return {zone: amount / total for zone, amount in cpu.items()} if total else None


def shares(ratios: Mapping[str, float] | None, endpoints: int) -> dict[str, Share] | str:
    """How many endpoints each zone shall have, or the reason why none can be said."""
    if ratios is None:
        return NO_NODE_INFO
    if len(ratios) < 2:
        return ONE_ZONE
    if len(ratios) > endpoints:
        return f"{TOO_FEW} ({endpoints} endpoints, {len(ratios)} zones)"
    lowest = {zone: math.ceil(ratio * endpoints * (1 / (1 + OVERLOAD))) for zone, ratio in ratios.items()}
    spare = endpoints - sum(lowest.values())
    if spare < 0:
        return f"{TOO_UNEVEN} ({endpoints} endpoints, {len(ratios)} zones)"
    return {z: Share(low, low + spare, max(ratios[z] * endpoints, float(low))) for z, low in lowest.items()}


def ready(entry: Tree) -> bool:
    return (entry.get("conditions") or {}).get("ready") is not False


def own_place(entry: Tree, distribution: str | None) -> Tree | None:
    """The hints of one endpoint under trafficDistribution: only ready endpoints are recommended to anybody."""
    if distribution not in DISTRIBUTIONS or not ready(entry):
        return None
    found: Tree = {}
    if entry.get("zone"):
        found["forZones"] = [{"name": entry["zone"]}]
    if distribution == "PreferSameNode" and entry.get("nodeName"):
        found["forNodes"] = [{"name": entry["nodeName"]}]
    return found or None


def _set(entry: Tree, hints: Tree | None) -> Tree:
    rest = {k: v for k, v in entry.items() if k != "hints"}
    return {**rest, "hints": hints} if hints else rest


def _zone(name: str) -> Tree:
    return {"forZones": [{"name": name}]}


def _rewrite(drafts: Drafts, of: Mapping[int, Tree | None] | None, distribution: str | None) -> None:
    """Gives every endpoint its hints; an unchanged slice whose hints are others becomes an update."""

    def hints(entry: Tree) -> Tree | None:
        return own_place(entry, distribution) if of is None else of.get(id(entry))

    for draft in list(drafts.unchanged):
        old = (draft.old or {}).get("endpoints") or ()
        if any((a.get("hints") or None) != hints(b) for a, b in zip(old, draft.endpoints, strict=True)):
            drafts.unchanged.remove(draft)
            drafts.update.append(draft)
    for draft in (*drafts.create, *drafts.update):
        draft.endpoints = [_set(e, hints(e)) for e in draft.endpoints]


def apply(service: Tree, drafts: Drafts, ratios: Mapping[str, float] | None) -> str:
    """Hints for all drafts of one address type. The text says why Auto could not be done; '' where it was, or not asked."""
    if not automatic(service):
        _rewrite(drafts, None, service["spec"].get("trafficDistribution"))
        return ""
    endpoints = [e for d in (*drafts.create, *drafts.update, *drafts.unchanged) for e in d.endpoints if ready(e)]
    wanted = shares(ratios, len(endpoints))
    if isinstance(wanted, str):
        _rewrite(drafts, {}, None)
        return wanted
    changed = [*drafts.create, *drafts.update]
    given: dict[str, int] = {}
    hints: dict[int, Tree | None] = {}
    for draft in drafts.unchanged:
        counted = _counted(draft, given, wanted)
        if counted is None:
            changed.append(draft)
            continue
        for zone, number in counted.items():
            given[zone] = given.get(zone, 0) + number
        for old, entry in zip((draft.old or {}).get("endpoints") or (), draft.endpoints, strict=True):
            hints[id(entry)] = old.get("hints") or None
    for draft in changed:
        for entry in filter(ready, draft.endpoints):
            if not entry.get("zone"):
                _rewrite(drafts, {}, None)
                return NO_ZONE
            given[entry["zone"]] = given.get(entry["zone"], 0) + 1
            hints[id(entry)] = _zone(entry["zone"])
    _redistribute(changed, hints, *_moves(wanted, given))
    _rewrite(drafts, hints, None)
    return ""


def _counted(draft: Draft, given: Mapping[str, int], wanted: Mapping[str, Share]) -> dict[str, int] | None:
    """What an untouched slice's hints give to each zone; None where they are no longer good."""
    found: dict[str, int] = {}
    for entry in filter(ready, (draft.old or {}).get("endpoints") or ()):
        zones = (entry.get("hints") or {}).get("forZones") or ()
        if not zones or any(z["name"] not in wanted for z in zones):
            return None
        for zone in zones:
            found[zone["name"]] = found.get(zone["name"], 0) + 1
    if any(given.get(zone, 0) + number > wanted[zone].maximum for zone, number in found.items()):
        return None
    return found


def _moves(wanted: Mapping[str, Share], given: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """How many endpoints which zones give to and get from others: largest differences first, until none is a whole one
    or one side has less than half an endpoint to go (getGivingAndReceivingZones)."""
    over = {z: n - (wanted[z].desired if z in wanted else 0.0) for z, n in given.items()}
    under = {z: share.desired - given.get(z, 0) for z, share in wanted.items()}
    over = {z: d for z, d in over.items() if d > 0}
    under = {z: d for z, d in under.items() if d > 0}
    gives: dict[str, int] = {}
    gets: dict[str, int] = {}
    while over and under:
        giver, getter = (max(sorted(table), key=lambda z: table[z]) for table in (over, under))
        most, least = max(over[giver], under[getter]), min(over[giver], under[getter])
        if most < 1.0 or least < 0.5:
            break
        over[giver] -= 1
        under[getter] -= 1
        gives[giver] = gives.get(giver, 0) + 1
        gets[getter] = gets.get(getter, 0) + 1
    return gives, gets


def _redistribute(
    drafts: list[Draft], hints: dict[int, Tree | None], gives: dict[str, int], gets: dict[str, int]
) -> None:
    for draft in drafts:
        for entry in filter(ready, draft.endpoints):
            getter = next((z for z in sorted(gets) if gets[z]), None)
            if getter is None:
                return
            if gives.get(entry["zone"], 0):
                gives[entry["zone"]] -= 1
                gets[getter] -= 1
                hints[id(entry)] = _zone(getter)
