"""What a Job does next: which pods it makes, ends and counts, and what its status says; pure
(pkg/controller/job/job_controller.go syncJob, manageJob, trackJobStatusAndRemoveFinalizers).

A pod is counted once: its uid goes into `uncountedTerminatedPods`, then its finalizer goes, then the uid becomes a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seaway.api.tree import get, seconds, stamp
from seaway.cluster.workloads import conditions, jobindexes, jobpolicy
from seaway.cluster.workloads.jobindexes import index_of
from seaway.cluster.workloads.jobpolicy import has_finalizer, is_failed, only_replaces_failed, verdict
from seaway.cluster.workloads.podfacts import (
    deletion_order,
    is_active,
    is_finished,
    is_ready,
    is_terminating,
    phase,
)

Tree = dict[str, Any]
MOST_AT_ONCE, MOST_UNCOUNTED = 500, 500
REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")


@dataclass(slots=True)
class Step:
    """One turn. `create`: indexes (None in a Job without) and the failed pod that each replaces; `end`: pods to delete
    which count as failed; `drop`: pods to delete which never counted; `release`: pods whose finalizer goes."""

    status: Tree
    create: list[tuple[int | None, Tree | None]] = field(default_factory=list)
    end: list[Tree] = field(default_factory=list)
    drop: list[Tree] = field(default_factory=list)
    release: list[Tree] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    again: float | None = None

    def wake(self, wait: float) -> None:
        self.again = wait if self.again is None else min(self.again, wait)


def is_indexed(job: Tree) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def is_suspended(job: Tree) -> bool:
    return bool(job["spec"].get("suspend"))


def finished(job: Tree) -> str:
    """`Complete` or `Failed`, once it is."""
    for entry in get(job, "status", "conditions") or ():
        if entry["type"] in ("Complete", "Failed") and entry["status"] == "True":
            return str(entry["type"])
    return ""


def _condition(kind: str, status: str, reason: str, message: str, now: float) -> Tree:
    return {**conditions.make(kind, status, reason, message, now), "lastProbeTime": stamp(now)}


class _Turn:
    """The state of one decision."""

    def __init__(self, job: Tree, pods: list[Tree], now: float) -> None:
        self.job, self.spec, self.pods, self.now = job, job["spec"], pods, now
        before: Tree = job.get("status") or {}
        self.status: Tree = {**before, "conditions": list(before.get("conditions") or ())}
        uncounted = before.get("uncountedTerminatedPods") or {}
        self.uncounted = {k: list(uncounted.get(k) or ()) for k in ("succeeded", "failed")}
        self.step = Step(self.status)
        self.active = [p for p in pods if is_active(p)]
        self.terminating = sum(1 for p in pods if is_terminating(p) and not is_finished(p))
        self.completions = self.spec.get("completions")
        self.count_released()
        done = {*self.uncounted["succeeded"], *self.uncounted["failed"]}
        fresh = [p for p in pods if has_finalizer(p) and p["metadata"]["uid"] not in done]
        self.succeeded = (
            before_count(self.status, "succeeded")
            + len(self.uncounted["succeeded"])
            + sum(1 for p in fresh if phase(p) == "Succeeded")
        )
        self.failed = (
            before_count(self.status, "failed")
            + len(self.uncounted["failed"])
            + sum(1 for p in fresh if is_failed(job, p) and verdict(job, p).counts)
        )
        self.succeeded_indexes: set[int] = set()
        self.failed_indexes: set[int] | None = None
        self.delayed: dict[int, Tree] = {}

    def count_released(self) -> None:
        """Pods without the finalizer, or gone, become numbers."""
        held = {p["metadata"]["uid"] for p in self.pods if has_finalizer(p)}
        for name, uids in self.uncounted.items():
            gone = [u for u in uids if u not in held]
            if gone:
                if name == "failed" or not is_indexed(self.job):
                    self.status[name] = before_count(self.status, name) + len(gone)
                self.uncounted[name] = [u for u in uids if u in held]

    # indexes

    def read_indexes(self) -> None:
        total = self.completions or 0
        past = jobindexes.parse(self.status.get("completedIndexes"), total)
        new = {
            i
            for p in self.pods
            if phase(p) == "Succeeded" and has_finalizer(p) and (i := index_of(p)) is not None and i < total
        }
        self.succeeded_indexes = past | new
        self.succeeded = len(self.succeeded_indexes)
        if self.spec.get("backoffLimitPerIndex") is None:
            return
        self.failed_indexes = jobindexes.parse(self.status.get("failedIndexes"), total) | {
            i
            for p in self.pods
            if has_finalizer(p)
            and (i := index_of(p)) is not None
            and i < total
            and jobpolicy.is_index_failed(self.job, p)
        }

    def read_delayed(self) -> None:
        """The last failed pod of an index stays until its replacement carries its count on."""
        if self.failed_indexes is None:
            return
        busy = {index_of(p) for p in self.active} | self.succeeded_indexes | self.failed_indexes
        for pod in self.pods:
            index = index_of(pod)
            if index is None or index >= (self.completions or 0) or index in busy:
                continue
            if not has_finalizer(pod) or not is_failed(self.job, pod):
                continue
            last = self.delayed.get(index)
            if last is None or (jobindexes.all_failures(last), jobpolicy.finished_at(last)) <= (
                jobindexes.all_failures(pod),
                jobpolicy.finished_at(pod),
            ):
                self.delayed[index] = pod

    # ends

    def outcome(self) -> Tree | None:
        """The interim condition that says how it ends: FailureTarget or SuccessCriteriaMet."""
        have: list[Tree] = self.status["conditions"]
        for kind in ("SuccessCriteriaMet", "FailureTarget"):
            entry = conditions.find(have, kind)
            if entry and entry["status"] == "True":
                return entry
        why = jobpolicy.job_failure(self.job, self.pods)
        if why:
            return self.fails("PodFailurePolicy", why)
        if self.failed > self.spec.get("backoffLimit", 6) or jobpolicy.past_restarts(self.job, self.pods):
            return self.fails("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        deadline, since = self.spec.get("activeDeadlineSeconds"), seconds(self.status.get("startTime"))
        if deadline is not None and since is not None and not is_suspended(self.job):
            left = since + deadline - self.now
            if left <= 0:
                return self.fails("DeadlineExceeded", "Job was active longer than specified deadline")
            self.step.wake(left)
        if not is_indexed(self.job):
            return None
        failed = len(self.failed_indexes or ())
        most = self.spec.get("maxFailedIndexes")
        if most is not None and failed > most:
            return self.fails(
                "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
            )
        if failed and failed + len(self.succeeded_indexes) >= (self.completions or 0):
            return self.fails("FailedIndexes", "Job has failed indexes")
        met = jobpolicy.success(self.job, self.succeeded_indexes)
        return _condition("SuccessCriteriaMet", "True", "SuccessPolicy", met, self.now) if met else None

    def fails(self, reason: str, message: str) -> Tree:
        return _condition("FailureTarget", "True", reason, message, self.now)

    # pods

    def manage(self) -> None:
        """Makes or drops pods (manageJob)."""
        active = len(self.active)
        if is_suspended(self.job):
            self.step.drop = self.for_removal(active)
            return
        parallelism = self.spec.get("parallelism", 1)
        if self.completions is None:
            wanted = active if self.succeeded else parallelism
        else:
            wanted = max(min(self.completions - self.succeeded, parallelism), 0)
        gone = self.for_removal(max(active - wanted, 0))[:MOST_AT_ONCE]
        if gone:
            self.step.drop = gone
            return
        missing = wanted - active - (self.terminating if only_replaces_failed(self.job) else 0)
        if missing > 0:
            self.make(min(missing, MOST_AT_ONCE))

    def make(self, count: int) -> None:
        per_index = self.failed_indexes is not None
        if not per_index:
            wait = jobpolicy.backoff(self.job, self.pods, self.now)
            if wait > 0:
                self.step.wake(wait)
                return
        if not is_indexed(self.job):
            self.step.create = [(None, None)] * count
            return
        taken = self.succeeded_indexes | {i for p in self.active if (i := index_of(p)) is not None}
        taken |= self.failed_indexes or set()
        if only_replaces_failed(self.job):
            taken |= {i for p in self.pods if is_terminating(p) and (i := index_of(p)) is not None}
        for index in jobindexes.pending(taken, count, self.completions or 0):
            before = self.delayed.get(index)
            wait = jobpolicy.index_backoff(before, self.now)
            if wait > 0:
                self.step.wake(wait)
            else:
                self.step.create.append((index, before))

    def for_removal(self, least: int) -> list[Tree]:
        gone: list[Tree] = []
        left = self.active
        if is_indexed(self.job):
            gone, left = jobindexes.doubled(self.active, self.completions or 0, self.now)
        if len(gone) < least:
            gone += deletion_order(left, [], self.now)[: least - len(gone)]
        return gone

    # counting

    def track(self, outcome: Tree | None) -> None:
        """Ended pods become uncounted ones, and lose their finalizer."""
        ending = bool(self.job["metadata"].get("deletionTimestamp"))
        failing = outcome is not None and outcome["type"] == "FailureTarget"
        total = self.completions or 0
        for pod in self.pods:
            if not has_finalizer(pod):
                continue
            uid, failed, index = pod["metadata"]["uid"], is_failed(self.job, pod), index_of(pod)
            held = self.delayed.get(index) if index is not None else None
            kept = not failed or (held is not None and held["metadata"]["uid"] == uid)
            if kept and not (ending or outcome is not None or phase(pod) == "Succeeded"):
                continue
            if len(self.uncounted["succeeded"]) + len(self.uncounted["failed"]) >= MOST_UNCOUNTED:
                self.step.wake(0.1)
                break
            self.step.release.append(pod)
            if phase(pod) == "Succeeded" and uid not in self.uncounted["failed"]:
                if not is_indexed(self.job) and uid not in self.uncounted["succeeded"]:
                    self.uncounted["succeeded"].append(uid)
            elif (failed or failing) and uid not in self.uncounted["failed"]:
                valid = not is_indexed(self.job) or (index is not None and index < total)
                if valid and verdict(self.job, pod).counts:
                    self.uncounted["failed"].append(uid)

    def put(self, kind: str, status: str, reason: str, message: str) -> bool:
        """ensureJobConditionStatus: in its place; one that is false is never new."""
        have: list[Tree] = self.status["conditions"]
        old = conditions.find(have, kind)
        if old is None and status == "False":
            return False
        if old and (old["status"], old.get("reason"), old.get("message")) == (status, reason, message):
            return False
        new = _condition(kind, status, reason, message, self.now)
        self.status["conditions"] = [new if c is old else c for c in have] if old else [*have, new]
        return True


def before_count(status: Tree, name: str) -> int:
    return int(status.get(name) or 0)


def decide(job: Tree, pods: list[Tree], now: float, settled: bool = True) -> Step:
    """One turn of a Job that is not finished. `settled`: everything done before has been seen."""
    turn = _Turn(job, pods, now)
    status = turn.status
    if not status.get("startTime") and not is_suspended(job):
        status["startTime"] = stamp(now)
    if is_indexed(job):
        turn.read_indexes()
    outcome = turn.outcome()
    turn.read_delayed()
    if outcome is not None:
        turn.step.end = turn.active
        removed = turn.active
        if not settled:  # a pod may be there that is not seen yet: it is not said how the Job ends before
            outcome = None
    else:
        managed = settled and not job["metadata"].get("deletionTimestamp")
        if managed:
            turn.manage()
        removed = turn.step.drop
        left = len(turn.active) + len(turn.step.create) - len(removed)
        if turn.completions is None:
            complete = turn.succeeded > 0 and not left
        else:
            complete = turn.succeeded >= turn.completions and not left
            if complete and turn.succeeded > turn.completions:
                told = "Too many succeeded pods running after completion count reached"
                turn.step.events.append(("Warning", "TooManySucceededPods", told))
        if complete and settled:
            outcome = _condition("SuccessCriteriaMet", "True", *REACHED, now)
        elif managed:
            _suspension(turn)
    turn.track(outcome)
    _finish(turn, outcome)
    _counts(turn, removed)
    return turn.step


def _suspension(turn: _Turn) -> None:
    if is_suspended(turn.job):
        if turn.put("Suspended", "True", "JobSuspended", "Job suspended"):
            turn.status.pop("startTime", None)
            turn.step.events.append(("Normal", "Suspended", "Job suspended"))
    elif turn.put("Suspended", "False", "JobResumed", "Job resumed"):
        turn.status["startTime"] = stamp(turn.now)
        turn.step.events.append(("Normal", "Resumed", "Job resumed"))


def _finish(turn: _Turn, outcome: Tree | None) -> None:
    """The interim condition first; the final one when all pods are counted and gone."""
    if outcome is None:
        return
    have: list[Tree] = turn.status["conditions"]
    if conditions.find(have, outcome["type"]) is None:
        turn.status["conditions"] = [*have, outcome]
        return
    open_ends = turn.uncounted["succeeded"] or turn.uncounted["failed"] or turn.step.release or turn.active
    if open_ends or turn.terminating:
        return
    kind = "Complete" if outcome["type"] == "SuccessCriteriaMet" else "Failed"
    turn.put(kind, "True", outcome.get("reason", ""), outcome.get("message", ""))
    if kind == "Complete":
        turn.status["completionTime"] = stamp(turn.now)
        turn.step.events.append(("Normal", "Completed", "Job completed"))
    else:
        turn.step.events.append(("Warning", outcome.get("reason", ""), outcome.get("message", "")))


def _counts(turn: _Turn, removed: list[Tree]) -> None:
    status, step = turn.status, turn.step
    gone = {p["metadata"]["uid"] for p in removed}
    active = len(turn.active) + len(step.create) - len(gone)
    numbers: Tree = {"active": active, "succeeded": status.get("succeeded"), "failed": status.get("failed")}
    if is_indexed(turn.job):
        numbers["succeeded"] = len(turn.succeeded_indexes)
        numbers["completedIndexes"] = jobindexes.show(turn.succeeded_indexes)
        if turn.failed_indexes is not None:
            status["failedIndexes"] = jobindexes.show(turn.failed_indexes)
    for name, value in numbers.items():
        status.pop(name, None)
        if value:
            status[name] = value
    status["ready"] = sum(1 for p in turn.active if is_ready(p) and p["metadata"]["uid"] not in gone)
    status["terminating"] = turn.terminating + len(gone)
    status["uncountedTerminatedPods"] = {k: v for k, v in turn.uncounted.items() if v}
    if not status["conditions"]:
        del status["conditions"]
