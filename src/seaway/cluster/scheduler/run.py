"""The scheduler's process: caches in, bindings, evictions and conditions out. `decide` decides, one pod at a time; what has
been decided but not yet seen is assumed, so that two pods never count on the same room."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from typing import Any

from seaway.api.selectors import Requirement, Selector
from seaway.api.tree import Key, condition, get, key_of, labels, stamp
from seaway.client.errors import ApiStatusError, Conflict, NotFound, Unavailable
from seaway.client.events import Events
from seaway.client.reflector import Change
from seaway.client.rest import STRATEGIC, kind_of
from seaway.cluster.scheduler import claims
from seaway.cluster.scheduler.decide import Placed, Refused, decide
from seaway.cluster.scheduler.queue import Queue
from seaway.cluster.scheduler.snapshot import NodeInfo, PodInfo, Snapshot, read_pod
from seaway.controllers.run import Caches

Tree = dict[str, Any]
NAME = "default-scheduler"
OVER = ("Succeeded", "Failed")
AT_ONCE = 32  # requests under way


class Scheduler:
    def __init__(self, caches: Caches, events: Events) -> None:
        self._api, self._events, self._caches = caches.api, events, caches
        self._pods, self._nodes = caches.of("pods"), caches.of("nodes")
        self._services, self._namespaces = caches.of("services"), caches.of("namespaces")
        self._budgets = caches.of("poddisruptionbudgets.policy")
        self._claims = caches.of("persistentvolumeclaims")
        self._classes = caches.of("storageclasses.storage.k8s.io")
        self._infos: dict[str, NodeInfo] = {}
        self._placed: dict[str, tuple[str, PodInfo]] = {}  # uid -> (node, pod): bound, or assumed to be
        self._assumed: set[str] = set()
        self._nominated: dict[str, tuple[str, PodInfo]] = {}
        self._queue = Queue()
        self._due = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._nodes.listen(self._node_changed)
        self._pods.listen(self._pod_changed)
        self._namespaces.listen(lambda change: self._wake("Namespace"))
        self._claims.listen(lambda change: self._wake("Claim"))
        self._classes.listen(lambda change: self._wake("Claim"))

    # what changes

    def _wake(self, event: str) -> None:
        self._queue.wake(event, time.monotonic())
        self._due.set()

    def _node_changed(self, change: Change) -> None:
        name, old, new = change.key.name, change.old, change.new
        if new is None:
            self._infos.pop(name, None)
            self._wake("NodeDelete")
            return
        info = self._infos.get(name)
        if info is None or old is None:
            self._infos[name] = info = NodeInfo(new)
            for node, pod in self._placed.values():
                if node == name:
                    info.add(pod)
            self._wake("NodeAdd")
            return
        info.tree = new
        info.read()
        if get(old, "status", "allocatable") != get(new, "status", "allocatable"):
            self._wake("NodeAllocatable")
        if labels(old) != labels(new):
            self._wake("NodeLabel")
        if any(get(old, "spec", f) != get(new, "spec", f) for f in ("taints", "unschedulable")):
            self._wake("NodeTaint")

    def _place(self, node: str, pod: PodInfo) -> None:
        self._unplace(pod.uid)
        self._placed[pod.uid] = (node, pod)
        if node in self._infos:
            self._infos[node].add(pod)

    def _unplace(self, uid: str) -> bool:
        found = self._placed.pop(uid, None)
        if found and found[0] in self._infos:
            self._infos[found[0]].remove(uid)
        return found is not None

    def _pod_changed(self, change: Change) -> None:
        if change.old is not None and (
            change.new is None or change.new["metadata"]["uid"] != change.old["metadata"]["uid"]
        ):
            self._leave(change.old["metadata"]["uid"], change.key)
        if change.new is None:
            return
        pod = read_pod(change.new)
        node = change.new["spec"].get("nodeName")
        if get(change.new, "status", "phase") in OVER:
            self._leave(pod.uid, change.key)
        elif node:
            self._queue.forget(change.key)
            self._nominated.pop(pod.uid, None)
            known = self._placed.get(pod.uid)
            fresh = pod.uid in self._assumed or known is None
            self._assumed.discard(pod.uid)
            self._place(node, pod)
            if known and known[1].requests != pod.requests:
                self._wake("PodGone")  # a resize may have freed room
            if fresh or (known and (known[1].labels != pod.labels or known[1].terminating != pod.terminating)):
                self._wake("PodPlaced")
        elif pod.uid not in self._assumed:
            self._pending(change, pod)

    def _pending(self, change: Change, pod: PodInfo) -> None:
        """A pod without a node: it is to be decided on when it is ours, open, and new or changed in what decides."""
        if pod.nominated:
            self._nominated[pod.uid] = (pod.nominated, pod)
        else:
            self._nominated.pop(pod.uid, None)
        spec = pod.tree["spec"]
        if spec.get("schedulerName") != NAME or spec.get("schedulingGates") or pod.terminating:
            self._queue.forget(change.key)
            return
        old = change.old
        if (
            old is not None
            and change.key in self._queue
            and old["spec"] == spec
            and labels(old) == pod.labels
            and old["metadata"].get("uid") == pod.uid
        ):
            return  # its status alone: our own word
        self._queue.add(change.key, pod.priority, str(pod.tree["metadata"].get("creationTimestamp") or ""))
        self._due.set()

    def _leave(self, uid: str, key: Key) -> None:
        self._queue.forget(key)
        self._assumed.discard(uid)
        nominated = self._nominated.pop(uid, None)
        if self._unplace(uid) or nominated:
            self._wake("PodGone")

    # deciding

    async def run(self) -> None:
        """Fills the caches, then decides until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._caches.all():
                group.create_task(informer.run())
            for informer in self._caches.all():
                await informer.synced.wait()
            while True:
                self._due.clear()
                key = self._queue.pop(time.monotonic())
                if key is not None:
                    self._decide(key)
                    await asyncio.sleep(0)
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._queue.due(time.monotonic())):
                        await self._due.wait()

    def snapshot(self) -> Snapshot:
        names = {n["metadata"]["name"]: labels(n) for n in self._namespaces.all()}
        nominated: dict[str, tuple[PodInfo, ...]] = {}
        for node, pod in self._nominated.values():
            nominated[node] = (*nominated.get(node, ()), pod)
        return Snapshot(self._infos, names, nominated)

    def _services_of(self, pod: PodInfo) -> Selector:
        """The selectors of the pod's Services together (helper.DefaultSelector)."""
        found: set[tuple[str, str]] = set()
        for service in self._services.all():
            wanted = service["spec"].get("selector")
            here = wanted and service["metadata"]["namespace"] == pod.namespace
            if here and all(pod.labels.get(k) == v for k, v in wanted.items()):
                found |= set(wanted.items())
        return Selector(tuple(Requirement(k, "In", (v,)) for k, v in sorted(found)))

    def _decide(self, key: Key) -> None:
        tree = self._pods.get(*key)
        if tree is None or tree["spec"].get("nodeName") or tree["metadata"].get("deletionTimestamp"):
            self._queue.forget(key)
            return
        pod = read_pod(tree)
        now = time.monotonic()
        try:
            held = claims.hindrance(
                tree,
                lambda name: self._claims.get(key.namespace, name),
                lambda name: self._classes.get("", name),
            )
            found = decide(pod, self.snapshot(), self._services_of(pod), self._budgets.all(), held)
        except Exception as e:  # one pod's trouble is never another's
            traceback.print_exc()
            self._queue.failed(key, now)
            self._start(self._report(key, pod, Refused(str(e)), "SchedulerError"))
            return
        if isinstance(found, Placed):
            self._assumed.add(pod.uid)
            self._place(found.node, pod)
            self._start(self._bind(key, pod, found.node))
            return
        if found.nominate:
            self._nominated[pod.uid] = (found.nominate, pod)
        self._queue.refused(key, found.plugins, now)
        self._start(self._refuse(key, pod, found))

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bind(self, key: Key, pod: PodInfo, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            async with self._slots:
                await self._api.create(kind_of("pods"), key.namespace, binding, "binding", key.name)
        except (ApiStatusError, NotFound, Conflict, Unavailable) as e:
            if pod.uid in self._assumed:  # else the watch has seen it bound: the answer alone was lost
                self._assumed.discard(pod.uid)
                if self._unplace(pod.uid):
                    self._wake("PodGone")
                self._queue.failed(key, time.monotonic())
                self._due.set()
            if not isinstance(e, (NotFound, Conflict, Unavailable)):
                message = f"binding rejected: {e}"
                self._events.tell(self._about(pod), "Warning", "FailedScheduling", message)
            return
        self._events.tell(
            self._about(pod), "Normal", "Scheduled", f"Successfully assigned {key.namespace}/{key.name} to {node}"
        )

    async def _refuse(self, key: Key, pod: PodInfo, found: Refused) -> None:
        for victim in found.victims:
            if not victim.terminating:
                await self._evict(victim, pod, found.nominate or "")
        if found.nominate and found.victims:
            # Lower pods that wait for this node may no longer fit: they look elsewhere.
            for node, other in list(self._nominated.values()):
                if node == found.nominate and other.priority < pod.priority:
                    await self._write(key_of(other.tree), {"status": {"nominatedNodeName": None}})
        await self._report(key, pod, found, "Unschedulable")

    async def _report(self, key: Key, pod: PodInfo, found: Refused, reason: str) -> None:
        self._events.tell(self._about(pod), "Warning", "FailedScheduling", found.message)
        old = condition(pod.tree, "PodScheduled") or {}
        status: Tree = {}
        if (old.get("status"), old.get("reason"), old.get("message")) != ("False", reason, found.message):
            same = old.get("status") == "False"
            entry = {
                "type": "PodScheduled",
                "status": "False",
                "reason": reason,
                "message": found.message,
                "lastProbeTime": None,
                "lastTransitionTime": old.get("lastTransitionTime") if same else stamp(time.time()),
                "observedGeneration": pod.tree["metadata"].get("generation", 1),
            }
            status["conditions"] = [entry]
        if found.nominate is not None and found.nominate != pod.nominated:
            status["nominatedNodeName"] = found.nominate or None
        if status:
            await self._write(key, {"metadata": {"uid": pod.uid}, "status": status})

    async def _write(self, key: Key, patch: Tree) -> None:
        try:
            async with self._slots:
                await self._api.patch(kind_of("pods"), *key, patch, "status", STRATEGIC)
        except (ApiStatusError, NotFound, Conflict, Unavailable):
            return  # the next attempt says it again

    async def _evict(self, victim: PodInfo, pod: PodInfo, node: str) -> None:
        """A victim learns why, and is deleted with its own grace period."""
        old = condition(victim.tree, "DisruptionTarget") or {}
        entry = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{NAME}: preempting to accommodate a higher priority pod",
            "lastProbeTime": None,
            "lastTransitionTime": old.get("lastTransitionTime") if old.get("status") == "True" else stamp(time.time()),
            "observedGeneration": victim.tree["metadata"].get("generation", 1),
        }
        key = key_of(victim.tree)
        order = [c["type"] for c in get(victim.tree, "status", "conditions") or () if c["type"] != entry["type"]]
        status = {
            "conditions": [entry],
            "$setElementOrder/conditions": [{"type": t} for t in (*order, entry["type"])],  # it comes last
        }
        await self._write(key, {"metadata": {"uid": victim.uid}, "status": status})
        try:
            async with self._slots:
                await self._api.delete(kind_of("pods"), *key, {"preconditions": {"uid": victim.uid}})
        except (NotFound, Conflict):
            return
        except (ApiStatusError, Unavailable):
            self._wake("PodGone")  # tried again with the next decision
            return
        self._events.tell(self._about(victim), "Normal", "Preempted", f"Preempted by pod {pod.uid} on node {node}")

    @staticmethod
    def _about(pod: PodInfo) -> Tree:
        return {"kind": "Pod", "apiVersion": "v1", **pod.tree}
