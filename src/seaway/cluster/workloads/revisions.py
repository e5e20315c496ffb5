"""Hashes of templates, and ControllerRevisions: the history of StatefulSets and DaemonSets (pkg/controller/history)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from seaway.api.tree import get, owner_reference, seconds
from seaway.client.rest import kind_of
from seaway.controllers.writes import Create, Delete, Patch

Tree = dict[str, Any]
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
RESOURCE = "controllerrevisions.apps"


def template_hash(template: Any, collisions: int) -> str:
    """A short name for a template: the same for the same template."""
    raw = msgspec.json.encode(template, order="deterministic") + str(collisions or "").encode()
    number = int.from_bytes(hashlib.sha256(raw).digest()[:8], "big")
    text = ""
    for _ in range(10):
        number, at = divmod(number, len(ALPHABET))
        text += ALPHABET[at]
    return text


def data_of(owner: Tree) -> Tree:
    """What a revision keeps: a strategic patch that puts the template back (`kubectl rollout undo` sends it)."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def is_equal(revision: Tree, data: Tree) -> bool:
    return bool(revision.get("data") == data)


def ordered(revisions: Iterable[Tree]) -> list[Tree]:
    """By number, then age, then name (history.SortControllerRevisions)."""
    return sorted(
        revisions,
        key=lambda r: (
            r.get("revision", 0),
            seconds(r["metadata"].get("creationTimestamp")) or 0,
            r["metadata"]["name"],
        ),
    )


def next_number(revisions: list[Tree]) -> int:
    return max((int(r.get("revision", 0)) for r in revisions), default=0) + 1


def make(owner: Tree, kind: str, label: str, revision: int, collisions: int) -> Tree:
    data = data_of(owner)
    digest = template_hash(data, collisions)
    meta = owner["metadata"]
    made: Tree = {
        "name": f"{meta['name'][:223]}-{digest}",
        "namespace": meta["namespace"],
        "labels": {**(get(owner, "spec", "template", "metadata", "labels") or {}), label: digest},
        "ownerReferences": [owner_reference("apps/v1", kind, owner)],
    }
    if meta.get("annotations"):
        made["annotations"] = dict(meta["annotations"])
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": made,
        "data": data,
        "revision": revision,
    }


def current(owner: Tree, kind: str, label: str, revisions: list[Tree], collisions: int) -> Create | Patch | None:
    """What makes the revision of the present template the newest: nothing, a new number for an old one (a rollback), or a
    new revision."""
    data, there = data_of(owner), ordered(revisions)
    same = [r for r in there if is_equal(r, data)]
    if same:
        newest = same[-1]
        if newest is there[-1]:
            return None
        meta = newest["metadata"]
        return Patch(kind_of(RESOURCE), meta["namespace"], meta["name"], {"revision": next_number(there)})
    made = make(owner, kind, label, next_number(there), collisions)
    return Create(kind_of(RESOURCE), owner["metadata"]["namespace"], made)


def surplus(revisions: list[Tree], live: set[str], limit: int) -> list[Delete]:
    """Revisions beyond the history limit that nothing uses, the oldest first; `live`: names in use."""
    idle = [r for r in ordered(revisions) if r["metadata"]["name"] not in live]
    gone = idle[: max(len(idle) - limit, 0)]
    return [
        Delete(kind_of(RESOURCE), r["metadata"]["namespace"], r["metadata"]["name"], r["metadata"]["uid"]) for r in gone
    ]
