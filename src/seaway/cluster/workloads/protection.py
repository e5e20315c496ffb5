"""Claims and volumes that are in use stay until they are not: the finalizers that the API server gave them are taken away
here (pkg/controller/volume/pvcprotection, pvprotection)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.api.tree import Key, get
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.controllers.run import Caches
from seaway.controllers.writes import Patch, apply

Tree = dict[str, Any]
CLAIM, VOLUME = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


def claims_of(pod: Tree) -> set[str]:
    """The names of the claims that a pod's volumes use."""
    name = pod["metadata"]["name"]
    found = set()
    for volume in get(pod, "spec", "volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found.add(volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("ephemeral"):
            found.add(f"{name}-{volume['name']}")
    return found


def uses(pod: Tree, claim: str) -> bool:
    """Whether a pod holds a claim: it is on a node and has not ended."""
    ended = get(pod, "status", "phase") in ("Succeeded", "Failed")
    return bool(pod["spec"].get("nodeName")) and not ended and claim in claims_of(pod)


def plan(tree: Tree, finalizer: str, in_use: bool) -> Patch | None:
    """Takes the finalizer away from what is being deleted and no longer used."""
    meta = tree["metadata"]
    finalizers = meta.get("finalizers") or []
    if not meta.get("deletionTimestamp") or finalizer not in finalizers or in_use:
        return None
    rest = [f for f in finalizers if f != finalizer]
    kind = kind_of("persistentvolumeclaims" if finalizer == CLAIM else "persistentvolumes")
    patch: Tree = {"metadata": {"finalizers": rest or None}}
    return Patch(kind, meta.get("namespace", ""), meta["name"], patch, version=meta["resourceVersion"])


class ProtectionController:
    """One queue for both: a claim has a namespace, a volume has none."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._claims, self._volumes = caches.of("persistentvolumeclaims"), caches.of("persistentvolumes")
        self._pods = caches.of("pods")
        self.queue: Reconciler[Key] = Reconciler("volume-protection", self._reconcile)
        self._claims.listen(lambda change: self.queue.add(change.key))
        self._volumes.listen(lambda change: self.queue.add(change.key))
        self._pods.listen(self._pod_changed)

    def _pod_changed(self, change: Change) -> None:
        trees: Iterable[Tree] = (t for t in (change.old, change.new) if t is not None)
        for name in set().union(*(claims_of(t) for t in trees)):
            self.queue.add(Key(change.key.namespace, name))

    async def _reconcile(self, key: Key) -> float | None:
        write = None
        if key.namespace:
            claim = self._claims.get(*key)
            if claim is not None and claim["metadata"].get("deletionTimestamp"):
                pods = (p for p in self._pods.all() if p["metadata"]["namespace"] == key.namespace)
                write = plan(claim, CLAIM, any(uses(p, key.name) for p in pods))
        else:
            volume = self._volumes.get(*key)
            if volume is not None:
                write = plan(volume, VOLUME, get(volume, "status", "phase") == "Bound")
        if write is not None:
            await apply(self._caches.api, write)
        return None
