"""Who owns whom: the graph that garbage collection reads, and what it makes of an object; pure
(pkg/controller/garbagecollector: graph.go, garbagecollector.go)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seaway.api.kinds import Kind
from seaway.api.tree import Key

Tree = dict[str, Any]
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class Item(NamedTuple):
    """An object's place: `resource` is `deployments.apps`."""

    resource: str
    key: Key


def lean(tree: Tree) -> Tree:
    """What the graph keeps of an object."""
    meta = tree["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp", "finalizers", "ownerReferences")
    return {"metadata": {k: meta[k] for k in kept if k in meta}}


def owners(tree: Tree) -> list[Tree]:
    return tree["metadata"].get("ownerReferences") or []


def waits_for_dependents(tree: Tree) -> bool:
    meta = tree["metadata"]
    return bool(meta.get("deletionTimestamp")) and FOREGROUND in (meta.get("finalizers") or ())


def lets_go_of_dependents(tree: Tree) -> bool:
    meta = tree["metadata"]
    return bool(meta.get("deletionTimestamp")) and ORPHAN in (meta.get("finalizers") or ())


@dataclass(slots=True)
class Graph:
    """Objects by uid, and the dependents of each uid, whether that object is known or not."""

    places: dict[str, Item] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    below: dict[str, set[str]] = field(default_factory=dict)

    def put(self, item: Item, tree: Tree) -> None:
        uid = tree["metadata"]["uid"]
        self._unlink(uid)
        self.places[uid], self.trees[uid] = item, tree
        for ref in owners(tree):
            self.below.setdefault(ref["uid"], set()).add(uid)

    def remove(self, uid: str) -> None:
        self._unlink(uid)
        self.places.pop(uid, None)
        self.trees.pop(uid, None)

    def _unlink(self, uid: str) -> None:
        old = self.trees.get(uid)
        for ref in owners(old) if old else ():
            found = self.below.get(ref["uid"])
            if found is not None:
                found.discard(uid)
                if not found:
                    del self.below[ref["uid"]]

    def dependents(self, uid: str) -> list[tuple[Item, Tree]]:
        return [(self.places[u], self.trees[u]) for u in sorted(self.below.get(uid, ())) if u in self.trees]

    def blocking(self, uid: str) -> list[tuple[Item, Tree]]:
        """The dependents that a foreground deletion waits for."""
        return [
            (item, tree)
            for item, tree in self.dependents(uid)
            if any(r["uid"] == uid and r.get("blockOwnerDeletion") for r in owners(tree))
        ]


class Standing(NamedTuple):
    """An object's owners: those that are there, those that are gone, those that wait for it to go."""

    solid: list[Tree]
    gone: list[Tree]
    waiting: list[Tree]


def standing(refs: list[Tree], look: Callable[[Tree], Tree | None]) -> Standing:
    """`look` gives the owner of a reference; None where it is gone."""
    found = Standing([], [], [])
    for ref in refs:
        owner = look(ref)
        if owner is None or owner["metadata"]["uid"] != ref["uid"]:
            found.gone.append(ref)
        elif waits_for_dependents(owner):
            found.waiting.append(ref)
        else:
            found.solid.append(ref)
    return found


def policy_of(tree: Tree) -> str:
    """How an object without owners goes: as its own finalizers say."""
    finalizers = tree["metadata"].get("finalizers") or ()
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers else "Background"


def without_owners(tree: Tree, uids: set[str]) -> Tree:
    """The merge patch that takes references away."""
    meta = tree["metadata"]
    left = [r for r in owners(tree) if r["uid"] not in uids]
    return {
        "metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "ownerReferences": left or None}
    }


def without_finalizer(tree: Tree, finalizer: str) -> Tree:
    meta = tree["metadata"]
    left = [f for f in meta.get("finalizers") or () if f != finalizer]
    return {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "finalizers": left or None}}


def unblocked(tree: Tree) -> Tree:
    """References that block no owner any more: two objects that own each other would wait for ever."""
    meta = tree["metadata"]
    refs = [{**r, "blockOwnerDeletion": False} if r.get("blockOwnerDeletion") else r for r in owners(tree)]
    return {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "ownerReferences": refs}}


def custom_kinds(definition: Tree) -> list[Kind]:
    """The kinds that a CustomResourceDefinition serves, the stored version first."""
    spec = definition["spec"]
    verbs = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    served = sorted((v for v in spec.get("versions") or () if v.get("served")), key=lambda v: not v.get("storage"))
    names, namespaced = spec["names"], spec.get("scope") == "Namespaced"
    return [
        Kind(
            spec["group"],
            v["name"],
            names["plural"],
            names["kind"],
            namespaced,
            verbs,
            subresources={part: ("", ("get", "patch", "update")) for part in v.get("subresources") or ()},
        )
        for v in served
    ]


def is_established(definition: Tree) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
