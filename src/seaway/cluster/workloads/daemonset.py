"""DaemonSets: one pod a fitting node; a new template reaches them within maxUnavailable or maxSurge
(pkg/controller/daemon: daemon_controller.go, update.go)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from seaway.api.selectors import Selector, label_selector
from seaway.api.tree import Key, get, labels
from seaway.client.errors import Conflict
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.cluster.workloads import adoption, revisions
from seaway.cluster.workloads.acting import Actor, by_controller, dependents, follow_pods, in_namespace
from seaway.cluster.workloads.daemonpods import HASH, by_node, pod_for, wants
from seaway.cluster.workloads.podfacts import available_in, is_available, is_ready, is_terminating, phase
from seaway.cluster.workloads.rollout import amount
from seaway.controllers.run import Caches
from seaway.controllers.writes import Create, Delete, apply

Tree = dict[str, Any]
RESOURCE = "daemonsets.apps"
BURST = 250


@dataclass(slots=True)
class Step:
    """Pods to delete, nodes that need one, and events to tell: (severity, reason, message)."""

    delete: list[Tree] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)


def limits(owner: Tree, wanted: int) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in nodes; both percentages are rounded up, and both zero means one unavailable."""
    rolling = get(owner, "spec", "updateStrategy", "rollingUpdate") or {}
    surge = amount(rolling.get("maxSurge") or 0, wanted, True)
    unavailable = amount(rolling.get("maxUnavailable", 1), wanted, True)
    return surge, unavailable if surge or unavailable else 1


def allows_surge(owner: Tree) -> bool:
    return strategy(owner) == "RollingUpdate" and limits(owner, 100)[0] > 0


def strategy(owner: Tree) -> str:
    return str(get(owner, "spec", "updateStrategy", "type") or "RollingUpdate")


def _least(owner: Tree) -> float:
    return float(owner["spec"].get("minReadySeconds") or 0)


def _is_new(pod: Tree, digest: str) -> bool:
    return labels(pod).get(HASH) == digest


def plan(owner: Tree, pods: list[Tree], nodes: list[Tree], digest: str, now: float) -> list[Create | Delete]:
    """The writes of a turn: what nodes lack or have too much; only when that is nothing, the next step of an update."""
    return writes(owner, decide(owner, pods, nodes, digest, now), digest)


def writes(owner: Tree, step: Step, digest: str) -> list[Create | Delete]:
    kind, namespace = kind_of("pods"), owner["metadata"]["namespace"]
    found: list[Create | Delete] = [
        Delete(kind, namespace, p["metadata"]["name"], p["metadata"]["uid"]) for p in step.delete[:BURST]
    ]
    return found + [Create(kind, namespace, pod_for(owner, n, digest)) for n in step.nodes[:BURST]]


def decide(owner: Tree, pods: list[Tree], nodes: list[Tree], digest: str, now: float) -> Step:
    if owner["metadata"].get("deletionTimestamp"):
        return Step()
    placed = by_node(pods)
    step = _manage(owner, placed, nodes, digest, now)
    if step.delete or step.nodes or strategy(owner) != "RollingUpdate":
        return step
    wanted = [n["metadata"]["name"] for n in nodes if wants(owner, n)[0]]
    surge, unavailable = limits(owner, len(wanted))
    seen = {name: placed.get(name, []) for name in sorted({*wanted, *placed})}
    if surge:
        return _surge(owner, seen, set(wanted), digest, surge, now)
    return _replace(owner, seen, digest, unavailable, now)


def _manage(owner: Tree, placed: dict[str, list[Tree]], nodes: list[Tree], digest: str, now: float) -> Step:
    """Each node has its one pod (podsShouldBeOnNode)."""
    step = Step()
    for node in nodes:
        name = node["metadata"]["name"]
        here = placed.get(name, [])
        run, stay = wants(owner, node)
        if run and not here:
            step.nodes.append(name)
        elif stay:
            running = _running(owner, here, name, step)
            if not allows_surge(owner):
                step.delete += running[1:]
            elif not running and run:
                step.nodes.append(name)
            else:
                step.delete += _beyond_surge(owner, running, digest, now)
        else:
            step.delete += [p for p in here if not is_terminating(p)]
    return step


def _running(owner: Tree, here: list[Tree], node: str, step: Step) -> list[Tree]:
    """The pods of a node that are on their way or running; ended ones are to be deleted."""
    found = []
    for pod in here:
        if is_terminating(pod):
            continue
        told = f"daemon pod {pod['metadata']['namespace']}/{pod['metadata']['name']} on node {node}, will try to"
        if phase(pod) == "Failed":
            step.events.append(("Warning", "FailedDaemonPod", f"Found failed {told} kill it"))
            step.delete.append(pod)
        elif phase(pod) == "Succeeded":
            step.events.append(("Normal", "SucceededDaemonPod", f"Found succeeded {told} delete it"))
            step.delete.append(pod)
        else:
            found.append(pod)
    return found


def _beyond_surge(owner: Tree, running: list[Tree], digest: str, now: float) -> list[Tree]:
    """With surge two pods may stand: an old one that is ready, and a new one that is not yet available."""
    if len(running) < 2:
        return []
    new = [p for p in running if _is_new(p, digest)]
    old = [p for p in running if not _is_new(p, digest)]
    gone = [*new[1:], *old[1:]]
    if new and old and (not is_ready(old[0]) or is_available(new[0], _least(owner), now)):
        gone.append(old[0])
    return gone


def _pair(here: list[Tree], digest: str) -> tuple[Tree | None, Tree | None, bool]:
    """(new pod, old pod, whether there is at most one of each)."""
    standing = [p for p in here if not is_terminating(p)]
    new = [p for p in standing if _is_new(p, digest)]
    old = [p for p in standing if not _is_new(p, digest)]
    return new[0] if new else None, old[0] if old else None, len(new) < 2 and len(old) < 2


def _replace(owner: Tree, seen: dict[str, list[Tree]], digest: str, limit: int, now: float) -> Step:
    """Without surge: old pods go, as many as may be missing; those that are unavailable anyway go first."""
    missing, broken, candidates = 0, [], []
    for here in seen.values():
        new, old, clear = _pair(here, digest)
        if not clear or (new is None) == (old is None):
            missing += 1
        elif new is not None:
            missing += not is_available(new, _least(owner), now)
        elif old is not None and not is_available(old, _least(owner), now):
            broken.append(old)
            missing += 1
        elif old is not None:
            candidates.append(old)
    return Step(delete=[*broken, *candidates[: max(limit - missing, 0)]])


def _surge(owner: Tree, seen: dict[str, list[Tree]], wanted: set[str], digest: str, limit: int, now: float) -> Step:
    """With surge: the new pod comes beside the old one, which goes when the new one is available."""
    step, surging, broken, candidates = Step(), 0, [], []
    for name, here in seen.items():
        new, old, clear = _pair(here, digest)
        if not clear:
            surging += 1
        elif old is None:
            continue
        elif new is None:
            if not is_available(old, _least(owner), now):
                if name in wanted:
                    broken.append(name)
                else:
                    step.delete.append(old)
            elif name in wanted:
                candidates.append(name)
        elif is_available(new, _least(owner), now) or not is_available(old, _least(owner), now):
            step.delete.append(old)
        else:
            surging += 1
    step.nodes = [*broken, *candidates[: max(limit - surging, 0)]]
    return step


def status(owner: Tree, pods: list[Tree], nodes: list[Tree], digest: str, now: float) -> Tree:
    placed, counts = by_node(pods), dict.fromkeys(("desired", "current", "mis", "ready", "available", "updated"), 0)
    for node in nodes:
        here = placed.get(node["metadata"]["name"], [])
        if not wants(owner, node)[0]:
            counts["mis"] += bool(here)
            continue
        counts["desired"] += 1
        if not here:
            continue
        pod = here[0]
        counts["current"] += 1
        counts["ready"] += is_ready(pod)
        counts["available"] += is_available(pod, _least(owner), now)
        counts["updated"] += _is_new(pod, digest)
    optional = {
        "updatedNumberScheduled": counts["updated"],
        "numberAvailable": counts["available"],
        "numberUnavailable": counts["desired"] - counts["available"],
    }
    before = owner.get("status") or {}
    return {
        **{k: v for k, v in before.items() if k not in optional},
        "currentNumberScheduled": counts["current"],
        "numberMisscheduled": counts["mis"],
        "desiredNumberScheduled": counts["desired"],
        "numberReady": counts["ready"],
        "observedGeneration": owner["metadata"].get("generation", 0),
        **{k: v for k, v in optional.items() if v},
    }


def selector_of(owner: Tree) -> Selector | None:
    return label_selector(owner["spec"].get("selector"))


class DaemonSetController:
    def __init__(self, caches: Caches, events: Events) -> None:
        self._now = time.time
        self._caches = caches
        self._sets, self._pods, self._nodes = caches.of(RESOURCE), caches.of("pods"), caches.of("nodes")
        self._revisions = caches.of(revisions.RESOURCE)
        self._pods.add_index("controller", by_controller)
        self._sets.add_index("namespace", in_namespace)
        self._revisions.add_index("controller", by_controller)
        self._actor = Actor(caches, events, "apps/v1", "DaemonSet")
        self._failed: dict[str, tuple[float, float]] = {}
        self.queue: Reconciler[Key] = Reconciler("daemonsets", self._reconcile)
        self._sets.listen(lambda change: self.queue.add(change.key))
        self._nodes.listen(self._node_changed)
        follow_pods(self._pods, self._sets, "DaemonSet", self._actor, self.queue, selector_of)

    def _node_changed(self, change: Change) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None:
            same = all(get(old, "spec", k) == get(new, "spec", k) for k in ("taints", "unschedulable"))
            if same and labels(old) == labels(new):
                return  # a heartbeat
        for tree in self._sets.all():
            self.queue.add(Key(tree["metadata"]["namespace"], tree["metadata"]["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        owner, api, actor = self._sets.get(*key), self._caches.api, self._actor
        if actor.is_behind(key, owner) or owner is None:
            return None
        selector = selector_of(owner)
        if selector is None or not selector.requirements:
            why = "This daemon set is selecting all pods. A non-empty selector is required."
            actor.tell(owner, "Warning", "SelectingAll", why)
            return None
        if owner["metadata"].get("deletionTimestamp"):
            return None
        claims = adoption.claim(owner, selector, dependents(self._pods, owner))
        pods = await adoption.carry_out(api, owner, RESOURCE, "apps/v1", "DaemonSet", "pods", claims)
        current, history, collisions = await self._history(owner, selector)
        digest = labels(current).get(HASH, "")
        nodes, now = self._nodes.all(), self._now()
        failure, wait = None, None
        if actor.expected.met(key):
            step = decide(owner, pods, nodes, digest, now)
            wait = self._hold_back(step, now)
            for severity, reason, message in step.events:
                actor.tell(owner, severity, reason, message)
            todo = writes(owner, step, digest)
            failure = await actor.delete_all(key, owner, [w for w in todo if isinstance(w, Delete)])
            failure = failure or await actor.create_all(key, owner, [w for w in todo if isinstance(w, Create)])
        found = status(owner, pods, nodes, digest, now)
        if collisions:
            found["collisionCount"] = collisions
        await actor.write_status(RESOURCE, key, owner, found)
        if failure is not None:
            raise failure
        used = {labels(p).get(HASH) for p in pods}
        live = {r["metadata"]["name"] for r in [*history, current] if labels(r).get(HASH) in used}
        for write in revisions.surplus(
            history, {*live, current["metadata"]["name"]}, owner["spec"].get("revisionHistoryLimit", 10)
        ):
            await apply(api, write)
        ready_in = available_in(pods, _least(owner), now)
        return min((w for w in (wait, ready_in) if w is not None), default=None)

    def _hold_back(self, step: Step, now: float) -> float | None:
        """Failed pods are deleted with a back-off a node and set, so that one that a node refuses does not spin."""
        wait: float | None = None
        kept = []
        for pod in step.delete:
            if phase(pod) != "Failed":
                kept.append(pod)
                continue
            at = f"{get(pod, 'metadata', 'ownerReferences', 0, 'uid')}/{pod['spec'].get('nodeName', '')}"
            until, last = self._failed.get(at, (0.0, 0.5))
            if now < until:
                wait = min(wait, until - now) if wait is not None else until - now
                continue
            pause = min(last * 2, 900.0) if now - until < 1800 else 1.0
            self._failed[at] = (now + pause, pause)
            kept.append(pod)
        step.delete = kept
        return wait

    async def _history(self, owner: Tree, selector: Selector) -> tuple[Tree, list[Tree], int]:
        """(the revision of the present template, all revisions, collisions)."""
        api = self._caches.api
        claims = adoption.claim(owner, selector, dependents(self._revisions, owner))
        found = await adoption.carry_out(api, owner, RESOURCE, "apps/v1", "DaemonSet", revisions.RESOURCE, claims)
        history = revisions.ordered(found)
        collisions = get(owner, "status", "collisionCount") or 0
        while True:
            write = revisions.current(owner, "DaemonSet", HASH, history, collisions)
            if write is None:
                return history[-1], history, collisions
            try:
                return await apply(api, write), history, collisions
            except Conflict:
                if not isinstance(write, Create):
                    raise
                there = await api.get(write.kind, write.namespace, write.tree["metadata"]["name"])
                if there.get("data") == write.tree["data"]:
                    return there, history, collisions
                collisions += 1
