"""The Job controller: feeds `jobplan`, makes and ends pods, and lets them go when they are counted."""

from __future__ import annotations

import copy
import time
from typing import Any

from seaway.api.selectors import Selector, exact, label_selector
from seaway.api.tree import Key, controller_of, get, seconds
from seaway.client.errors import NotFound
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import STRATEGIC, Api, kind_of
from seaway.cluster.workloads import adoption, jobindexes, jobplan
from seaway.cluster.workloads.acting import Actor, by_controller, dependents, follow_pods, in_namespace
from seaway.cluster.workloads.jobpolicy import FINALIZER, has_finalizer, verdict
from seaway.cluster.workloads.podfacts import from_template
from seaway.controllers.run import Caches
from seaway.controllers.writes import Create, Delete

Tree = dict[str, Any]
RESOURCE = "jobs.batch"
UID, NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
INDEX_NAME = "JOB_COMPLETION_INDEX"
MANAGER = "kubernetes.io/job-controller"
# A generated name ends with five characters; the index is kept whole before them.
PREFIX_LIMIT = 58


def own_labels(job: Tree) -> dict[str, str]:
    """The labels that tell a Job's pods, as the API server puts them into template and selector. A Job that was stored
    before the API server did so has them from here."""
    meta = job["metadata"]
    return {UID: meta["uid"], "controller-uid": meta["uid"], NAME: meta["name"], "job-name": meta["name"]}


def selector_of(job: Tree) -> Selector | None:
    selector = job["spec"].get("selector")
    return label_selector(selector) if selector is not None else exact({UID: job["metadata"]["uid"]})


def pod_for(job: Tree, index: int | None, before: Tree | None) -> Tree:
    """A pod of a Job; with `index`, the one of that index, in the place of the failed pod `before`."""
    extra = own_labels(job) if job["spec"].get("selector") is None else None
    pod = from_template(job, "batch/v1", "Job", job["spec"]["template"], extra)
    meta = pod["metadata"]
    meta["finalizers"] = [*(f for f in meta.get("finalizers") or () if f != FINALIZER), FINALIZER]
    if index is None:
        return pod
    name = job["metadata"]["name"]
    end = f"-{index}-"
    meta["generateName"] = name[: PREFIX_LIMIT - len(end)] + end
    meta["labels"] = {**meta["labels"], jobindexes.INDEX: str(index)}
    notes = {**(meta.get("annotations") or {}), jobindexes.INDEX: str(index)}
    if job["spec"].get("backoffLimitPerIndex") is not None:
        notes.update(jobindexes.failure_notes(before, before is not None and verdict(job, before).counts))
    meta["annotations"] = notes
    spec = pod["spec"] = copy.deepcopy(pod["spec"])
    spec["hostname"] = f"{name}-{index}"
    path = f"metadata.labels['{jobindexes.INDEX}']"
    entry = {"name": INDEX_NAME, "valueFrom": {"fieldRef": {"fieldPath": path}}}
    for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
        if not any(e.get("name") == INDEX_NAME for e in container.get("env") or ()):
            container["env"] = [*(container.get("env") or ()), entry]
    return pod


def counted(pod: Tree) -> Tree:
    """The pod as it is without the finalizer."""
    meta = pod["metadata"]
    left = [f for f in meta.get("finalizers") or () if f != FINALIZER]
    return {**pod, "metadata": {**meta, "finalizers": left}}


async def release(api: Api, pod: Tree) -> None:
    """The finalizer goes: the pod is counted, or nobody will count it. It alone, whatever else changes meanwhile."""
    meta = pod["metadata"]
    patch = {"metadata": {"uid": meta["uid"], "$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
    try:
        await api.patch(kind_of("pods"), meta["namespace"], meta["name"], patch, media=STRATEGIC)
    except NotFound:
        pass


class JobController:
    """Keys of the queue are Jobs; `orphans` has pods that no Job will count any more."""

    def __init__(self, caches: Caches, events: Events) -> None:
        self._now = time.time
        self._caches = caches
        self._jobs, self._pods = caches.of(RESOURCE), caches.of("pods")
        self._pods.add_index("controller", by_controller)
        self._jobs.add_index("namespace", in_namespace)
        self._actor = Actor(caches, events, "batch/v1", "Job")
        self._let_go: set[str] = set()  # pods whose finalizer is gone already, though the cache shows it still
        self.queue: Reconciler[Key] = Reconciler("jobs", self._reconcile, workers=8)
        self._jobs.listen(lambda change: self.queue.add(change.key))
        self._pods.listen(self._pod_changed)
        follow_pods(self._pods, self._jobs, "Job", self._actor, self.queue, selector_of)

    def _pod_changed(self, change: Change) -> None:
        if change.old is not None and (change.new is None or not has_finalizer(change.new)):
            self._let_go.discard(change.old["metadata"]["uid"])

    async def _reconcile(self, key: Key) -> float | None:
        job, actor = self._jobs.get(*key), self._actor
        if actor.is_behind(key, job) or job is None:
            return None
        if job["spec"].get("managedBy") not in (None, MANAGER):
            return None
        if jobplan.finished(job):
            for pod in self._pods.by("controller", job["metadata"]["uid"]):
                await self._release(pod)
            return None
        claims = adoption.claim(job, selector_of(job), dependents(self._pods, job))
        pods = await adoption.carry_out(self._caches.api, job, RESOURCE, "batch/v1", "Job", "pods", claims)
        pods = [counted(p) if p["metadata"]["uid"] in self._let_go else p for p in pods]
        settled = actor.expected.met(key)
        step = jobplan.decide(job, pods, self._now(), settled)
        failure = await self._pods_of(key, job, step)
        if failure is not None:  # the counts of the plan did not come true: what is there is counted again
            raise failure
        changed = await actor.write_status(RESOURCE, key, job, step.status)
        if changed:
            for severity, reason, message in step.events:
                actor.tell(job, severity, reason, message)
        for pod in step.release:
            await self._release(pod)
        return step.again

    async def _pods_of(self, key: Key, job: Tree, step: jobplan.Step) -> Exception | None:
        actor, kind, namespace = self._actor, kind_of("pods"), key.namespace

        def delete(pod: Tree) -> Delete:
            return Delete(kind, namespace, pod["metadata"]["name"], pod["metadata"]["uid"])

        failure = await actor.delete_all(key, job, [delete(p) for p in step.end])
        for pod in step.drop:
            await self._release(pod)
        failure = failure or await actor.delete_all(key, job, [delete(p) for p in step.drop])
        made = [Create(kind, namespace, pod_for(job, index, before)) for index, before in step.create]
        return failure or await actor.create_all(key, job, made)

    async def _release(self, pod: Tree) -> None:
        if not has_finalizer(pod):
            return
        uid = pod["metadata"]["uid"]
        self._let_go.add(uid)
        try:
            await release(self._caches.api, pod)
        except BaseException:
            self._let_go.discard(uid)
            raise
        seen = self._pods.get(pod["metadata"]["namespace"], pod["metadata"]["name"])
        if seen is None or seen["metadata"]["uid"] != uid or not has_finalizer(seen):
            self._let_go.discard(uid)


class OrphanedPods:
    """Pods with a Job's finalizer that no Job has any more: the finalizer goes, so that they can (syncOrphanPod)."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._jobs, self._pods = caches.of(RESOURCE), caches.of("pods")
        self.queue: Reconciler[Key] = Reconciler("job-orphans", self._reconcile)
        self._pods.add_index("controller", by_controller)
        self._pods.listen(self._pod_changed)
        self._jobs.listen(self._job_changed)

    def _pod_changed(self, change: Change) -> None:
        if change.new is not None and has_finalizer(change.new):
            ref = controller_of(change.new)
            if ref is None or (ref["kind"] == "Job" and self._jobs.get(change.key.namespace, ref["name"]) is None):
                self.queue.add(change.key)

    def _job_changed(self, change: Change) -> None:
        if change.new is None and change.old is not None:
            for pod in self._pods.by("controller", change.old["metadata"]["uid"]):
                self.queue.add(Key(change.key.namespace, pod["metadata"]["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(*key)
        if pod is None or not has_finalizer(pod):
            return None
        ref = controller_of(pod)
        if ref is not None:
            if ref["kind"] != "Job" or ref["apiVersion"] != "batch/v1":
                return None
            try:  # the cache of Jobs may be behind that of pods
                job = await self._caches.api.get(kind_of(RESOURCE), key.namespace, ref["name"])
            except NotFound:
                job = None
            if job is not None and job["metadata"]["uid"] == ref["uid"]:
                return None
        else:
            for job in self._jobs.by("namespace", key.namespace):
                selector = selector_of(job)
                if job["metadata"].get("deletionTimestamp") or selector is None:
                    continue
                if selector.matches(pod["metadata"].get("labels")):
                    return None  # it will be adopted
        await release(self._caches.api, pod)
        return None


class FinishedJobs:
    """Finished Jobs go when their time to live is over (pkg/controller/ttlafterfinished)."""

    def __init__(self, caches: Caches) -> None:
        self._now = time.time
        self._caches = caches
        self._jobs = caches.of(RESOURCE)
        self.queue: Reconciler[Key] = Reconciler("ttl-after-finished", self._reconcile)
        self._jobs.listen(lambda change: self.queue.add(change.key))

    async def _reconcile(self, key: Key) -> float | None:
        job, now = self._jobs.get(*key), self._now()
        left = time_left(job, now) if job is not None else None
        if job is None or left is None:
            return None
        if left > 0:
            return left
        kind = kind_of(RESOURCE)
        try:  # its life may have been made longer since
            fresh = await self._caches.api.get(kind, *key)
            again = time_left(fresh, now)
            if again is None or again > 0:
                return again
            options = {"preconditions": {"uid": fresh["metadata"]["uid"]}, "propagationPolicy": "Foreground"}
            await self._caches.api.delete(kind, key.namespace, key.name, options)
        except NotFound:
            pass
        return None


def time_left(job: Tree, now: float) -> float | None:
    """Seconds until a finished Job is to go; None where it stays."""

    life = job["spec"].get("ttlSecondsAfterFinished")
    kind = jobplan.finished(job)
    if life is None or not kind or job["metadata"].get("deletionTimestamp"):
        return None
    entry = next(c for c in get(job, "status", "conditions") if c["type"] == kind)
    since = seconds(entry.get("lastTransitionTime"))
    return None if since is None else since + float(life) - now
