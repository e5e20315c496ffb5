"""Server-side apply: a configuration merged into an object, conflicts, and what its manager gives up (KEP-555); pure.

The algorithm is structured-merge-diff's Updater.Apply: merge, own what the configuration says, remove what this manager
owned and nobody owns now, and refuse what would change fields of others unless it is forced.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from seaway.cluster.apiserver import managed
from seaway.cluster.apiserver.fieldsets import Fields, difference, intersection, paths, shown, union, without
from seaway.cluster.apiserver.fieldtypes import Type
from seaway.cluster.apiserver.managed import APPLY, BEFORE_FIRST_APPLY, UPDATE, Manager, Managers, Owned, Taken
from seaway.cluster.apiserver.status import ApiError, bad_request
from seaway.cluster.apiserver.typedvalues import Invalid, check, compare, field_set, merge, named_members, remove

Tree = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ANNOTATION_LIMIT = 256 * 1024


class Applied(NamedTuple):
    """The object after an apply, and its managers."""

    tree: Tree
    managers: Managers


def conflict_error(conflicts: Taken) -> ApiError:
    """409 that names each field and its owner."""
    found = [(_named(m), shown(p)) for m, f in sorted(conflicts.fields.items()) for p in paths(f)]
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {m}", "field": p} for m, p in found]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}"
    else:
        lines = []
        for owner in dict.fromkeys(m for m, _ in found):
            lines.append(f"conflicts with {owner}:")
            lines += [f"- {p}" for m, p in found if m == owner]
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", message, {"causes": causes})


def _named(m: Manager) -> str:
    told = msgspec.json.encode(m.name).decode()
    if m.subresource:
        told += f" with subresource {msgspec.json.encode(m.subresource).decode()}"
    return f"{told} using {m.version}" if m.operation == UPDATE else told


def check_config(config: Any, group: str, version: str, kind: str) -> Tree:
    """The configuration as an object of the kind; ApiError 400 where it is none."""
    if not isinstance(config, dict):
        raise bad_request("error decoding YAML: error unmarshaling JSON: json: cannot unmarshal value into an object")
    api_version, name = config.get("apiVersion"), config.get("kind")
    api_version = api_version if isinstance(api_version, str) else ""
    name = name if isinstance(name, str) else ""
    if (api_version, name) != (f"{group}/{version}" if group else version, kind):
        given_group, _, given_version = api_version.rpartition("/")
        raise bad_request(f"invalid object type: {given_group}/{given_version}, Kind={name}")
    meta = config.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        raise bad_request("metadata of an applied configuration is an object")
    if meta and meta.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    return config


def described(config: Tree, namespace: str) -> str:
    """A configuration as errors name it: `ns/name; apps/v1, Kind=Deployment`."""
    group, _, version = str(config.get("apiVersion", "")).rpartition("/")
    meta = config.get("metadata") or {}
    where = f"{meta.get('namespace') or namespace}/{meta.get('name', '')}"
    return f"{where}; {group}/{version}, Kind={config.get('kind', '')}"


def apply(
    live: Tree,
    config: Tree,
    kind: Type,
    managers: Managers,
    who: Manager,
    version: str,
    now: str,
    force: bool,
    ignored: Fields,
) -> Applied:
    """The object and its managers after an apply; Taken or Invalid where it cannot be."""
    check(config, kind)
    if not managers and live["metadata"].get("uid"):
        # Whoever wrote before nobody kept record owns what is there, so that an applier learns of it.
        empty: Tree = {"metadata": {}}
        earlier = Manager(BEFORE_FIRST_APPLY, UPDATE, version, who.subresource)
        managers = managed.record({}, managed.differs(empty, live, kind, ignored), earlier, version, now)
    try:
        return _apply(live, config, kind, managers, who, version, now, force, ignored)
    except Taken as e:
        if who.name != "kubectl" or not _from_client_side(e, live, kind):
            raise
        return _apply(live, config, kind, managers, who, version, now, True, ignored)


def _apply(
    live: Tree,
    config: Tree,
    kind: Type,
    managers: Managers,
    who: Manager,
    version: str,
    now: str,
    force: bool,
    ignored: Fields,
) -> Applied:
    merged = merge(live, config, kind)
    before = managers.get(who)
    owned = without(field_set(config, kind), ignored)
    after: Managers = {**managers, who: Owned(owned, version, before.time if before else "")}
    if before is not None and difference(before.fields, owned):  # otherwise nothing is given up
        merged = _pruned(merged, after, before.fields, kind)
    change = managed.differs(live, merged, kind, ignored)
    lost = managed.taken(after, who, change)
    if lost and not force:
        raise Taken(lost, {m: after[m].version for m in lost})
    result = managed.settle(after, who, change, lost)
    kept = difference(owned, managed.STRIPPED)
    if kept:
        # Only a change of the object is dated: an entry that is all an apply adds has no time.
        result[who] = Owned(kept, version, now if merged != live else before.time if before else "")
    else:
        result.pop(who, None)
    return Applied(merged, result)


def _pruned(merged: Tree, managers: Managers, last: Fields, kind: Type) -> Tree:
    """Without what this manager applied last time and neither it nor anybody else owns now."""
    given_up = named_members(last, kind)
    pruned = remove(merged, given_up, kind) or {}
    everybody: Fields = {}
    for owned in managers.values():
        everybody = union(everybody, owned.fields)
    # What somebody owns comes back, with what it stands in.
    whole = field_set(merged, kind)
    there = named_members(whole, kind)
    kept = union(named_members(field_set(pruned, kind), kind), named_members(everybody, kind))
    pruned = remove(merged, difference(there, kept), kind) or {}
    # What nobody ever applied comes back too: only this manager's own fields may go.
    left = named_members(field_set(pruned, kind), kind)
    found: Tree = remove(merged, intersection(difference(there, left), given_up), kind) or {}
    return found


def _from_client_side(conflicts: Taken, live: Tree, kind: Type) -> bool:
    """Whether every conflict is over what `kubectl apply` wrote itself before (KEP-2155).

    The annotation tells what it last applied; fields that have changed since are somebody else's.
    """
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return False
    try:
        last = msgspec.json.decode(text)
        if not isinstance(last, dict) or last.get("apiVersion") != live.get("apiVersion"):
            return False
        change = compare(last, live, kind)
        own = field_set(last, kind)
    except (msgspec.DecodeError, Invalid):
        return False
    for fields in (change.modified, change.added, change.removed):
        own = difference(own, fields)
    return all(not difference(fields, own) for fields in conflicts.fields.values())


def with_last_applied(tree: Tree, config: Tree, who: Manager) -> Tree:
    """An object that `kubectl apply` has annotated keeps that annotation true when kubectl applies on the server."""
    annotations = tree["metadata"].get("annotations") or {}
    if who.name != "kubectl" or LAST_APPLIED not in annotations:
        return tree
    meta = {k: v for k, v in (config.get("metadata") or {}).items() if k != "managedFields"}
    if isinstance(meta.get("annotations"), dict):
        meta["annotations"] = {k: v for k, v in meta["annotations"].items() if k != LAST_APPLIED}
    text = msgspec.json.encode({**config, "metadata": meta}, order="sorted").decode() + "\n"
    others = sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items() if k != LAST_APPLIED)
    if others + len(LAST_APPLIED) + len(text.encode()) > ANNOTATION_LIMIT:
        text = ""
    return {**tree, "metadata": {**tree["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}}


__all__ = ["APPLY", "Applied", "apply", "check_config", "conflict_error", "described", "with_last_applied"]
