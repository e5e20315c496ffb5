"""The CronJob controller: feeds `cronplan`, makes Jobs when they are due and takes old ones away."""

from __future__ import annotations

import time
from typing import Any

from seaway.api.tree import Key, controller_of
from seaway.client.errors import ApiStatusError, Conflict, NotFound, is_namespace_ending
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.cluster.workloads import cronplan
from seaway.cluster.workloads.acting import Actor, by_controller
from seaway.cluster.workloads.podfacts import failure_text
from seaway.controllers.run import Caches

Tree = dict[str, Any]
RESOURCE = "cronjobs.batch"


class CronJobController:
    def __init__(self, caches: Caches, events: Events) -> None:
        self._now = time.time
        self._caches = caches
        self._crons, self._jobs = caches.of(RESOURCE), caches.of("jobs.batch")
        self._jobs.add_index("controller", by_controller)
        self._actor = Actor(caches, events, "batch/v1", "CronJob")
        self.queue: Reconciler[Key] = Reconciler("cronjobs", self._reconcile)
        self._crons.listen(lambda change: self.queue.add(change.key))
        self._jobs.listen(self._job_changed)

    def _job_changed(self, change: Change) -> None:
        for tree in (change.old, change.new):
            ref = controller_of(tree) if tree else None
            if ref and ref["kind"] == "CronJob":
                key = Key(change.key.namespace, ref["name"])
                if change.new is not None:
                    self._actor.expected.seen(key, change.key.name, change.new["metadata"]["resourceVersion"])
                self.queue.add(key)

    async def _reconcile(self, key: Key) -> float | None:
        cronjob, actor = self._crons.get(*key), self._actor
        if actor.is_behind(key, cronjob) or cronjob is None:
            return None
        if not actor.expected.met(key):
            return 0.2
        jobs = self._jobs.by("controller", cronjob["metadata"]["uid"])
        step = cronplan.decide(cronjob, jobs, self._now())
        for severity, reason, message in step.events:
            actor.tell(cronjob, severity, reason, message)
        for job in step.delete:
            await self._delete(cronjob, job)
        status = step.status
        if step.create is not None:
            made = await self._create(cronjob, step.create)
            if made is None:
                return step.again
            actor.expected.expect_answer(key, made, self._jobs.get(key.namespace, made["metadata"]["name"]))
            if not any(r.get("uid") == made["metadata"]["uid"] for r in status.get("active") or ()):
                status = cronplan.started(status, made, step.due)
        await actor.write_status(RESOURCE, key, cronjob, status)
        return step.again

    async def _delete(self, cronjob: Tree, job: Tree) -> None:
        meta = job["metadata"]
        options = {"preconditions": {"uid": meta["uid"]}, "propagationPolicy": "Background"}
        try:
            await self._caches.api.delete(kind_of("jobs.batch"), meta["namespace"], meta["name"], options)
        except NotFound:
            return
        except ApiStatusError as e:
            self._actor.tell(cronjob, "Warning", "FailedDelete", f"Deleted job: {failure_text(e)}")
            raise
        self._actor.tell(cronjob, "Normal", "SuccessfulDelete", f"Deleted job {meta['name']}")

    async def _create(self, cronjob: Tree, job: Tree) -> Tree | None:
        """The Job; None where another's has its name, or the namespace is going. Its name is the lock of its time."""
        api, kind, meta = self._caches.api, kind_of("jobs.batch"), job["metadata"]
        try:
            made = await api.create(kind, meta["namespace"], job)
        except Conflict:
            there = await api.get(kind, meta["namespace"], meta["name"])
            ref = controller_of(there)
            return there if ref and ref["uid"] == cronjob["metadata"]["uid"] else None
        except ApiStatusError as e:
            if is_namespace_ending(e):
                return None
            self._actor.tell(cronjob, "Warning", "FailedCreate", f"Error creating job: {failure_text(e)}")
            raise
        self._actor.tell(cronjob, "Normal", "SuccessfulCreate", f"Created job {made['metadata']['name']}")
        return made
