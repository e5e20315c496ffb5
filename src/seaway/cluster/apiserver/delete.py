"""delete: at once, by grace, or only marked where finalizers hold the object (k8s.io/apiserver registry/store.go Delete)."""

from __future__ import annotations

import asyncio
from typing import Any

from seaway.api import tree as trees
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import forms, metadata
from seaway.cluster.apiserver.calls import Call, Writer
from seaway.cluster.apiserver.custom import lifecycle
from seaway.cluster.apiserver.custom.registry import DEFINITIONS
from seaway.cluster.apiserver.custom.strategy import rule_of
from seaway.cluster.apiserver.journal import DELETED, MODIFIED
from seaway.cluster.apiserver.reviewing import ATTEMPTS, DELETE, too_often
from seaway.cluster.apiserver.status import ApiError, not_found, precondition_failed
from seaway.cluster.apiserver.storage import Entry

Tree = dict[str, Any]
# Kinds whose DELETE answers with the object even when it is gone.
RETURNS_OBJECT = frozenset(
    {
        "pods",
        "services",
        "serviceaccounts",
        "podtemplates",
        "resourcequotas",
        "persistentvolumes",
        "persistentvolumeclaims",
    }
)
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
# Kinds whose dependents are orphaned unless the request says otherwise, and those that have none to collect.
ORPHANS = frozenset({"jobs.batch", "replicationcontrollers"})
NO_DEPENDENTS = frozenset({"events", "events.events.k8s.io"})
PERMANENT = ("default", "kube-system", "kube-public")
JOB_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or "
    "set propagationPolicy=Orphan to suppress this warning"
)


def finalizers_for(kind: Kind, have: list[str], options: Tree) -> list[str]:
    """The finalizers with those of the garbage collector as the options want them."""
    policy, orphan = options.get("propagationPolicy"), options.get("orphanDependents")
    if kind.group_resource in NO_DEPENDENTS:
        wanted = ""
    elif orphan is not None:
        wanted = ORPHAN if orphan else ""
    elif policy is not None:
        wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy, "")
    else:
        default = ORPHAN if kind.group_resource in ORPHANS else ""
        wanted = next((f for f in have if f in (ORPHAN, FOREGROUND)), default)
    found = [f for f in have if f not in (ORPHAN, FOREGROUND)] + ([wanted] if wanted else [])
    return have if set(found) == set(have) else found


async def delete(writer: Writer, call: Call, options: Tree) -> tuple[Tree, bool]:
    """(the object, whether it is gone). `options` is a DeleteOptions tree."""
    call.translated({})
    if call.kind.custom is not None:
        call.served, call.kind = call.kind, forms.stored_kind(call.kind)
    kind, rule = call.kind, rule_of(call.kind)
    entry = writer.storage.newest(kind.group_resource, call.key)
    if entry is None:
        raise not_found(kind, call.name)
    if kind.group_resource == "namespaces" and call.name in PERMANENT:
        raise _permanent(call.name)
    await forms.prepare(kind, [entry])
    entry = await _reviewed(writer, call, entry, options.get("preconditions") or {})
    tree = forms.opened(kind, entry)
    meta = tree["metadata"]
    if kind.group_resource == "jobs.batch" and not {"propagationPolicy", "orphanDependents"} & set(options):
        call.warnings.append(JOB_WARNING)
    finalizers = finalizers_for(kind, list(meta.get("finalizers") or ()), options)
    if kind.group_resource == "namespaces":
        return await _end_namespace(writer, call, entry, tree, finalizers)
    if kind.group_resource == DEFINITIONS and not meta.get("deletionTimestamp"):
        return await _end_definition(writer, call, entry, tree)
    graceful = False
    seconds = options.get("gracePeriodSeconds")
    marked = meta.get("deletionTimestamp")
    if rule.grace is not None and not (marked and meta.get("deletionGracePeriodSeconds") is None):
        grace = 1 if seconds is not None and seconds < 0 else seconds
        if marked:
            left = meta["deletionGracePeriodSeconds"]
            if grace is None or grace >= left:
                return tree, False  # deletion is under way; it may only be hurried
            end = (trees.seconds(marked) or writer.edges.now()) - left
        else:
            grace = rule.grace(tree, grace)
            end = writer.edges.now()
            _raise_generation(meta)
        meta["deletionTimestamp"] = trees.stamp(end + grace)
        meta["deletionGracePeriodSeconds"] = grace
        graceful = True
    meta["finalizers"] = finalizers
    if finalizers and not graceful:
        if not marked:
            _raise_generation(meta)
            meta["deletionTimestamp"] = writer.stamp()
        meta["deletionGracePeriodSeconds"] = 0
    tree = metadata.ordered(tree, kind)
    over = not finalizers and not meta.get("deletionGracePeriodSeconds")
    if call.dry_run:
        return tree, over
    if not over:
        if tree == entry.tree:
            return tree, False
        return (await writer.write(kind, call.key, MODIFIED, tree, entry.tree)).tree, False
    if not graceful:
        return (await writer.write(kind, call.key, DELETED, entry.tree, entry.tree)).tree, True
    # The mark is an update of its own, which watchers see; both are queued before anything else can come between.
    first = writer.storage.write(kind.group_resource, call.key, MODIFIED, tree)
    second = writer.write(kind, call.key, DELETED, trees.copied(tree), tree)
    _, gone = await asyncio.gather(first, second)
    return gone.tree, True


async def _reviewed(writer: Writer, call: Call, entry: Entry, wanted: Tree) -> Entry:
    """The newest state, which meets the preconditions and which those who have a word in it let go."""
    kind = call.kind
    _check_preconditions(kind, call.name, entry.tree["metadata"], wanted)
    review = writer.reviewers.review(call, DELETE)
    if review is None:
        return entry
    for _ in range(ATTEMPTS):
        await forms.prepare(kind, [entry])
        await review.deletion(forms.opened(kind, entry))
        newest = writer.storage.newest(kind.group_resource, call.key)
        if newest is None:
            raise not_found(kind, call.name)
        if newest.rv == entry.rv:
            return newest
        entry = newest
        _check_preconditions(kind, call.name, entry.tree["metadata"], wanted)
    raise too_often(kind, call.name)


def _permanent(name: str) -> ApiError:
    why = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    return ApiError(403, "Forbidden", why, {"name": name, "kind": "namespaces"})


async def _end_definition(writer: Writer, call: Call, entry: Entry, tree: Tree) -> tuple[Tree, bool]:
    """A CustomResourceDefinition is only marked: its objects go first (registry/customresourcedefinition/etcd.go)."""
    tree = metadata.ordered(lifecycle.marked(tree, writer.stamp()), call.kind)
    if call.dry_run:
        return tree, False
    return (await writer.write(call.kind, call.key, MODIFIED, tree, entry.tree)).tree, False


def _raise_generation(meta: Tree) -> None:
    if meta.get("generation"):
        meta["generation"] += 1


def _check_preconditions(kind: Kind, name: str, meta: Tree, wanted: Tree) -> None:
    for option, label, why in (
        ("uid", "UID", "The object might have been deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "The object might have been modified"),
    ):
        if wanted.get(option) is not None and wanted[option] != meta[option]:
            raise precondition_failed(
                kind,
                name,
                f"the {label} in the precondition ({wanted[option]}) does not match the {label} in record "
                f"({meta[option]}). {why}",
            )


async def _end_namespace(
    writer: Writer, call: Call, entry: Entry, tree: Tree, finalizers: list[str]
) -> tuple[Tree, bool]:
    """A namespace is only marked: its content goes first (registry/core/namespace/storage)."""
    meta = tree["metadata"]
    if meta.get("deletionTimestamp"):
        return tree, False
    meta["deletionTimestamp"] = writer.stamp()
    if finalizers:
        meta["finalizers"] = finalizers
    tree["status"] = {**(tree.get("status") or {}), "phase": "Terminating"}
    if call.dry_run:
        return tree, False
    return (await writer.write(call.kind, call.key, MODIFIED, tree, entry.tree)).tree, False
