"""The status of a Deployment: counts, and whether it is available, moving, stuck or paused; pure
(pkg/controller/deployment: progress.go, sync.go calculateStatus)."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import get, seconds, stamp
from seaway.cluster.workloads import conditions
from seaway.cluster.workloads.rollout import NO_LIMIT, bounds, is_scaling, new_set, replicas_of

Tree = dict[str, Any]


def has_deadline(deployment: Tree) -> bool:
    limit = deployment["spec"].get("progressDeadlineSeconds")
    return limit is not None and limit != NO_LIMIT


def _progressing(status: str, reason: str, message: str, now: float) -> Tree:
    return conditions.make("Progressing", status, reason, message, now, lastUpdateTime=stamp(now))


def paused(deployment: Tree, now: float) -> Tree | None:
    """The status that says that a Deployment was paused or resumed; None where it says so already."""
    status = deployment.get("status") or {}
    have = list(status.get("conditions") or ())
    old = conditions.find(have, "Progressing")
    if not has_deadline(deployment) or (old and old.get("reason") == "ProgressDeadlineExceeded"):
        return None
    was, is_now = bool(old and old.get("reason") == "DeploymentPaused"), bool(deployment["spec"].get("paused"))
    if was == is_now:
        return None
    reason, message = (
        ("DeploymentPaused", "Deployment is paused") if is_now else ("DeploymentResumed", "Deployment is resumed")
    )
    return {**status, "conditions": conditions.put(have, _progressing("Unknown", reason, message, now))}


def began(deployment: Tree, name: str, made: bool, now: float) -> Tree:
    """The status once the new set is there: made now, or found by a Deployment that says nothing of progress yet."""
    status = deployment.get("status") or {}
    have = list(status.get("conditions") or ())
    if not has_deadline(deployment) or (not made and conditions.find(have, "Progressing")):
        return status
    reason, verb = ("NewReplicaSetCreated", "Created") if made else ("FoundNewReplicaSet", "Found")
    entry = _progressing("True", reason, f'{verb} new replica set "{name}"', now)
    return {**status, "conditions": conditions.put(have, entry)}


def failed(deployment: Tree, name: str, why: str, now: float) -> Tree:
    """The status when the new set could not be made."""
    status = deployment.get("status") or {}
    if not has_deadline(deployment):
        return status
    message = f'Failed to create new replica set "{name}": {why}'
    entry = _progressing("False", "ReplicaSetCreateError", message, now)
    return {**status, "conditions": conditions.put(list(status.get("conditions") or ()), entry)}


def _total(name: str, sets: list[Tree]) -> int:
    return sum(get(s, "status", name) or 0 for s in sets)


def counts(deployment: Tree, sets: list[Tree], now: float) -> Tree:
    """Counts and the Available condition (calculateStatus)."""
    current = new_set(deployment, sets)
    available, wanted = _total("availableReplicas", sets), replicas_of(deployment)
    before = deployment.get("status") or {}
    numbers = {
        "replicas": _total("replicas", sets),
        "updatedReplicas": _total("replicas", [current] if current else []),
        "readyReplicas": _total("readyReplicas", sets),
        "availableReplicas": available,
        "unavailableReplicas": max(sum(replicas_of(s) for s in sets) - available, 0),
    }
    found: Tree = {k: v for k, v in before.items() if k not in numbers}
    found.update({k: v for k, v in numbers.items() if v})
    found["observedGeneration"] = deployment["metadata"].get("generation", 0)
    found["terminatingReplicas"] = _total("terminatingReplicas", sets)
    enough = available >= wanted - bounds(deployment["spec"])[1]
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    message = f"Deployment {'has' if enough else 'does not have'} minimum availability."
    entry = conditions.make("Available", "True" if enough else "False", reason, message, now, lastUpdateTime=stamp(now))
    found["conditions"] = conditions.put(list(before.get("conditions") or ()), entry)
    return found


def _moved(before: Tree, after: Tree) -> bool:
    def old_pods(status: Tree) -> int:
        return int(status.get("replicas") or 0) - int(status.get("updatedReplicas") or 0)

    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_pods(after) < old_pods(before) or any((after.get(n) or 0) > (before.get(n) or 0) for n in more)


def is_complete(deployment: Tree, status: Tree) -> bool:
    wanted = replicas_of(deployment)
    names = ("updatedReplicas", "replicas", "availableReplicas")
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return seen and all((status.get(n) or 0) == wanted for n in names)


def is_late(deployment: Tree, have: list[Tree], now: float) -> bool:
    """DeploymentTimedOut."""
    entry = conditions.find(have, "Progressing")
    if entry is None or entry.get("reason") == "NewReplicaSetAvailable":
        return False
    if entry.get("reason") == "ProgressDeadlineExceeded":
        return True
    since = seconds(entry.get("lastUpdateTime"))
    return since is not None and now - since > deployment["spec"]["progressDeadlineSeconds"]


def status(deployment: Tree, sets: list[Tree], now: float) -> Tree:
    """The whole status. While it is paused or being scaled, nothing is said of progress."""
    found = counts(deployment, sets, now)
    if (
        deployment["spec"].get("paused")
        or deployment["metadata"].get("deletionTimestamp")
        or is_scaling(deployment, sets)
    ):
        return found
    current = new_set(deployment, sets)
    have: list[Tree] = found["conditions"]
    subject = (
        f'ReplicaSet "{current["metadata"]["name"]}"' if current else f'Deployment "{deployment["metadata"]["name"]}"'
    )
    if not has_deadline(deployment):
        have = conditions.without(have, "Progressing")
    else:
        old = conditions.find(get(deployment, "status", "conditions") or (), "Progressing")
        done = (
            found.get("replicas") == found.get("updatedReplicas")
            and old is not None
            and old.get("reason") == "NewReplicaSetAvailable"
        )
        if done:
            pass  # nothing is being rolled out
        elif is_complete(deployment, found):
            text = f"{subject} has successfully progressed."
            have = conditions.put(have, _progressing("True", "NewReplicaSetAvailable", text, now))
        elif _moved(deployment.get("status") or {}, found):
            entry = _progressing("True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
            if old is not None and old.get("status") == "True":
                entry["lastTransitionTime"] = old.get("lastTransitionTime", entry["lastTransitionTime"])
            have = [*conditions.without(have, "Progressing"), entry]
        elif is_late(deployment, have, now):
            text = f"{subject} has timed out progressing."
            have = conditions.put(have, _progressing("False", "ProgressDeadlineExceeded", text, now))
    failures = [
        c
        for s in [*([current] if current else []), *sets]
        for c in get(s, "status", "conditions") or ()
        if c["type"] == "ReplicaFailure"
    ]
    if failures:
        one = failures[0]
        entry = conditions.make(
            "ReplicaFailure",
            one["status"],
            one.get("reason", ""),
            one.get("message", ""),
            now,
            lastUpdateTime=stamp(now),
        )
        have = conditions.put(have, entry)
    else:
        have = conditions.without(have, "ReplicaFailure")
    found["conditions"] = have
    return found


def look_again(deployment: Tree, found: Tree, now: float) -> float | None:
    """Seconds until the progress deadline is to be looked at."""
    entry = conditions.find(found.get("conditions") or (), "Progressing")
    if not has_deadline(deployment) or entry is None:
        return None
    if is_complete(deployment, found) or entry.get("reason") == "ProgressDeadlineExceeded":
        return None
    since = seconds(entry.get("lastUpdateTime")) or now
    return max(since + float(deployment["spec"]["progressDeadlineSeconds"]) - now, 0.0) + 1.0
