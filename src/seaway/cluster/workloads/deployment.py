"""The Deployment controller: feeds `rollout` and `progress`, and writes what they decide."""

from __future__ import annotations

import time
from typing import Any

from seaway.api.selectors import Selector, label_selector
from seaway.api.tree import Key, controller_of, get, labels
from seaway.client.errors import ApiStatusError, Conflict, is_namespace_ending
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.cluster.workloads import adoption, progress, rollout
from seaway.cluster.workloads.acting import Actor, by_controller, dependents, in_namespace
from seaway.cluster.workloads.podfacts import failure_text
from seaway.cluster.workloads.rollout import REVISION, new_set, notes_of, replicas_of
from seaway.controllers.run import Caches
from seaway.controllers.writes import Create, Delete, Write, apply

Tree = dict[str, Any]
RESOURCE = "deployments.apps"


def selector_of(deployment: Tree) -> Selector | None:
    return label_selector(deployment["spec"].get("selector"))


class DeploymentController:
    def __init__(self, caches: Caches, events: Events) -> None:
        self._now = time.time
        self._caches = caches
        self._deployments, self._sets, self._pods = (
            caches.of(RESOURCE),
            caches.of("replicasets.apps"),
            caches.of("pods"),
        )
        self._sets.add_index("controller", by_controller)
        self._deployments.add_index("namespace", in_namespace)
        self._pods.add_index("controller", by_controller)
        self._actor = Actor(caches, events, "apps/v1", "Deployment")
        self._expected = self._actor.expected
        self.queue: Reconciler[Key] = Reconciler("deployments", self._reconcile, workers=8)
        self._deployments.listen(lambda change: self.queue.add(change.key))
        self._sets.listen(self._set_changed)
        self._pods.listen(self._pod_changed)

    def _set_changed(self, change: Change) -> None:
        for tree in (change.old, change.new):
            ref = controller_of(tree) if tree else None
            if ref and ref["kind"] == "Deployment":
                key = Key(change.key.namespace, ref["name"])
                if tree is change.new and tree is not None:
                    self._expected.seen(key, change.key.name, tree["metadata"]["resourceVersion"])
                self.queue.add(key)
        if change.new is not None and controller_of(change.new) is None:
            for deployment in self._deployments.by("namespace", change.key.namespace):
                selector = selector_of(deployment)
                if selector is not None and selector.matches(labels(change.new)):
                    self.queue.add(Key(change.key.namespace, deployment["metadata"]["name"]))

    def _pod_changed(self, change: Change) -> None:
        """The last pod of a Deployment that recreates has gone: it may go on."""
        if change.new is not None or change.old is None:
            return
        ref = controller_of(change.old)
        owner = self._sets.get(change.key.namespace, ref["name"]) if ref and ref["kind"] == "ReplicaSet" else None
        above = controller_of(owner) if owner else None
        if above and above["kind"] == "Deployment":
            self.queue.add(Key(change.key.namespace, above["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        deployment = self._deployments.get(*key)
        if self._actor.is_behind(key, deployment) or deployment is None:
            return None
        if not self._expected.met(key):
            return 0.5
        if deployment["spec"].get("selector") == {}:
            why = "This deployment is selecting all pods. A non-empty selector is required."
            self._actor.tell(deployment, "Warning", "SelectingAll", why)
            return None
        api, now = self._caches.api, self._now()
        claims = adoption.claim(deployment, selector_of(deployment), dependents(self._sets, deployment))
        sets = await adoption.carry_out(api, deployment, RESOURCE, "apps/v1", "Deployment", "replicasets.apps", claims)
        if deployment["metadata"].get("deletionTimestamp"):
            await self._actor.write_status(RESOURCE, key, deployment, progress.counts(deployment, sets, now))
            return None
        said = progress.paused(deployment, now)
        if said is not None:
            await self._actor.write_status(RESOURCE, key, deployment, said)
            return 0.0
        pods = [p for s in sets for p in self._pods.by("controller", s["metadata"]["uid"])]
        known = {s["metadata"]["uid"]: s for s in sets}
        for write in rollout.plan(deployment, sets, pods):
            made = await self._write(key, deployment, write)
            if made is not None:
                known[made["metadata"]["uid"]] = made
                if isinstance(write, Create):
                    deployment = {
                        **deployment,
                        "status": progress.began(deployment, made["metadata"]["name"], True, now),
                    }
            elif isinstance(write, Create):
                return 0.05
        sets = list(known.values())
        current = new_set(deployment, sets)
        began, notes = deployment, {}
        if current is not None:
            revision = notes_of(current).get(REVISION, "")
            if revision and notes_of(deployment).get(REVISION) != revision:
                notes = {REVISION: revision}
            if not deployment["spec"].get("paused"):
                name = current["metadata"]["name"]
                began = {**deployment, "status": progress.began(deployment, name, False, now)}
        found = progress.status(began, sets, now)
        stored = self._deployments.get(*key) or deployment
        stored = {**stored, "metadata": deployment["metadata"]}  # the state that this turn began from
        await self._actor.write_status(RESOURCE, key, stored, found, notes)
        return progress.look_again(deployment, found, now)

    async def _write(self, key: Key, deployment: Tree, write: Write) -> Tree | None:
        """The object as written; None where a set was deleted, or could not be made for a reason that was told."""
        if isinstance(write, Delete):
            await apply(self._caches.api, write)
            return None
        if isinstance(write, Create):
            made = await self._create(key, deployment, write)
            if made is None:
                return None
        else:
            before = self._sets.get(key.namespace, write.name)
            made = await apply(self._caches.api, write)
            if "replicas" in (write.patch.get("spec") or {}):
                self._scaled(deployment, write.name, replicas_of(before) if before else 0, replicas_of(made))
        meta = made["metadata"]
        self._expected.expect_answer(key, made, self._sets.get(key.namespace, meta["name"]))
        return made

    def _scaled(self, deployment: Tree, name: str, was: int, now: int) -> None:
        if was != now:
            text = f"Scaled {'up' if now > was else 'down'} replica set {name} from {was} to {now}"
            self._actor.tell(deployment, "Normal", "ScalingReplicaSet", text)

    async def _create(self, key: Key, deployment: Tree, write: Create) -> Tree | None:
        """The new set. Where another set has its name, the next hash is taken (collisionCount)."""
        api, name, now = self._caches.api, write.tree["metadata"]["name"], self._now()
        try:
            made = await apply(api, write)
        except Conflict as e:
            there = await api.get(write.kind, write.namespace, name)
            ref = controller_of(there)
            same = rollout.bare(there["spec"]["template"]) == rollout.bare(deployment["spec"]["template"])
            if ref and ref["uid"] == deployment["metadata"]["uid"] and same:
                return there
            if e.status.get("reason") != "AlreadyExists":
                raise
            count = (get(deployment, "status", "collisionCount") or 0) + 1
            status = {**(deployment.get("status") or {}), "collisionCount": count}
            await self._actor.write_status(RESOURCE, key, deployment, status)
            return None
        except ApiStatusError as e:
            if not is_namespace_ending(e):
                why = failure_text(e)
                self._actor.tell(
                    deployment, "Warning", "ReplicaSetCreateError", f'Failed to create new replica set "{name}": {why}'
                )
                await self._actor.write_status(RESOURCE, key, deployment, progress.failed(deployment, name, why, now))
            raise
        self._scaled(deployment, name, 0, replicas_of(made))
        return made
