"""What a CronJob does next: which Job is due, which old ones go, what its status says; pure
(pkg/controller/cronjob: cronjob_controllerv2.go syncCronJob, utils.go)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from seaway.api.tree import get, owner_reference, seconds, stamp
from seaway.cluster import cron
from seaway.cluster.workloads.jobplan import finished

Tree = dict[str, Any]
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY, DELTA = 100, 0.1


@dataclass(slots=True)
class Step:
    """`delete`: Jobs that go, first; `create`: the Job that is due, and its time; `again`: seconds until the next look."""

    status: Tree
    delete: list[Tree] = field(default_factory=list)
    create: Tree | None = None
    due: float = 0.0
    events: list[tuple[str, str, str]] = field(default_factory=list)
    again: float | None = None


def _recent(cronjob: Tree, schedule: cron.Schedule, now: float, bounded: bool) -> tuple[float, float | None, bool]:
    """(where the search began, the last time that was due, whether very many were missed): mostRecentScheduleTime."""
    begin = seconds(get(cronjob, "status", "lastScheduleTime"))
    if begin is None:
        begin = seconds(cronjob["metadata"].get("creationTimestamp")) or now
    deadline = cronjob["spec"].get("startingDeadlineSeconds")
    if bounded and deadline is not None:
        begin = max(begin, now - deadline)
    first = schedule.after(begin)
    if first is None or now < first:
        return begin, None, False
    second = schedule.after(first)
    if second is None or now < second:
        return begin, first, False
    distance = max(round(second - first), 1)
    missed = int(now - first) // distance + 1
    at = schedule.after(first + (missed - 2) * distance)
    last = None
    while at is not None and at <= now:
        last, at = at, schedule.after(at)
    return begin, last, missed > MANY


def _next(cronjob: Tree, schedule: cron.Schedule, now: float) -> float | None:
    """Seconds until the next time (nextScheduleTimeDuration)."""
    begin, last, _ = _recent(cronjob, schedule, now, False)
    at = schedule.after(last if last is not None else max(begin, now) if begin > now else begin)
    while at is not None and at <= now:
        at = schedule.after(at)
    return None if at is None else at + DELTA - now


def job_name(cronjob: Tree, due: float) -> str:
    return f"{cronjob['metadata']['name']}-{int(due) // 60}"


def job_of(cronjob: Tree, due: float, schedule: cron.Schedule | None = None) -> Tree:
    """The Job of a time."""
    template, meta = cronjob["spec"]["jobTemplate"], cronjob["metadata"]
    own = template.get("metadata") or {}
    zone = schedule.zone if schedule and cronjob["spec"].get("timeZone") else UTC
    moment = datetime.fromtimestamp(due, zone).isoformat().replace("+00:00", "Z")
    made: Tree = {
        "name": job_name(cronjob, due),
        "namespace": meta["namespace"],
        "annotations": {**(own.get("annotations") or {}), SCHEDULED: moment},
        "ownerReferences": [owner_reference("batch/v1", "CronJob", cronjob)],
    }
    if own.get("labels"):
        made["labels"] = dict(own["labels"])
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": made, "spec": template["spec"]}


def reference(job: Tree) -> Tree:
    meta = job["metadata"]
    found = {"kind": "Job", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
    return {**found, "apiVersion": "batch/v1", "resourceVersion": meta.get("resourceVersion", "")}


class _Turn:
    def __init__(self, cronjob: Tree, jobs: list[Tree], now: float) -> None:
        self.cronjob, self.jobs, self.now = cronjob, jobs, now
        self.status: Tree = dict(cronjob.get("status") or {})
        self.active: list[Tree] = list(self.status.get("active") or ())
        self.step = Step(self.status)

    def tell(self, severity: str, reason: str, message: str) -> None:
        self.step.events.append((severity, reason, message))

    def forget(self, uid: str) -> None:
        self.active = [r for r in self.active if r.get("uid") != uid]

    def follow(self) -> None:
        """Active Jobs that have ended, or are gone, are active no more."""
        known = {r.get("uid") for r in self.active}
        for job in self.jobs:
            meta, end = job["metadata"], finished(job)
            if not end:
                if meta["uid"] not in known:
                    told = f"Saw a job that the controller did not create or forgot: {meta['name']}"
                    self.tell("Warning", "UnexpectedJob", told)
                continue
            if meta["uid"] in known:
                self.forget(meta["uid"])
                told = f"Saw completed job: {meta['name']}, condition: {end}"
                self.tell("Normal", "SawCompletedJob", told)
            done = get(job, "status", "completionTime")
            if end == "Complete" and done and done > (self.status.get("lastSuccessfulTime") or ""):
                self.status["lastSuccessfulTime"] = done
        there = {j["metadata"]["uid"] for j in self.jobs}
        for ref in [r for r in self.active if r.get("uid") not in there]:
            self.tell("Normal", "MissingJob", f"Active job went missing: {ref['name']}")
            self.forget(ref["uid"])

    def tidy(self) -> None:
        """Ended Jobs beyond the history limits go, the oldest first (cleanupFinishedJobs)."""
        for end, name in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            limit = self.cronjob["spec"].get(name)
            done = [j for j in self.jobs if finished(j) == end and not j["metadata"].get("deletionTimestamp")]
            if limit is None or len(done) <= limit:
                continue
            done.sort(key=lambda j: (get(j, "status", "startTime") or "~", j["metadata"]["name"]))
            self.step.delete += done[: len(done) - limit]

    def schedule(self) -> cron.Schedule | None:
        spec = self.cronjob["spec"]
        text, zone = spec["schedule"], spec.get("timeZone")
        if zone is not None:
            try:
                cron.zone_of(zone)
            except cron.CronError:
                self.tell("Warning", "UnknownTimeZone", f'invalid timeZone: "{zone}": unknown time zone {zone}')
                return None
        if spec.get("suspend"):
            return None
        if "TZ" in text:
            told = (
                f'CRON_TZ or TZ used in schedule "{text}" is not officially supported, see '
                "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
            )
            self.tell("Warning", "UnsupportedSchedule", told)
        try:
            return cron.parse(text, zone or "")
        except cron.CronError as e:
            self.tell("Warning", "UnparseableSchedule", f'unparseable schedule: "{text}" : {e}')
            return None

    def start(self, schedule: cron.Schedule) -> None:
        """Makes the Job that is due, as the concurrency policy lets it."""
        cronjob, spec, now = self.cronjob, self.cronjob["spec"], self.now
        self.step.again = _next(cronjob, schedule, now)
        _, due, many = _recent(cronjob, schedule, now, True)
        if due is None:
            return
        if many:
            told = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self.tell("Warning", "TooManyMissedTimes", told)
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None and due + deadline < now:
            when = format_datetime(datetime.fromtimestamp(due, UTC), usegmt=True).replace("GMT", "UTC")
            self.tell("Warning", "MissSchedule", f"Missed scheduled time to start a job: {when}")
            return
        name = job_name(cronjob, due)
        if any(r["name"] == name for r in self.active) or self.status.get("lastScheduleTime") == stamp(due):
            return
        policy = spec.get("concurrencyPolicy", "Allow")
        if policy == "Forbid" and self.active:
            told = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.tell("Normal", "JobAlreadyActive", told)
            return
        if policy == "Replace":
            running = {r.get("uid") for r in self.active}
            self.step.delete += [j for j in self.jobs if j["metadata"]["uid"] in running]
            self.active = []
        self.step.create, self.step.due = job_of(cronjob, due, schedule), due


def decide(cronjob: Tree, jobs: list[Tree], now: float) -> Step:
    """`jobs`: those that it owns."""
    turn = _Turn(cronjob, jobs, now)
    turn.tidy()
    turn.follow()
    if not cronjob["metadata"].get("deletionTimestamp"):
        schedule = turn.schedule()
        if schedule is not None:
            turn.start(schedule)
    for job in turn.step.delete:
        turn.forget(job["metadata"]["uid"])
    turn.step.status = with_active(turn.status, turn.active)
    return turn.step


def with_active(status: Tree, active: list[Tree]) -> Tree:
    found = {k: v for k, v in status.items() if k != "active"}
    return {**found, "active": active} if active else found


def started(status: Tree, job: Tree, due: float) -> Tree:
    """The status once the Job that was due is there."""
    active = [*(status.get("active") or ()), reference(job)]
    return {**with_active(status, active), "lastScheduleTime": stamp(due)}
