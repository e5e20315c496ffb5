"""What may change in a pod: by update, status, ephemeralcontainers, resize."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ruling import CONTAINER, begins, container, made, pod, rule, status_refusals, told, update_refusals, updated

TERMS = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
ONLY = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
GONE = "existing toleration can not be modified except its tolerationSeconds"
KEEP = {"key": "a", "operator": "Exists"}


def terms(*keys: str) -> dict[str, Any]:
    found = [{"key": key, "operator": "Exists"} for key in keys]
    required = {"nodeSelectorTerms": [{"matchExpressions": found}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


GATE = [{"name": "example.com/g"}]
UPDATES: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ({}, {"containers": [{**CONTAINER, "image": "other:2"}]}, ()),
    ({}, {"containers": [{**CONTAINER, "image": "other:2"}, {**CONTAINER, "name": "d"}]}, ("spec.containers: Forbidden: pod updates may not add or remove containers",)),
    ({}, {"containers": [{**CONTAINER, "command": ["a"]}]}, (ONLY,)),
    ({}, {"activeDeadlineSeconds": 9}, ()),
    ({"activeDeadlineSeconds": 9}, {"activeDeadlineSeconds": 8}, ()),
    ({"activeDeadlineSeconds": 9}, {"activeDeadlineSeconds": 10}, ("spec.activeDeadlineSeconds: Invalid value: 10: must be less than or equal to previous value",)),
    ({"activeDeadlineSeconds": 9}, {"activeDeadlineSeconds": None}, ("spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",)),
    ({"tolerations": [KEEP]}, {"tolerations": [KEEP, {"key": "b", "operator": "Exists"}]}, ()),
    ({"tolerations": [KEEP]}, {"tolerations": [{**KEEP, "effect": "NoExecute"}]}, (f"spec.tolerations: Forbidden: {GONE}",)),
    ({"tolerations": [{**KEEP, "effect": "NoExecute"}]}, {"tolerations": [{**KEEP, "effect": "NoExecute", "tolerationSeconds": 3}]}, ()),
    ({"schedulingGates": [*GATE, {"name": "h"}]}, {"schedulingGates": GATE}, ()),
    ({}, {"schedulingGates": GATE}, ("spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'example.com/g'",)),
    ({}, {"nodeName": "n"}, (ONLY,)),
    ({}, {"terminationGracePeriodSeconds": 1}, (ONLY,)),
    ({}, {"hostNetwork": True}, (ONLY,)),
    # a gated pod may be narrowed
    ({"schedulingGates": GATE, "nodeSelector": {"a": "1"}}, {"nodeSelector": {"a": "1", "b": "2"}}, ()),
    ({"schedulingGates": GATE, "nodeSelector": {"a": "1"}}, {"nodeSelector": {"b": "2"}}, ('spec.nodeSelector: Invalid value: {"b":"2"}: only additions to spec.nodeSelector are allowed',)),
    ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"a": "1", "b": "2"}}, (ONLY,)),
    ({"schedulingGates": GATE}, {"affinity": terms("a")}, ()),
    ({"schedulingGates": GATE, "affinity": terms("a")}, {"affinity": terms("a", "b")}, ()),
    ({"schedulingGates": GATE, "affinity": terms("a")}, {"affinity": terms("b")}, (f'{TERMS}[0]: Invalid value: {{"MatchExpressions":[{{"Key":"b","Operator":"Exists","Values":null}}],"MatchFields":null}}: only additions',)),
    ({"schedulingGates": GATE, "affinity": terms("a")}, {"affinity": None}, (f"{TERMS}: Invalid value: null: no additions/deletions to non-empty NodeSelectorTerms",)),
]


@pytest.mark.parametrize(("before", "change", "expected"), UPDATES)
def test_an_update_changes_little(before: dict[str, Any], change: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = update_refusals("Pod", made("Pod", pod(**before)), **change)
    assert begins(found, expected), found


def test_an_update_need_not_repeat_what_the_server_gave() -> None:
    old = made("Pod", pod())
    old["spec"].update(priority=7, preemptionPolicy="Never")
    rule("Pod").prepare(old, old)
    assert update_refusals("Pod", old, priority=None, preemptionPolicy=None, tolerations=None) == []
    assert updated("Pod", old, priority=None)["spec"]["priority"] == 7


ENDED = {"name": "c", "state": {"terminated": {"exitCode": 1}}}
RUNNING = {"name": "c", "state": {"running": {}}}
STATES = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
ALLOCATABLE = "status.nodeAllocatableResourceClaimStatuses[0]"
STATUSES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ({}, {}, {"podIP": "192.0.2.1"}, ()),
    ({}, {}, {"podIP": "one"}, ('status.podIPs[0]: Invalid value: "one": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',)),
    ({}, {}, {"podIPs": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}]}, ('status.podIPs: Invalid value: [{"IP":"192.0.2.1"},{"IP":"192.0.2.2"}]: may specify no more than one IP for each',)),
    ({}, {}, {"podIPs": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}]}, ()),
    ({}, {}, {"hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.2"}]}, ('status.hostIPs[0].ip: Invalid value: "192.0.2.2": must be equal to `hostIP`',)),
    ({}, {}, {"qosClass": "Guaranteed"}, ('status.qosClass: Invalid value: "Guaranteed": field is immutable',)),
    ({}, {}, {"conditions": [{"type": "a b", "status": "True"}]}, ('status.conditions[0].Type: Invalid value: "a b": name part must consist',)),
    ({}, {}, {"nominatedNodeName": "N_"}, ('status.nominatedNodeName: Invalid value: "N_"',)),
    ({"nodeName": "n"}, {}, {"nominatedNodeName": "m"}, ("status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node",)),
    ({"restartPolicy": "Never"}, {"containerStatuses": [ENDED]}, {"containerStatuses": [RUNNING]}, (STATES,)),
    ({"restartPolicy": "OnFailure"}, {"containerStatuses": [ENDED]}, {"containerStatuses": [RUNNING]}, ()),
    ({"restartPolicy": "Always"}, {"ephemeralContainerStatuses": [ENDED]}, {"ephemeralContainerStatuses": [RUNNING]}, (STATES.replace("containerStatuses", "ephemeralContainerStatuses"),)),
    ({}, {}, {"resourceClaimStatuses": [{"name": "x"}]}, ('status.resourceClaimStatuses[0].name: Invalid value: "x": must match the name of an entry',)),
    ({}, {}, {"podIPs": [{"ip": "one"}, {"ip": "192.0.2.1"}]}, ('status.podIPs[0]: Invalid value: "one": must be a valid IP', "status.podIPs: Internal error: failed to check for dual stack with error:invalid IP[0]: one", "status.podIPs: Invalid value: [")),
    ({}, {"podIP": "old"}, {"podIPs": [{"ip": "old"}]}, ()),
    ({"restartPolicy": "Never"}, {"containerStatuses": [ENDED]}, {"containerStatuses": [ENDED, RUNNING]}, (STATES,)),
    ({}, {}, {"extendedResourceClaimStatus": {}}, ("status.extendedResourceClaimStatus.requestMappings: Required value: at least one", "status.extendedResourceClaimStatus.resourceClaimName: Required value")),
    ({}, {}, {"extendedResourceClaimStatus": {"resourceClaimName": "r", "requestMappings": [{"containerName": "c", "resourceName": "a.b/gpu", "requestName": "q"}]}}, ('status.extendedResourceClaimStatus.requestMappings[0].resourceName: Invalid value: "a.b/gpu": must match the extended resource name',)),
    ({}, {}, {"extendedResourceClaimStatus": {"resourceClaimName": "r", "requestMappings": [{"containerName": "d", "requestName": "Q"}]}}, ('status.extendedResourceClaimStatus.requestMappings[0].containerName: Invalid value: "d": must match the name', 'status.extendedResourceClaimStatus.requestName: Invalid value: "Q": a lowercase RFC 1123 label')),
    ({}, {"nodeAllocatableResourceClaimStatuses": [{}]}, {"nodeAllocatableResourceClaimStatuses": [{"resourceClaimName": "r", "containers": ["c"], "resources": {"x/y": "-1"}}]}, (f'{ALLOCATABLE}.resourceClaimName: Invalid value: "r": no mapping found in pod reference', f'{ALLOCATABLE}.resources[x/y]: Invalid value: "x/y": must be a node allocatable resource name', f'{ALLOCATABLE}.resources[x/y]: Invalid value: "-1": must be non-negative')),
    ({}, {}, {"containerStatuses": [{"name": "c", "user": {"linux": {"uid": -1, "gid": 0}}}]}, ("status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between",)),
]


@pytest.mark.parametrize(("spec", "before", "status", "expected"), STATUSES)
def test_a_status_is_judged(spec: dict[str, Any], before: dict[str, Any], status: dict[str, Any], expected: tuple[str, ...]) -> None:
    old = made("Pod", pod(**spec))
    old["status"].update(before)
    found = status_refusals("Pod", old, status)
    assert begins(found, expected), found


def test_a_status_keeps_what_an_older_kubelet_leaves_out() -> None:
    old = made("Pod", pod())
    old["status"].update(observedGeneration=3, conditions=[{"type": "Ready", "status": "False", "observedGeneration": 2}])
    new = copy.deepcopy(old)
    new["status"] = {"podIPs": [{"ip": "192.0.2.1"}], "conditions": [{"type": "Ready", "status": "True"}]}
    status = rule("Pod").part("status").prepare(new, old)["status"]
    assert status == {
        "podIP": "192.0.2.1",
        "podIPs": [{"ip": "192.0.2.1"}],
        "qosClass": "BestEffort",
        "observedGeneration": 3,
        "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}],
    }


def test_a_status_of_features_that_are_off_goes() -> None:
    mount = {"name": "v", "mountPath": "/v"}
    seen = {"name": "c", "volumeMounts": [{**mount, "volumeStatus": {"image": {"imageRef": "i"}}}]}
    old = made("Pod", pod())
    new = copy.deepcopy(old)
    new["status"].update(containerStatuses=[seen], nodeAllocatableResourceClaimStatuses=[{"resourceClaimName": "r"}])
    status = rule("Pod").part("status").prepare(new, old)["status"]
    assert status["containerStatuses"] == [{"name": "c", "volumeMounts": [mount]}]
    assert "nodeAllocatableResourceClaimStatuses" not in status and new["status"]["containerStatuses"] == [seen]
    old["status"]["containerStatuses"] = [seen]
    assert rule("Pod").part("status").prepare(new, old)["status"]["containerStatuses"] == [seen]


def through(part: str, old: dict[str, Any], spec: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(the pod, what is wrong) after a write of more spec to a subresource."""
    rules, new = rule("Pod").part(part), copy.deepcopy(old)
    new["spec"].update(copy.deepcopy(spec))
    prepared = rules.prepare(new, old)
    return prepared, told(rules.validate(prepared, old))


DEBUG = {"name": "debug", "image": "busybox"}


def test_ephemeral_containers_come_and_stay() -> None:
    old = made("Pod", pod())
    pod_with, wrong = through("ephemeralcontainers", old, {"ephemeralContainers": [DEBUG], "nodeName": "ignored"})
    assert wrong == [] and "nodeName" not in pod_with["spec"]
    assert pod_with["spec"]["ephemeralContainers"][0]["imagePullPolicy"] == "Always"
    _, wrong = through("ephemeralcontainers", pod_with, {"ephemeralContainers": []})
    assert wrong == ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be removed\n']
    _, wrong = through("ephemeralcontainers", pod_with, {"ephemeralContainers": [{**DEBUG, "image": "else"}]})
    assert begins(wrong, ('spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be changed\n',))


def sized(**resources: Any) -> dict[str, Any]:
    return {"containers": [{**CONTAINER, "resources": resources}]}


RESIZES: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    (sized(requests={"cpu": "1"}), sized(requests={"cpu": "2"}), ()),
    (sized(requests={"cpu": "1"}), sized(requests={"cpu": "1"}, limits={"cpu": "2"}), ()),
    (sized(requests={"cpu": "1"}), sized(requests={"memory": "1Mi"}), ("spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",)),
    (sized(requests={"cpu": "1"}), sized(requests={"cpu": "1", "ephemeral-storage": "1Gi"}), ("spec: Forbidden: only cpu and memory resources are mutable",)),
    (sized(), sized(requests={"cpu": "1"}), ('spec: Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing',)),
    (sized(requests={"cpu": "1"}), {"containers": []}, ("spec.containers: Required value", 'spec: Invalid value: "Burstable"', "spec.containers: Forbidden: containers may not be added or removed on resize")),
]


@pytest.mark.parametrize(("before", "after", "expected"), RESIZES)
def test_resize_changes_cpu_and_memory(before: dict[str, Any], after: dict[str, Any], expected: tuple[str, ...]) -> None:
    _, wrong = through("resize", made("Pod", pod(**before)), after)
    assert begins(wrong, expected), wrong


def test_an_update_does_not_resize() -> None:
    old = made("Pod", container(resources={"requests": {"cpu": "1"}}))
    assert begins(update_refusals("Pod", old, **sized(requests={"cpu": "2"})), (ONLY,))
