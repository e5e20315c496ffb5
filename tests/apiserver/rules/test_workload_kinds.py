"""Deployment, ReplicaSet, ReplicationController, DaemonSet, StatefulSet, ControllerRevision."""

from __future__ import annotations

from typing import Any

import pytest
from ruling import CONTAINER, begins, made, pod, refusals, rule, status_refusals, update_refusals, updated, workload

NO_MATCH = "`selector` does not match template `labels`"
LABELS = f'spec.template.metadata.labels: Invalid value: {{"app":"x"}}: {NO_MATCH}'
ROLLING = "spec.strategy.rollingUpdate"
UPDATE = "spec.updateStrategy.rollingUpdate"
SS = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"


def test_what_each_kind_is_given() -> None:
    spec = made("Deployment", workload())["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    spec = made("DaemonSet", workload())["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    spec = made("StatefulSet", workload(updateStrategy={"rollingUpdate": {"maxUnavailable": 2}}))["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert (spec["podManagementPolicy"], spec["serviceName"]) == ("OrderedReady", "")


def test_a_replication_controller_takes_its_templates_labels() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [dict(CONTAINER)]}}
    found = made("ReplicationController", {"metadata": {"name": "r"}, "spec": {"template": template}})
    assert found["spec"]["selector"] == found["metadata"]["labels"] == {"a": "b"}


SPECS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("Deployment", {"selector": None}, ("spec.selector: Required value", LABELS)),
    ("Deployment", {"selector": {}}, ("spec.selector: Invalid value: {}: empty selector is invalid for deployment",)),
    ("StatefulSet", {"selector": {}}, ("spec.selector: Invalid value: {}: empty selector is invalid for statefulset",)),
    ("DaemonSet", {"selector": {}}, ("spec.selector: Invalid value: {}: empty selector is invalid for daemonset",)),
    ("ReplicaSet", {"selector": {"matchLabels": {"a": "b"}}}, (LABELS,)),
    (
        "Deployment",
        {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
        (
            "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            'spec.selector: Invalid value: {"matchExpressions":[{"key":"a","operator":"In"}]}: invalid label selector',
        ),
    ),
    ("Deployment", {"replicas": -1, "minReadySeconds": -2}, ("spec.replicas: Invalid value: -1: must be", "spec.minReadySeconds: Invalid value: -2: must be")),
    ("Deployment", {"minReadySeconds": 600}, ("spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",)),
    ("Deployment", {"strategy": {"type": "Slow"}}, ('spec.strategy: Unsupported value: {"Type":"Slow","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"',)),
    ("Deployment", {"strategy": {"type": "Recreate", "rollingUpdate": {}}}, (f"{ROLLING}: Forbidden: may not be specified when strategy `type` is 'Recreate'",)),
    ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}}}, (f"{ROLLING}.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",)),
    ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": "101%", "maxSurge": "many"}}}, (f'{ROLLING}.maxSurge: Invalid value: "many": a valid percent string must be', f'{ROLLING}.maxUnavailable: Invalid value: "101%": must not be greater than 100%')),
    ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}}, (f"{UPDATE}.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",)),
    ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxSurge": 1}}}, (f"{UPDATE}.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",)),
    ("StatefulSet", {"podManagementPolicy": "Any"}, ("spec.podManagementPolicy: Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'",)),
    ("StatefulSet", {"updateStrategy": {"type": "Odd"}}, ("spec.updateStrategy: Invalid value: {\"Type\":\"Odd\",\"RollingUpdate\":null}: must be 'RollingUpdate' or 'OnDelete'",)),
    ("StatefulSet", {"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}}, (f"{UPDATE}: Invalid value: {{\"Partition\":1,\"MaxUnavailable\":null}}: only allowed for updateStrategy 'RollingUpdate'",)),
    ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": -1}}}, (f"{UPDATE}.partition: Invalid value: -1: must be",)),
    ("StatefulSet", {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Drop"}}, ('spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Drop": supported values: "Retain", "Delete"',)),
    ("StatefulSet", {"serviceName": "a.b", "ordinals": {"start": -1}}, ("spec.ordinals.start: Invalid value: -1: must be", 'spec.serviceName: Invalid value: "a.b": must not contain dots')),
    ("StatefulSet", {"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {"accessModes": ["Any"]}}]}, ('spec.volumeClaimTemplates[0].spec.accessModes: Unsupported value: "Any": supported values: "ReadOnlyMany"', "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value")),
]


@pytest.mark.parametrize(("kind", "spec", "expected"), SPECS)
def test_a_workloads_spec_is_judged(kind: str, spec: dict[str, Any], expected: tuple[str, ...]) -> None:
    tree = workload(**{name: value for name, value in spec.items() if value is not None})
    for name, value in spec.items():
        if value is None:
            del tree["spec"][name]
    found = refusals(kind, tree)
    assert begins(found, expected), found


@pytest.mark.parametrize(
    ("kind", "noun"),
    [("Deployment", "ReplicaSet"), ("ReplicaSet", "ReplicaSet"), ("DaemonSet", "DaemonSet"), ("StatefulSet", "StatefulSet")],
)
def test_what_runs_on_has_neither_deadline_nor_end(kind: str, noun: str) -> None:
    found = refusals(kind, workload({"restartPolicy": "Never", "activeDeadlineSeconds": 5}))
    assert found == [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        f"spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in {noun} is not Supported",
    ]


def test_the_claims_of_a_stateful_set_are_volumes_of_its_pods() -> None:
    mounted = {**CONTAINER, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    assert refusals("StatefulSet", workload({"containers": [mounted]}, volumeClaimTemplates=[claim])) == []
    assert begins(refusals("StatefulSet", workload({"containers": [mounted]})), ('spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"',))


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet"])
def test_a_selector_is_for_ever(kind: str) -> None:
    old = made(kind, workload())
    labels = {"app": "x", "b": "c"}
    template = {**old["spec"]["template"], "metadata": {"labels": labels}}
    found = update_refusals(kind, old, selector={"matchLabels": labels}, template=template)
    assert found == ['spec.selector: Invalid value: {"matchLabels":{"app":"x","b":"c"}}: field is immutable']


def test_of_a_stateful_set_little_may_change() -> None:
    old = made("StatefulSet", workload(serviceName="a"))
    assert update_refusals("StatefulSet", old, replicas=3, minReadySeconds=1, ordinals={"start": 2}) == []
    assert begins(update_refusals("StatefulSet", old, serviceName="b"), (f"spec: Forbidden: {SS}",))
    assert begins(update_refusals("StatefulSet", old, podManagementPolicy="Parallel"), (f"spec: Forbidden: {SS}",))


def test_a_daemon_sets_template_is_counted_in_an_annotation() -> None:
    name = "deprecated.daemonset.template.generation"
    old = made("DaemonSet", workload())
    assert old["metadata"]["annotations"] == {name: "1"}
    assert updated("DaemonSet", old, minReadySeconds=4)["metadata"]["annotations"] == {name: "1"}
    template = {**old["spec"]["template"], "spec": {**old["spec"]["template"]["spec"], "hostname": "h"}}
    assert updated("DaemonSet", old, template=template)["metadata"]["annotations"] == {name: "2"}


def test_annotations_of_a_deployment_are_a_change() -> None:
    old = made("Deployment", workload())
    new = {**old, "metadata": {**old["metadata"], "annotations": {"a": "b"}}}
    rule("Deployment").prepare(new, old)
    assert new["metadata"]["generation"] == 2


STATUSES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("Deployment", {"replicas": 1, "updatedReplicas": 2}, ("status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas",)),
    ("Deployment", {"replicas": 2, "availableReplicas": 1}, ("status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas",)),
    ("Deployment", {"replicas": -1}, ("status.replicas: Invalid value: -1: must be", "status.updatedReplicas", "status.readyReplicas", "status.availableReplicas")),
    ("ReplicaSet", {"fullyLabeledReplicas": 1}, ("status.fullyLabeledReplicas: Invalid value: 1: cannot be greater than status.replicas",)),
    ("StatefulSet", {"replicas": 1, "availableReplicas": 1}, ("status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas",)),
    ("DaemonSet", {"numberReady": -1}, ("status.numberReady: Invalid value: -1: must be",)),
    ("DaemonSet", {"collisionCount": 1}, ("status.collisionCount: Invalid value: 1: cannot be decremented",)),
]


@pytest.mark.parametrize(("kind", "status", "expected"), STATUSES)
def test_a_workloads_status_is_judged(kind: str, status: dict[str, Any], expected: tuple[str, ...]) -> None:
    old = made(kind, workload())
    old["status"] = {"collisionCount": 2} if "collisionCount" in status else {}
    found = status_refusals(kind, old, status)
    assert begins(found, expected), found


def test_a_revision_is_a_record() -> None:
    old = made("ControllerRevision", {"metadata": {"name": "r"}, "revision": 1, "data": {"a": 1}})
    assert told_of(old) == []
    assert told_of({**old, "revision": -1, "data": [1]}) == ["revision: Invalid value: -1: must be greater than or equal to 0", "data: Required value: data must be a valid JSON object"]
    found = rule("ControllerRevision").judge_update({**old, "data": {"a": 2}}, old)
    assert [f"{c.field}: {c.message}" for c in found] == ['data: Invalid value: {"a":2}: field is immutable']


def told_of(tree: dict[str, Any]) -> list[str]:
    return [f"{c.field}: {c.message}" for c in rule("ControllerRevision").validate(tree)]


def test_a_pod_template_is_judged_at_its_path() -> None:
    tree = {"metadata": {"name": "t"}, "template": {"spec": pod(hostname="a.b")["spec"]}}
    assert refusals("PodTemplate", tree) == ['template.spec.hostname: Invalid value: "a.b": must not contain dots']
