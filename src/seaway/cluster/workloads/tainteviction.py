"""Pods on nodes with NoExecute taints: those that do not tolerate them go at once, the others when their tolerationSeconds
are over (pkg/controller/tainteviction)."""

from __future__ import annotations

import time
from typing import Any

from seaway.api.tree import Key, condition, get, seconds, stamp
from seaway.client.errors import Conflict, NotFound
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import STRATEGIC, kind_of
from seaway.cluster.scheduler.fit import tolerates
from seaway.controllers.run import Caches

Tree = dict[str, Any]


def no_execute(node: Tree) -> list[Tree]:
    return [t for t in get(node, "spec", "taints") or () if t.get("effect") == "NoExecute"]


def due(pod: Tree, taints: list[Tree], now: float) -> float | None:
    """When the pod has to go: now, later, or never (None). The seconds count from the taint's arrival, so that a controller
    that comes back later counts the same."""
    if not taints:
        return None
    tolerations = pod["spec"].get("tolerations") or ()
    found: float | None = None
    for taint in taints:
        used = next((t for t in tolerations if tolerates(t, taint)), None)
        if used is None:
            return now
        patience = used.get("tolerationSeconds")
        if patience is not None:
            since = seconds(taint.get("timeAdded")) or now
            end = now if patience <= 0 else since + patience
            found = end if found is None else min(found, end)
    return found


class TaintEvictionController:
    def __init__(self, caches: Caches, events: Events) -> None:
        self._api, self._events = caches.api, events
        self._nodes, self._pods = caches.of("nodes"), caches.of("pods")
        self._marked: set[str] = set()  # uids of pods whose time runs
        self.queue: Reconciler[Key] = Reconciler("taint-eviction", self._reconcile, workers=8)
        self._nodes.listen(self._node_changed)
        self._pods.listen(self._pod_changed)

    def _node_changed(self, change: Change) -> None:
        before = no_execute(change.old) if change.old else []
        after = no_execute(change.new) if change.new else []
        if before != after:
            for pod in self._pods.by("node", change.key.name):
                self.queue.add(Key(pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def _pod_changed(self, change: Change) -> None:
        if change.new is None:
            if change.old is not None:
                self._marked.discard(change.old["metadata"]["uid"])
            return
        node = self._nodes.get("", change.new["spec"].get("nodeName") or "")
        if node is not None and no_execute(node):
            self.queue.add(change.key)

    async def _reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(*key)
        if pod is None or pod["metadata"].get("deletionTimestamp"):
            return None
        node = self._nodes.get("", pod["spec"].get("nodeName") or "")
        now = time.time()
        end = due(pod, no_execute(node), now) if node else None
        uid = pod["metadata"]["uid"]
        about = {"kind": "Pod", "apiVersion": "v1", **pod}
        if end is None:
            if uid in self._marked:
                self._marked.discard(uid)
                self._events.tell(about, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {key}")
            return None
        if end > now:
            self._marked.add(uid)
            return min(end - now, 60.0)
        self._marked.discard(uid)
        self._events.tell(about, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
        await mark(
            self._api,
            pod,
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
            now,
            failed=False,
        )
        try:
            await self._api.delete(kind_of("pods"), *key, {"preconditions": {"uid": uid}})
        except (NotFound, Conflict):
            pass
        return None


async def mark(api: Any, pod: Tree, reason: str, message: str, now: float, failed: bool) -> None:
    """Says on a pod why it is taken away (condition DisruptionTarget); `failed`: that it has ended, too."""
    old = condition(pod, "DisruptionTarget") or {}
    entry = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": old.get("lastTransitionTime") if old.get("status") == "True" else stamp(now),
        "observedGeneration": pod["metadata"].get("generation", 1),
    }
    order = [c["type"] for c in get(pod, "status", "conditions") or () if c["type"] != entry["type"]]
    status: Tree = {
        "conditions": [entry],
        "$setElementOrder/conditions": [{"type": t} for t in (*order, entry["type"])],
    }
    if failed:
        status["phase"] = "Failed"
    meta = pod["metadata"]
    patch = {"metadata": {"uid": meta["uid"]}, "status": status}
    try:
        await api.patch(kind_of("pods"), meta["namespace"], meta["name"], patch, "status", STRATEGIC)
    except (NotFound, Conflict):
        pass
