"""managedFields: which manager owns which fields after each write (KEP-555); pure.

`Manager` is who (name, operation, version, subresource), `Owned` what and since when. The rules are those of
k8s.io/apimachinery/pkg/util/managedfields; an update takes what it changes, an apply owns what it says (`apply.py`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.cluster.apiserver.fieldsets import (
    LEAF,
    Fields,
    difference,
    has,
    intersection,
    is_valid,
    of,
    ordered,
    union,
    without,
)
from seaway.cluster.apiserver.fieldtypes import Type
from seaway.cluster.apiserver.typedvalues import Comparison, Invalid, compare

Tree = dict[str, Any]
APPLY, UPDATE = "Apply", "Update"
MOST_UPDATERS = 10
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"
# What nobody owns: identity, and what the server sets.
STRIPPED: Fields = {
    "f:apiVersion": LEAF,
    "f:kind": LEAF,
    "f:metadata": {
        ".": LEAF,
        "f:name": LEAF,
        "f:namespace": LEAF,
        "f:creationTimestamp": LEAF,
        "f:selfLink": LEAF,
        "f:uid": LEAF,
        "f:clusterName": LEAF,
        "f:generation": LEAF,
        "f:managedFields": LEAF,
        "f:resourceVersion": LEAF,
    },
}


class Manager(NamedTuple):
    """`version` is empty for appliers: they own their fields whatever version they applied in."""

    name: str
    operation: str
    version: str = ""
    subresource: str = ""


class Owned(NamedTuple):
    """Fields, the API version that their paths are of, and when they were last written."""

    fields: Fields
    version: str
    time: str


Managers = dict[Manager, Owned]


def manager(name: str, operation: str, version: str, subresource: str = "") -> Manager:
    return Manager(name or "unknown", operation, "" if operation == APPLY else version, subresource)


def decode(entries: Any) -> Managers | None:
    """The managers of an object's managedFields; None where the entries are no such thing."""
    found: Managers = {}
    for entry in entries or ():
        if not isinstance(entry, dict) or entry.get("fieldsType") != "FieldsV1":
            return None
        fields = entry.get("fieldsV1") or {}
        if not is_valid(fields):
            return None
        who = manager(
            entry.get("manager", ""),
            entry.get("operation", ""),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        )
        found[who] = Owned(fields, entry.get("apiVersion", ""), entry.get("time") or "")
    return found


def encode(managers: Managers) -> list[Tree]:
    """managedFields as they are stored: by operation, time, name."""
    who = sorted(managers, key=lambda m: (m.operation, managers[m].time, m.name, m.version, m.subresource))
    return [entry(m, managers[m]._replace(fields=ordered(managers[m].fields))) for m in who]


def entry(who: Manager, owned: Owned) -> Tree:
    """One entry of managedFields."""
    result: Tree = {"manager": who.name, "operation": who.operation, "apiVersion": owned.version}
    if owned.time:
        result["time"] = owned.time
    result["fieldsType"], result["fieldsV1"] = "FieldsV1", owned.fields
    if who.subresource:
        result["subresource"] = who.subresource
    return result


def current(old: Tree, new: Tree, subresource: str) -> Managers:
    """The record that an update starts from.

    The client's own where it sends one that can be read, so that entries may be edited; none where it asks for a reset
    (`[]` or `[{}]`); else the stored one, so that clients which know nothing of managedFields lose nothing.
    """
    stored = decode(old["metadata"].get("managedFields")) or {}
    if subresource or "managedFields" not in new["metadata"]:
        return stored
    sent = new["metadata"]["managedFields"]
    if sent in ([], [{}]):
        return {}
    return decode(sent) or stored


def taken(managers: Managers, who: Manager, change: Comparison) -> dict[Manager, Fields]:
    """What a change takes from other managers."""
    touched = union(change.modified, change.added)
    found = {m: intersection(owned.fields, touched) for m, owned in managers.items() if m != who}
    return {m: fields for m, fields in found.items() if fields}


def settle(managers: Managers, who: Manager, change: Comparison, lost: dict[Manager, Fields]) -> Managers:
    """The managers after a change by one: others lose what it took and what it removed."""
    result: Managers = {}
    for m, owned in managers.items():
        fields = owned.fields
        if m != who:
            fields = difference(difference(fields, lost.get(m, {})), change.removed)
        if fields:
            result[m] = owned._replace(fields=fields)
    return result


def differs(old: Tree, new: Tree, kind: Type, ignored: Fields) -> Comparison:
    """How two states of an object differ, without what the request cannot change."""
    change = compare(_plain(old), _plain(new), kind)
    return Comparison(*(without(fields, ignored) for fields in change))


def _plain(tree: Tree) -> Tree:
    meta = tree.get("metadata")
    if not isinstance(meta, dict) or "managedFields" not in meta:
        return tree
    return {**tree, "metadata": {k: v for k, v in meta.items() if k != "managedFields"}}


def update(old: Tree, new: Tree, kind: Type, who: Manager, version: str, now: str, ignored: Fields) -> list[Tree]:
    """managedFields after a create, update or patch. `old` of a create is the empty object of its kind."""
    managers = current(old, new, who.subresource)
    if not managers and old["metadata"].get("uid"):
        return []  # the record was cleared: it is not begun again until somebody applies
    try:
        change = differs(old, new, kind, ignored)
    except Invalid:
        return encode(managers)  # keyed lists without their keys: the object is refused elsewhere
    return encode(capped(record(managers, change, who, version, now)))


def record(managers: Managers, change: Comparison, who: Manager, version: str, now: str) -> Managers:
    """The managers after somebody updated."""
    lost = taken(managers, who, change)
    result = settle(managers, who, change, lost)
    touched = difference(difference(union(change.modified, change.added), change.removed), STRIPPED)
    before = managers[who].fields if who in managers else {}
    fields = union(difference(before, change.removed), touched)
    if touched:
        result[who] = Owned(fields, version, now)
    elif fields:
        result[who] = managers[who]._replace(fields=fields)
    else:
        result.pop(who, None)
    return result


def capped(managers: Managers) -> Managers:
    """At most ten updaters: the oldest of a version become one, `ancient-changes`."""
    updaters = [m for m in managers if m.operation == UPDATE]
    if len(updaters) <= MOST_UPDATERS:
        return managers
    result, left = dict(managers), len(updaters)
    first: dict[str, Manager] = {}
    for m in sorted(updaters, key=lambda m: (managers[m].time, m)):
        if left <= MOST_UPDATERS:
            break
        owned = result[m]
        bucket = Manager(ANCIENT, UPDATE, owned.version)
        if owned.version not in first:
            first[owned.version] = m
            continue
        if bucket not in result:
            result[bucket] = result.pop(first[owned.version])
        if m != bucket:
            fields = union(result[bucket].fields, owned.fields)
            result[bucket] = Owned(fields, owned.version, owned.time)
            del result[m]
            left -= 1
    return result


def same(a: Any, b: Any) -> bool:
    """Whether two records are equal but for their times."""

    def timeless(entries: Any) -> list[Tree]:
        kept = [{k: v for k, v in e.items() if k != "time"} for e in entries or ()]
        return sorted(kept, key=lambda e: (e.get("manager", ""), e.get("operation", ""), e.get("subresource", "")))

    return timeless(a) == timeless(b)


# /scale


class Taken(Exception):
    """Fields of others that a write would change, by owner, with the versions of their records."""

    def __init__(self, fields: dict[Manager, Fields], versions: dict[Manager, str]) -> None:
        super().__init__("fields of other managers")
        self.fields, self.versions = fields, versions


REPLICAS = ("f:spec", "f:replicas")


SCALE_VERSION = "autoscaling/v1"


def scaled(
    entries: Any,
    version: str,
    who: Manager,
    now: str,
    changed: bool,
    force: bool,
    path: tuple[str, ...] = REPLICAS,
) -> list[Tree]:
    """The parent's managedFields after a write to /scale (managedfields/scalehandler.go).

    A change of the replicas takes them from their owners, an apply shares them where they stay; `Taken` where an apply
    would take them without force. `path` is where the parent has its replicas.
    """
    managers = decode(entries) or {}
    if who.operation == UPDATE and not any(has(owned.fields, *path) for owned in managers.values()):
        return encode(managers)  # to the Scale nobody keeps record, so that updates do not begin to (skipNonApplied)
    replicas = of(*path)
    owners = {m: replicas for m, owned in managers.items() if m != who and has(owned.fields, *path)}
    if changed and owners and who.operation == APPLY and not force:
        known = {m._replace(version=SCALE_VERSION) if m.version else m: of(*REPLICAS) for m in owners}
        raise Taken(known, dict.fromkeys(known, SCALE_VERSION))
    result: Managers = {}
    for m, owned in managers.items():
        fields = difference(owned.fields, replicas) if changed and m != who else owned.fields
        if fields:
            result[m] = owned._replace(fields=fields)
    if changed or who.operation == APPLY:
        had = who in result and has(result[who].fields, *path)
        time = result[who].time if had and not changed else now
        result[who] = Owned(replicas, version, time)
    return encode(capped(result))
