"""Deployments: a ReplicaSet a template, rolled from old to new within maxSurge and maxUnavailable (pkg/controller/deployment)."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import msgspec

from seaway.api.tree import Key, controller_of, get, owner_reference, seconds, stamp, with_condition
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.cluster.workloads.replicaset import patch_of
from seaway.controllers.run import Caches, Expectations
from seaway.controllers.writes import Create, Delete, Patch, Write, apply

Tree = dict[str, Any]
HASH, REVISION = "pod-template-hash", "deployment.kubernetes.io/revision"
DESIRED, MAX = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Tree, collisions: int) -> str:
    """A short name for a template: the same for the same template."""
    raw = msgspec.json.encode(template, order="deterministic") + str(collisions or "").encode()
    number = int.from_bytes(hashlib.sha256(raw).digest()[:8], "big")
    text = ""
    for _ in range(10):
        number, at = divmod(number, len(ALPHABET))
        text += ALPHABET[at]
    return text


def bare(template: Tree) -> Tree:
    """A template without the label that tells ReplicaSets apart."""
    meta = template.get("metadata") or {}
    kept = {k: v for k, v in (meta.get("labels") or {}).items() if k != HASH}
    return {**template, "metadata": {**{k: v for k, v in meta.items() if k != "creationTimestamp"}, "labels": kept}}


def amount(value: int | str, total: int, up: bool) -> int:
    """An int, or a percentage of `total`."""
    if isinstance(value, int):
        return value
    part = int(str(value).rstrip("%")) * total / 100
    return math.ceil(part) if up else math.floor(part)


def bounds(spec: Tree) -> tuple[int, int]:
    """(maxSurge, maxUnavailable); both zero would never move, so that one may be missing then."""
    replicas = spec.get("replicas", 1)
    if get(spec, "strategy", "type") == "Recreate":
        return 0, 0
    rolling = get(spec, "strategy", "rollingUpdate") or {}
    surge = amount(rolling.get("maxSurge", "25%"), replicas, True)
    unavailable = amount(rolling.get("maxUnavailable", "25%"), replicas, False)
    return surge, (1 if not surge and not unavailable else min(unavailable, replicas))


def replicas_of(tree: Tree) -> int:
    return int(tree["spec"].get("replicas", 1))


def revision_of(tree: Tree) -> int:
    text = (tree["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def new_set(deployment: Tree, sets: list[Tree]) -> Tree | None:
    """The ReplicaSet of the current template; the oldest, should there be two."""
    wanted = bare(deployment["spec"]["template"])
    same = [s for s in sets if bare(s["spec"]["template"]) == wanted]
    return (
        min(same, key=lambda s: (seconds(s["metadata"]["creationTimestamp"]) or 0, s["metadata"]["name"]))
        if same
        else None
    )


def _create(deployment: Tree, sets: list[Tree]) -> Create:
    meta, spec = deployment["metadata"], deployment["spec"]
    digest = template_hash(spec["template"], get(deployment, "status", "collisionCount") or 0)
    template = {
        **spec["template"],
        "metadata": {
            **(spec["template"].get("metadata") or {}),
            "labels": {**(get(spec, "template", "metadata", "labels") or {}), HASH: digest},
        },
    }
    old = [s for s in sets if replicas_of(s)]
    surge, _ = bounds(spec)
    room = replicas_of(deployment) + surge - sum(replicas_of(s) for s in old)
    count = max(min(room, replicas_of(deployment)), 0)
    if get(spec, "strategy", "type") == "Recreate" and any(get(s, "status", "replicas") for s in old):
        count = 0
    revision = max((revision_of(s) for s in sets), default=0) + 1
    copied = {
        k: v
        for k, v in (meta.get("annotations") or {}).items()
        if k not in (REVISION, "kubectl.kubernetes.io/last-applied-configuration")
    }
    tree = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": {
                **copied,
                REVISION: str(revision),
                DESIRED: str(replicas_of(deployment)),
                MAX: str(replicas_of(deployment) + surge),
            },
            "ownerReferences": [owner_reference("apps/v1", "Deployment", deployment)],
        },
        "spec": {
            "replicas": count,
            "minReadySeconds": spec.get("minReadySeconds") or 0,
            "selector": {
                **spec["selector"],
                "matchLabels": {**(spec["selector"].get("matchLabels") or {}), HASH: digest},
            },
            "template": template,
        },
    }
    if not tree["spec"]["minReadySeconds"]:  # type: ignore[index]
        del tree["spec"]["minReadySeconds"]  # type: ignore[attr-defined]
    return Create(kind_of("replicasets.apps"), meta["namespace"], tree)


def _scale(deployment: Tree, target: Tree, count: int) -> Patch:
    surge, _ = bounds(deployment["spec"])
    notes = {DESIRED: str(replicas_of(deployment)), MAX: str(replicas_of(deployment) + surge)}
    return Patch(
        kind_of("replicasets.apps"),
        target["metadata"]["namespace"],
        target["metadata"]["name"],
        {"metadata": {"annotations": notes}, "spec": {"replicas": count}},
    )


def plan(deployment: Tree, sets: list[Tree]) -> list[Write]:
    """The writes of this turn: create the new set, scale up what may grow, scale down what may shrink, drop old history."""
    spec = deployment["spec"]
    if deployment["metadata"].get("deletionTimestamp"):
        return []
    current = new_set(deployment, sets)
    old = [s for s in sets if s is not current]
    wanted = replicas_of(deployment)
    if current is None:
        return [] if spec.get("paused") else [_create(deployment, sets)]
    writes: list[Write] = []
    top = max((revision_of(s) for s in old), default=0)
    if revision_of(current) <= top:  # a rollback: the old set becomes the newest revision
        writes.append(
            Patch(
                kind_of("replicasets.apps"),
                current["metadata"]["namespace"],
                current["metadata"]["name"],
                {"metadata": {"annotations": {REVISION: str(top + 1)}}},
            )
        )
    active = [s for s in old if replicas_of(s)]
    if spec.get("paused"):
        if not active and replicas_of(current) != wanted:
            writes.append(_scale(deployment, current, wanted))
        return writes
    surge, unavailable = bounds(spec)
    if get(spec, "strategy", "type") == "Recreate":
        writes += [_scale(deployment, s, 0) for s in active]
        if not active and not any(get(s, "status", "replicas") for s in old) and replicas_of(current) != wanted:
            writes.append(_scale(deployment, current, wanted))
        return writes + _history(deployment, old)
    total = sum(replicas_of(s) for s in sets)
    if replicas_of(current) > wanted:
        writes.append(_scale(deployment, current, wanted))
    elif replicas_of(current) < wanted and total < wanted + surge:
        writes.append(
            _scale(
                deployment, current, replicas_of(current) + min(wanted + surge - total, wanted - replicas_of(current))
            )
        )
    writes += _shrink(deployment, current, active, wanted - unavailable, total)
    return writes + _history(deployment, old)


def _shrink(deployment: Tree, current: Tree, active: list[Tree], floor: int, total: int) -> list[Write]:
    """Old sets go down: first what is not available anyway, then as far as the floor allows; the oldest first."""
    missing = replicas_of(current) - (get(current, "status", "availableReplicas") or 0)
    room = total - floor - missing
    if room <= 0 or not active:
        return []
    sizes = {s["metadata"]["name"]: replicas_of(s) for s in active}
    order = sorted(active, key=lambda s: (seconds(s["metadata"]["creationTimestamp"]) or 0, s["metadata"]["name"]))
    for tree in order:
        unhealthy = sizes[tree["metadata"]["name"]] - (get(tree, "status", "availableReplicas") or 0)
        step = min(max(unhealthy, 0), room)
        sizes[tree["metadata"]["name"]] -= step
        room -= step
    available = sum(get(s, "status", "availableReplicas") or 0 for s in [*active, current])
    room = min(room, available - floor)
    for tree in order:
        step = min(sizes[tree["metadata"]["name"]], max(room, 0))
        sizes[tree["metadata"]["name"]] -= step
        room -= step
    return [
        _scale(deployment, s, sizes[s["metadata"]["name"]])
        for s in order
        if sizes[s["metadata"]["name"]] != replicas_of(s)
    ]


def _history(deployment: Tree, old: list[Tree]) -> list[Write]:
    idle = [
        s
        for s in old
        if not replicas_of(s) and not get(s, "status", "replicas") and not s["metadata"].get("deletionTimestamp")
    ]
    surplus = len(idle) - deployment["spec"].get("revisionHistoryLimit", 10)
    if surplus <= 0:
        return []
    gone = sorted(idle, key=revision_of)[:surplus]
    return [
        Delete(kind_of("replicasets.apps"), s["metadata"]["namespace"], s["metadata"]["name"], s["metadata"]["uid"])
        for s in gone
    ]


def status(deployment: Tree, sets: list[Tree], now: float) -> Tree:
    current = new_set(deployment, sets)
    wanted = replicas_of(deployment)

    def total(name: str, of: list[Tree]) -> int:
        return sum(get(s, "status", name) or 0 for s in of)

    available = total("availableReplicas", sets)
    _, unavailable = bounds(deployment["spec"])
    found: Tree = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": total("replicas", sets),
        "updatedReplicas": total("replicas", [current] if current else []),
        "readyReplicas": total("readyReplicas", sets),
        "availableReplicas": available,
        "unavailableReplicas": max(wanted - available, total("replicas", sets) - available, 0),
    }
    conditions = list(get(deployment, "status", "conditions") or ())
    enough = available >= wanted - unavailable
    moment = stamp(now)

    def condition(kind: str, ok: bool, reason: str, message: str) -> Tree:
        return {
            "type": kind,
            "status": "True" if ok else "False",
            "reason": reason,
            "message": message,
            "lastUpdateTime": moment,
            "lastTransitionTime": moment,
        }

    fresh = condition(
        "Available",
        enough,
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )
    name = current["metadata"]["name"] if current else ""
    done = bool(current) and found["updatedReplicas"] == wanted == found["replicas"] == available
    old_progress = next((c for c in conditions if c["type"] == "Progressing"), None)
    if done:
        progress = condition(
            "Progressing", True, "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'
        )
    else:
        progress = condition("Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
        since = seconds((old_progress or {}).get("lastUpdateTime"))
        moved = any(
            (get(deployment, "status", k) or 0) != found[k]
            for k in ("updatedReplicas", "readyReplicas", "availableReplicas", "replicas")
        )
        if old_progress and not moved and since and old_progress.get("reason") != "NewReplicaSetAvailable":
            if now - since > deployment["spec"].get("progressDeadlineSeconds", 600):
                progress = condition(
                    "Progressing", False, "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.'
                )
            else:
                progress["lastUpdateTime"] = old_progress["lastUpdateTime"]
    for entry in (fresh, progress):
        same = next((c for c in conditions if c["type"] == entry["type"]), None)
        if same and all(same.get(k) == entry[k] for k in ("status", "reason", "message")):
            continue
        conditions = with_condition(conditions, entry)
    found["conditions"] = conditions
    return found


class DeploymentController:
    def __init__(self, caches: Caches, events: Events) -> None:
        import time

        self._now = time.time
        self._caches, self._events = caches, events
        self._deployments, self._sets = caches.of("deployments.apps"), caches.of("replicasets.apps")
        self._sets.add_index("owner", lambda t: [r["uid"]] if (r := controller_of(t)) else [])
        self._expected = Expectations()
        self.queue: Reconciler[Key] = Reconciler("deployments", self._reconcile, workers=8)
        self._deployments.listen(lambda change: self.queue.add(change.key))
        self._sets.listen(self._set_changed)

    def _set_changed(self, change: Change) -> None:
        for tree in (change.old, change.new):
            ref = controller_of(tree) if tree else None
            if ref and ref["kind"] == "Deployment":
                key = Key(change.key.namespace, ref["name"])
                if tree is change.new and tree is not None:
                    self._expected.seen(key, change.key.name, tree["metadata"]["resourceVersion"])
                self.queue.add(key)

    async def _reconcile(self, key: Key) -> float | None:
        deployment = self._deployments.get(*key)
        if deployment is None:
            return None
        if not self._expected.met(key):
            return 0.5
        sets = self._sets.by("owner", deployment["metadata"]["uid"])
        for write in plan(deployment, sets):
            await self._write(key, deployment, write)
        current = new_set(deployment, sets)
        if current is not None and revision_of(current) and revision_of(deployment) != revision_of(current):
            note = {"metadata": {"annotations": {REVISION: str(revision_of(current))}}}
            await apply(self._caches.api, Patch(kind_of("deployments.apps"), *key, note))
        patch = patch_of(status(deployment, sets, self._now()), deployment.get("status") or {})
        if "replicas" in patch and not patch["replicas"] and not get(deployment, "status", "replicas"):
            del patch["replicas"]
        if patch:
            await apply(self._caches.api, Patch(kind_of("deployments.apps"), *key, {"status": patch}, "status"))
        return None

    async def _write(self, key: Key, deployment: Tree, write: Write) -> None:
        about = {"kind": "Deployment", "apiVersion": "apps/v1", **deployment}
        answer = await apply(self._caches.api, write)
        if isinstance(write, Delete):
            return
        meta = answer["metadata"]
        self._expected.expect_answer(key, answer, self._sets.get(key.namespace, meta["name"]))
        if isinstance(write, Create):
            self._events.tell(
                about,
                "Normal",
                "ScalingReplicaSet",
                f"Scaled up replica set {meta['name']} from 0 to {write.tree['spec']['replicas']}",
            )
        elif "spec" in write.patch:
            before = self._sets.get(key.namespace, write.name)
            was, now = replicas_of(before) if before else 0, write.patch["spec"]["replicas"]
            self._events.tell(
                about,
                "Normal",
                "ScalingReplicaSet",
                f"Scaled {'up' if now > was else 'down'} replica set {write.name} from {was} to {now}",
            )
