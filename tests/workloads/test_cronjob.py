"""CronJobs: what is due, what is missed, what is forbidden or replaced, and what history keeps."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.api.tree import stamp
from seaway.cluster.workloads.cronplan import SCHEDULED, decide, started

START = 1767225600.0  # 2026-01-01T00:00:00Z


def cron(schedule: str = "*/5 * * * *", last: float | None = None, active: list | None = None, **spec: Any) -> dict:
    status: dict = {}
    if last is not None:
        status["lastScheduleTime"] = stamp(last)
    if active:
        status["active"] = active
    return {"metadata": {"name": "c", "namespace": "n", "uid": "o", "creationTimestamp": stamp(START)},
            "spec": {"schedule": schedule, "concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3,
                     "failedJobsHistoryLimit": 1, "jobTemplate": {"metadata": {"labels": {"x": "y"}}, "spec": {"template": {}}}, **spec},
            "status": status}


def job(name: str, end: str = "", at: float = START) -> dict:
    status: dict = {"startTime": stamp(at)}
    if end:
        status["conditions"] = [{"type": end, "status": "True"}]
    if end == "Complete":
        status["completionTime"] = stamp(at + 10)
    return {"metadata": {"name": name, "namespace": "n", "uid": f"u-{name}", "resourceVersion": "1"}, "status": status}


def ref(name: str) -> dict:
    return {"name": name, "uid": f"u-{name}", "namespace": "n"}


@pytest.mark.parametrize(
    ("tree", "now", "want"),
    [
        (cron(), 60, None),
        (cron(), 300, 300),
        (cron(), 299.9, None),
        (cron(), 1000, 900),  # of several missed ones the last
        (cron(last=START + 300), 400, None),
        (cron(last=START + 300), 600, 600),
        (cron(suspend=True), 1000, None),
        (cron(startingDeadlineSeconds=10), 305, 300),
        (cron(startingDeadlineSeconds=10), 320, None),
        (cron("0 0 1 1 *"), 1000, None),
        (cron("nonsense"), 1000, None),
        (cron(timeZone="Nowhere/Town"), 1000, None),
        (cron("0 1 * * *", timeZone="Europe/Berlin"), 100, None),  # 01:00 there was 00:00 here, when it was made
        (cron("10 1 * * *", timeZone="Europe/Berlin"), 660, 600),
        (cron("@every 7s"), 10, 7),
    ],
)
def test_the_last_time_that_is_due_makes_a_job(tree: dict, now: float, want: float | None) -> None:
    step = decide(tree, [], START + now)
    assert (step.due - START if step.create else None) == want


def test_a_job_is_named_and_marked_by_its_time() -> None:
    made = decide(cron(), [], START + 301).create
    assert made and made["metadata"]["name"] == f"c-{int(START + 300) // 60}"
    assert made["metadata"]["annotations"] == {SCHEDULED: "2026-01-01T00:05:00Z"} and made["metadata"]["labels"] == {"x": "y"}
    assert made["metadata"]["ownerReferences"][0]["kind"] == "CronJob"


def test_the_next_look_is_just_after_the_next_time() -> None:
    assert decide(cron(), [], START + 60).again == pytest.approx(240.1)
    assert decide(cron(last=START + 300), [], START + 301).again == pytest.approx(299.1)


def reasons(step: Any) -> list[str]:
    return [reason for _, reason, _ in step.events]


RUNNING = {"active": [ref("a")], "last": START}


@pytest.mark.parametrize(
    ("policy", "makes", "deletes", "told"),
    [("Allow", True, [], []), ("Forbid", False, [], ["JobAlreadyActive"]), ("Replace", True, ["a"], [])],
)
def test_the_concurrency_policy_decides_beside_a_running_job(policy: str, makes: bool, deletes: list, told: list) -> None:
    step = decide(cron(concurrencyPolicy=policy, **RUNNING), [job("a")], START + 301)
    assert (bool(step.create), [j["metadata"]["name"] for j in step.delete], reasons(step)) == (makes, deletes, told)
    assert len(step.status.get("active", [])) == (0 if deletes else 1)


def test_many_missed_times_are_told_and_one_job_is_made() -> None:
    step = decide(cron("* * * * *"), [], START + 200 * 60)
    assert step.create and step.due == START + 200 * 60 and reasons(step) == ["TooManyMissedTimes"]


def test_a_start_that_comes_too_late_is_told() -> None:
    tree = cron(startingDeadlineSeconds=400)
    tree["status"]["lastScheduleTime"] = stamp(START)
    assert decide(tree, [], START + 310).create
    strict = decide(cron("0 * * * *", last=START, startingDeadlineSeconds=0), [], START + 3600.5)
    assert strict.create is None


def test_ended_and_missing_jobs_are_active_no_more() -> None:
    tree = cron(active=[ref("a"), ref("b"), ref("gone")], last=START)
    step = decide(tree, [job("a", "Complete"), job("b")], START + 60)
    assert [r["name"] for r in step.status["active"]] == ["b"]
    assert reasons(step) == ["SawCompletedJob", "MissingJob"] and step.status["lastSuccessfulTime"] == stamp(START + 10)


def test_a_job_of_unknown_origin_is_told() -> None:
    assert reasons(decide(cron(last=START), [job("x")], START + 60)) == ["UnexpectedJob"]


def test_history_keeps_the_newest_of_each_end() -> None:
    jobs = [job(f"s{i}", "Complete", START + i) for i in range(5)] + [job(f"f{i}", "Failed", START + i) for i in range(3)]
    step = decide(cron(last=START), jobs, START + 60)
    assert [j["metadata"]["name"] for j in step.delete] == ["s0", "s1", "f0", "f1"]
    none = decide(cron(last=START, successfulJobsHistoryLimit=None, failedJobsHistoryLimit=0), jobs, START + 60)
    assert [j["metadata"]["name"] for j in none.delete] == ["f0", "f1", "f2"]


def test_what_is_started_is_active_and_its_time_is_kept() -> None:
    found = started({}, job("a"), START + 300)
    assert found["lastScheduleTime"] == "2026-01-01T00:05:00Z" and found["active"][0]["name"] == "a"


def test_a_cron_job_in_deletion_makes_nothing() -> None:
    tree = cron()
    tree["metadata"]["deletionTimestamp"] = "t"
    assert decide(tree, [], START + 301).create is None


@pytest.mark.parametrize(
    ("spec", "reason"),
    [({"schedule": "x"}, "UnparseableSchedule"), ({"timeZone": "No/Where"}, "UnknownTimeZone"), ({"schedule": "TZ=UTC 0 0 * * *"}, "UnsupportedSchedule")],
)
def test_what_cannot_be_scheduled_is_told(spec: dict, reason: str) -> None:
    assert reasons(decide(cron(**spec), [], START + 60)) == [reason]
