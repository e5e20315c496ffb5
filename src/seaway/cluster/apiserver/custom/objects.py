"""Custom objects between body, storage and answer (customresource_handler.go); pure but for the conversions that are known.

A body is read in the version that was asked for: metadata is checked, unknown fields go. What is stored is read as the
schema of now has it: pruned and given defaults in the version that it is stored in, then converted.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import msgspec

from seaway.api import tree as trees
from seaway.api.kinds import Kind
from seaway.cluster.apiserver.custom.conversion import WEBHOOK
from seaway.cluster.apiserver.custom.definition import Definition, Version
from seaway.cluster.apiserver.status import ApiError, bad_request, invalid, no_resource, wrong
from seaway.cluster.apiserver.storage import Entry, encode
from seaway.cluster.apiserver.structural import settled

Tree = dict[str, Any]
encode_sorted = msgspec.json.Encoder(order="sorted").encode


def version_of(kind: Kind) -> Version:
    """The version behind a custom kind."""
    found: Version = kind.custom
    return found


def stored_kind(kind: Kind) -> Kind:
    return version_of(kind).definition.storage.kind


def check_type(tree: Tree, kind: Kind, patched: bool) -> None:
    """kind and apiVersion against those that the path takes; ApiError where they differ. Of a body the apiVersion is looked
    at before anything else, of a patched object it is judged with the rest (validator.go ValidateTypeMeta)."""
    name, api_version = tree.get("kind"), tree.get("apiVersion") or ""
    if not name:
        what = encode_sorted(tree).decode() if patched else "unstructured object has no kind"
        raise bad_request(f"Object 'Kind' is missing in '{what}'")
    if api_version != kind.api_version and not patched:
        told = f"does not match the expected API version ({kind.api_version})"
        raise bad_request(f"the API version in the data ({api_version}) {told}")
    causes = [wrong("kind", name, f"must be {kind.kind}")] if name != kind.kind else []
    if api_version != kind.api_version:
        causes.append(wrong("apiVersion", api_version, f"must be {kind.api_version}"))
    if causes:
        meta = tree.get("metadata")
        told = meta.get("name", "") if isinstance(meta, dict) else ""
        raise invalid(api_version.rpartition("/")[0], name, told, causes)


def form(tree: Tree, kind: Kind, applied: bool = False) -> tuple[Tree, list[str]]:
    """The object as its schema has it, and the paths of its unknown fields; raises TypeMismatch for wrong metadata.

    Nulls that may not be go, but for those of an `applied` object, which are told of.
    """
    result = copy.deepcopy(tree)
    found = version_of(kind).structural.prune(result, nulls=applied)
    if trees.get(tree, "metadata", "managedFields") == []:
        result.setdefault("metadata", {})["managedFields"] = []  # empty, but said: it asks for a new record
    return result, found


def coerced(tree: Tree, version: Version) -> Tree:
    """A stored object as the schema of now has it, in the version that it is stored in; the tree is changed in place."""
    version.structural.prune(tree, lenient=True)
    version.structural.default(tree)
    meta = tree.get("metadata")
    if isinstance(meta, dict) and not meta.get("generation"):
        meta["generation"] = 1
    return tree


def keep_known(kind: Kind, tree: Tree) -> None:
    """Drops what reviewers added that the schema does not know, in place: the storage would not keep it
    (schemaCoercingConverter)."""
    if kind.custom is not None:
        version_of(kind).structural.prune(tree, lenient=True)


def is_current(kind: Kind, entry: Entry) -> bool:
    """Whether an object is stored just as it is to be shown."""
    version = version_of(kind)
    if not version.stores or not entry.data.startswith(version.head):
        return False
    return entry.rv > version.definition.since or entry.checked == version.definition.mark


def opened(kind: Kind, entry: Entry) -> Tree:
    """A stored object in the version of a kind."""
    tree = entry.tree
    if is_current(kind, entry):
        return tree
    version = version_of(kind)
    coerced(tree, version.definition.version_of(tree))
    if version.stores and encode(tree) == entry.data:
        entry.checked = version.definition.mark  # once is enough
    return shown(kind, tree)


def shown(kind: Kind, tree: Tree) -> Tree:
    """An object of any version in that of a kind."""
    version = version_of(kind)
    if tree.get("apiVersion") == version.api_version:
        return tree
    found = version.definition.conversions.converted(tree, version.definition, version.api_version)
    found = {**copy.deepcopy({k: v for k, v in found.items() if k != "metadata"}), "metadata": found["metadata"]}
    version.structural.prune(found, lenient=True)
    return found


def is_asked(kind: Kind) -> bool:
    """Whether a webhook may have to be asked to read or to write an object of a kind."""
    return kind.custom is not None and version_of(kind).definition.strategy == WEBHOOK


async def prepare(kind: Kind, entries: Iterable[Entry], is_list: bool = False) -> None:
    """Has the conversions of stored objects ready, which a webhook has to make. Objects may be stored in old versions."""
    version = version_of(kind)
    definition = version.definition
    if definition.strategy != WEBHOOK:
        return
    trees = (e.tree for e in entries if not is_current(kind, e))
    found = [coerced(tree, definition.version_of(tree)) for tree in trees]
    await definition.conversions.prepare(found, definition, version.api_version, is_list)


async def to_stored(kind: Kind, tree: Tree) -> Tree | None:
    """An object of a kind in the version that is stored, where a webhook makes it. Of its metadata only labels and
    annotations may be another (webhook_converter.go restoreObjectMeta)."""
    if not is_asked(kind) or version_of(kind).stores:
        return None
    definition = version_of(kind).definition
    (found,) = await definition.conversions.ask([tree], definition, definition.storage.api_version)
    meta = {k: v for k, v in tree["metadata"].items() if k not in ("labels", "annotations")}
    meta.update({k: v for k, v in found["metadata"].items() if k in ("labels", "annotations")})
    result = {**found, "metadata": meta}
    definition.storage.structural.prune(result, lenient=True)
    return result


def data(kind: Kind, entry: Entry) -> bytes:
    """A stored object, encoded in the version of a kind."""
    return entry.data if is_current(kind, entry) else encode(opened(kind, entry))


def stored(kind: Kind, tree: Tree) -> Tree:
    """An object of any version in the one that is stored: what that one does not know goes, numbers are as Go writes them."""
    definition = version_of(kind).definition
    found = definition.conversions.converted(tree, definition, definition.storage.api_version)
    if found.get("apiVersion") != tree.get("apiVersion"):
        found = copy.deepcopy(found)
        definition.storage.structural.prune(found, lenient=True)
    result: Tree = settled(found)
    return result


def check_definition(kind: Kind, now: Definition | None, name: str, new: bool) -> None:
    """Whether an object may still be written when its turn comes: the definition may have gone, or have come again, while
    others had a word in it. `now` is the definition that there is now."""
    if now is None or now.uid != version_of(kind).definition.uid:
        raise no_resource()
    if new:
        refuse_create(now.storage.kind, name)


def refuse_create(kind: Kind, name: str) -> None:
    """Nothing is created while the definition is being deleted."""
    if version_of(kind).definition.terminating:
        told = f'{kind.group_resource} "{name}"' if name else kind.group_resource
        details: Tree = {"name": name} if name else {}
        details.update(group=kind.group, kind=kind.resource)
        why = "create not allowed while custom resource definition is terminating"
        raise ApiError(403, "Forbidden", f"{told} is forbidden: {why}", details)
