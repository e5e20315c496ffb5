"""Pods that nobody ends any more: of nodes that are gone, without a node and in deletion, and ended ones beyond a number
(pkg/controller/podgc)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from seaway.api.tree import Key, get, key_of
from seaway.client.errors import Conflict, NotFound
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.cluster.workloads.nodehealth import ready
from seaway.cluster.workloads.tainteviction import mark
from seaway.controllers.run import Caches

Tree = dict[str, Any]
EVERY, QUARANTINE = 20.0, 40.0
THRESHOLD = 12500  # --terminated-pod-gc-threshold
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
OVER = ("Succeeded", "Failed")


def doomed(
    pods: Iterable[Tree], nodes: Mapping[str, Tree], missing_since: Mapping[str, float], now: float, quarantine: float
) -> list[tuple[Tree, str]]:
    """(pod, why) of what is to be deleted; an empty reason for pods that had ended or never began."""
    pods = list(pods)
    found: list[tuple[Tree, str]] = []
    ended = [p for p in pods if get(p, "status", "phase") in OVER]
    for pod in sorted(ended, key=lambda p: str(p["metadata"].get("creationTimestamp")))[
        : max(len(ended) - THRESHOLD, 0)
    ]:
        found.append((pod, ""))
    for pod in pods:
        name, leaving = pod["spec"].get("nodeName") or "", pod["metadata"].get("deletionTimestamp")
        node = nodes.get(name)
        if not name:
            if leaving:
                found.append((pod, ""))
        elif node is None:
            if now - missing_since.get(name, now) >= quarantine:
                found.append((pod, "PodGC: node no longer exists"))
        elif leaving and ready(node) != "True" and _out_of_service(node):
            found.append((pod, ""))
    return found


def _out_of_service(node: Tree) -> bool:
    return any(t.get("key") == OUT_OF_SERVICE for t in get(node, "spec", "taints") or ())


class PodGarbageCollector:
    """The queue has one key: everything is looked at together."""

    def __init__(self, caches: Caches, every: float = EVERY, quarantine: float = QUARANTINE) -> None:
        self._api, self._every, self._quarantine = caches.api, every, quarantine
        self._nodes, self._pods = caches.of("nodes"), caches.of("pods")
        self._missing: dict[str, float] = {}
        self.queue: Reconciler[Key] = Reconciler("pod-gc", self._reconcile, workers=1)
        self._nodes.listen(self._node_changed)
        self._pods.listen(self._pod_changed)

    def _node_changed(self, change: Change) -> None:
        if change.new is None or change.old is None:
            self.queue.add_after(Key("", "all"), 0.1)

    def _pod_changed(self, change: Change) -> None:
        if change.new is not None and change.old is None:
            self.queue.add_after(Key("", "all"), self._every)

    async def _reconcile(self, key: Key) -> float | None:
        now = time.time()
        nodes = {n["metadata"]["name"]: n for n in self._nodes.all()}
        pods = self._pods.all()
        used = {p["spec"].get("nodeName") for p in pods} - {None, ""}
        self._missing = {n: self._missing.get(n, now) for n in used - set(nodes)}
        for pod, why in doomed(pods, nodes, self._missing, now, self._quarantine):
            name = pod["spec"].get("nodeName") or ""
            if why and await self._is_there(name):
                continue  # our cache lags
            if why and get(pod, "status", "phase") not in OVER:
                await mark(self._api, pod, "DeletionByPodGC", why, now, failed=True)
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
            try:
                await self._api.delete(kind_of("pods"), *key_of(pod), options)
            except (NotFound, Conflict):
                continue
        return self._every

    async def _is_there(self, node: str) -> bool:
        try:
            await self._api.get(kind_of("nodes"), "", node)
        except NotFound:
            return False
        return True
