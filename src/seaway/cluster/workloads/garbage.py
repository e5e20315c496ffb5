"""Garbage: objects whose owners are gone go too; foreground and orphan deletion (pkg/controller/garbagecollector).

Every kind that can be deleted is watched, custom ones as they come; of each object only its metadata is kept. The API is
asked before anything is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.api.tree import key_of
from seaway.client.errors import ApiStatusError, NotFound
from seaway.client.events import Events
from seaway.client.informer import Informer
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import Api, kind_of
from seaway.cluster.workloads import ownership
from seaway.cluster.workloads.ownership import Graph, Item
from seaway.controllers.run import Caches

Tree = dict[str, Any]
# Events come and go in numbers and are owned by nobody.
IGNORED = frozenset({"events", "events.events.k8s.io"})
ABSENT = 5000  # how many of the objects seen to go are remembered
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


def watched() -> list[Kind]:
    """One kind a resource, of those that are stored and can be deleted."""
    found = {
        k.group_resource: k
        for k in kinds.builtin()
        if k.stored and {"delete", "list", "watch"} <= set(k.verbs) and k.group_resource not in IGNORED
    }
    return [found[name] for name in sorted(found)]


class _Queue(Reconciler[Item]):
    """Runs the garbage collector's own informers beside its workers."""

    def __init__(self, collector: GarbageCollector) -> None:
        super().__init__("garbage", collector.reconcile, workers=8)
        self._collector = collector

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._collector.start(group)
            await self._collector.synced()
            group.create_task(super().run())


class GarbageCollector:
    """`graph` is what is known; the queue has the objects to look at."""

    def __init__(self, caches: Caches, events: Events | None = None) -> None:
        self._api: Api = caches.api
        self._events = events
        self.graph = Graph()
        self._group: asyncio.TaskGroup | None = None
        self._own: dict[str, Informer] = {}
        self._shared: dict[str, Informer] = {}
        self._followers: list[Callable[[str, Change], None]] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._custom: dict[tuple[str, str], Kind] = {}
        # The uids of what was seen to go: of a kind that is gone too nobody could be asked (graph_builder: absentOwnerCache).
        self._absent: dict[str, None] = {}
        self.queue: Reconciler[Any] = _Queue(self)
        for kind in watched():
            shared = caches.known(kind.group_resource)
            informer = shared or Informer(self._api, kind, transform=ownership.lean)
            (self._own if shared is None else self._shared)[kind.group_resource] = informer
            self._listen(informer, kind.group_resource)
        self._definitions = caches.of(DEFINITIONS)
        self._definitions.listen(self._definition_changed)

    def follow(self, listener: Callable[[str, Change], None]) -> None:
        """Tells a listener of changes of every kind that is watched here: (resource, change)."""
        self._followers.append(listener)

    def informer(self, resource: str) -> Informer | None:
        """The cache of a resource; of those that nobody else reads it holds the metadata alone."""
        return self._shared.get(resource) or self._own.get(resource)

    # watching

    def start(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        for resource, informer in self._own.items():
            self._tasks[resource] = group.create_task(informer.run())
        for tree in self._definitions.all():  # those that were known before there was a group to watch them in
            self._definition_changed(Change(key_of(tree), None, tree))

    async def synced(self) -> None:
        for informer in list(self._own.values()):
            await informer.synced.wait()

    def _listen(self, informer: Informer, resource: str) -> None:
        informer.listen(lambda change: self._changed(resource, change))

    def _definition_changed(self, change: Change) -> None:
        """Custom resources are watched while their definition is established."""
        tree = change.new or change.old
        assert tree is not None
        found = ownership.custom_kinds(tree)
        live = change.new is not None and ownership.is_established(change.new) and bool(found)
        for kind in found:
            if live:
                self._custom[kind.api_version, kind.kind] = kind
            else:
                self._custom.pop((kind.api_version, kind.kind), None)
        resource = found[0].group_resource if found else ""
        if live and resource not in self._own and self._group is not None:
            informer = self._own[resource] = Informer(self._api, found[0], transform=ownership.lean)
            self._listen(informer, resource)
            self._tasks[resource] = self._group.create_task(informer.run())
        elif not live and resource in self._own:
            self._tasks.pop(resource).cancel()
            informer = self._own.pop(resource)
            for tree in informer.all():
                self._gone(tree["metadata"]["uid"], known=change.new is None)

    def _kind(self, api_version: str, kind: str) -> Kind | None:
        return kinds.by_kind().get((api_version, kind)) or self._custom.get((api_version, kind))

    def _kind_of(self, resource: str) -> Kind:
        if resource in self._own:
            return self._own[resource].kind
        return kind_of(resource)

    def _changed(self, resource: str, change: Change) -> None:
        for follower in self._followers:
            follower(resource, change)
        item = Item(resource, change.key)
        old, new = change.old, change.new
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            self._gone(old["metadata"]["uid"])
        if new is None:
            return
        uid = new["metadata"]["uid"]
        self.graph.put(item, ownership.lean(new))
        if old is not None:
            before = {r["uid"] for r in ownership.owners(old)}
            for lost in before - {r["uid"] for r in ownership.owners(new)}:
                self._look_at(lost)  # an owner may wait for it no longer
        refs = ownership.owners(new)
        if ownership.waits_for_dependents(new):
            for dependent, _ in self.graph.dependents(uid):
                self.queue.add(dependent)
            self.queue.add(item)
        elif ownership.lets_go_of_dependents(new):
            self.queue.add(item)
        elif refs and not new["metadata"].get("deletionTimestamp"):
            owners = [self.graph.trees.get(r["uid"]) for r in refs]
            if any(o is None or ownership.waits_for_dependents(o) for o in owners):
                self.queue.add(item)
        for ref in refs:
            owner = self.graph.trees.get(ref["uid"])
            if owner is not None and ownership.waits_for_dependents(owner):
                self._look_at(ref["uid"])

    def _gone(self, uid: str, known: bool = True) -> None:
        """An object is out of sight; `known` that it is no more."""
        if known:
            self._absent[uid] = None
            if len(self._absent) > ABSENT:
                del self._absent[next(iter(self._absent))]
        tree = self.graph.trees.get(uid)
        below = self.graph.dependents(uid)
        self.graph.remove(uid)
        for dependent, _ in below:
            self.queue.add(dependent)
        for ref in ownership.owners(tree) if tree else ():
            self._look_at(ref["uid"])

    def _look_at(self, uid: str) -> None:
        tree = self.graph.trees.get(uid)
        if tree is not None and ownership.waits_for_dependents(tree):
            self.queue.add(self.graph.places[uid])

    # working

    async def reconcile(self, item: Item) -> float | None:
        kind = self._kind_of(item.resource)
        try:
            tree = await self._api.get(kind, *item.key)
        except NotFound:
            return None
        if ownership.lets_go_of_dependents(tree):
            return await self._orphan(kind, tree)
        if ownership.waits_for_dependents(tree):
            return await self._foreground(kind, tree)
        if tree["metadata"].get("deletionTimestamp") or not ownership.owners(tree):
            return None
        return await self._judge(kind, tree)

    async def _orphan(self, kind: Kind, owner: Tree) -> float | None:
        """Dependents are let go, then the owner goes."""
        uid = owner["metadata"]["uid"]
        for dependent, tree in self.graph.dependents(uid):
            try:
                await self._patch(self._kind_of(dependent.resource), tree, ownership.without_owners(tree, {uid}))
            except NotFound:
                continue
        await self._patch(kind, owner, ownership.without_finalizer(owner, ownership.ORPHAN))
        return None

    async def _foreground(self, kind: Kind, owner: Tree) -> float | None:
        """The owner goes when nothing that blocks it is left."""
        blocking = self.graph.blocking(owner["metadata"]["uid"])
        for item, tree in blocking:
            if not ownership.waits_for_dependents(tree):
                self.queue.add(item)
        if blocking:
            return None
        await self._patch(kind, owner, ownership.without_finalizer(owner, ownership.FOREGROUND))
        return None

    async def _judge(self, kind: Kind, tree: Tree) -> float | None:
        """Deletes an object that no owner holds any more."""
        meta, refs = tree["metadata"], ownership.owners(tree)
        found: dict[str, Tree | None] = {}
        for ref in refs:
            if ref["uid"] in self._absent:
                found[ref["uid"]] = None
                continue
            known = self._kind(ref["apiVersion"], ref["kind"])
            if known is None:
                return 60.0  # nobody here knows that kind: its owner may well be there
            if known.namespaced and not meta.get("namespace"):
                self._tell(kind, tree, f"cannot have a namespaced owner: {ref['kind']} {ref['name']}")
                return None
            found[ref["uid"]] = await self._owner(known, meta.get("namespace") or "", ref)
        have = ownership.standing(refs, lambda ref: found[ref["uid"]])
        if have.solid:
            lost = {r["uid"] for r in [*have.gone, *have.waiting]}
            if lost:
                await self._patch(kind, tree, ownership.without_owners(tree, lost))
            return None
        policy = ownership.policy_of(tree)
        below = self.graph.dependents(meta["uid"])
        if have.waiting and below:
            if any(ownership.waits_for_dependents(d) for _, d in below):
                await self._patch(kind, tree, ownership.unblocked(tree))
            policy = "Foreground"
        options = {"preconditions": {"uid": meta["uid"]}, "propagationPolicy": policy}
        try:
            await self._api.delete(kind, meta.get("namespace") or "", meta["name"], options)
        except NotFound:
            pass
        return None

    async def _owner(self, kind: Kind, namespace: str, ref: Tree) -> Tree | None:
        known = self.graph.trees.get(ref["uid"])
        if known is not None and not known["metadata"].get("deletionTimestamp"):
            place = self.graph.places[ref["uid"]]
            same = place.resource == kind.group_resource and place.key.name == ref["name"]
            if same and place.key.namespace in ("", namespace):
                return known
        try:
            return await self._api.get(kind, namespace if kind.namespaced else "", ref["name"])
        except NotFound:
            return None

    async def _patch(self, kind: Kind, tree: Tree, patch: Tree) -> None:
        meta = tree["metadata"]
        try:
            await self._api.patch(kind, meta.get("namespace") or "", meta["name"], patch)
        except ApiStatusError as e:
            if e.code == 404:
                return
            raise

    def _tell(self, kind: Kind, tree: Tree, why: str) -> None:
        if self._events is not None:
            about = {**tree, "kind": kind.kind, "apiVersion": kind.api_version}
            self._events.tell(about, "Warning", "OwnerRefInvalidNamespace", f"ownerRef {why}")
