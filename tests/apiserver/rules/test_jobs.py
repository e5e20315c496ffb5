"""Jobs: what they are given, what is wrong with them, what may change; their status."""

from __future__ import annotations

from typing import Any

import pytest
from ruling import UID, begins, job, made, refusals, rule, status_refusals, update_refusals, updated

from seaway.cluster.apiserver.rules import index_sets

INDEXED = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
EXIT = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}
ON_POD = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
FAILURE = "spec.podFailurePolicy.rules[0]"
SUCCESS = "spec.successPolicy.rules[0]"
INDEXED_ONLY = "requires indexed completion mode"


def test_a_job_selects_its_pods_by_its_own_uid() -> None:
    found = made("Job", job())
    labels = {
        "batch.kubernetes.io/controller-uid": UID,
        "batch.kubernetes.io/job-name": "w",
        "controller-uid": UID,
        "job-name": "w",
    }
    assert found["spec"]["template"]["metadata"]["labels"] == labels
    assert found["metadata"]["labels"] == labels
    assert found["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}}


def test_a_job_that_knows_better_is_given_no_selector() -> None:
    assert refusals("Job", job(manualSelector=True)) == [
        "spec.selector: Required value",
        "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}),
        ({"parallelism": 2}, {"completions": None, "parallelism": 2}),
        ({"completions": 4}, {"completions": 4, "parallelism": 1}),
        ({**INDEXED, "backoffLimitPerIndex": 1}, {"backoffLimit": 2147483647}),
        ({}, {"podReplacementPolicy": "TerminatingOrFailed"}),
        ({"podFailurePolicy": {"rules": [EXIT]}}, {"podReplacementPolicy": "Failed"}),
    ],
)
def test_what_a_job_is_given(given: dict[str, Any], expected: dict[str, Any]) -> None:
    spec = made("Job", job(**given))["spec"]
    assert {name: spec.get(name) for name in expected} == expected


SPECS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (INDEXED, ()),
    ({"completions": -1, "backoffLimit": -2}, ("spec.completions: Invalid value: -1: must be", "spec.backoffLimit: Invalid value: -2: must be")),
    ({"completionMode": "Odd"}, ('spec.completionMode: Unsupported value: "Odd": supported values: "NonIndexed", "Indexed"',)),
    ({"completionMode": "Indexed", "parallelism": 1}, ("spec.completions: Required value: when completion mode is Indexed",)),
    ({**INDEXED, "parallelism": 100001}, ("spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",)),
    ({"backoffLimitPerIndex": 1}, (f"spec.backoffLimitPerIndex: Invalid value: 1: {INDEXED_ONLY}",)),
    ({**INDEXED, "maxFailedIndexes": 1}, ("spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",)),
    ({**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 4}, ("spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",)),
    ({"managedBy": "me"}, ('spec.managedBy: Invalid value: "me": must be a domain-prefixed path',)),
    ({"podReplacementPolicy": "Soon"}, ('spec.podReplacementPolicy: Unsupported value: "Soon": supported values: "Failed", "TerminatingOrFailed"',)),
    ({"podFailurePolicy": {"rules": [EXIT]}, "podReplacementPolicy": "TerminatingOrFailed"}, ('spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',)),
    # pod failure policy
    ({"podFailurePolicy": {"rules": [EXIT, ON_POD]}}, ()),
    ({"podFailurePolicy": {"rules": [{**EXIT, "action": "Odd"}]}}, (f'{FAILURE}.action: Unsupported value: "Odd": supported values: "Count", "FailIndex", "FailJob", "Ignore"',)),
    ({"podFailurePolicy": {"rules": [{**EXIT, "action": "FailIndex"}]}}, (f'{FAILURE}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',)),
    ({"podFailurePolicy": {"rules": [{"action": "Count"}]}}, (f"{FAILURE}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",)),
    ({"podFailurePolicy": {"rules": [{**ON_POD, **EXIT}]}}, (f"{FAILURE}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",)),
    ({"podFailurePolicy": {"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [2, 0, 2]}}]}}, (f"{FAILURE}.onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator", f"{FAILURE}.onExitCodes.values[2]: Duplicate value: 2", f"{FAILURE}.onExitCodes.values: Invalid value: [2,0,2]: must be ordered")),
    ({"podFailurePolicy": {"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1], "containerName": "x"}}]}}, (f'{FAILURE}.onExitCodes.containerName: Invalid value: "x": must be one of the container',)),
    # success policy
    ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0,2", "succeededCount": 1}]}}, ()),
    ({"successPolicy": {"rules": [{"succeededCount": 1}]}}, (f'spec.successPolicy: Invalid value: {{"Rules":[{{"SucceededIndexes":null,"SucceededCount":1}}]}}: {INDEXED_ONLY}',)),
    ({**INDEXED, "successPolicy": {"rules": []}}, ("spec.successPolicy.rules: Required value: at least one rules must be specified",)),
    ({**INDEXED, "successPolicy": {"rules": [{}]}}, (f"{SUCCESS}: Required value: at least one of succeededCount or succeededIndexes must be specified",)),
    ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "3"}]}}, (f'{SUCCESS}.succeededIndexes: Invalid value: "3": error parsing succeededIndexes: too large index: "3"',)),
    ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0", "succeededCount": 2}]}}, (f"{SUCCESS}.succeededCount: Invalid value: 2: must be less than or equal to 1 (the number of indexes",)),
]


@pytest.mark.parametrize(("spec", "expected"), SPECS)
def test_a_jobs_spec_is_judged(spec: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = refusals("Job", job(**spec))
    assert begins(found, expected), found


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("Always", 'Required value: valid values: "OnFailure", "Never"'),
        ("", 'Required value: valid values: "OnFailure", "Never"'),
        ("OnFailure", ""),
    ],
)
def test_the_pods_of_a_job_end(policy: str, expected: str) -> None:
    found = refusals("Job", job({"restartPolicy": policy}))
    assert found == ([f"spec.template.spec.restartPolicy: {expected}"] if expected else [])


def test_an_indexed_jobs_pods_have_names() -> None:
    tree = job(**INDEXED)
    tree["metadata"]["name"] = "w" * 62
    found = refusals("Job", tree)
    assert begins(found, (f'metadata.name: Invalid value: "{"w" * 62}": will not able to create pod with invalid DNS',))


UPDATES: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ({}, {"parallelism": 0, "backoffLimit": 3, "activeDeadlineSeconds": 9, "ttlSecondsAfterFinished": 1}, ()),
    ({}, {"completions": 2}, ("spec.completions: Invalid value: 2: field is immutable",)),
    (INDEXED, {"completions": 5, "parallelism": 5}, ()),
    (INDEXED, {"completions": 5}, ("spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism",)),
    (INDEXED, {"completionMode": "NonIndexed"}, ('spec.completionMode: Invalid value: "NonIndexed": field is immutable',)),
    ({}, {"managedBy": "a.b/c"}, ('spec.managedBy: Invalid value: "a.b/c": field is immutable',)),
    ({"podFailurePolicy": {"rules": [EXIT]}}, {"podFailurePolicy": {"rules": [ON_POD]}}, ('spec.podFailurePolicy: Invalid value: {"Rules":[{"Action":"Ignore"',)),
]


@pytest.mark.parametrize(("before", "change", "expected"), UPDATES)
def test_of_a_job_little_may_change(before: dict[str, Any], change: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = update_refusals("Job", made("Job", job(**before)), **change)
    assert begins(found, expected), found


def template(old: dict[str, Any], **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = old["spec"]["template"]
    return {**found, "spec": {**found["spec"], **fields}}


def test_a_suspended_job_may_be_sent_elsewhere() -> None:
    fixed = made("Job", job())
    assert begins(update_refusals("Job", fixed, template=template(fixed, nodeSelector={"a": "b"})), ("spec.template: Invalid value: ",))
    old = made("Job", job(suspend=True))
    small = {"requests": {"cpu": "1"}}
    placed = template(old, nodeSelector={"a": "b"}, tolerations=[{"operator": "Exists"}])
    assert update_refusals("Job", old, template=placed, suspend=False) == []
    sized = template(old, containers=[{**old["spec"]["template"]["spec"]["containers"][0], "resources": small}])
    assert update_refusals("Job", old, template=sized) == []
    assert begins(update_refusals("Job", old, template=template(old, hostname="h")), ("spec.template.spec: Invalid value: ",))
    old["status"] = {"active": 1}
    assert begins(update_refusals("Job", old, template=placed), ("spec.template: Invalid value: ",))


def test_a_job_is_warned_of() -> None:
    old = made("Job", job())
    many = made("Job", job(completionMode="Indexed", completions=100001, parallelism=10001))
    assert "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4" in " ".join(rule("Job").warnings(many, None))
    assert rule("Job").warnings(old, None) == rule("Job").warnings(updated("Job", old), old) == []


def test_an_error_shows_the_template_as_upstream_does() -> None:
    old = made("Job", job())
    found = update_refusals("Job", old, template=template(old, hostPID=True))
    labels = '{"batch.kubernetes.io/controller-uid":"' + UID + '","batch.kubernetes.io/job-name":"w","controller-uid":"' + UID + '","job-name":"w"}'
    assert found[0].startswith('spec.template: Invalid value: {"labels":' + labels + ',"Spec":{"Volumes":null,"InitContainers":null,"Containers":[{"Name":"c","Image":"registry.example/app:1","Command":null,')
    assert '"SecurityContext":{"HostNetwork":false,"HostPID":true,"HostIPC":false,"ShareProcessNamespace":null,' in found[0]
    assert found[0].endswith(": field is immutable")


def condition(*kinds: str) -> list[dict[str, Any]]:
    return [{"type": kind, "status": "True"} for kind in kinds]


START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"
C = "status.conditions: Invalid value: cannot"
STATUSES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ({}, {}, {"active": 1, "ready": 1, "startTime": START}, ()),
    ({}, {}, {"active": -1}, ("status.active: Invalid value: -1: must be",)),
    ({}, {}, {"active": 1, "ready": 2}, ("status.ready: Invalid value: 2: cannot set more ready pods than active",)),
    ({}, {"startTime": START}, {"startTime": START, "completionTime": END, "conditions": condition("SuccessCriteriaMet", "Complete")}, ()),
    ({}, {"startTime": START}, {"startTime": START, "conditions": condition("SuccessCriteriaMet", "Complete")}, ("status.completionTime: Required value: completionTime is required for Complete jobs",)),
    ({}, {"startTime": START}, {"startTime": START, "completionTime": END}, (f'status.completionTime: Invalid value: "{END}": cannot set completionTime when there is no Complete=True',)),
    ({}, {"startTime": END}, {"startTime": END, "completionTime": START, "conditions": condition("SuccessCriteriaMet", "Complete")}, (f'status.completionTime: Invalid value: "{START}": must be equal to or after `startTime`',)),
    ({}, {"startTime": START}, {"startTime": START, "conditions": condition("Failed")}, (f"{C} set Failed=True condition without the FailureTarget=true condition",)),
    ({}, {"startTime": START}, {"startTime": START, "active": 1, "conditions": condition("FailureTarget", "Failed")}, ("status.active: Invalid value: 1: active>0 is invalid for finished job",)),
    ({}, {}, {"conditions": condition("FailureTarget", "Failed")}, ("status.startTime: Required value: startTime is required for finished job",)),
    ({}, {"failed": 2}, {"failed": 1}, ("status.failed: Invalid value: 1: cannot decrease the failed counter",)),
    ({}, {"startTime": START}, {"startTime": END}, (f'status.startTime: Invalid value: "{END}": field is immutable for unsuspended job once set',)),
    ({}, {"startTime": START, "conditions": condition("FailureTarget")}, {"startTime": START}, (f"{C} disable the terminal FailureTarget=True condition",)),
    ({}, {}, {"completedIndexes": "0"}, ('status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed',)),
    (INDEXED, {}, {"completedIndexes": "0-9"}, ('status.completedIndexes: Invalid value: "0-9": error parsing completedIndexes: too large index: "9"',)),
    ({**INDEXED, "backoffLimitPerIndex": 1}, {}, {"completedIndexes": "0,1", "failedIndexes": "1"}, ('status.failedIndexes: Invalid value: "1": failedIndexes and completedIndexes overlap at index: 1',)),
    ({}, {}, {"uncountedTerminatedPods": {"failed": ["a", "", "a"]}}, ('status.uncountedTerminatedPods.failed[1]: Invalid value: "": must not be empty', 'status.uncountedTerminatedPods.failed[2]: Duplicate value: "a"')),
]


@pytest.mark.parametrize(("spec", "before", "after", "expected"), STATUSES)
def test_a_jobs_status_is_judged(spec: dict[str, Any], before: dict[str, Any], after: dict[str, Any], expected: tuple[str, ...]) -> None:
    old = made("Job", job(**spec))
    old["status"] = before
    found = status_refusals("Job", old, after)
    assert begins(found, expected), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("3", [(3, 3)]),
        ("0,2-4", [(0, 0), (2, 4)]),
        ("4-2", "non-increasing order, previous: 4, current: 2"),
        ("2,1", "non-increasing order, previous: 2, current: 1"),
        ("10", 'too large index: "10"'),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("1-2-3", "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'"),
    ],
)
def test_sets_of_indexes(text: str, expected: Any) -> None:
    try:
        assert index_sets.intervals(text, 10) == expected
    except index_sets.IndexSetError as e:
        assert str(e) == expected
