"""Binding: pods without a node get one. What has been decided but not yet seen is assumed, so that two pods never count on
the same room."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import Key, condition, get, stamp
from seaway.client.errors import Conflict, NotFound
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import STRATEGIC, kind_of
from seaway.cluster.scheduler import fit
from seaway.controllers.run import Caches

Tree = dict[str, Any]
NAME = "default-scheduler"
RETRY = 5.0


class Scheduler:
    def __init__(self, caches: Caches, events: Events) -> None:
        import time

        self._now = time.time
        self._api, self._events = caches.api, events
        self._pods, self._nodes = caches.of("pods"), caches.of("nodes")
        self._loads: dict[str, fit.NodeLoad] = {}
        self._placed: dict[str, tuple[str, Tree]] = {}  # uid -> (node, pod) counted in _loads
        self.queue: Reconciler[Key] = Reconciler("scheduler", self._reconcile, workers=16)
        self._pods.listen(self._pod_changed)
        self._nodes.listen(self._node_changed)

    def _node_changed(self, change: Change) -> None:
        if change.new is None:
            self._loads.pop(change.key.name, None)
            return
        known = self._loads.get(change.key.name)
        if known:
            known.node = change.new
        else:
            self._loads[change.key.name] = load = fit.NodeLoad(change.new)
            for node, pod in self._placed.values():
                if node == change.key.name:
                    load.add(pod)
        if (
            change.old is None
            or fit.taints_of(change.old) != fit.taints_of(change.new)
            or get(change.old, "metadata", "labels") != get(change.new, "metadata", "labels")
            or get(change.old, "status", "allocatable") != get(change.new, "status", "allocatable")
        ):
            self._wake_pending()

    def _wake_pending(self) -> None:
        for pod in self._pods.all():
            if not pod["spec"].get("nodeName"):
                self.queue.add(Key(pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def _place(self, uid: str, node: str, pod: Tree) -> None:
        self._unplace(uid)
        self._placed[uid] = (node, pod)
        if node in self._loads:
            self._loads[node].add(pod)

    def _unplace(self, uid: str) -> bool:
        found = self._placed.pop(uid, None)
        if found and found[0] in self._loads:
            self._loads[found[0]].add(found[1], -1)
        return found is not None

    def _pod_changed(self, change: Change) -> None:
        pod = change.new
        if pod is None:
            if change.old is not None and self._unplace(change.old["metadata"]["uid"]):
                self._wake_pending()
            return
        uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName")
        if get(pod, "status", "phase") in ("Succeeded", "Failed"):
            if self._unplace(uid):
                self._wake_pending()
        elif node:
            if uid not in self._placed:
                self._place(uid, node, pod)
        else:
            self.queue.add(change.key)

    async def _reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(*key)
        if (
            pod is None
            or pod["spec"].get("nodeName")
            or pod["metadata"].get("deletionTimestamp")
            or pod["spec"].get("schedulerName") != NAME
        ):
            return None
        uid = pod["metadata"]["uid"]
        if uid in self._placed:
            return 1.0  # bound a moment ago; the cache will say so
        if pod["spec"].get("schedulingGates"):
            return None
        about = {"kind": "Pod", "apiVersion": "v1", **pod}
        node, message = fit.choose(pod, self._loads)
        if not node:
            await self._refuse(key, pod, message)
            self._events.tell(about, "Warning", "FailedScheduling", message)
            return RETRY
        self._place(uid, node, pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            await self._api.create(kind_of("pods"), key.namespace, binding, "binding", key.name)
        except (NotFound, Conflict):
            self._unplace(uid)
            return None
        except BaseException:
            self._unplace(uid)
            raise
        self._events.tell(about, "Normal", "Scheduled", f"Successfully assigned {key} to {node}")
        return None

    async def _refuse(self, key: Key, pod: Tree, message: str) -> None:
        old = condition(pod, "PodScheduled") or {}
        if old.get("status") == "False" and old.get("message") == message:
            return
        entry = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": old.get("lastTransitionTime") if old.get("status") == "False" else stamp(self._now()),
        }
        await self._api.patch(kind_of("pods"), *key, {"status": {"conditions": [entry]}}, "status", STRATEGIC)
