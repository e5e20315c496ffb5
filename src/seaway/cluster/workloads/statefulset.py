"""The StatefulSet controller: feeds `statefulplan` with pods, revisions and claims, and writes what it decides."""

from __future__ import annotations

import time
from typing import Any

from seaway.api.selectors import Selector, label_selector
from seaway.api.tree import Key, get
from seaway.client.errors import ApiStatusError, Conflict, is_namespace_ending
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.rest import kind_of
from seaway.cluster.workloads import adoption, revisions, statefulplan
from seaway.cluster.workloads.acting import (
    Actor,
    by_controller,
    dependents,
    follow_pods,
    in_namespace,
)
from seaway.cluster.workloads.podfacts import available_in, failure_text
from seaway.cluster.workloads.statefulplan import Revision
from seaway.cluster.workloads.statefulpods import is_member, revision_of
from seaway.controllers.run import Caches
from seaway.controllers.writes import Create, Delete, Patch, apply

Tree = dict[str, Any]
RESOURCE, LABEL = "statefulsets.apps", "controller.kubernetes.io/hash"


def selector_of(owner: Tree) -> Selector | None:
    return label_selector(owner["spec"].get("selector"))


class StatefulSetController:
    def __init__(self, caches: Caches, events: Events) -> None:
        self._now = time.time
        self._caches = caches
        self._sets, self._pods = caches.of(RESOURCE), caches.of("pods")
        self._revisions, self._claims = caches.of(revisions.RESOURCE), caches.of("persistentvolumeclaims")
        self._pods.add_index("controller", by_controller)
        self._sets.add_index("namespace", in_namespace)
        self._revisions.add_index("controller", by_controller)
        self._claims.add_index("namespace", in_namespace)
        self._actor = Actor(caches, events, "apps/v1", "StatefulSet")
        self.queue: Reconciler[Key] = Reconciler("statefulsets", self._reconcile)
        self._sets.listen(lambda change: self.queue.add(change.key))
        follow_pods(self._pods, self._sets, "StatefulSet", self._actor, self.queue, selector_of)

    async def _reconcile(self, key: Key) -> float | None:
        owner, api, actor = self._sets.get(*key), self._caches.api, self._actor
        if actor.is_behind(key, owner) or owner is None:
            return None
        if not actor.expected.met(key):
            return 0.5
        selector = selector_of(owner)
        if selector is None or not selector.requirements:
            why = "This StatefulSet is selecting all pods. A non-empty selector is required."
            actor.tell(owner, "Warning", "SelectingAll", why)
            return None
        claims = adoption.claim(owner, selector, dependents(self._pods, owner), lambda pod: is_member(owner, pod))
        pods = await adoption.carry_out(api, owner, RESOURCE, "apps/v1", "StatefulSet", "pods", claims)
        history = await self._history(key, owner, selector)
        update_tree, collisions = await self._update_revision(owner, history)
        if update_tree is None:
            return 0.05
        history = [r for r in history if r["metadata"]["name"] != update_tree["metadata"]["name"]] + [update_tree]
        named = get(owner, "status", "currentRevision")
        current_tree = next((r for r in history if r["metadata"]["name"] == named), update_tree)
        current, update = _revision(current_tree), _revision(update_tree)
        there = {c["metadata"]["name"]: c for c in self._claims.by("namespace", key.namespace)}
        now = self._now()
        step = statefulplan.plan(owner, pods, current, update, there, now)
        failure = await self._carry_out(key, owner, step)
        now = self._now()
        found = statefulplan.status(owner, pods, current, update, collisions, now, step.deleted)
        await actor.write_status(RESOURCE, key, owner, found)
        if failure is not None:
            raise failure
        live = {current.name, update.name, *(revision_of(p) for p in pods)}
        for write in revisions.surplus(history, live, owner["spec"].get("revisionHistoryLimit", 10)):
            await apply(api, write)
        return available_in(pods, owner["spec"].get("minReadySeconds") or 0, now)

    async def _history(self, key: Key, owner: Tree, selector: Selector) -> list[Tree]:
        claims = adoption.claim(owner, selector, dependents(self._revisions, owner))
        found = await adoption.carry_out(
            self._caches.api, owner, RESOURCE, "apps/v1", "StatefulSet", revisions.RESOURCE, claims
        )
        return revisions.ordered(found)

    async def _update_revision(self, owner: Tree, history: list[Tree]) -> tuple[Tree | None, int]:
        """The revision of the present template, made or renumbered if need be, and the count of collisions so far. None:
        it was made a moment ago and is not seen yet."""
        collisions = get(owner, "status", "collisionCount") or 0
        while True:
            write = revisions.current(owner, "StatefulSet", LABEL, history, collisions)
            if write is None:
                return history[-1], collisions
            try:
                return await apply(self._caches.api, write), collisions
            except Conflict:
                if not isinstance(write, Create):
                    raise
                there = await self._caches.api.get(write.kind, write.namespace, write.tree["metadata"]["name"])
                if there.get("data") == write.tree["data"]:
                    return there, collisions
                collisions += 1

    async def _carry_out(self, key: Key, owner: Tree, step: statefulplan.Step) -> Exception | None:
        name = owner["metadata"]["name"]
        for severity, reason, message in step.events:
            self._actor.tell(owner, severity, reason, message)
        for write in step.writes:
            if isinstance(write, Delete):
                await self._actor.delete(key, owner, write, f"delete Pod {{}} in StatefulSet {name} successful")
            elif isinstance(write, Patch):
                await apply(self._caches.api, write)
            elif write.kind == kind_of("pods"):
                failure = await self._create(key, owner, write)
                if failure is not None:
                    return failure
            else:
                await self._claim(owner, write)
        return None

    async def _create(self, key: Key, owner: Tree, write: Create) -> Exception | None:
        name, pod = owner["metadata"]["name"], write.tree["metadata"]["name"]
        try:
            await apply(self._caches.api, write)
        except Conflict as e:
            return e  # a pod that is not this set's has the name, or ours is not seen yet
        except ApiStatusError as e:
            if is_namespace_ending(e):
                return None
            why = f"create Pod {pod} in StatefulSet {name} failed error: {failure_text(e)}"
            self._actor.tell(owner, "Warning", "FailedCreate", why)
            return e
        if self._pods.get(key.namespace, pod) is None:
            self._actor.expected.expect(key, "+" + pod)
        self._actor.tell(owner, "Normal", "SuccessfulCreate", f"create Pod {pod} in StatefulSet {name} successful")
        return None

    async def _claim(self, owner: Tree, write: Create) -> None:
        name, claim = owner["metadata"]["name"], write.tree["metadata"]["name"]
        number = claim.rpartition("-")[2]
        told = f"Claim {claim} Pod {name}-{number} in StatefulSet {name}"
        try:
            await apply(self._caches.api, write)
        except Conflict:
            return
        except ApiStatusError as e:
            if not is_namespace_ending(e):
                self._actor.tell(owner, "Warning", "FailedCreate", f"create {told} failed error: {failure_text(e)}")
            raise
        self._actor.tell(owner, "Normal", "SuccessfulCreate", f"create {told} success")


def _revision(tree: Tree) -> Revision:
    template = dict(tree["data"]["spec"]["template"])
    template.pop("$patch", None)
    return Revision(tree["metadata"]["name"], template)
