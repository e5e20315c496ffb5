"""ReplicaSets: as many pods as asked for; the least useful go first (pkg/controller/replicaset)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from seaway.api.selectors import label_selector
from seaway.api.tree import Key, condition, controller_of, get, is_true, labels, owner_reference, seconds
from seaway.client.errors import NotFound
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.controllers.run import Caches, Expectations
from seaway.controllers.writes import Create, Delete, Patch, Write, apply

Tree = dict[str, Any]
BURST = 500


def is_active(pod: Tree) -> bool:
    return get(pod, "status", "phase") not in ("Succeeded", "Failed") and not pod["metadata"].get("deletionTimestamp")


def is_available(pod: Tree, min_ready: float, now: float) -> bool:
    if not is_true(pod, "Ready"):
        return False
    since = seconds((condition(pod, "Ready") or {}).get("lastTransitionTime")) or now
    return not min_ready or now - since >= min_ready


def pod_of(owner: Tree, api_version: str, kind: str, template: Tree, extra: dict[str, str] | None = None) -> Tree:
    """A pod from a template, owned by its workload."""
    meta = template.get("metadata") or {}
    made: Tree = {
        "generateName": f"{owner['metadata']['name']}-",
        "namespace": owner["metadata"]["namespace"],
        "labels": {**(meta.get("labels") or {}), **(extra or {})},
        "ownerReferences": [owner_reference(api_version, kind, owner)],
    }
    if meta.get("annotations"):
        made["annotations"] = meta["annotations"]
    if meta.get("finalizers"):
        made["finalizers"] = meta["finalizers"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template["spec"]}


def deletion_order(pods: Iterable[Tree], all_pods: Iterable[Tree]) -> list[Tree]:
    """The pods that go first, first: unscheduled, pending, unready, crowded nodes, younger ones."""
    crowd: dict[str, int] = {}
    for pod in all_pods:
        node = pod["spec"].get("nodeName") or ""
        crowd[node] = crowd.get(node, 0) + 1

    def rank(pod: Tree) -> tuple[Any, ...]:
        node = pod["spec"].get("nodeName") or ""
        phase = {"Pending": 0, "Unknown": 1}.get(get(pod, "status", "phase") or "Pending", 2)
        cost = int(
            (pod["metadata"].get("annotations") or {}).get("controller.kubernetes.io/pod-deletion-cost", "0") or 0
        )
        return (
            bool(node),
            phase,
            is_true(pod, "Ready"),
            cost,
            -crowd[node],
            -(seconds(pod["metadata"].get("creationTimestamp")) or 0),
            pod["metadata"]["name"],
        )

    return sorted(pods, key=rank)


def plan(owner: Tree, pods: list[Tree]) -> list[Write]:
    """Pods to create or delete. `pods` are those that the ReplicaSet owns."""
    meta, spec = owner["metadata"], owner["spec"]
    if meta.get("deletionTimestamp"):
        return []
    active = [p for p in pods if is_active(p)]
    missing = spec.get("replicas", 1) - len(active)
    kind = kind_of("pods")
    if missing > 0:
        return [
            Create(kind, meta["namespace"], pod_of(owner, "apps/v1", "ReplicaSet", spec["template"]))
            for _ in range(min(missing, BURST))
        ]
    surplus = deletion_order(active, active)[: -missing or 0]
    return [Delete(kind, meta["namespace"], p["metadata"]["name"], p["metadata"]["uid"]) for p in surplus]


def status(owner: Tree, pods: list[Tree], now: float) -> Tree:
    spec = owner["spec"]
    active = [p for p in pods if is_active(p)]
    wanted = label_selector({"matchLabels": get(spec, "template", "metadata", "labels") or {}})
    found: Tree = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(1 for p in active if wanted and wanted.matches(labels(p))),
        "readyReplicas": sum(1 for p in active if is_true(p, "Ready")),
        "availableReplicas": sum(1 for p in active if is_available(p, spec.get("minReadySeconds") or 0, now)),
        "observedGeneration": owner["metadata"].get("generation", 0),
    }
    return found


def patch_of(new: Tree, old: Tree) -> Tree:
    """What changes `old` into `new`; counts of zero are left out of a status."""
    patch: Tree = {}
    for name, value in new.items():
        if value in (0, None) and name != "replicas":
            if old.get(name):
                patch[name] = None
        elif old.get(name) != value:
            patch[name] = value
    return patch


def pod_listener(kind: str, expected: Expectations, queue: Reconciler[Key]) -> Callable[[Change], None]:
    """Follows the pods of all owners of a kind: what was expected is seen, and the owner is looked at again."""

    def listen(change: Change) -> None:
        for tree in (change.old, change.new):
            ref = controller_of(tree) if tree else None
            if not ref or ref["kind"] != kind:
                continue
            key = Key(change.key.namespace, ref["name"])
            if change.new is not None:
                expected.seen(key, "+" + change.key.name)
            if change.new is None or change.new["metadata"].get("deletionTimestamp"):
                expected.seen(key, "-" + change.key.name)
            queue.add(key)

    return listen


class ReplicaSetController:
    def __init__(self, caches: Caches, events: Events) -> None:
        import time

        self._now = time.time
        self._caches, self._events = caches, events
        self._sets, self._pods = caches.of("replicasets.apps"), caches.of("pods")
        self._pods.add_index("owner", lambda t: [r["uid"]] if (r := controller_of(t)) else [])
        self._expected = Expectations()
        self.queue: Reconciler[Key] = Reconciler("replicasets", self._reconcile, workers=8)
        self._sets.listen(lambda change: self.queue.add(change.key))
        self._pods.listen(pod_listener("ReplicaSet", self._expected, self.queue))

    async def _reconcile(self, key: Key) -> float | None:
        owner = self._sets.get(*key)
        if owner is None:
            return None
        pods = self._pods.by("owner", owner["metadata"]["uid"])
        if self._expected.met(key):
            await self._act(key, owner, plan(owner, pods))
        now = self._now()
        new = status(owner, self._pods.by("owner", owner["metadata"]["uid"]), now)
        patch = patch_of(new, owner.get("status") or {})
        if patch:
            await apply(self._caches.api, Patch(kind_of("replicasets.apps"), *key, {"status": patch}, "status"))
        if new["readyReplicas"] != new["availableReplicas"]:
            return float(owner["spec"].get("minReadySeconds") or 1)
        return None

    async def _act(self, key: Key, owner: Tree, writes: list[Write]) -> None:
        async def one(write: Write) -> None:
            about = {"kind": "ReplicaSet", "apiVersion": "apps/v1", **owner}
            if isinstance(write, Delete):
                self._expected.expect(key, "-" + write.name)
                try:
                    await apply(self._caches.api, write)
                except NotFound:
                    self._expected.seen(key, "-" + write.name)
                else:
                    self._events.tell(about, "Normal", "SuccessfulDelete", f"Deleted pod: {write.name}")
                return
            try:
                made = await apply(self._caches.api, write)
            except Exception as e:
                self._events.tell(about, "Warning", "FailedCreate", f"Error creating: {e}")
                raise
            name = made["metadata"]["name"]
            if self._pods.get(key.namespace, name) is None:
                self._expected.expect(key, "+" + name)
            self._events.tell(about, "Normal", "SuccessfulCreate", f"Created pod: {name}")

        for at in range(0, len(writes), 32):
            results = await asyncio.gather(*(one(w) for w in writes[at : at + 32]), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
