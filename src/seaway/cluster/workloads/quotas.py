"""The status of ResourceQuotas: what is used of them (pkg/controller/resourcequota). The garbage collector watches every
kind already: its caches are counted."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import Key
from seaway.client.events import Events
from seaway.client.informer import Informer
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.cluster import quota as quotas
from seaway.cluster.workloads.acting import Actor, in_namespace
from seaway.cluster.workloads.garbage import GarbageCollector
from seaway.controllers.run import Caches

Tree = dict[str, Any]
RESOURCE = "resourcequotas"
# What is more than counted is read as a whole.
WHOLE = ("pods", "services", "persistentvolumeclaims")


class QuotaController:
    def __init__(self, caches: Caches, collector: GarbageCollector, events: Events) -> None:
        self._caches, self._collector = caches, collector
        self._quotas = caches.of(RESOURCE)
        self._quotas.add_index("namespace", in_namespace)
        self._actor = Actor(caches, events, "v1", "ResourceQuota")
        self.queue: Reconciler[Key] = Reconciler("quotas", self._reconcile)
        self._quotas.listen(lambda change: self.queue.add(change.key))
        collector.follow(self._changed)

    def _changed(self, resource: str, change: Change) -> None:
        if change.old is not None and change.new is not None and resource not in WHOLE:
            return
        for quota in self._quotas.by("namespace", change.key.namespace):
            if resource in quotas.resources_of(quota):
                self.queue.add(Key(change.key.namespace, quota["metadata"]["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        quota = self._quotas.get(*key)
        if self._actor.is_behind(key, quota) or quota is None or quota["metadata"].get("deletionTimestamp"):
            return None
        objects: dict[str, list[Tree]] = {}
        for resource in sorted(quotas.resources_of(quota)):
            informer: Informer | None = self._collector.informer(resource)
            if informer is not None:
                objects[resource] = [t for t in informer.all() if t["metadata"].get("namespace") == key.namespace]
        status = {"hard": dict(quotas.hard(quota)), "used": quotas.used(quota, objects)}
        await self._actor.write_status(RESOURCE, key, quota, status)
        return None
