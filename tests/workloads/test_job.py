"""Jobs: how many pods, what counts, how they end, and in which order it is said."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.workloads import job as controller
from seaway.cluster.workloads import jobindexes, jobpolicy
from seaway.cluster.workloads.jobplan import Step, decide
from seaway.cluster.workloads.jobpolicy import FINALIZER

NOW = 1767225700.0  # 2026-01-01T00:01:40Z


def job(**spec: Any) -> dict:
    status = spec.pop("status", {"startTime": "2026-01-01T00:01:00Z"})
    return {"metadata": {"name": "j", "namespace": "n", "uid": "o", "generation": 1},
            "spec": {"parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False,
                     "podReplacementPolicy": "TerminatingOrFailed", "selector": {"matchLabels": {"x": "y"}},
                     "template": {"metadata": {"labels": {"x": "y"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}, **spec},
            "status": status}


def pod(name: str, phase: str = "Running", code: int | None = None, index: int | None = None, held: bool = True, at: str = "2026-01-01T00:00:10Z",
        conditions: list | None = None, ready: bool = False, restarts: int = 0, notes: dict | None = None, **meta: Any) -> dict:
    annotations = {**({jobindexes.INDEX: str(index)} if index is not None else {}), **(notes or {})}
    found: dict = {"metadata": {"name": name, "namespace": "n", "uid": f"u-{name}", "creationTimestamp": "2026-01-01T00:00:00Z",
                                "annotations": annotations, "finalizers": [FINALIZER] if held else [], **meta},
                   "spec": {}, "status": {"phase": phase, "conditions": [*(conditions or []), *([{"type": "Ready", "status": "True"}] if ready else [])]}}
    state = {"terminated": {"exitCode": code, "finishedAt": at}} if code is not None else {}
    found["status"]["containerStatuses"] = [{"name": "c", "state": state, "restartCount": restarts}]
    return found


def done(name: str, **more: Any) -> dict:
    return pod(name, "Succeeded", 0, **more)


def broken(name: str, code: int = 1, **more: Any) -> dict:
    return pod(name, "Failed", code, **more)


def counts(step: Step) -> tuple[int, int]:
    """(pods made, pods deleted)."""
    return len(step.create), len(step.end) + len(step.drop)


def told(step: Step) -> list[tuple[str, str]]:
    return [(c["type"], c.get("reason", "")) for c in step.status.get("conditions", [])]


@pytest.mark.parametrize(
    ("spec", "pods", "want"),
    [
        ({"completions": 1}, [], (1, 0)),
        ({"completions": 3, "parallelism": 2}, [], (2, 0)),
        ({"completions": 1, "parallelism": 5}, [], (1, 0)),
        ({"completions": 3, "parallelism": 2}, [done("a"), pod("b")], (1, 0)),
        ({"completions": 3, "parallelism": 2}, [done("a"), done("b")], (1, 0)),
        ({"completions": 5, "parallelism": 1}, [pod("a"), pod("b"), pod("c")], (0, 2)),
        ({"completions": 5, "parallelism": 0}, [pod("a")], (0, 1)),
        ({"parallelism": 2}, [], (2, 0)),  # a work queue
        ({"parallelism": 2}, [done("a"), pod("b")], (0, 0)),  # after the first success nothing is made
        ({"completions": 1, "suspend": True}, [], (0, 0)),
        ({"completions": 1, "suspend": True}, [pod("a")], (0, 1)),
        ({"completions": 1}, [pod("a", deletionTimestamp="t")], (1, 0)),
        ({"completions": 1, "podReplacementPolicy": "Failed"}, [pod("a", deletionTimestamp="t")], (0, 0)),
        ({"completions": 2000, "parallelism": 2000}, [], (500, 0)),
    ],
)
def test_as_many_pods_run_as_are_needed(spec: dict, pods: list, want: tuple) -> None:
    if any(p["metadata"].get("deletionTimestamp") == "t" for p in pods):
        pods = [{**p, "metadata": {**p["metadata"], "deletionTimestamp": "2025-12-31T00:00:00Z"}} for p in pods]
    assert counts(decide(job(**spec), pods, NOW)) == want


def test_a_dropped_pod_never_counts_and_an_ended_one_does() -> None:
    smaller = decide(job(completions=5, parallelism=0), [pod("a")], NOW)
    assert [p["metadata"]["name"] for p in smaller.drop] == ["a"] and not smaller.end
    late = decide(job(completions=1, activeDeadlineSeconds=30), [pod("a")], NOW)
    assert [p["metadata"]["name"] for p in late.end] == ["a"] and late.status["uncountedTerminatedPods"] == {"failed": ["u-a"]}


def test_a_pod_is_counted_once_through_three_turns() -> None:
    tree = job(completions=2)
    first = decide(tree, [done("a")], NOW)
    assert first.status["uncountedTerminatedPods"] == {"succeeded": ["u-a"]} and "succeeded" not in first.status
    assert [p["metadata"]["name"] for p in first.release] == ["a"]
    tree["status"] = first.status
    again = decide(tree, [done("a"), pod("b")], NOW)  # the finalizer is still seen
    assert again.status["uncountedTerminatedPods"] == {"succeeded": ["u-a"]} and counts(again) == (0, 0)
    second = decide(tree, [done("a", held=False), pod("b")], NOW)
    assert (second.status["succeeded"], second.status["uncountedTerminatedPods"]) == (1, {})
    tree["status"] = second.status
    assert decide(tree, [done("a", held=False), pod("b")], NOW).status["succeeded"] == 1
    assert decide(tree, [pod("b")], NOW).status["succeeded"] == 1  # and may be deleted


def run(tree: dict, pods: list, turns: int = 4) -> list[list[tuple[str, str]]]:
    """What the conditions say, turn by turn: what is deleted goes, what is released loses its finalizer."""
    found = []
    for _ in range(turns):
        step = decide(tree, pods, NOW)
        gone = {p["metadata"]["uid"] for p in [*step.end, *step.drop]}
        let = {p["metadata"]["uid"] for p in step.release}
        pods = [controller.counted(p) if p["metadata"]["uid"] in let else p for p in pods if p["metadata"]["uid"] not in gone]
        tree = {**tree, "status": step.status}
        if not found or found[-1] != told(step):
            found.append(told(step))
    tree["turns"] = found
    return found


SUCCESS = [("SuccessCriteriaMet", "CompletionsReached")]


def test_success_is_said_in_two_steps() -> None:
    said = run(job(completions=1), [done("a")])
    assert said[0] == SUCCESS and said[-1] == [*SUCCESS, ("Complete", "CompletionsReached")]


def test_no_completions_are_complete_at_once() -> None:
    assert run(job(completions=0), [])[-1] == [*SUCCESS, ("Complete", "CompletionsReached")]


@pytest.mark.parametrize(
    ("spec", "pods", "reason"),
    [
        ({"completions": 1, "backoffLimit": 0}, [broken("a")], "BackoffLimitExceeded"),
        ({"completions": 1, "backoffLimit": 1}, [broken("a"), broken("b")], "BackoffLimitExceeded"),
        ({"completions": 1, "activeDeadlineSeconds": 40}, [pod("a")], "DeadlineExceeded"),
        ({"completions": 1, "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}},
         [broken("a", 42)], "PodFailurePolicy"),
        ({"completions": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 0, "backoffLimit": 99},
         [broken("a", index=0), done("b", index=1)], "FailedIndexes"),
        ({"completions": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 0, "maxFailedIndexes": 0, "backoffLimit": 99},
         [broken("a", index=0)], "MaxFailedIndexesExceeded"),
    ],
)
def test_failure_is_said_in_two_steps(spec: dict, pods: list, reason: str) -> None:
    said = run(job(**spec), pods)
    assert said[0] == [("FailureTarget", reason)] and said[-1] == [("FailureTarget", reason), ("Failed", reason)]


def test_restarts_count_against_the_limit_where_pods_are_restarted() -> None:
    tree = job(completions=1, backoffLimit=2)
    tree["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    assert told(decide(tree, [pod("a", restarts=1)], NOW)) == []
    assert told(decide(tree, [pod("a", restarts=2)], NOW)) == [("FailureTarget", "BackoffLimitExceeded")]


def test_the_last_condition_waits_for_pods_that_are_ending() -> None:
    tree = job(completions=1, status={"startTime": "2026-01-01T00:01:00Z", "conditions": [
        {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded", "message": "m"}]})
    ending = pod("a", held=False, deletionTimestamp="2026-01-01T00:01:00Z")
    assert told(decide(tree, [ending], NOW)) == [("FailureTarget", "DeadlineExceeded")]
    assert told(decide(tree, [], NOW))[-1] == ("Failed", "DeadlineExceeded")


def test_nothing_is_made_or_ended_before_what_was_done_is_seen() -> None:
    assert counts(decide(job(completions=3, parallelism=3), [], NOW, settled=False)) == (0, 0)
    assert told(decide(job(completions=1, backoffLimit=0), [broken("a")], NOW, settled=False)) == []


def test_suspending_takes_the_start_time_and_resuming_sets_a_new_one() -> None:
    off = decide(job(completions=1, suspend=True), [], NOW)
    assert told(off) == [("Suspended", "JobSuspended")] and "startTime" not in off.status
    assert off.events == [("Normal", "Suspended", "Job suspended")]
    on = decide(job(completions=1, status=off.status), [], NOW + 5)
    assert told(on) == [("Suspended", "JobResumed")] and on.status["startTime"] == "2026-01-01T00:01:45Z"
    assert on.status["conditions"][0]["status"] == "False"


def test_a_failed_pod_is_replaced_after_a_pause_that_doubles() -> None:
    at = "2026-01-01T00:01:35Z"  # 5 s ago
    one = decide(job(completions=1), [broken("a", at=at)], NOW)
    assert counts(one) == (0, 0) and one.again == pytest.approx(5)
    two = decide(job(completions=1), [broken("a", at=at), broken("b", at=at)], NOW)
    assert two.again == pytest.approx(15)
    assert counts(decide(job(completions=1), [broken("a")], NOW)) == (1, 0)
    since = [broken("a", at="2026-01-01T00:01:30Z"), done("b", at=at)]
    assert counts(decide(job(completions=2), since, NOW)) == (1, 0)  # a success ends the pause


POLICY = {"rules": [
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [7]}},
    {"action": "Count", "onExitCodes": {"containerName": "c", "operator": "NotIn", "values": [42]}},
    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]


@pytest.mark.parametrize(
    ("failed", "want"),
    [
        (broken("a", 137, conditions=DISRUPTED), (False, "Ignore", "")),
        (broken("a", 7), (True, "FailIndex", "")),
        (broken("a", 1), (True, "Count", "")),
        (broken("a", 42), (True, "FailJob", "Container c for pod n/a failed with exit code 42 matching FailJob rule at index 3")),
        (pod("a", "Failed"), (True, "", "")),
    ],
)
def test_the_first_rule_that_fits_decides(failed: dict, want: tuple) -> None:
    assert tuple(jobpolicy.verdict(job(podFailurePolicy=POLICY), failed)) == want


def test_an_ignored_failure_is_replaced_without_being_counted() -> None:
    step = decide(job(completions=1, backoffLimit=0, podFailurePolicy=POLICY), [broken("a", 137, conditions=DISRUPTED)], NOW)
    assert counts(step) == (1, 0) and step.status["uncountedTerminatedPods"] == {} and len(step.release) == 1


INDEXED = {"completionMode": "Indexed", "completions": 4, "parallelism": 4}


def indexes(step: Step) -> list[int | None]:
    return [i for i, _ in step.create]


def test_each_index_has_one_pod() -> None:
    assert indexes(decide(job(**INDEXED), [], NOW)) == [0, 1, 2, 3]
    assert indexes(decide(job(**INDEXED), [done("a", index=1), pod("b", index=2)], NOW)) == [0, 3]
    twice = decide(job(**INDEXED), [pod("a", index=0), pod("b", index=0, ready=True), pod("c", index=9), pod("d")], NOW)
    assert sorted(p["metadata"]["name"] for p in twice.drop) == ["a", "c", "d"]


def test_completed_indexes_are_told_in_runs() -> None:
    step = decide(job(**INDEXED), [done(str(i), index=i) for i in (0, 1, 3)], NOW)
    assert (step.status["completedIndexes"], step.status["succeeded"]) == ("0,1,3", 3)
    assert step.status["uncountedTerminatedPods"] == {}  # the index itself tells that it is counted


@pytest.mark.parametrize(
    ("text", "want"), [("", set()), ("0", {0}), ("0,2-4", {0, 2, 3, 4}), ("3-9", {3, 4}), ("7", set()), ("x,1", {1})]
)
def test_index_texts_are_read_up_to_the_completions(text: str, want: set) -> None:
    assert jobindexes.parse(text, 5) == want


@pytest.mark.parametrize(("found", "want"), [([], ""), ([0], "0"), ([0, 1], "0,1"), ([0, 1, 2], "0-2"), ([5, 1, 2, 3, 7, 8], "1-3,5,7,8")])
def test_index_texts_are_short(found: list, want: str) -> None:
    assert jobindexes.show(found) == want


@pytest.mark.parametrize(
    ("rules", "succeeded", "want"),
    [
        ([{"succeededIndexes": "0"}], [0], "Matched rules at index 0"),
        ([{"succeededIndexes": "0-2", "succeededCount": 2}], [0, 2], "Matched rules at index 0"),
        ([{"succeededIndexes": "0-2"}], [0, 2], ""),
        ([{"succeededIndexes": "3"}, {"succeededCount": 1}], [0], "Matched rules at index 1"),
        ([{"succeededCount": 2}], [1], ""),
    ],
)
def test_the_success_policy_ends_a_job_early(rules: list, succeeded: list, want: str) -> None:
    tree = job(**INDEXED, successPolicy={"rules": rules})
    step = decide(tree, [done(str(i), index=i) for i in succeeded] + [pod("r", index=1 if 1 not in succeeded else 2)], NOW)
    assert told(step) == ([("SuccessCriteriaMet", "SuccessPolicy")] if want else [])
    assert [c["message"] for c in step.status.get("conditions", [])] == ([want] if want else [])
    assert len(step.end) == (1 if want else 0) and not step.status["uncountedTerminatedPods"]


def test_an_index_counts_its_own_failures() -> None:
    tree = job(**{**INDEXED, "completions": 2, "parallelism": 2}, backoffLimitPerIndex=1, backoffLimit=2**31 - 1)
    step = decide(tree, [broken("a", index=0), pod("b", index=1)], NOW)
    ((index, before),) = step.create
    assert index == 0 and before is not None and not step.release  # it stays until its successor carries its count
    made = controller.pod_for(tree, index, before)
    assert made["metadata"]["annotations"][jobindexes.FAILURES] == "1"
    second = broken("c", index=0, notes={jobindexes.FAILURES: "1"})
    assert decide(tree, [second, pod("b", index=1)], NOW).status["failedIndexes"] == "0"


def test_a_pod_of_an_index_knows_it() -> None:
    made = controller.pod_for(job(**INDEXED), 3, None)
    meta = made["metadata"]
    assert meta["generateName"] == "j-3-" and meta["finalizers"] == [FINALIZER] and made["spec"]["hostname"] == "j-3"
    assert meta["labels"][jobindexes.INDEX] == meta["annotations"][jobindexes.INDEX] == "3"
    (entry,) = made["spec"]["containers"][0]["env"]
    assert entry["name"] == "JOB_COMPLETION_INDEX"


def test_a_job_stored_without_a_selector_still_knows_its_pods() -> None:
    tree = job(completions=1)
    del tree["spec"]["selector"]
    made = controller.pod_for(tree, None, None)
    selector = controller.selector_of(tree)
    assert selector is not None and selector.matches(made["metadata"]["labels"])


@pytest.mark.parametrize(("life", "kind", "want"), [(None, "Complete", None), (30, "Complete", 20.0), (5, "Failed", -5.0), (30, "Suspended", None)])
def test_a_finished_job_lives_on_for_its_time(life: int | None, kind: str, want: float | None) -> None:
    tree = job(completions=1, status={"conditions": [{"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:01:30Z"}]})
    if life is not None:
        tree["spec"]["ttlSecondsAfterFinished"] = life
    assert controller.time_left(tree, NOW) == want
