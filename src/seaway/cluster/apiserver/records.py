"""The record of who owns what, kept with each write: between the verbs and the pure rules of managed.py and apply.py."""

from __future__ import annotations

import functools
from typing import Any

from seaway.api import tree as trees
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import apply, bodies, managed, schema, zeros
from seaway.cluster.apiserver.calls import Call
from seaway.cluster.apiserver.custom import objects
from seaway.cluster.apiserver.fieldsets import LEAF, Fields
from seaway.cluster.apiserver.fieldtypes import ANY_MAP, Type, builtin
from seaway.cluster.apiserver.managed import Managers
from seaway.cluster.apiserver.options import APPLY
from seaway.cluster.apiserver.status import bad_request
from seaway.cluster.apiserver.typedvalues import Invalid

Tree = dict[str, Any]
STATUS: Fields = {"f:status": LEAF}
SPEC: Fields = {"f:spec": LEAF}
# What a write through a subresource cannot change, beyond the spec (the strategies' GetResetFields).
RESET: dict[tuple[str, str], Fields] = {
    ("deployments.apps", "status"): {**SPEC, "f:metadata": {"f:labels": LEAF}},
    ("pods", "status"): {**SPEC, "f:metadata": {"f:deletionTimestamp": LEAF, "f:ownerReferences": LEAF}},
    ("certificatesigningrequests.certificates.k8s.io", "status"): {**SPEC, "f:status": {"f:conditions": LEAF}},
    ("namespaces", "finalize"): {},
    ("pods", "ephemeralcontainers"): {},
    ("pods", "resize"): {},
}


def type_of(kind: Kind) -> Type:
    """How the kind's fields merge."""
    if kind.custom is not None:
        found: Type = kind.custom.type
        return found
    return builtin(kind.definition) if kind.definition else ANY_MAP


def reset(kind: Kind, subresource: str) -> Fields:
    """The fields that a write to the object or to one of its subresources does not touch."""
    if subresource:
        if kind.custom is not None:
            return {**SPEC, "f:metadata": LEAF}
        return RESET.get((kind.group_resource, subresource), SPEC)
    return STATUS if "status" in kind.subresources else {}


@functools.cache
def _empty(definition: str) -> Tree:
    tree: Tree = {"metadata": {}}
    zeros.complete(definition, tree)
    return tree


def empty(kind: Kind) -> Tree:
    """The object of a kind before anybody wrote it, with the parts that are always there."""
    return {**trees.copied(_empty(kind.definition)), "kind": kind.kind, "apiVersion": kind.api_version}


class _NoShape(Exception):
    """An object whose fields depend on values, not only on its keys."""


def _shape(value: Any) -> Any:
    """The keys of a tree, by which the fields of a new object can be remembered."""
    if isinstance(value, dict):
        return tuple([(name, _shape(item)) for name, item in value.items()])
    if isinstance(value, list) and value:
        raise _NoShape  # elements of keyed lists are fields by their values
    return 0 if value else (2, str(value))


@functools.lru_cache(4096)
def _remembered(definition: str, shape: Any) -> list[Fields]:
    """Where the fields of new objects of a shape are kept: a list that is empty at first."""
    return []


def _created(kind: Kind, new: Tree, who: managed.Manager, version: str, now: str) -> list[Tree]:
    """managedFields of a new object. Objects of one shape, which most are, share the set."""
    try:
        known = _remembered(kind.definition, _shape(new)) if kind.definition else []
    except _NoShape:
        known = []
    if not known:
        entries = managed.update(_empty(kind.definition), new, type_of(kind), who, version, now, reset(kind, ""))
        if len(entries) != 1:
            return entries
        known.append(entries[0]["fieldsV1"])
    return [managed.entry(who, managed.Owned(known[0], version, now))]


def after_update(call: Call, old: Tree | None, new: Tree, now: str) -> list[Tree] | None:
    """managedFields after a create (`old` None), update or patch; None where the server itself writes."""
    if not call.manager:
        return None
    kind, version = call.kind, (call.served or call.kind).api_version
    who = managed.manager(call.manager, managed.UPDATE, version, call.subresource)
    if old is None and not new["metadata"].get("managedFields"):
        return _created(kind, new, who, version, now)
    before = _known(kind, old) if old is not None else _empty(kind.definition)
    new = _known(kind, new)
    return managed.update(before, new, type_of(kind), who, version, now, reset(kind, call.subresource))


def _known(kind: Kind, tree: Tree) -> Tree:
    """An object without the owners whose version of a custom resource is there no longer: nobody knows what their fields
    were (managedfields/internal versionconverter.go)."""
    entries = tree["metadata"].get("managedFields")
    if kind.custom is None or not entries:
        return tree
    versions = {v.api_version for v in kind.custom.definition.versions.values()}
    kept = [e for e in entries if e.get("apiVersion") in versions]
    if len(kept) == len(entries):
        return tree
    return {**tree, "metadata": {**tree["metadata"], "managedFields": kept}}


def configuration(call: Call) -> Tree:
    """The body of an apply as an object of its kind."""
    kind = call.kind
    try:
        config = bodies.parse(call.body, APPLY)
    except bodies.Unreadable as e:
        raise bad_request(f"error decoding YAML: {e}") from None
    if bodies.too_deep(config):
        raise bad_request("error decoding YAML: the document is nested too deep")
    return apply.check_config(config, kind.group, kind.version, kind.kind)


def strict_problems(call: Call) -> None:
    """Keys given twice in an applied configuration: refused, told or ignored."""
    if call.field_validation == "Ignore":
        return
    told = bodies.yaml_duplicates(call.body)
    if told and call.field_validation == "Strict":
        lines = "".join(f"\n  {line}" for line in told)
        raise bad_request(f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:{lines}")
    call.warnings.extend(told)


def applied(call: Call, kind: Kind, live: Tree, config: Tree, now: str) -> tuple[Tree, Managers]:
    """The object that an apply makes of the live one, and its managers; ApiError where it may not.

    `kind` is the form that was asked for, which the trees are in.
    """
    who = managed.manager(call.manager, managed.APPLY, kind.api_version, call.subresource)
    managers = managed.decode(_known(kind, live)["metadata"].get("managedFields")) or {}
    plain = {**live, "metadata": {k: v for k, v in live["metadata"].items() if k != "managedFields"}}
    ignored = reset(kind, call.subresource)
    try:
        result = apply.apply(plain, config, type_of(kind), managers, who, kind.api_version, now, call.force, ignored)
    except managed.Taken as e:
        raise apply.conflict_error(e) from None
    except Invalid as e:
        where = apply.described(config, call.namespace)
        raise bad_request(f"failed to create typed patch object ({where}): {e}") from None
    strict_problems(call)
    tree = apply.with_last_applied(result.tree, config, who)
    try:
        if kind.custom is not None:
            tree, _ = objects.form(tree, kind, applied=True)
        else:
            tree, _ = bodies.form(trees.copied(tree), kind, live)
    except schema.TypeMismatch as e:
        where = apply.described(config, call.namespace)
        raise bad_request(f"failed to create typed patch object ({where}): {e}") from None
    return tree, managed.capped(result.managers)
