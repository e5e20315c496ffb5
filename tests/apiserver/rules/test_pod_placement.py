"""Affinity, spread, tolerations, gates, DNS, names and resources of a PodSpec."""

from __future__ import annotations

from typing import Any

import pytest
from ruling import CONTAINER, begins, container, made, pod, refusals

REQUIRED, PREFERRED = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
NODE = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
POD = f"spec.affinity.podAffinity.{REQUIRED}[0]"
SPREAD = "spec.topologySpreadConstraints[0]"
T = "spec.tolerations[0]"
R = "spec.containers[0].resources"


def node_term(**term: Any) -> dict[str, Any]:
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}}


def expression(**fields: Any) -> dict[str, Any]:
    return node_term(matchExpressions=[{"key": "k", **fields}])


def pod_term(**term: Any) -> dict[str, Any]:
    return {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "zone", **term}]}}}


def spread(**fields: Any) -> dict[str, Any]:
    whole = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}, **fields}
    return {"topologySpreadConstraints": [whole]}


SPECS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    # node affinity
    ({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}}, (f"{NODE}: Required value: must have at least one node selector term",)),
    (expression(operator="In"), (f"{NODE}[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",)),
    (expression(operator="Exists", values=["a"]), (f"{NODE}[0].matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists'",)),
    (expression(operator="Gt", values=["1", "2"]), (f"{NODE}[0].matchExpressions[0].values: Required value: must be specified single value when",)),
    (expression(operator="Like", key=""), (f'{NODE}[0].matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator', f'{NODE}[0].matchExpressions[0].key: Invalid value: "": name part must be non-empty', f'{NODE}[0].matchExpressions[0].key: Invalid value: "": name part must consist')),
    (expression(operator="In", values=["a b"]), (f'{NODE}[0].matchExpressions[0].values[0]: Invalid value: "a b": a valid label must be',)),
    (node_term(matchFields=[{"key": "metadata.uid", "operator": "Exists"}]), (f'{NODE}[0].matchFields[0].operator: Invalid value: "Exists": not a valid selector operator', f'{NODE}[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key')),
    ({"affinity": {"nodeAffinity": {PREFERRED: [{"weight": 0, "preference": {}}]}}}, (f"spec.affinity.nodeAffinity.{PREFERRED}[0].weight: Invalid value: 0: must be in the range 1-100",)),
    # pod affinity
    (pod_term(topologyKey=""), (f"{POD}.topologyKey: Required value: can not be empty", f'{POD}.topologyKey: Invalid value: "": name part must be non-empty', f'{POD}.topologyKey: Invalid value: "": name part must consist')),
    (pod_term(namespaces=["A"], labelSelector={"matchExpressions": [{"key": "a", "operator": "Is"}]}), (f'{POD}.labelSelector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator', f'{POD}.namespace: Invalid value: "A": a lowercase RFC 1123 label')),
    (pod_term(matchLabelKeys=["a"]), (f"{POD}.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",)),
    (pod_term(matchLabelKeys=["a"], mismatchLabelKeys=["a"], labelSelector={}), (f'{POD}.matchLabelKeys[0]: Invalid value: "a": exists in both matchLabelKeys and mismatchLabelKeys',)),
    # spread
    (spread(minDomains=0, whenUnsatisfiable="ScheduleAnyway"), (f"{SPREAD}.minDomains: Invalid value: 0: must be greater than zero", f"{SPREAD}.minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway")),
    (spread(nodeTaintsPolicy="Keep", topologyKey=""), (f"{SPREAD}.topologyKey: Required value: can not be empty", f'{SPREAD}.nodeTaintsPolicy: Unsupported value: "Keep": supported values: "Honor", "Ignore"')),
    # tolerations
    ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, (f"{T}.operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",)),
    ({"tolerations": [{"effect": "Never"}]}, (f'{T}.operator: Invalid value: "": operator must be Exists when `key` is empty', f'{T}.effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"')),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 1}]}, (f"{T}.effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set",)),
    ({"tolerations": [{"key": "a", "operator": "Gt", "value": "1"}]}, (f'{T}.operator: Unsupported value: "Gt": supported values: "Equal", "Exists", "Lt", "Gt"',)),
    # names, DNS and the rest
    ({"dnsPolicy": "None"}, ("spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",)),
    ({"dnsPolicy": "None", "dnsConfig": {}}, ("spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver",)),
    ({"dnsConfig": {"nameservers": ["192.0.2.1"] * 4}}, ('spec.dnsConfig.nameservers: Invalid value: ["192.0.2.1","192.0.2.1","192.0.2.1","192.0.2.1"]: must not have more than 3 nameservers',)),
    ({"dnsConfig": {"nameservers": ["010.0.0.1", "::ffff:1.2.3.4"], "searches": [".", "a_b.", "A"], "options": [{}]}}, ('spec.dnsConfig.nameservers[0]: Invalid value: "010.0.0.1": must not have leading 0s', 'spec.dnsConfig.nameservers[1]: Invalid value: "::ffff:1.2.3.4": must not be an IPv4-mapped IPv6 address', 'spec.dnsConfig.searches[2]: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \'_\'', "spec.dnsConfig.options[0]: Required value: must not be empty")),
    ({"hostname": "a.b", "subdomain": "_"}, ('spec.hostname: Invalid value: "a.b": must not contain dots', 'spec.subdomain: Invalid value: "_": a lowercase RFC 1123 label')),
    ({"hostnameOverride": "x" * 65, "setHostnameAsFQDN": True}, ("spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true", "spec.hostnameOverride: Too long: may not be more than 64 bytes")),
    ({"activeDeadlineSeconds": 0}, ("spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",)),
    ({"nodeName": "A", "priorityClassName": "B", "runtimeClassName": "C", "serviceAccountName": "D"}, ('spec.serviceAccountName: Invalid value: "D"', 'spec.nodeName: Invalid value: "A"', 'spec.priorityClassName: Invalid value: "B"', 'spec.runtimeClassName: Invalid value: "C"')),
    ({"preemptionPolicy": "Always"}, ('spec.preemptionPolicy: Unsupported value: "Always": supported values: "PreemptLowerPriority", "Never"',)),
    ({"resourceClaims": [{"name": "a"}]}, ('spec.resourceClaims[0]: Invalid value: {"Name":"a","ResourceClaimName":null,"ResourceClaimTemplateName":null}: must specify one of',)),
    ({"overhead": {"cpu": "-1"}}, ('spec.overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',)),
]


@pytest.mark.parametrize(("fields", "expected"), SPECS)
def test_where_and_how_a_pod_runs_is_judged(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = refusals("Pod", pod(**fields))
    assert begins(found, expected), found


RESOURCES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"limits": {"cpu": "1"}, "requests": {"cpu": "1500m"}}, (f'{R}.requests: Invalid value: "1500m": must be less than or equal to cpu limit of 1',)),
    ({"limits": {"cpu": "-1"}}, (f'{R}.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0', f'{R}.requests[cpu]: Invalid value: "-1": must be greater')),
    ({"requests": {"example.com/gpu": "1"}}, (f"{R}.limits: Required value: Limit must be set for non overcommitable resources",)),
    ({"limits": {"example.com/gpu": "500m"}}, (f'{R}.limits[example.com/gpu]: Invalid value: "500m": must be an integer', f'{R}.requests[example.com/gpu]: Invalid value: "500m": must be')),
    ({"limits": {"example.com/gpu": "2"}, "requests": {"example.com/gpu": "1"}}, (f'{R}.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2',)),
    ({"limits": {"pods": "1"}}, (f'{R}.limits[pods]: Invalid value: "pods": must be a standard resource for containers', f'{R}.requests[pods]: Invalid value: "pods"')),
    ({"limits": {"hugepages-2Mi": "3Mi"}}, (f'{R}.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi', f'{R}.requests[hugepages-2Mi]: Invalid value: "3Mi"', f"{R}: Forbidden: HugePages require cpu or memory")),
    ({"claims": [{"name": "a"}, {"name": "a"}]}, (f'{R}.claims[0]: Not found: "a": must be one of the names in pod.spec.resourceClaims which is empty', f'{R}.claims[1]: Duplicate value: "a"', f'{R}.claims[1]: Not found: "a"')),
]


@pytest.mark.parametrize(("resources", "expected"), RESOURCES)
def test_resources_are_judged(resources: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = refusals("Pod", container(resources=resources))
    assert begins(found, expected), found


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
        ({"requests": {"memory": "0"}}, "BestEffort"),
        ({"limits": {"ephemeral-storage": "1Gi"}}, "BestEffort"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_the_qos_class_follows_cpu_and_memory(resources: dict[str, Any], quality: str) -> None:
    assert made("Pod", container(resources=resources))["status"]["qosClass"] == quality


def test_a_pods_own_resources_hold_its_containers() -> None:
    containers = [{**CONTAINER, "name": n, "resources": {"requests": {"cpu": "600m"}, "limits": {"cpu": "3"}}} for n in "ab"]
    found = refusals("Pod", pod(containers=containers, resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}))
    assert found == [
        'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 1200m',
        'spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 2',
        'spec.resources.containers[1][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 2',
    ]


def test_a_gated_pod_says_that_it_waits() -> None:
    condition = made("Pod", pod(schedulingGates=[{"name": "example.com/g"}]))["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")


def test_match_label_keys_become_expressions() -> None:
    tree = pod(**spread(matchLabelKeys=["v"], labelSelector={"matchLabels": {"a": "b"}}))
    tree["metadata"]["labels"] = {"v": "7"}
    selector = made("Pod", tree)["spec"]["topologySpreadConstraints"][0]["labelSelector"]
    assert selector["matchExpressions"] == [{"key": "v", "operator": "In", "values": ["7"]}]


def test_every_error_is_told_in_the_order_of_the_spec() -> None:
    tree = pod(
        containers=[{**CONTAINER, "name": "A", "imagePullPolicy": "x"}],
        restartPolicy="r",
        dnsPolicy="d",
        hostname="h_",
        volumes=[{"name": "V"}],
        nodeSelector={"n n": "1"},
    )
    fields = [text.partition(":")[0] for text in refusals("Pod", tree)]
    assert fields == [
        "spec.volumes[0].name",
        "spec.containers[0].name",
        "spec.containers[0].imagePullPolicy",
        "spec.restartPolicy",
        "spec.dnsPolicy",
        "spec.nodeSelector",
        "spec.hostname",
    ]
