"""update and patch: a new state of an object that is there (k8s.io/apiserver rest.BeforeUpdate and its handlers).

`replace` is the common end: it is given a function from the old tree to the new one, judges the result and stores it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.api import tree as trees
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import bodies, create, forms, generation, managed, metadata, patching, records, zeros
from seaway.cluster.apiserver.calls import Call, Writer, check_name, place
from seaway.cluster.apiserver.custom import judging, objects
from seaway.cluster.apiserver.journal import DELETED, MODIFIED
from seaway.cluster.apiserver.options import APPLY
from seaway.cluster.apiserver.reviewing import ATTEMPTS, UPDATE, too_often
from seaway.cluster.apiserver.rules import Rule
from seaway.cluster.apiserver.status import ApiError, Cause, conflict, invalid, modified, not_found, wrong
from seaway.cluster.apiserver.storage import Entry

Tree = dict[str, Any]
# Kinds whose PUT must name the version that it replaces (AllowUnconditionalUpdate is false).
NEEDS_VERSION = frozenset(
    """leases.coordination.k8s.io poddisruptionbudgets.policy runtimeclasses.node.k8s.io csidrivers.storage.k8s.io
    csinodes.storage.k8s.io volumeattachments.storage.k8s.io csistoragecapacities.storage.k8s.io
    mutatingwebhookconfigurations.admissionregistration.k8s.io
    validatingwebhookconfigurations.admissionregistration.k8s.io
    validatingadmissionpolicies.admissionregistration.k8s.io
    validatingadmissionpolicybindings.admissionregistration.k8s.io
    customresourcedefinitions.apiextensions.k8s.io""".split()
)
BOUND = (("pods", "resize"), ("persistentvolumeclaims", ""))  # what LimitRanges have a word in


async def update(writer: Writer, call: Call) -> tuple[int, Tree]:
    """PUT of a body: (200 or 201, the object)."""
    kind, rule = call.kind, call.rule
    tree, strict = bodies.read(call.body, call.content_type, kind, call.field_validation)
    entry = writer.storage.newest(forms.stored_kind(kind).group_resource, call.key)
    await forms.prepare(kind, [entry] if entry is not None else [])
    old = forms.seen(kind, entry) if entry is not None else None
    tree = bodies.typed(tree, kind, old, call.field_validation, call.warnings, strict=strict)
    meta = tree["metadata"]
    place(call, meta)
    check_name(call, meta)
    tree = call.translated(tree)
    meta = tree["metadata"]
    if entry is None:
        if not rule.put_creates or call.subresource:
            raise not_found(kind, call.name)
        if meta.get("uid"):
            raise _uid_differs(call, meta["uid"], "")
        meta.pop("resourceVersion", None)
        writer.check_creates(call)
        return 201, await create.store(writer, call, tree, rule)
    uid = entry.tree["metadata"]["uid"]
    if meta.get("uid") and meta["uid"] != uid:
        raise _uid_differs(call, meta["uid"], uid)
    # A reviewed change may have to be made again, from what was sent.
    again = writer.reviewers.review(call, UPDATE) is not None
    return 200, await replace(writer, call, entry, lambda old: (trees.copied(tree) if again else tree, None))


async def patch(writer: Writer, call: Call) -> tuple[int, Tree]:
    """PATCH of any type."""
    kind = call.kind
    patching.check_media(kind, call.media)
    if call.media == APPLY:
        return await apply(writer, call)
    call.translated({})
    entry = writer.storage.newest(call.kind.group_resource, call.key)
    if entry is None:
        raise not_found(call.kind, call.name)

    def change(old: Tree) -> Change:
        shown = forms.show(kind, old)
        new = patching.patched(kind, shown, call.body, call.media, call.field_validation, call.warnings)
        place(call, new["metadata"])
        check_name(call, new["metadata"])
        return forms.store(kind, new), None

    return 200, await replace(writer, call, entry, change)


async def apply(writer: Writer, call: Call) -> tuple[int, Tree]:
    """Server-side apply: it creates what is not there."""
    kind, rule = call.kind, call.rule
    config = records.configuration(call)
    call.translated({})
    entry = writer.storage.newest(call.kind.group_resource, call.key)
    if entry is not None:

        def change(old: Tree) -> Change:
            tree, managers = records.applied(call, kind, forms.show(kind, old), config, writer.stamp())
            place(call, tree["metadata"])
            check_name(call, tree["metadata"])
            return forms.store(kind, tree), managed.encode(managers)

        return 200, await replace(writer, call, entry, change)
    if call.subresource:
        raise not_found(kind, call.name)
    tree, managers = records.applied(call, kind, records.empty(kind), config, writer.stamp())
    meta = tree["metadata"]
    if meta.get("uid"):
        why = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
        raise conflict(kind, call.name, why)
    place(call, meta)
    check_name(call, meta)
    meta.pop("resourceVersion", None)
    writer.check_creates(call)
    return 201, await create.store(writer, call, forms.store(kind, tree), rule, managed.encode(managers))


def _uid_differs(call: Call, wanted: str, found: str) -> ApiError:
    why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    return conflict(call.kind, call.name, why)


# The new tree, and its managedFields where the change decides them itself (apply, scale).
Change = tuple[Tree, list[Tree] | None]


async def replace(writer: Writer, call: Call, entry: Entry, change: Callable[[Tree], Change]) -> Tree:
    """The common end of update and patch: `change` makes the new tree from the old one.

    A reviewed change starts again where the object became another meanwhile (storage GuaranteedUpdate).
    """
    review = writer.reviewers.review(call, UPDATE)
    asked = objects.is_asked(call.kind)
    if review is None and not asked:
        old = forms.opened(call.kind, entry)
        return await _written(writer, call, entry, old, _judged(writer, call, old, *_made(writer, call, old, change)))
    for _ in range(ATTEMPTS):
        await forms.prepare(call.kind, [entry])
        old = forms.opened(call.kind, entry)
        new, managers = _made(writer, call, old, change)
        if managers:
            new["metadata"]["managedFields"] = managers
        if review is not None:
            new = await review.mutate(new, old)
            objects.keep_known(call.kind, new)
        metadata.dedupe_owners(new["metadata"], call.warnings)
        if not call.subresource:
            call.rule.default(new)
        zeros.complete(call.kind.definition, new)
        new = _judged(writer, call, old, new, managers)
        try:
            if review is not None:
                await review.validate(new, old)
        except BaseException:  # also where the client has gone: its addresses must not go with it
            writer.released(call.kind, call.key, new, old)
            raise
        kept = await objects.to_stored(call.kind, new)
        newest = found(writer, call.kind, call)
        if newest.rv == entry.rv:
            return await _written(writer, call, entry, old, new, kept)
        writer.released(call.kind, call.key, new, old)
        entry = newest
    raise too_often(call.kind, call.name)


def _made(writer: Writer, call: Call, old: Tree, change: Callable[[Tree], Change]) -> Change:
    """The new state with its defaults, and the owners of its fields."""
    kind, rule = call.kind, call.rule
    new, managers = change(trees.copied(old))
    _check_version(call, new["metadata"], old["metadata"])
    if not call.subresource or kind.custom is not None:
        rule.default(new)
    zeros.complete(kind.definition, new)
    if managers is None:
        managers = records.after_update(call, old, new, writer.stamp())
    return new, managers


def _judged(writer: Writer, call: Call, old: Tree, new: Tree, managers: list[Tree] | None) -> Tree:
    """The new state as it may be stored; ApiError where the kind has something against it."""
    kind, rule = call.kind, call.rule
    uid = new["metadata"].get("uid")
    new = _prepare(call, rule, new, old, managers)
    causes = metadata.update_causes(new["metadata"], old["metadata"], kind)
    if uid and uid != old["metadata"]["uid"]:
        times = 1 if kind.group_resource in metadata.CHECKED_ONCE else 2
        causes[:0] = [wrong("metadata.uid", uid, "field is immutable")] * times
    causes = _judge(writer, call, rule, new, old, causes)
    if causes:
        raise invalid(kind.group, kind.kind, call.name, causes)
    if (kind.group_resource, call.subresource) in BOUND and not old["metadata"].get("deletionTimestamp"):
        writer.admission.pods.bounds(kind, call.namespace, new)
    part = rule.part(call.subresource)
    zeros.complete(kind.definition, new)
    call.warnings.extend(part.warnings(new, old) if call.subresource else rule.warnings(new, old))
    return metadata.ordered(new, kind)


async def _written(writer: Writer, call: Call, entry: Entry, old: Tree, new: Tree, kept: Tree | None = None) -> Tree:
    """The end: what changes is stored. Nothing gives way between here and the state that `new` was judged against."""
    kind, rule = call.kind, call.rule
    if _unchanged(new, old):
        return old
    part, before = rule.part(call.subresource), old["metadata"]
    if part.moves_generation and "generation" in before and generation.moves(kind, new, old):
        new["metadata"]["generation"] = before["generation"] + 1
    if call.dry_run:
        writer.released(kind, call.key, new, old)
        return new
    if is_over(new):
        # Watchers see the last state that was stored, as etcd hands it out.
        await writer.write(kind, call.key, DELETED, entry.tree, old)
        return new
    if kept is not None:
        return await writer.write_converted(kind, call.key, MODIFIED, new, kept, old)
    return (await writer.write(kind, call.key, MODIFIED, new, old)).tree


def _unchanged(new: Tree, old: Tree) -> bool:
    """Whether an update changes nothing: versions, and the times of managedFields alone, do not count."""
    if {**new, "metadata": None} != {**old, "metadata": None}:
        return False
    apart = ("resourceVersion", "managedFields")
    a, b = new["metadata"], old["metadata"]
    if {k: v for k, v in a.items() if k not in apart} != {k: v for k, v in b.items() if k not in apart}:
        return False
    return managed.same(a.get("managedFields"), b.get("managedFields"))


def _check_version(call: Call, meta: Tree, before: Tree) -> None:
    """The version that the new state names must be that of the old one."""
    version = meta.get("resourceVersion")
    if version == "0":
        version = ""  # no version in particular
    if version and version != before["resourceVersion"]:
        raise modified(call.kind, call.name)
    needed = call.kind.group_resource in NEEDS_VERSION and not call.subresource
    if not version and (needed or call.kind.custom is not None):
        cause = wrong("metadata.resourceVersion", 0, "must be specified for an update")
        raise invalid(call.kind.group, call.kind.resource, call.name, [cause])


def _prepare(call: Call, rule: Rule, new: Tree, old: Tree, managers: list[Tree] | None) -> Tree:
    """The new state with what a client may not change taken from the old one."""
    if managers is None:
        managers = old["metadata"].get("managedFields")
    new["metadata"].pop("managedFields", None)
    kind, before = call.kind, old["metadata"]
    meta = new["metadata"]
    place(call, meta)
    metadata.dedupe_owners(meta, call.warnings)
    for name in ("uid", "creationTimestamp", "generation"):
        meta.pop(name, None)
        if name in before:
            meta[name] = before[name]
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if before.get(name) is not None:
            meta[name] = before[name]
    meta["name"] = call.name
    meta["resourceVersion"] = before["resourceVersion"]
    new["kind"], new["apiVersion"] = kind.kind, kind.api_version
    part = rule.part(call.subresource)
    if part.prepare is not None:
        new = part.prepare(new, old)
    elif call.subresource:
        new = only_subresource(call.subresource, new, old)
    elif "status" in kind.subresources:
        new.pop("status", None)
        if "status" in old:
            new["status"] = trees.copied(old["status"])
    new["kind"], new["apiVersion"] = kind.kind, kind.api_version
    kept = {k: v for k, v in new["metadata"].items() if k != "managedFields"}
    new["metadata"] = {**kept, "managedFields": managers} if managers else kept
    return new


def _judge(writer: Writer, call: Call, rule: Rule, new: Tree, old: Tree, causes: list[Cause]) -> list[Cause]:
    """Defaults the new state and says what the kind has against it, after what is known already."""
    if call.kind.custom is not None:
        return judging.judged(call.kind, new, old, call.subresource, causes, call.warnings)
    if call.subresource:
        part = rule.part(call.subresource)
        if part.stamp is not None:
            part.stamp(new, old, writer.stamp())
        return causes + part.validate(new, old)
    rule.prepare(new, old)
    create.admit(writer, call, rule, new, old)
    if call.kind.group_resource == "services":
        return writer.admission.service(call.key, new, old, causes)
    return causes + rule.judge_update(new, old)


def only_subresource(name: str, new: Tree, old: Tree) -> Tree:
    """What a subresource may change: the status, or for `finalize` the namespace's finalizers."""
    if name == "finalize":
        return {**old, "metadata": new["metadata"], "spec": new.get("spec") or {}}
    result = dict(old)
    result["metadata"] = {**old["metadata"]}
    for field_name in ("labels", "annotations", "finalizers", "ownerReferences"):
        if new["kind"] not in ("Pod", "Service"):
            result["metadata"].pop(field_name, None)
            if field_name in new["metadata"]:
                result["metadata"][field_name] = new["metadata"][field_name]
    result["status"] = new.get("status") or {}
    return result


def is_over(tree: Tree) -> bool:
    """Deletion has begun and nothing holds the object any more."""
    meta = tree["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if tree["kind"] == "Namespace":
        return not (tree.get("spec") or {}).get("finalizers")
    return not meta.get("deletionGracePeriodSeconds")


def found(writer: Writer, kind: Kind, call: Call) -> Entry:
    """The newest state; 404 where there is none."""
    entry = writer.storage.newest(kind.group_resource, call.key)
    if entry is None:
        raise not_found(kind, call.name)
    return entry
