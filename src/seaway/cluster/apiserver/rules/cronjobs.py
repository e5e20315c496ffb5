"""CronJob: defaults, schedules and time zones, its template of Jobs (pkg/apis/batch)."""

from __future__ import annotations

import re
from typing import Any

from seaway.cluster import cron
from seaway.cluster.apiserver import zeros
from seaway.cluster.apiserver.rules import Rule, fieldrules, jobs, pod_warnings, replicas, templates
from seaway.cluster.apiserver.status import Cause, required, unlisted, wrong

Tree = dict[str, Any]
CONCURRENCY = ("Allow", "Forbid", "Replace")
ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}\Z")
IN_SCHEDULE = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
BOTH = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
EXPLICIT = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
IN_SCHEDULE_WARNING = (
    "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)
NAME_LIMIT = 52  # a Job's name has eleven characters more


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    job = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    templates.default(job)
    jobs.default_policies(job)
    zeros.complete("io.k8s.api.batch.v1.CronJob", tree)


def _schedule(spec: Tree, old: Tree | None) -> list[Cause]:
    path, schedule = "spec.schedule", spec.get("schedule", "")
    if not schedule:
        return [required(path)]
    why = cron.problem(schedule)
    found = [wrong(path, schedule, why)] if why else []
    if "TZ" in schedule:
        if old is None or "TZ" not in old.get("schedule", ""):
            found.append(wrong(path, schedule, IN_SCHEDULE))
        elif spec.get("timeZone") is not None:
            found.append(wrong(path, schedule, BOTH))
    return found


def _zone(zone: str | None, path: str) -> list[Cause]:
    if zone is None:
        return []
    if not zone:
        return [wrong(path, zone, "timeZone must be nil or non-empty string")]
    unknown = [wrong(path, zone, f"unknown time zone {zone}")]
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not ZONE_PART.match(part):
            return unknown
    found = [wrong(path, zone, EXPLICIT)] if zone.lower() == "local" else []
    return found if cron.known_zone(zone) else found + unknown


def _validate(tree: Tree, old: Tree | None) -> list[Cause]:
    spec, before = tree["spec"], None if old is None else old["spec"]
    found = _schedule(spec, before)
    found += fieldrules.not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    if before is None or before.get("timeZone") != spec.get("timeZone"):
        found += _zone(spec.get("timeZone"), "spec.timeZone")
    found += fieldrules.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy", ""), CONCURRENCY)
    job, path = (spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec"
    found += jobs.validate_spec(job, path)
    if job.get("selector") is not None:
        shown = fieldrules.selector_shown(job["selector"])
        found.append(wrong(f"{path}.selector", shown, "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        found.append(unlisted(f"{path}.manualSelector", True, ("nil", "false")))
    return found + fieldrules.not_negatives(spec, "spec", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def validate(tree: Tree) -> list[Cause]:
    found, name = _validate(tree, None), tree["metadata"].get("name", "")
    if len(name) > NAME_LIMIT:
        found.append(wrong("metadata.name", name, f"must be no more than {NAME_LIMIT} characters"))
    return found


def revalidate(new: Tree, old: Tree) -> list[Cause]:
    return _validate(new, old)


def warnings(tree: Tree, old: Tree | None) -> list[str]:
    spec, found = tree["spec"], []
    if old is None:
        found += pod_warnings.hostname(tree["metadata"].get("name", ""), replicas.POD_NAMES)
    if old is None or spec != old["spec"]:
        found += jobs.spec_warnings((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")
    if old is not None and "TZ" in spec.get("schedule", ""):
        found.append(IN_SCHEDULE_WARNING)
    return found


CRONJOBS = Rule(default, validate=validate, revalidate=revalidate, warnings=warnings)
