"""What a Job makes of its pods' ends: failure policy, success policy, back-off; pure
(pkg/controller/job: pod_failure_policy.go, success_policy.go, backoff_utils.go)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api.tree import condition, get, seconds
from seaway.cluster.workloads import jobindexes
from seaway.cluster.workloads.podfacts import is_terminating, phase

Tree = dict[str, Any]
FINALIZER = "batch.kubernetes.io/job-tracking"
BACKOFF, LONGEST_BACKOFF = 10.0, 600.0


class Verdict(NamedTuple):
    """Of a failed pod: whether it counts, which rule's action it met, and what FailJob has to say."""

    counts: bool
    action: str = ""
    message: str = ""


def has_finalizer(pod: Tree) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def only_replaces_failed(job: Tree) -> bool:
    """Terminating pods keep their place until they have ended."""
    spec = job["spec"]
    return spec.get("podReplacementPolicy") == "Failed" or spec.get("podFailurePolicy") is not None


def is_failed(job: Tree, pod: Tree) -> bool:
    """A pod in deletion counts as failed, unless only ended ones do."""
    if phase(pod) == "Failed":
        return True
    return not only_replaces_failed(job) and is_terminating(pod) and phase(pod) != "Succeeded"


def verdict(job: Tree, pod: Tree) -> Verdict:
    """The first rule of the failure policy that fits; without one, the failure counts."""
    meta = pod["metadata"]
    for index, rule in enumerate(get(job, "spec", "podFailurePolicy", "rules") or ()):
        action = str(rule.get("action") or "Count")
        if rule.get("onExitCodes") is not None:
            found = _exit_code(pod, rule["onExitCodes"])
            told = found and (
                f"Container {found[0]} for pod {meta['namespace']}/{meta['name']} failed with exit code {found[1]} "
                f"matching {action} rule at index {index}"
            )
        else:
            kind = _matching_condition(pod, rule.get("onPodConditions") or ())
            told = kind and (
                f"Pod {meta['namespace']}/{meta['name']} has condition {kind} matching {action} rule at index {index}"
            )
        if told:
            return Verdict(action != "Ignore", action, str(told) if action == "FailJob" else "")
    return Verdict(True)


def _exit_code(pod: Tree, wanted: Tree) -> tuple[str, int] | None:
    """(container, its code) of the first failed container that fits."""
    name, values = wanted.get("containerName"), wanted.get("values") or []
    for group in ("containerStatuses", "initContainerStatuses"):
        for status in get(pod, "status", group) or ():
            code = get(status, "state", "terminated", "exitCode")
            if not code or (name and status["name"] != name):
                continue
            if (code in values) == (wanted.get("operator") == "In"):
                return status["name"], code
    return None


def _matching_condition(pod: Tree, patterns: Iterable[Tree]) -> str:
    for pattern in patterns:
        found = condition(pod, pattern["type"])
        if found and found.get("status") == (pattern.get("status") or "True"):
            return str(pattern["type"])
    return ""


def job_failure(job: Tree, pods: Iterable[Tree]) -> str:
    """Why a FailJob rule fails the Job; empty where none does."""
    if get(job, "spec", "podFailurePolicy") is None:
        return ""
    for pod in pods:
        if is_failed(job, pod):
            found = verdict(job, pod)
            if found.action == "FailJob":
                return found.message
    return ""


def is_index_failed(job: Tree, pod: Tree) -> bool:
    """Whether this pod was the last that its index may have (backoffLimitPerIndex)."""
    if not is_failed(job, pod):
        return False
    found = verdict(job, pod)
    if found.action == "FailIndex":
        return True
    return found.counts and jobindexes.failures(pod) >= int(job["spec"]["backoffLimitPerIndex"])


def success(job: Tree, succeeded: set[int]) -> str:
    """Which rule of the success policy is met; empty where none is."""
    if not succeeded:
        return ""
    completions = job["spec"].get("completions") or 0
    for index, rule in enumerate(get(job, "spec", "successPolicy", "rules") or ()):
        count = rule.get("succeededCount")
        if rule.get("succeededIndexes") is not None:
            needed = jobindexes.parse(rule["succeededIndexes"], completions)
            met = len(needed & succeeded) >= (count if count is not None else len(needed))
        else:
            met = count is not None and len(succeeded) >= count
        if met:
            return f"Matched rules at index {index}"
    return ""


def past_restarts(job: Tree, pods: Iterable[Tree]) -> bool:
    """restartPolicy OnFailure: the containers' restarts are what the limit counts."""
    if get(job, "spec", "template", "spec", "restartPolicy") != "OnFailure":
        return False
    limit = job["spec"].get("backoffLimit", 6)
    restarts = sum(
        s.get("restartCount", 0)
        for p in pods
        if phase(p) in ("Running", "Pending")
        for group in ("initContainerStatuses", "containerStatuses")
        for s in get(p, "status", group) or ()
    )
    return bool(restarts > 0 if limit == 0 else restarts >= limit)


def finished_at(pod: Tree) -> float:
    """When a pod ended, as well as that can be told (getFinishedTime)."""
    times = [
        seconds(get(s, "state", "terminated", "finishedAt")) for s in get(pod, "status", "containerStatuses") or ()
    ]
    if times and all(times):
        return max(t for t in times if t is not None)
    ready = condition(pod, "Ready")
    since = seconds(ready.get("lastTransitionTime")) if ready and ready.get("status") == "False" else None
    if since:
        return since
    ending = seconds(pod["metadata"].get("deletionTimestamp"))
    if ending:
        return ending - float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    return seconds(pod["metadata"].get("creationTimestamp")) or 0.0


def _wait(failed: int, last: float, now: float) -> float:
    if not failed:
        return 0.0
    pause = min(BACKOFF * float(2 ** min(failed - 1, 10)), LONGEST_BACKOFF)
    return max(pause - (now - last), 0.0)


def backoff(job: Tree, pods: Iterable[Tree], now: float) -> float:
    """Seconds until a replacement may be made: 10 s, doubled by each failure that counts since the last success."""
    ended = list(pods)
    success = max((finished_at(p) for p in ended if phase(p) == "Succeeded"), default=0.0)
    failed = [
        finished_at(p) for p in ended if is_failed(job, p) and verdict(job, p).counts and finished_at(p) > success
    ]
    return _wait(len(failed), max(failed, default=0.0), now)


def index_backoff(pod: Tree | None, now: float) -> float:
    """The same for one index, whose last failed pod this is."""
    return _wait(jobindexes.all_failures(pod) + 1, finished_at(pod), now) if pod is not None else 0.0
