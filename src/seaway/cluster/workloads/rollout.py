"""What a Deployment does to its ReplicaSets: create, scale in proportion, roll, roll back, forget; pure
(pkg/controller/deployment: sync.go, rolling.go, recreate.go, util/deployment_util.go).

A plan is the writes of one turn. The next turn begins when they are seen: what is scaled up is never scaled down too.
"""

from __future__ import annotations

import math
from typing import Any

from seaway.api.tree import get, owner_reference, seconds
from seaway.client.rest import kind_of
from seaway.cluster.workloads.podfacts import is_finished
from seaway.cluster.workloads.revisions import template_hash
from seaway.controllers.writes import Create, Delete, Patch, Write

Tree = dict[str, Any]
HASH, REVISION = "pod-template-hash", "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED, MAX = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
ROLLBACK = "deprecated.deployment.rollback.to"
NOT_COPIED = ("kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MAX, ROLLBACK)
HISTORY_LENGTH = 2000
NO_LIMIT = 2**31 - 1


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


def is_rolling(spec: Tree) -> bool:
    return bool(get(spec, "strategy", "type") != "Recreate")


def bounds(spec: Tree) -> tuple[int, int]:
    """(maxSurge, maxUnavailable); both zero would never move, so that one may be missing then."""
    replicas = spec.get("replicas", 1)
    if not is_rolling(spec):
        return 0, 0
    rolling = get(spec, "strategy", "rollingUpdate") or {}
    surge = amount(rolling.get("maxSurge", "25%"), replicas, True)
    unavailable = amount(rolling.get("maxUnavailable", "25%"), replicas, False)
    return surge, min(1 if not surge and not unavailable else unavailable, replicas)


def replicas_of(tree: Tree) -> int:
    return int(tree["spec"].get("replicas", 1))


def available(sets: list[Tree]) -> int:
    return sum(get(s, "status", "availableReplicas") or 0 for s in sets)


def notes_of(tree: Tree) -> dict[str, str]:
    return tree["metadata"].get("annotations") or {}


def revision_of(tree: Tree) -> int:
    text = notes_of(tree).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def _age(tree: Tree) -> tuple[float, str]:
    return seconds(tree["metadata"].get("creationTimestamp")) or 0, str(tree["metadata"]["name"])


def new_set(deployment: Tree, sets: list[Tree]) -> Tree | None:
    """The ReplicaSet of the current template; the oldest, should there be two."""
    wanted = bare(deployment["spec"]["template"])
    same = [s for s in sets if bare(s["spec"]["template"]) == wanted]
    return min(same, key=_age) if same else None


# annotations


def _copied(deployment: Tree) -> dict[str, str]:
    return {k: v for k, v in notes_of(deployment).items() if k not in NOT_COPIED}


def _notes(deployment: Tree, current: Tree, revision: int) -> dict[str, str]:
    """The annotations that the new set shall have: the Deployment's, a revision above all old ones, and those it had."""
    notes = {**notes_of(current), **_copied(deployment)}
    before = notes.get(REVISION)
    if before and not before.isdigit():
        return notes
    if int(before or 0) < revision:
        notes[REVISION] = str(revision)
        if before is not None:
            past = notes.get(HISTORY, "")
            kept = past.split(",") if past else []
            length = len(past) + len(before) + 1 if past else 0
            while kept and length > HISTORY_LENGTH:
                length -= len(kept.pop(0)) + 1
            notes[HISTORY] = ",".join([*kept, before])
    return notes


def _sizes(deployment: Tree) -> dict[str, str]:
    count = replicas_of(deployment)
    return {DESIRED: str(count), MAX: str(count + bounds(deployment["spec"])[0])}


# writes


def create(deployment: Tree, old: list[Tree]) -> Create:
    """The set of the current template."""
    meta, spec = deployment["metadata"], deployment["spec"]
    digest = template_hash(spec["template"], get(deployment, "status", "collisionCount") or 0)
    own = {**(get(spec, "template", "metadata", "labels") or {}), HASH: digest}
    template = {**spec["template"], "metadata": {**(spec["template"].get("metadata") or {}), "labels": own}}
    selector = spec["selector"]
    tree: Tree = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": own,
            "annotations": {
                **_copied(deployment),
                REVISION: str(max((revision_of(s) for s in old), default=0) + 1),
                **_sizes(deployment),
            },
            "ownerReferences": [owner_reference("apps/v1", "Deployment", deployment)],
        },
        "spec": {
            "replicas": _grown(deployment, 0, sum(replicas_of(s) for s in old)),
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH: digest}},
            "template": template,
        },
    }
    if spec.get("minReadySeconds"):
        tree["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return Create(kind_of("replicasets.apps"), meta["namespace"], tree)


def _grown(deployment: Tree, now: int, total: int) -> int:
    """What the new set may have (NewRSNewReplicas); `total`: what all sets ask for together."""
    wanted = replicas_of(deployment)
    if not is_rolling(deployment["spec"]):
        return wanted
    most = wanted + bounds(deployment["spec"])[0]
    return now if total >= most else now + min(most - total, wanted - now)


def _patch(target: Tree, patch: Tree) -> Patch:
    meta = target["metadata"]
    version = meta.get("resourceVersion", "")
    return Patch(kind_of("replicasets.apps"), meta["namespace"], meta["name"], patch, version=version)


def scale(deployment: Tree, target: Tree, count: int) -> list[Patch]:
    """A set's new size, with what it was computed from as annotations."""
    notes = {k: v for k, v in _sizes(deployment).items() if notes_of(target).get(k) != v}
    patch: Tree = {}
    if notes:
        patch["metadata"] = {"annotations": notes}
    if count != replicas_of(target):
        patch["spec"] = {"replicas": count}
    return [_patch(target, patch)] if patch else []


def _resize(deployment: Tree, target: Tree, count: int) -> list[Patch]:
    return [] if count == replicas_of(target) else scale(deployment, target, count)


def renew(deployment: Tree, current: Tree, old: list[Tree]) -> list[Patch]:
    """What the set that is there lacks: annotations, a revision above the old ones (a rollback), minReadySeconds."""
    wanted = _notes(deployment, current, max((revision_of(s) for s in old), default=0) + 1)
    notes = {k: v for k, v in wanted.items() if notes_of(current).get(k) != v}
    patch: Tree = {"metadata": {"annotations": notes}} if notes else {}
    least = deployment["spec"].get("minReadySeconds") or 0
    if (current["spec"].get("minReadySeconds") or 0) != least:
        patch["spec"] = {"minReadySeconds": least or None}
    return [_patch(current, patch)] if patch else []


# plans


def is_scaling(deployment: Tree, sets: list[Tree]) -> bool:
    """Whether the number asked for has changed since a set was scaled: sizes come before versions then."""
    wanted = str(replicas_of(deployment))
    return any(replicas_of(s) and notes_of(s).get(DESIRED, wanted) != wanted for s in sets)


def plan(deployment: Tree, sets: list[Tree], pods: list[Tree] | None = None) -> list[Write]:
    """The writes of this turn. `pods`: those of all its sets, which Recreate waits for."""
    spec = deployment["spec"]
    if deployment["metadata"].get("deletionTimestamp"):
        return []
    current = new_set(deployment, sets)
    old = [s for s in sets if s is not current]
    if current is not None:
        renewed = renew(deployment, current, old)
        if renewed:
            return list(renewed)
    if spec.get("paused"):
        return [*_proportional(deployment, current, old), *history(deployment, old)]
    if is_scaling(deployment, sets):
        return list(_proportional(deployment, current, old))
    if not is_rolling(spec):
        return _recreate(deployment, current, old, pods or [])
    if current is None:
        return [create(deployment, old)]
    return _roll(deployment, current, old)


def _is_complete(deployment: Tree) -> bool:
    status, wanted = deployment.get("status") or {}, replicas_of(deployment)
    counts = (status.get(n) or 0 for n in ("updatedReplicas", "replicas", "availableReplicas"))
    seen = status.get("observedGeneration") or 0
    return all(c == wanted for c in counts) and seen >= (deployment["metadata"].get("generation") or 0)


def _roll(deployment: Tree, current: Tree, old: list[Tree]) -> list[Write]:
    wanted, size = replicas_of(deployment), replicas_of(current)
    total = sum(replicas_of(s) for s in [*old, current])
    count = wanted if size > wanted else _grown(deployment, size, total)
    if count != size:
        return list(_resize(deployment, current, count))
    shrunk = _shrink(deployment, current, [s for s in old if replicas_of(s)])
    if shrunk:
        return list(shrunk)
    return list(history(deployment, old)) if _is_complete(deployment) else []


def _shrink(deployment: Tree, current: Tree, active: list[Tree]) -> list[Patch]:
    """Old sets go down: first what is not available anyway, then as far as the floor allows; the oldest first."""
    if not active:
        return []
    floor = replicas_of(deployment) - bounds(deployment["spec"])[1]
    total = sum(replicas_of(s) for s in [*active, current])
    missing = replicas_of(current) - available([current])
    room = total - floor - missing
    if room <= 0:
        return []
    sizes = {s["metadata"]["name"]: replicas_of(s) for s in active}
    order = sorted(active, key=_age)
    for tree in order:
        unhealthy = sizes[tree["metadata"]["name"]] - available([tree])
        step = min(max(unhealthy, 0), room)
        sizes[tree["metadata"]["name"]] -= step
        room -= step
    room = min(room, available([*active, current]) - floor)
    for tree in order:
        step = min(sizes[tree["metadata"]["name"]], max(room, 0))
        sizes[tree["metadata"]["name"]] -= step
        room -= step
    return [p for s in order for p in _resize(deployment, s, sizes[s["metadata"]["name"]])]


def _recreate(deployment: Tree, current: Tree | None, old: list[Tree], pods: list[Tree]) -> list[Write]:
    """All old pods go, and are gone, before the first new one."""
    down = [p for s in old if replicas_of(s) for p in _resize(deployment, s, 0)]
    if down:
        return list(down)
    if any(get(s, "status", "replicas") for s in old) or _old_pods(current, pods):
        return []
    if current is None:
        return [create(deployment, old)]
    if replicas_of(current) != replicas_of(deployment):
        return list(scale(deployment, current, replicas_of(deployment)))
    return list(history(deployment, old)) if _is_complete(deployment) else []


def _old_pods(current: Tree | None, pods: list[Tree]) -> bool:
    """Pods of other sets that have not ended, also those on their way out."""
    own = current["metadata"]["uid"] if current else ""
    return any(
        not is_finished(p) and not any(r["uid"] == own for r in p["metadata"].get("ownerReferences") or ())
        for p in pods
    )


def _proportional(deployment: Tree, current: Tree | None, old: list[Tree]) -> list[Patch]:
    """Sizes for a new number of replicas: all to the one set that has pods, otherwise in proportion (sync.go scale)."""
    wanted = replicas_of(deployment)
    sets = [*old, *([current] if current else [])]
    active = [s for s in sets if replicas_of(s)]
    if len(active) < 2:
        only = active[0] if active else current or (max(old, key=_age) if old else None)
        return _resize(deployment, only, wanted) if only else []
    if current is not None and _is_saturated(deployment, current):
        return [p for s in old if replicas_of(s) for p in _resize(deployment, s, 0)]
    if not is_rolling(deployment["spec"]):
        return []
    surge, _ = bounds(deployment["spec"])
    change = (wanted + surge if wanted else 0) - sum(replicas_of(s) for s in active)
    # The larger sets take first; of equals the newer grows, the older shrinks.
    younger = sorted(active, key=_age, reverse=change > 0)
    order = sorted(younger, key=lambda s: -replicas_of(s))
    sizes, done = {}, 0
    for tree in order:
        part = _share(deployment, tree, change, change - done) if change else 0
        sizes[tree["metadata"]["name"]] = replicas_of(tree) + part
        done += part
    first = order[0]["metadata"]["name"]
    sizes[first] = max(sizes[first] + change - done, 0)
    return [p for s in order for p in scale(deployment, s, sizes[s["metadata"]["name"]])]


def _share(deployment: Tree, tree: Tree, change: int, left: int) -> int:
    """A set's part of a change, no more than is left of it (GetReplicaSetProportion)."""
    if not left:
        return 0
    size, wanted = replicas_of(tree), replicas_of(deployment)
    if not wanted:
        part = -size
    else:
        text = notes_of(tree).get(MAX, "")
        before = (int(text) if text.isdigit() else 0) or get(deployment, "status", "replicas") or 0
        if not before:
            return 0
        most = wanted + bounds(deployment["spec"])[0]
        part = math.floor(size * most / before + 0.5) - size
    return min(part, left) if change > 0 else max(part, left)


def _is_saturated(deployment: Tree, tree: Tree) -> bool:
    text, wanted = notes_of(tree).get(DESIRED, ""), replicas_of(deployment)
    return text.isdigit() and replicas_of(tree) == wanted == int(text) == available([tree])


def history(deployment: Tree, old: list[Tree]) -> list[Delete]:
    """Old sets beyond revisionHistoryLimit, the oldest revisions first; none that still has, or wants, pods."""
    limit = deployment["spec"].get("revisionHistoryLimit", 10)
    alive = sorted((s for s in old if not s["metadata"].get("deletionTimestamp")), key=revision_of)
    if limit == NO_LIMIT:
        return []
    gone = [s for s in alive[: max(len(alive) - limit, 0)] if _is_idle(s)]
    return [
        Delete(kind_of("replicasets.apps"), s["metadata"]["namespace"], s["metadata"]["name"], s["metadata"]["uid"])
        for s in gone
    ]


def _is_idle(tree: Tree) -> bool:
    seen = get(tree, "status", "observedGeneration")
    current = seen is None or seen >= (tree["metadata"].get("generation") or 0)
    return not replicas_of(tree) and not get(tree, "status", "replicas") and current
