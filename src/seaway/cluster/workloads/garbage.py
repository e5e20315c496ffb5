"""Garbage: objects whose owners are gone go too; foreground and orphan deletion (pkg/controller/garbagecollector).

Watches the kinds that workloads own. Objects of other kinds with owners are a later issue's.
"""

from __future__ import annotations

from typing import Any

from seaway.api import kinds
from seaway.api.tree import Key
from seaway.client.errors import NotFound
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.controllers.run import Caches

Tree = dict[str, Any]
OWNED = ("pods", "replicasets.apps", "endpointslices.discovery.k8s.io", "jobs.batch", "controllerrevisions.apps")
OWNERS = (
    "deployments.apps",
    "replicasets.apps",
    "daemonsets.apps",
    "statefulsets.apps",
    "services",
    "jobs.batch",
    "cronjobs.batch",
)


class GarbageCollector:
    """The queue's keys are (resource, namespace/name) pairs of dependents, or of owners that wait for them."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self.queue: Reconciler[Any] = Reconciler("garbage", self._reconcile, workers=8)
        for resource in OWNED:
            informer = caches.of(resource)
            informer.add_index("owners", lambda t: [r["uid"] for r in t["metadata"].get("ownerReferences") or ()])
            informer.listen(lambda change, resource=resource: self._dependent_changed(resource, change))  # type: ignore[misc]
        for resource in OWNERS:
            caches.of(resource).listen(lambda change, resource=resource: self._owner_changed(resource, change))  # type: ignore[misc]

    def _dependent_changed(self, resource: str, change: Change) -> None:
        tree = change.new or change.old
        if tree and tree["metadata"].get("ownerReferences"):
            self.queue.add((resource, change.key))
            for ref in tree["metadata"]["ownerReferences"]:
                owner = kinds.by_kind().get((ref["apiVersion"], ref["kind"]))
                if change.new is None and owner and owner.group_resource in OWNERS:
                    self.queue.add((owner.group_resource, Key(change.key.namespace, ref["name"])))

    def _owner_changed(self, resource: str, change: Change) -> None:
        if change.new is None and change.old is not None:
            for dependent, tree in self._dependents(change.old["metadata"]["uid"]):
                self.queue.add((dependent, Key(tree["metadata"]["namespace"], tree["metadata"]["name"])))
        elif change.new is not None and change.new["metadata"].get("deletionTimestamp"):
            self.queue.add((resource, change.key))

    def _dependents(self, uid: str) -> list[tuple[str, Tree]]:
        return [(resource, tree) for resource in OWNED for tree in self._caches.of(resource).by("owners", uid)]

    async def _reconcile(self, item: Any) -> float | None:
        resource, key = item
        tree = self._caches.of(resource).get(*key)
        if tree is None:
            return None
        meta = tree["metadata"]
        finalizers = meta.get("finalizers") or []
        if meta.get("deletionTimestamp") and ("foregroundDeletion" in finalizers or "orphan" in finalizers):
            return await self._waiting(resource, tree)
        if meta.get("ownerReferences"):
            await self._check_owners(resource, tree)
        return None

    async def _waiting(self, resource: str, owner: Tree) -> float | None:
        """An owner in deletion that waits for its dependents, or lets go of them."""
        meta, api = owner["metadata"], self._caches.api
        orphan = "orphan" in meta["finalizers"]
        blocking = False
        for dependent, tree in self._dependents(meta["uid"]):
            child, kind = tree["metadata"], kind_of(dependent)
            try:
                if orphan:
                    refs = [r for r in child["ownerReferences"] if r["uid"] != meta["uid"]]
                    await api.patch(
                        kind,
                        child["namespace"],
                        child["name"],
                        {"metadata": {"uid": child["uid"], "ownerReferences": refs or None}},
                    )
                    continue
                ref = next(r for r in child["ownerReferences"] if r["uid"] == meta["uid"])
                blocking = blocking or bool(ref.get("blockOwnerDeletion"))
                if not child.get("deletionTimestamp"):
                    options = {
                        "preconditions": {"uid": child["uid"]},
                        "propagationPolicy": "Foreground" if dependent in OWNERS else "Background",
                    }
                    await api.delete(kind, child["namespace"], child["name"], options)
            except NotFound:
                continue
        if blocking:
            return 1.0
        left = [f for f in meta["finalizers"] if f not in ("foregroundDeletion", "orphan")]
        patch = {
            "metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "finalizers": left or None}
        }
        await api.patch(kind_of(resource), meta["namespace"], meta["name"], patch)
        return None

    async def _check_owners(self, resource: str, tree: Tree) -> None:
        """Deletes an object when none of its owners is there any more. The API is asked before anything is deleted."""
        meta = tree["metadata"]
        for ref in meta["ownerReferences"]:
            kind = kinds.by_kind().get((ref["apiVersion"], ref["kind"]))
            if kind is None:
                return  # nobody here knows that kind: it may well be there
            if kind.group_resource in OWNERS:
                cached = self._caches.of(kind.group_resource).get(
                    meta["namespace"] if kind.namespaced else "", ref["name"]
                )
                if cached is not None and cached["metadata"]["uid"] == ref["uid"]:
                    return
            try:
                owner = await self._caches.api.get(kind, meta["namespace"], ref["name"])
            except NotFound:
                continue
            if owner["metadata"]["uid"] == ref["uid"]:
                return
        try:
            await self._caches.api.delete(
                kind_of(resource),
                meta["namespace"],
                meta["name"],
                {"preconditions": {"uid": meta["uid"]}, "propagationPolicy": "Background"},
            )
        except NotFound:
            pass
