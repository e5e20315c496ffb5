"""PodDisruptionBudgets: how many pods may go now (pkg/controller/disruption)."""

from __future__ import annotations

import math
import time
from typing import Any

from seaway.api.kinds import Kind
from seaway.api.selectors import label_selector
from seaway.api.tree import Key, controller_of, get, is_true, labels, seconds
from seaway.client.errors import ApiStatusError, NotFound
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.cluster.workloads import conditions
from seaway.cluster.workloads.acting import Actor, in_namespace
from seaway.cluster.workloads.knownkinds import KnownKinds, is_custom, replicas
from seaway.cluster.workloads.podfacts import is_ready, is_terminating
from seaway.controllers.run import Caches

Tree = dict[str, Any]
RESOURCE = "poddisruptionbudgets.policy"
# An eviction is believed this long to lead to a deletion (DeletionTimeout).
DELETION_TIMEOUT = 120.0
STALE_TARGET = 120.0


def matching(budget: Tree, pods: list[Tree]) -> list[Tree]:
    """No selector is no pod; an empty one is every pod of the namespace."""
    selector = label_selector(budget["spec"].get("selector"))
    return [p for p in pods if selector is not None and selector.matches(labels(p))]


def scaled(value: int | str, total: int) -> int:
    return value if isinstance(value, int) else math.ceil(int(str(value).rstrip("%")) * total / 100)


def counts(budget: Tree, pods: list[Tree], scale: int | None) -> tuple[int, int]:
    """(expected pods, how many must be healthy). `scale`: what the pods' controllers ask for, None where the budget does
    not depend on it (getExpectedPodCount)."""
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        expected = scale or 0
        return expected, max(expected - scaled(spec["maxUnavailable"], expected), 0)
    least = spec.get("minAvailable")
    if isinstance(least, int):
        return len(pods), least
    if least is not None:
        expected = scale or 0
        return expected, scaled(least, expected)
    return 0, 0


def needs_scale(budget: Tree) -> bool:
    spec = budget["spec"]
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def disrupted(budget: Tree, pods: list[Tree], now: float) -> tuple[dict[str, str], float | None]:
    """(evicted pods that are still believed to go, seconds until the first of them is not any more)."""
    kept: dict[str, str] = {}
    wait: float | None = None
    marked = get(budget, "status", "disruptedPods") or {}
    for pod in pods:
        name = pod["metadata"]["name"]
        since = seconds(marked.get(name))
        if since is None or is_terminating(pod):
            continue
        left = since + DELETION_TIMEOUT - now
        if left <= 0:
            continue
        kept[name] = marked[name]
        wait = left if wait is None else min(wait, left)
    return kept, wait


def status(budget: Tree, pods: list[Tree], scale: int | None, marked: dict[str, str], now: float) -> Tree:
    expected, desired = counts(budget, pods, scale)
    healthy = sum(1 for p in pods if not is_terminating(p) and p["metadata"]["name"] not in marked and is_ready(p))
    allowed = healthy - desired
    if expected <= 0 or allowed <= 0:
        allowed = 0
    before = budget.get("status") or {}
    found: Tree = {
        **{k: v for k, v in before.items() if k not in ("disruptedPods", "conditions")},
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptionsAllowed": allowed,
        "observedGeneration": budget["metadata"].get("generation", 0),
    }
    if marked:
        found["disruptedPods"] = marked
    reason, said = ("SufficientPods", "True") if allowed > 0 else ("InsufficientPods", "False")
    found["conditions"] = _with(budget, list(before.get("conditions") or ()), said, reason, "", now)
    return found


def _with(budget: Tree, have: list[Tree], said: str, reason: str, message: str, now: float) -> list[Tree]:
    """metav1's conditions: in their place, with the generation they speak of, and a message even when it is empty."""
    generation = budget["metadata"].get("generation", 0)
    new = conditions.make("DisruptionAllowed", said, reason, message, now, observedGeneration=generation)
    new["message"] = message
    old = conditions.find(have, "DisruptionAllowed")
    if old is None:
        return [*have, new]
    if old.get("status") == said and "lastTransitionTime" in old:
        new["lastTransitionTime"] = old["lastTransitionTime"]
    return [new if c is old else c for c in have]


def unsynced(budget: Tree, why: str, now: float) -> Tree:
    """The status when the count failed: nothing may go, and the condition says why."""
    before = budget.get("status") or {}
    have = _with(budget, list(before.get("conditions") or ()), "False", "SyncFailed", why, now)
    return {
        **before,
        "disruptionsAllowed": 0,
        "observedGeneration": budget["metadata"].get("generation", 0),
        "conditions": have,
    }


class ScaleError(Exception):
    """A controller whose number of replicas cannot be told; the text says which."""


class DisruptionController:
    def __init__(self, caches: Caches, events: Events) -> None:
        self._now = time.time
        self._caches = caches
        self._budgets, self._pods = caches.of(RESOURCE), caches.of("pods")
        self._pods.add_index("namespace", in_namespace)
        self._budgets.add_index("namespace", in_namespace)
        self._actor = Actor(caches, events, "policy/v1", "PodDisruptionBudget")
        self._kinds = KnownKinds(caches)
        self.queue: Reconciler[Key] = Reconciler("disruption", self._reconcile)
        self._budgets.listen(lambda change: self.queue.add(change.key))
        self._pods.listen(self._pod_changed)
        for resource in ("deployments.apps", "replicasets.apps", "statefulsets.apps", "replicationcontrollers"):
            caches.of(resource).listen(self._owner_changed)

    def _pod_changed(self, change: Change) -> None:
        for budget in self._budgets.by("namespace", change.key.namespace):
            selector = label_selector(budget["spec"].get("selector"))
            if selector is None:
                continue
            if any(t is not None and selector.matches(labels(t)) for t in (change.old, change.new)):
                self.queue.add(Key(change.key.namespace, budget["metadata"]["name"]))

    def _owner_changed(self, change: Change) -> None:
        if get(change.old, "spec", "replicas") != get(change.new, "spec", "replicas"):
            for budget in self._budgets.by("namespace", change.key.namespace):
                self.queue.add(Key(change.key.namespace, budget["metadata"]["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        budget, actor = self._budgets.get(*key), self._actor
        if actor.is_behind(key, budget) or budget is None:
            return None
        pods, now = matching(budget, self._pods.by("namespace", key.namespace)), self._now()
        if not pods:
            actor.tell(budget, "Normal", "NoPods", "No matching pods found")
        try:
            scale = await self._scale(pods) if needs_scale(budget) else None
        except ScaleError as e:
            actor.tell(
                budget,
                "Warning",
                "CalculateExpectedPodCountFailed",
                f"Failed to calculate the number of expected pods: {e}",
            )
            await actor.write_status(RESOURCE, key, budget, unsynced(budget, str(e), now))
            return 5.0
        marked, wait = disrupted(budget, pods, now)
        await actor.write_status(RESOURCE, key, budget, status(budget, pods, scale, marked, now))
        return wait

    async def _scale(self, pods: list[Tree]) -> int:
        """The replicas of the pods' controllers together; pods of no controller count for nothing (getExpectedScale)."""
        found: dict[str, int] = {}
        for pod in pods:
            ref = controller_of(pod)
            if ref is None or ref["uid"] in found:
                continue
            uid, replicas = await self._replicas(pod, ref)
            found[uid] = replicas
            found.setdefault(ref["uid"], 0)
        return sum(found.values())

    async def _replicas(self, pod: Tree, ref: Tree) -> tuple[str, int]:
        """(uid, replicas) of the topmost controller that has a scale."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        kind = self._kinds.find(ref["apiVersion"], ref["kind"])
        wrong = f'found no controllers for pod "{name}"'
        if kind is None:
            raise ScaleError(wrong)
        try:
            owner = await self._owner(kind, namespace, ref["name"])
        except NotFound:
            raise ScaleError(wrong) from None
        except ApiStatusError as e:
            raise ScaleError(str(e)) from None
        if owner["metadata"]["uid"] != ref["uid"]:
            raise ScaleError(wrong)
        above = controller_of(owner)
        if kind.kind == "ReplicaSet" and above and above["kind"] == "Deployment":
            return await self._replicas(pod, above)
        if "scale" not in kind.subresources:
            raise ScaleError(f"{kind.group_resource} does not implement the scale subresource")
        if is_custom(kind):
            try:
                return ref["uid"], await replicas(self._caches.api, kind, namespace, ref["name"])
            except ApiStatusError as e:
                raise ScaleError(str(e)) from None
        return ref["uid"], int(owner["spec"].get("replicas", 1))

    async def _owner(self, kind: Kind, namespace: str, name: str) -> Tree:
        cached = self._caches.of(kind.group_resource).get(namespace, name) if kind.group_resource in SCALED else None
        return cached if cached is not None else await self._caches.api.get(kind, namespace, name)


SCALED = ("deployments.apps", "replicasets.apps", "statefulsets.apps", "replicationcontrollers")


class StaleTargets:
    """A pod that was to be evicted but was not deleted is no target any more (syncStalePodDisruption)."""

    def __init__(self, caches: Caches) -> None:
        self._now = time.time
        self._caches = caches
        self._pods = caches.of("pods")
        self.queue: Reconciler[Key] = Reconciler("stale-disruption", self._reconcile)
        self._pods.listen(self._pod_changed)

    def _pod_changed(self, change: Change) -> None:
        if change.new is not None and is_true(change.new, "DisruptionTarget") and not is_terminating(change.new):
            self.queue.add(change.key)

    async def _reconcile(self, key: Key) -> float | None:
        pod, now = self._pods.get(*key), self._now()
        if pod is None or is_terminating(pod) or not is_true(pod, "DisruptionTarget"):
            return None
        have = get(pod, "status", "conditions")
        entry = next(c for c in have if c["type"] == "DisruptionTarget")
        if get(pod, "status", "phase") in ("Succeeded", "Failed"):
            return None
        left = (seconds(entry.get("lastTransitionTime")) or now) + STALE_TARGET - now
        if left > 0:
            return left
        new = {**conditions.make("DisruptionTarget", "False", "", "", now)}
        patch = {"status": {"conditions": [new if c is entry else c for c in have]}}
        patch["metadata"] = {"resourceVersion": pod["metadata"]["resourceVersion"]}
        await self._caches.api.patch(kind_of("pods"), key.namespace, key.name, patch, "status")
        return None
