"""CronJobs: defaults, schedules in the words of their parser, time zones, the template of Jobs."""

from __future__ import annotations

from typing import Any

import pytest
from ruling import begins, job, made, refusals, rule, update_refusals

from seaway.cluster import cron


def cronjob(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "c"}, "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": job()["spec"]}, **spec}}


def test_what_a_cronjob_is_given() -> None:
    spec = made("CronJob", cronjob())["spec"]
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Allow", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 1)
    assert "selector" not in spec["jobTemplate"]["spec"] and "completions" not in spec["jobTemplate"]["spec"]


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("0 0 1 1 0", ""),
        ("*/15 9-17 1,15 JAN-jun mon", ""),
        ("@hourly", ""),
        ("@every 1h30m", ""),
        ("? * * * *", ""),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-2 * * * *", "beginning of range (5) beyond end of range (2): 5-2"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@soon", "unrecognized descriptor: @soon"),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
        ("@every 5d", 'failed to parse duration @every 5d: time: unknown unit "d" in duration "5d"'),
        ("TZ=No/Where * * * * *", "provided bad location No/Where: unknown time zone No/Where"),
    ],
)
def test_a_schedule_is_read(schedule: str, problem: str) -> None:
    assert cron.problem(schedule) == problem


ZONE = "spec.timeZone: Invalid value:"
SPECS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"timeZone": "Europe/Berlin"}, ()),
    ({"timeZone": ""}, (f'{ZONE} "": timeZone must be nil or non-empty string',)),
    ({"timeZone": "Mars/Base"}, (f'{ZONE} "Mars/Base": unknown time zone Mars/Base',)),
    ({"timeZone": "../etc/passwd"}, (f'{ZONE} "../etc/passwd": unknown time zone ../etc/passwd',)),
    ({"timeZone": "Local"}, (f'{ZONE} "Local": timeZone must be an explicit time zone',)),
    ({"schedule": ""}, ("spec.schedule: Required value",)),
    ({"schedule": "TZ=UTC 0 0 * * *"}, ('spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field',)),
    ({"concurrencyPolicy": "Odd"}, ('spec.concurrencyPolicy: Unsupported value: "Odd": supported values: "Allow", "Forbid", "Replace"',)),
    ({"startingDeadlineSeconds": -1, "failedJobsHistoryLimit": -2}, ("spec.startingDeadlineSeconds: Invalid value: -1: must be", "spec.failedJobsHistoryLimit: Invalid value: -2: must be")),
    ({"jobTemplate": {"spec": {**job()["spec"], "selector": {"matchLabels": {"a": "b"}}}}}, ('spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated',)),
    ({"jobTemplate": {"spec": {**job()["spec"], "manualSelector": True}}}, ('spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',)),
    ({"jobTemplate": {"spec": job({"restartPolicy": "Always"})["spec"]}}, ("spec.jobTemplate.spec.template.spec.restartPolicy: Required value",)),
]


@pytest.mark.parametrize(("spec", "expected"), SPECS)
def test_a_cronjobs_spec_is_judged(spec: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = refusals("CronJob", cronjob(**spec))
    assert begins(found, expected), found


def test_a_cronjobs_name_leaves_room_for_its_jobs() -> None:
    tree = cronjob()
    tree["metadata"]["name"] = "c" * 53
    assert refusals("CronJob", tree) == [f'metadata.name: Invalid value: "{"c" * 53}": must be no more than 52 characters']


def test_an_old_cronjob_keeps_the_zone_in_its_schedule() -> None:
    old = made("CronJob", cronjob(schedule="TZ=UTC 0 0 * * *"))
    assert update_refusals("CronJob", old, suspend=True) == []
    assert begins(rule("CronJob").warnings(old, old), ("cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead",))
    found = update_refusals("CronJob", old, timeZone="Etc/UTC")
    assert begins(found, ('spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use both timeZone field and TZ',))
