"""create: a new object from a body (k8s.io/apiserver rest.BeforeCreate and its handler).

The order is upstream's: the body is read, the namespace must be there and open, then the object is judged, then its name
must be free.
"""

from __future__ import annotations

import asyncio
from typing import Any

from seaway.api import tree as trees
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import bodies, generation, metadata, records, zeros
from seaway.cluster.apiserver.calls import Call, Writer, place
from seaway.cluster.apiserver.custom import judging, objects
from seaway.cluster.apiserver.journal import ADDED
from seaway.cluster.apiserver.reviewing import CREATE
from seaway.cluster.apiserver.rules import Rule
from seaway.cluster.apiserver.status import ApiError, already_exists, bad_request, forbidden, invalid

Tree = dict[str, Any]
ACCOUNT_WAIT = 3.0  # seconds a new namespace's default ServiceAccount is waited for
NAME_ATTEMPTS = 8  # KEP-4420: how often a generated name is drawn again


async def create(writer: Writer, call: Call) -> Tree:
    """POST of a body."""
    tree, strict = bodies.read(call.body, call.content_type, call.kind, call.field_validation)
    return await create_tree(writer, call, tree, strict)


async def create_tree(writer: Writer, call: Call, tree: Tree, strict: list[str] | None = None) -> Tree:
    """A new object from a tree."""
    kind, rule = call.kind, call.rule
    tree = bodies.typed(tree, kind, None, call.field_validation, call.warnings, strict=strict)
    return await store(writer, call, call.translated(tree), rule)


async def store(writer: Writer, call: Call, tree: Tree, rule: Rule, managers: list[Tree] | None = None) -> Tree:
    """Judges and stores a new object that has its kind's form; `managers` are its managedFields after an apply."""
    kind, admission = call.kind, writer.admission
    meta = tree["metadata"]
    place(call, meta)
    if meta.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    for name in (*metadata.SERVER_FIELDS, "selfLink"):
        meta.pop(name, None)
    metadata.dedupe_owners(meta, call.warnings)
    call.name = meta.get("name", "")
    if kind.namespaced:
        admission.namespace(kind, metadata.told_name(meta), call.namespace)
        if kind.group_resource == "pods":
            await _wait_for_account(writer, call, tree)
    if kind.custom is not None:
        objects.refuse_create(kind, metadata.told_name(meta))
    _complete(writer, call, rule, tree, managers)

    def complete(tree: Tree) -> None:
        if kind.group_resource == "pods":
            admission.pods.admit(kind, call.namespace, tree, writer.edges.suffix(5))
        if kind.group_resource == "nodes":
            admission.node(tree)

    complete(tree)
    review = writer.reviewers.review(call, CREATE)
    if review is not None:
        tree = await review.mutate(tree, None, complete)
        meta = tree["metadata"]
        _restore(call, rule, tree)
    generated = not meta.get("name") and bool(meta.get("generateName"))
    if generated:
        _draw_name(writer, meta)
    call.name = meta.get("name", "")
    _begin(writer, call, rule, tree)
    admit(writer, call, rule, tree, None)
    causes = metadata.validate(meta, kind)
    if kind.custom is not None:
        causes = judging.judged(call.kind, tree, None, "", causes, call.warnings)
    elif kind.group_resource == "services":
        causes = admission.service(call.key, tree, None, causes)
    else:
        causes += rule.validate(tree)
    if causes:
        raise invalid(kind.group, kind.kind, call.name, causes)
    if kind.group_resource == "pods":
        admission.pods.judge(kind, call.namespace, tree)
    if kind.group_resource == "persistentvolumeclaims":
        admission.pods.bounds(kind, call.namespace, tree)
    if review is not None:
        try:
            zeros.complete(kind.definition, tree)
            await review.validate(tree, None)
            if kind.namespaced:  # it may have gone while the object was reviewed
                admission.namespace(kind, metadata.told_name(meta), call.namespace)
        except BaseException:  # also where the client has gone: its addresses must not go with it
            writer.released(kind, call.key, tree, None)
            raise
    if kind.custom is not None and not call.dry_run:
        rule.default(tree)  # a status that the body may not give: whatever is read from the storage has its defaults
    kept = await objects.to_stored(kind, tree)
    if kind.namespaced:
        admission.quota(kind, call.namespace, tree)
    _free_name(writer, call, meta, generated)
    if kind.group_resource == "services":
        admission.allocator.hold(call.key, tree["spec"])  # under the name that it has now
    zeros.complete(kind.definition, tree)
    call.warnings.extend(rule.warnings(tree, None))
    tree = metadata.ordered(tree, kind)
    if call.dry_run:
        writer.released(kind, call.key, tree, None)
        return tree
    if kept is not None:
        return await writer.write_converted(kind, call.key, ADDED, tree, kept, None)
    return (await writer.write(kind, call.key, ADDED, tree, None)).tree


def _draw_name(writer: Writer, meta: Tree) -> None:
    meta["name"] = meta["generateName"][: metadata.GENERATE_LIMIT] + writer.edges.suffix(5)


def _free_name(writer: Writer, call: Call, meta: Tree, generated: bool) -> None:
    """The name must be free; a generated one is drawn again when it is not."""
    kind = call.kind
    for _ in range(NAME_ATTEMPTS if generated else 1):
        existing = writer.storage.newest(kind.group_resource, call.key)
        if existing is None:
            return
        if generated:
            _draw_name(writer, meta)
            call.name = meta["name"]
    if existing is not None and trees.get(existing.tree, "metadata", "deletionTimestamp"):
        error = already_exists(kind, call.name)
        raise ApiError(409, "AlreadyExists", f"object is being deleted: {error}", error.tree["details"])
    raise already_exists(kind, call.name)


async def _wait_for_account(writer: Writer, call: Call, tree: Tree) -> None:
    """The default ServiceAccount follows its namespace within moments: wait for it rather than refuse."""
    if (tree.get("spec") or {}).get("serviceAccountName") not in (None, "", "default"):
        return
    end = asyncio.get_running_loop().time() + ACCOUNT_WAIT
    while writer.admission.service_account_missing(call.namespace, tree):
        if asyncio.get_running_loop().time() > end:
            return
        await asyncio.sleep(0.02)


def admit(writer: Writer, call: Call, rule: Rule, tree: Tree, old: Tree | None) -> None:
    """What depends on who asks, and on other objects."""
    writer.check_grants(call, tree)
    if old is None and rule.sign is not None:
        user = call.user
        rule.sign(tree, {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": user.extra})
    why = rule.admit(tree, old, lambda resource: (e.tree for e in writer.storage.newest_all(resource)))
    if why:
        raise forbidden(call.kind, call.name, why)


def _complete(writer: Writer, call: Call, rule: Rule, tree: Tree, managers: list[Tree] | None) -> None:
    """Defaults, and the owners of the fields."""
    kind: Kind = call.kind
    meta = tree["metadata"]
    tree["kind"], tree["apiVersion"] = kind.kind, kind.api_version
    rule.default(tree)
    # Defaults are owned by who created the object; what the server adds from here on is nobody's.
    zeros.complete(kind.definition, tree)
    if managers is None:
        managers = records.after_update(call, None, tree, writer.stamp())
    meta.pop("managedFields", None)
    if managers:
        meta["managedFields"] = managers


def _restore(call: Call, rule: Rule, tree: Tree) -> None:
    """What reviewers made of a new object, in the form that it has to have."""
    kind, meta = call.kind, tree["metadata"]
    place(call, meta)
    for name in (*metadata.SERVER_FIELDS, "selfLink", "resourceVersion"):
        meta.pop(name, None)
    metadata.dedupe_owners(meta, call.warnings)
    tree["kind"], tree["apiVersion"] = kind.kind, kind.api_version
    objects.keep_known(kind, tree)
    rule.default(tree)
    zeros.complete(kind.definition, tree)


def _begin(writer: Writer, call: Call, rule: Rule, tree: Tree) -> None:
    """What every new object gets: identity, generation, an empty status."""
    kind: Kind = call.kind
    meta = tree["metadata"]
    meta["uid"] = writer.edges.uid()
    meta["creationTimestamp"] = writer.stamp()
    if generation.begins(kind, tree):
        meta["generation"] = 1
    if "status" in kind.subresources and not rule.keeps_status:
        tree.pop("status", None)
    rule.begin(tree)
    if (
        "status" in kind.subresources
        and "status" not in tree
        and kind.group in ("apps", "batch", "networking.k8s.io", "policy", "autoscaling")
    ):
        tree["status"] = {"loadBalancer": {}} if kind.resource == "ingresses" else {}
