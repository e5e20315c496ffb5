"""ReplicaSets and ReplicationControllers: as many pods as asked for; the least useful go first (pkg/controller/replicaset).

A ReplicationController is a ReplicaSet with a plain selector, as upstream's adapter has it.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from seaway.api.selectors import Selector, exact, label_selector
from seaway.api.tree import Key, controller_of, get, labels
from seaway.client.errors import ApiStatusError
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.rest import kind_of
from seaway.cluster.workloads import adoption, conditions
from seaway.cluster.workloads.acting import Actor, by_controller, dependents, follow_pods, in_namespace
from seaway.cluster.workloads.podfacts import (
    available_in,
    deletion_order,
    failure_text,
    from_template,
    is_active,
    is_available,
    is_finished,
    is_ready,
    is_terminating,
)
from seaway.controllers.run import Caches
from seaway.controllers.writes import Create, Delete, Write

Tree = dict[str, Any]
BURST = 500


class Flavor(NamedTuple):
    resource: str
    api_version: str
    kind: str


REPLICA_SET = Flavor("replicasets.apps", "apps/v1", "ReplicaSet")
REPLICATION_CONTROLLER = Flavor("replicationcontrollers", "v1", "ReplicationController")


def selector_of(owner: Tree, flavor: Flavor = REPLICA_SET) -> Selector | None:
    """What it selects; a ReplicationController without a selector selects its template's labels, which are never none."""
    spec = owner["spec"]
    if flavor is REPLICA_SET:
        return label_selector(spec.get("selector"))
    wanted = spec.get("selector") or get(spec, "template", "metadata", "labels")
    return exact(wanted) if wanted else None


def plan(
    owner: Tree, pods: list[Tree], now: float, related: list[Tree] | None = None, flavor: Flavor = REPLICA_SET
) -> list[Write]:
    """Pods to create or delete. `pods`: the active ones that it owns; `related`: those of its sibling sets too."""
    meta, spec = owner["metadata"], owner["spec"]
    if meta.get("deletionTimestamp"):
        return []
    active = [p for p in pods if is_active(p)]
    missing = spec.get("replicas", 1) - len(active)
    kind = kind_of("pods")
    if missing > 0:
        template = spec.get("template") or {"spec": {}}
        made = from_template(owner, flavor.api_version, flavor.kind, template)
        return [Create(kind, meta["namespace"], made) for _ in range(min(missing, BURST))]
    surplus = min(-missing, BURST)
    gone = deletion_order(active, related if related is not None else active, now)[:surplus]
    return [Delete(kind, meta["namespace"], p["metadata"]["name"], p["metadata"]["uid"]) for p in gone]


def status(
    owner: Tree, pods: list[Tree], now: float, failure: tuple[str, str] | None = None, flavor: Flavor = REPLICA_SET
) -> Tree:
    """The status for these pods (active and terminating). `failure`: (reason, message) of what could not be made or
    deleted (replica_set_utils.go calculateStatus)."""
    spec, before = owner["spec"], owner.get("status") or {}
    active = [p for p in pods if is_active(p)]
    wanted = exact(get(spec, "template", "metadata", "labels") or {})
    min_ready = spec.get("minReadySeconds") or 0
    found: Tree = {**before, "replicas": len(active)}
    counts = {
        "fullyLabeledReplicas": sum(1 for p in active if wanted.matches(labels(p))),
        "readyReplicas": sum(1 for p in active if is_ready(p)),
        "availableReplicas": sum(1 for p in active if is_available(p, min_ready, now)),
    }
    for name, value in counts.items():
        found.pop(name, None)
        if value:
            found[name] = value
    if flavor is REPLICA_SET:
        found["terminatingReplicas"] = sum(1 for p in pods if is_terminating(p) and not is_finished(p))
    if owner["metadata"].get("generation"):
        found["observedGeneration"] = owner["metadata"]["generation"]
    kept = list(before.get("conditions") or ())
    if failure and conditions.find(kept, "ReplicaFailure") is None:
        kept = conditions.put(kept, conditions.make("ReplicaFailure", "True", failure[0], failure[1], now))
    elif not failure:
        kept = conditions.without(kept, "ReplicaFailure")
    found.pop("conditions", None)
    if kept:
        found["conditions"] = kept
    return found


class ReplicaSetController:
    """Of ReplicaSets, or of ReplicationControllers: `flavor` says which."""

    def __init__(self, caches: Caches, events: Events, flavor: Flavor = REPLICA_SET) -> None:
        self._now, self._flavor = time.time, flavor
        self._caches = caches
        self._sets, self._pods = caches.of(flavor.resource), caches.of("pods")
        self._pods.add_index("controller", by_controller)
        self._sets.add_index("namespace", in_namespace)
        self._sets.add_index("controller", by_controller)
        self._actor = Actor(caches, events, flavor.api_version, flavor.kind)
        self.queue: Reconciler[Key] = Reconciler(flavor.resource, self._reconcile, workers=8)
        self._sets.listen(lambda change: self.queue.add(change.key))
        follow_pods(
            self._pods, self._sets, flavor.kind, self._actor, self.queue, lambda tree: selector_of(tree, flavor)
        )

    async def _reconcile(self, key: Key) -> float | None:
        owner, flavor, actor = self._sets.get(*key), self._flavor, self._actor
        if actor.is_behind(key, owner) or owner is None:
            return None
        met = actor.expected.met(key)
        selector = selector_of(owner, flavor)
        there = dependents(self._pods, owner)
        claims = adoption.claim(owner, selector, [p for p in there if is_active(p)])
        pods = await adoption.carry_out(
            self._caches.api, owner, flavor.resource, flavor.api_version, flavor.kind, "pods", claims
        )
        failure: Exception | None = None
        reason = ""
        if met and not owner["metadata"].get("deletionTimestamp"):
            writes = plan(owner, pods, self._now(), self._related(owner, pods), flavor)
            reason = "FailedCreate" if any(isinstance(w, Create) for w in writes) else "FailedDelete"
            failure = await actor.create_all(key, owner, [w for w in writes if isinstance(w, Create)])
            failure = failure or await actor.delete_all(key, owner, [w for w in writes if isinstance(w, Delete)])
        now = self._now()
        uid = owner["metadata"]["uid"]
        ending = [p for p in there if is_terminating(p) and (controller_of(p) or {}).get("uid") == uid]
        new = status(owner, [*pods, *ending], now, (reason, failure_text(failure)) if failure else None, flavor)
        await actor.write_status(flavor.resource, key, owner, new)
        if failure is not None:
            raise failure if isinstance(failure, ApiStatusError) else RuntimeError(str(failure))
        return available_in(pods, owner["spec"].get("minReadySeconds") or 0, now)

    def _related(self, owner: Tree, pods: list[Tree]) -> list[Tree]:
        """The pods of all sets of the same owner: nodes that many of them share are relieved first."""
        ref = controller_of(owner)
        if ref is None:
            return pods
        sets = self._sets.by("controller", ref["uid"])
        return [p for s in sets for p in self._pods.by("controller", s["metadata"]["uid"])] or pods
