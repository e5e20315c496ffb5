"""Nodes that fall silent: conditions Unknown, taints, pods not ready (pkg/controller/nodelifecycle). `nodehealth` decides."""

from __future__ import annotations

import time
from typing import Any

from seaway.api.tree import Key, condition, get, stamp
from seaway.client.errors import NotFound
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import STRATEGIC, kind_of
from seaway.cluster.workloads import nodehealth
from seaway.cluster.workloads.nodehealth import Health, Timing
from seaway.controllers.run import Caches

Tree = dict[str, Any]
LEASES = "kube-node-lease"


class NodeLifecycleController:
    def __init__(self, caches: Caches, events: Events, timing: Timing) -> None:
        self._api, self._events, self._timing = caches.api, events, timing
        self._nodes, self._pods = caches.of("nodes"), caches.of("pods")
        self._leases = caches.of("leases.coordination.k8s.io")
        self._health: dict[str, Health] = {}
        self._judged: dict[str, str] = {}  # Ready as we last saw it
        self._pods.add_index("node", lambda t: [t["spec"].get("nodeName") or ""])
        self.queue: Reconciler[Key] = Reconciler("node-lifecycle", self._reconcile, workers=2)
        self._nodes.listen(self._node_changed)
        self._leases.listen(self._lease_changed)

    def _node_changed(self, change: Change) -> None:
        name = change.key.name
        if change.new is None:
            self._health.pop(name, None)
            self._judged.pop(name, None)
            if change.old is not None:
                self._tell(change.old, "RemovingNode", f"Node {name} event: Removing Node {name} from Controller")
        else:
            if change.old is None:
                self._tell(change.new, "RegisteredNode", f"Node {name} event: Registered Node {name} in Controller")
            self._look(name)
            self.queue.add(change.key)
        if change.new is None or change.old is None or nodehealth.ready(change.old) != nodehealth.ready(change.new):
            for key in self._nodes.names():  # how many are down decides for all
                self.queue.add(key)

    def _lease_changed(self, change: Change) -> None:
        if change.key.namespace == LEASES:
            self._look(change.key.name)

    def _look(self, name: str) -> None:
        """Signs of life are dated when they arrive, not when the node is next judged."""
        node = self._nodes.get("", name)
        if node is not None:
            known = self._health.get(name)
            self._health[name] = nodehealth.observe(node, self._leases.get(LEASES, name), known, time.time())

    async def _reconcile(self, key: Key) -> float | None:
        node = self._nodes.get(*key)
        if node is None:
            return None
        now = time.time()
        health = self._health.get(key.name) or nodehealth.observe(node, self._leases.get(LEASES, key.name), None, now)
        self._health[key.name] = health
        before = self._judged.get(key.name, nodehealth.ready(node))
        if nodehealth.silent(node, health, now, self._timing):
            changes = nodehealth.unknown_conditions(node, now)
            if changes:
                status = {"status": {"conditions": changes}}
                node = await self._api.patch(kind_of("nodes"), "", key.name, status, "status", STRATEGIC)
        ready = nodehealth.ready(node)
        self._judged[key.name] = ready
        if before == "True" and ready != "True":
            self._tell(node, "NodeNotReady", f"Node {key.name} status is now: NodeNotReady")
        if ready and ready != "True":
            await self._pods_not_ready(key.name)
        await self._taint(node, now)
        return self._timing.monitor

    async def _taint(self, node: Tree, now: float) -> None:
        name = node["metadata"]["name"]
        every = [node if n["metadata"]["name"] == name else n for n in self._nodes.all()]
        evict = nodehealth.evicting(every).get(nodehealth.zone_of(node), False)
        old = list(get(node, "spec", "taints") or ())
        wanted = nodehealth.taints(node, evict, now)
        if wanted != old:
            meta = {"resourceVersion": node["metadata"]["resourceVersion"]}
            await self._api.patch(kind_of("nodes"), "", name, {"metadata": meta, "spec": {"taints": wanted or None}})

    async def _pods_not_ready(self, node: str) -> None:
        """Pods of a node that does not answer get no more traffic (MarkPodsNotReady)."""
        for pod in self._pods.by("node", node):
            old = condition(pod, "Ready")
            if old is None or old.get("status") != "True":
                continue
            entry = {"type": "Ready", "status": "False", "lastTransitionTime": stamp(time.time())}
            meta = pod["metadata"]
            patch = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [entry]}}
            try:
                await self._api.patch(kind_of("pods"), meta["namespace"], meta["name"], patch, "status", STRATEGIC)
            except NotFound:
                continue
            about = {"kind": "Pod", "apiVersion": "v1", **pod}
            self._events.tell(about, "Warning", "NodeNotReady", "Node is not ready")

    def _tell(self, node: Tree, reason: str, message: str) -> None:
        about = {"kind": "Node", "apiVersion": "v1", **node}
        self._events.tell(about, "Normal", reason, message)
