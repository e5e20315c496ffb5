"""Every kind but pods, workloads and Services: what is filled in, refused, may not change, is warned of; as tables."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from judge import causes, made, matches, stored, told, update_causes

from seaway.cluster.apiserver.rules import certificates, rule_for
from seaway.pki import requests

Tree = dict[str, Any]
Expected = list[tuple[str, str]]
NETWORKING, RBAC, STORAGE = "networking.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io"
ADMISSION = "admissionregistration.k8s.io"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


BACKEND = {"service": {"name": "s", "port": {"number": 80}}}


def ingress(**path: Any) -> Tree:
    return {"spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND, **path}]}}]}}


def slices(**endpoint: Any) -> Tree:
    return {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"], **endpoint}]}


def hook(**more: Any) -> Tree:
    rule = {"apiGroups": ["g"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"]}
    first = {"name": "a.b.c", "clientConfig": {"url": "https://x/y"}, "sideEffects": "None", "rules": [rule]}
    return {"webhooks": [{**first, "admissionReviewVersions": ["v1"], **more}]}


def autoscaler(**spec: Any) -> Tree:
    return {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "w"}, "maxReplicas": 3, **spec}}


def claim(**spec: Any) -> Tree:
    size = {"requests": {"storage": "1Gi"}}
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": size, "storageClassName": "c", **spec}}


def volume(**spec: Any) -> Tree:
    return {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"}, **spec}}


def policy(**spec: Any) -> Tree:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {"spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}], **spec}}


REFUSED: list[tuple[str, Tree, Expected]] = [
    ("configmaps", {"data": {"a b": "x"}}, [("data[a b]", "a valid config key must consist of")]),
    ("configmaps", {"data": {"..": "x"}}, [("data[..]", "must not be '..'")]),
    ("configmaps", {"data": {"a": "x"}, "binaryData": {"a": "eA=="}}, [("data[a]", "duplicate of key present in binaryData")]),
    ("configmaps", {"data": {"a": "x" * (1 << 20), "b": "y"}}, [("[]", "may not be more than 1048576 bytes")]),
    ("secrets", {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, [("data[tls.key]", "Required")]),
    (
        "secrets",
        {"type": "kubernetes.io/basic-auth"},
        [("data[username]", "Required"), ("data[password]", "Required")],
    ),
    (
        "secrets",
        {"type": "kubernetes.io/service-account-token"},
        [("metadata.annotations[kubernetes.io/service-account.name]", "Required")],
    ),
    (
        "secrets",
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encoded("[1]")}},
        [("data[.dockerconfigjson]", "<secret contents redacted>")],
    ),
    ("endpoints", {"subsets": [{"ports": [{"port": 1}]}]}, [("subsets[0]", "must specify `addresses` or `notReadyAddresses`")]),
    (
        "endpoints",
        {"subsets": [{"addresses": [{"ip": "127.0.0.1", "hostname": "A"}], "ports": [{"port": 1}, {"port": 2}]}]},
        [
            ("subsets[0].addresses[0].hostname", "RFC 1123 label"),
            ("subsets[0].addresses[0].ip", "loopback"),
            ("subsets[0].ports[0].name", "Required"),
            ("subsets[0].ports[1].name", "Required"),
        ],
    ),
    ("endpointslices.discovery.k8s.io", {}, [("addressType", "Required value")]),
    ("endpointslices.discovery.k8s.io", slices(addresses=["2001:db8::1"]), [("endpoints[0].addresses[0]", "must be an IPv4 address")]),
    (
        "endpointslices.discovery.k8s.io",
        slices(hints={"forZones": [{"name": "z"}, {"name": "z"}]}),
        [("endpoints[0].hints.forZones[1].name", "Duplicate")],
    ),
    ("endpointslices.discovery.k8s.io", slices(nodeName="A_"), [("endpoints[0].nodeName", "RFC 1123 subdomain")]),
    (
        "endpointslices.discovery.k8s.io",
        {"addressType": "FQDN", "endpoints": [{"addresses": ["one"]}]},
        [("endpoints[0].addresses[0]", "at least two segments")],
    ),
    (f"ingresses.{NETWORKING}", {"spec": {}}, [("spec", "either `defaultBackend` or `rules` must be specified")]),
    (f"ingresses.{NETWORKING}", ingress(path="a"), [("spec.rules[0].http.paths[0].path", "must be an absolute path")]),
    (f"ingresses.{NETWORKING}", ingress(path="/a//b"), [("spec.rules[0].http.paths[0].path", "must not contain '//'")]),
    (f"ingresses.{NETWORKING}", ingress(path="/a/.."), [("spec.rules[0].http.paths[0].path", "cannot end with '/..'")]),
    (f"ingresses.{NETWORKING}", ingress(pathType="Odd"), [("spec.rules[0].http.paths[0].pathType", '"ImplementationSpecific"')]),
    (f"ingresses.{NETWORKING}", ingress(backend={}), [("spec.rules[0].http.paths[0].backend", "resource or service backend")]),
    (
        f"ingresses.{NETWORKING}",
        ingress(backend={"service": {"name": "s", "port": {"name": "a", "number": 1}}}),
        [("spec.rules[0].http.paths[0].backend", "cannot set both port name & port number")],
    ),
    (
        f"ingresses.{NETWORKING}",
        {"spec": {"defaultBackend": BACKEND, "tls": [{"hosts": ["*"], "secretName": "A"}]}},
        [("spec.tls[0].hosts[0]", "wildcard DNS-1123 subdomain"), ("spec.tls[0].secretName", "RFC 1123 subdomain")],
    ),
    (f"ingressclasses.{NETWORKING}", {"spec": {"controller": "a.b/c d"}}, [("spec.controller", "Invalid path")]),
    (
        f"networkpolicies.{NETWORKING}",
        {"spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]}},
        [("spec.ingress[0].from[0].ipBlock.except[0]", "must be a strict subset of `cidr`")],
    ),
    (
        f"networkpolicies.{NETWORKING}",
        {"spec": {"podSelector": {}, "egress": [{"ports": [{"port": 90, "endPort": 80}, {"port": "a", "endPort": 9}, {"endPort": 9}]}]}},
        [
            ("spec.egress[0].ports[0].endPort", "must be greater than or equal to `port`"),
            ("spec.egress[0].ports[1].endPort", "`port` is non-numeric"),
            ("spec.egress[0].ports[2].endPort", "`port` is not specified"),
        ],
    ),
    (f"networkpolicies.{NETWORKING}", {"spec": {"policyTypes": ["In"]}}, [("spec.policyTypes[0]", '"Ingress", "Egress"')]),
    (f"servicecidrs.{NETWORKING}", {"spec": {}}, [("spec.cidrs", "at least one CIDR required")]),
    (f"servicecidrs.{NETWORKING}", {"spec": {"cidrs": ["10.0.0.0/8", "11.0.0.0/8"]}}, [("spec.cidrs", "one IP for each IP family")]),
    (f"servicecidrs.{NETWORKING}", {"spec": {"cidrs": ["10.0.0.1/8"]}}, [("spec.cidrs[0]", "bits set beyond the prefix")]),
    (
        f"ipaddresses.{NETWORKING}",
        {"metadata": {"name": "2001:db8::0"}, "spec": {"parentRef": {"resource": "services"}}},
        [("metadata.name", 'must be in canonical form ("2001:db8::")'), ("spec.parentRef.name", "Required")],
    ),
    ("namespaces", {"spec": {"finalizers": ["own"]}}, [("spec.finalizers", "neither a standard finalizer")]),
    (
        "nodes",
        {"spec": {"taints": [{"key": "a", "effect": "Now"}, {"key": "b"}]}},
        [("spec.taints[0].effect", "supported values"), ("spec.taints[1].effect", "Required")],
    ),
    ("nodes", {"spec": {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}}, [("spec.podCIDRs", "one CIDR for each IP family")]),
    ("leases.coordination.k8s.io", {"spec": {"leaseDurationSeconds": 0}}, [("spec.leaseDurationSeconds", "greater than 0")]),
    ("limitranges", {"spec": {"limits": [{"type": "Pod", "max": {"storage": "1"}, "min": {"storage": "0"}}]}}, [("spec.limits[0].max[storage]", "standard resource for containers"), ("spec.limits[0].min[storage]", "standard resource for containers")]),
    ("limitranges", {"spec": {"limits": [{"type": "Container", "default": {"a.kubernetes.io/b/c": "1"}}]}}, [("spec.limits[0].default[a.kubernetes.io/b/c]", ""), ("spec.limits[0].defaultRequest[a.kubernetes.io/b/c]", "")]),
    ("runtimeclasses.node.k8s.io", {"handler": "A"}, [("handler", "RFC 1123 label")]),
    ("events", {"involvedObject": {"namespace": "m"}}, [("involvedObject.namespace", "does not match event.namespace")]),
    (
        "poddisruptionbudgets.policy",
        {"spec": {"minAvailable": 1, "maxUnavailable": "120%"}},
        [("spec", "cannot be both set"), ("spec.maxUnavailable", "must not be greater than 100%")],
    ),
    ("poddisruptionbudgets.policy", {"spec": {"minAvailable": "half"}}, [("spec.minAvailable", "a valid percent string")]),
    ("priorityclasses.scheduling.k8s.io", {"value": 2000000000}, [("value", "maximum allowed value")]),
    ("priorityclasses.scheduling.k8s.io", {"metadata": {"name": "system-x"}, "value": 1}, [("metadata.name", "reserved for system use")]),
    (f"roles.{RBAC}", {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/"]}]}, [("rules[0].nonResourceURLs", "namespaced rules")]),
    (f"clusterroles.{RBAC}", {"aggregationRule": {}}, [("aggregationRule.clusterRoleSelectors", "at least one clusterRoleSelector")]),
    (
        f"clusterrolebindings.{RBAC}",
        {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "s"}, {"kind": "Robot", "name": "x"}]},
        [
            ("roleRef.kind", '"ClusterRole"'),
            ("subjects[0].namespace", "Required"),
            ("subjects[1].kind", '"ServiceAccount", "User", "Group"'),
        ],
    ),
    ("horizontalpodautoscalers.autoscaling", autoscaler(minReplicas=0), [("spec.minReplicas", "greater than or equal to 1")]),
    ("horizontalpodautoscalers.autoscaling", autoscaler(minReplicas=4), [("spec.maxReplicas", "or equal to `minReplicas`")]),
    (
        "horizontalpodautoscalers.autoscaling",
        autoscaler(metrics=[{"type": "Pods"}, {"type": "Odd"}]),
        [("spec.metrics[0].pods", "must populate information"), ("spec.metrics[1].type", "supported values")],
    ),
    (
        "horizontalpodautoscalers.autoscaling",
        autoscaler(metrics=[{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}}}]),
        [("spec.metrics[0].resource.target.averageUtilization", "must be greater than 0")],
    ),
    (
        "horizontalpodautoscalers.autoscaling",
        autoscaler(behavior={"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}}),
        [("spec.behavior.scaleDown.policies[0].periodSeconds", "less than or equal to 1800")],
    ),
    ("persistentvolumeclaims", claim(accessModes=["Own"]), [("spec.accessModes", '"ReadWriteOncePod"')]),
    ("persistentvolumeclaims", claim(resources={}), [("spec.resources[storage]", "Required")]),
    (
        "persistentvolumeclaims",
        claim(dataSource={"kind": "Pod", "name": "x"}),
        [("spec.dataSource", "must be 'PersistentVolumeClaim'")],
    ),
    ("persistentvolumes", volume(hostPath=None), [("spec", "must specify a volume type")]),
    ("persistentvolumes", volume(nfs={"server": "a", "path": "/"}), [("spec.nfs", "may not specify more than 1 volume type")]),
    ("persistentvolumes", volume(capacity={}), [("spec.capacity", "Required")]),
    ("persistentvolumes", volume(persistentVolumeReclaimPolicy="Keep"), [("spec.persistentVolumeReclaimPolicy", "Retain")]),
    (f"storageclasses.{STORAGE}", {"provisioner": ""}, [("provisioner", "Required")]),
    (f"storageclasses.{STORAGE}", {"provisioner": "a", "volumeBindingMode": "Soon"}, [("volumeBindingMode", "Immediate")]),
    (f"volumeattachments.{STORAGE}", {"spec": {"attacher": "a", "nodeName": "n", "source": {}}}, [("spec.source", "exactly one of")]),
    (f"csinodes.{STORAGE}", {"spec": {"drivers": [{"name": "d", "nodeID": ""}]}}, [("spec.drivers[0].nodeID", "Required")]),
    (f"csidrivers.{STORAGE}", {"spec": {"fsGroupPolicy": "Some"}}, [("spec.fsGroupPolicy", "ReadWriteOnceWithFSType")]),
    (f"volumeattributesclasses.{STORAGE}", {"driverName": "d"}, [("parameters", "at least one")]),
    ("resourcequotas", {"spec": {"hard": {"odd": "1"}}}, [("spec.hard[odd]", "standard resource type or fully qualified"), ("spec.hard[odd]", "standard resource for quota")]),
    ("resourcequotas", {"spec": {"hard": {"storage": "1Gi", "requests.hugepages-2Mi": "1", "count/pods": "2"}}}, [("spec.hard[storage]", "standard resource for quota")]),
    ("resourcequotas", {"spec": {"hard": {"pods": "1500m"}}}, [("spec.hard[pods]", "must be an integer")]),
    ("resourcequotas", {"spec": {"hard": {"pods": "-1"}}}, [("spec.hard[pods]", "greater than or equal to 0")]),
    ("resourcequotas", {"spec": {"scopes": ["BestEffort", "NotBestEffort"]}}, [("spec.scopes", "conflicting scopes")]),
    (
        "limitranges",
        {"spec": {"limits": [{"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}}, {"type": "Pod"}]}},
        [("spec.limits[0].min[cpu]", "min value 2 is greater than max value 1"), ("spec.limits[1].type", "Duplicate")],
    ),
    (
        "limitranges",
        {"spec": {"limits": [{"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}}]}},
        [("spec.limits[0].maxLimitRequestRatio[cpu]", "is greater than max/min = 2.000000")],
    ),
    (f"validatingwebhookconfigurations.{ADMISSION}", hook(name="a.b"), [("webhooks[0].name", "at least three segments")]),
    (f"validatingwebhookconfigurations.{ADMISSION}", hook(sideEffects=None), [("webhooks[0].sideEffects", "None, NoneOnDryRun")]),
    (f"validatingwebhookconfigurations.{ADMISSION}", hook(timeoutSeconds=31), [("webhooks[0].timeoutSeconds", "between 1 and 30")]),
    (
        f"validatingwebhookconfigurations.{ADMISSION}",
        hook(clientConfig={"url": "http://u@h/p?q#f"}),
        [("webhooks[0].clientConfig.url", text) for text in ("'https' is the only", "user information", "fragments", "query")],
    ),
    (
        f"mutatingwebhookconfigurations.{ADMISSION}",
        hook(rules=[{"apiGroups": ["*", "a"], "apiVersions": ["v1"], "operations": ["*", "CREATE"], "resources": ["*/*", "x"]}]),
        [
            ("webhooks[0].rules[0].operations", "must not specify other operations"),
            ("webhooks[0].rules[0].apiGroups", "must not specify other API groups"),
            ("webhooks[0].rules[0].resources", "must not specify other resources"),
        ],
    ),
    (f"validatingadmissionpolicies.{ADMISSION}", policy(matchConstraints=None), [("spec.matchConstraints", "Required")]),
    (
        f"validatingadmissionpolicies.{ADMISSION}",
        policy(validations=[]),
        [("spec.validations", "at least one item"), ("spec.auditAnnotations", "at least one item")],
    ),
    (
        f"validatingadmissionpolicybindings.{ADMISSION}",
        {"spec": {"validationActions": ["Deny", "Warn"]}},
        [("spec.policyName", "Required"), ("spec.validationActions", "must not contain both Deny and Warn")],
    ),
    (
        "certificatesigningrequests.certificates.k8s.io",
        {"spec": {"request": "eA==", "signerName": "a.b", "usages": ["signing", "signing"], "expirationSeconds": 1}},
        [
            ("spec.request", "PEM block type must be CERTIFICATE REQUEST"),
            ("spec.usages[1]", "Duplicate"),
            ("spec.signerName", "fully qualified domain and path"),
            ("spec.expirationSeconds", "600 seconds"),
        ],
    ),
]


@pytest.mark.parametrize(("resource", "tree", "expected"), REFUSED)
def test_a_wrong_object_is_refused_with_its_field(resource: str, tree: Tree, expected: Expected) -> None:
    found = causes(resource, tree)
    assert matches(found, expected), told(found)


FILLED: list[tuple[str, Tree, Tree]] = [
    ("secrets", {"stringData": {"a": "b"}}, {"type": "Opaque", "data": {"a": encoded("b")}}),
    ("endpoints", {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 1}]}]}, {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 1, "protocol": "TCP"}]}]}),
    (
        "endpointslices.discovery.k8s.io",
        {"addressType": "IPv4", "ports": [{}]},
        {"addressType": "IPv4", "endpoints": None, "ports": [{"name": "", "protocol": "TCP"}]},
    ),
    (f"networkpolicies.{NETWORKING}", {"spec": {"egress": [{}]}}, {"spec": {"podSelector": {}, "egress": [{}], "policyTypes": ["Ingress", "Egress"]}}),
    ("leases.coordination.k8s.io", {"spec": {"preferredHolder": "a", "strategy": "b", "holderIdentity": "c"}}, {"spec": {"holderIdentity": "c"}}),
    ("persistentvolumeclaims", claim(), {**claim(volumeMode="Filesystem"), "status": {"phase": "Pending"}}),
    (f"storageclasses.{STORAGE}", {"provisioner": "a"}, {"provisioner": "a", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
    (
        "limitranges",
        {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]}},
        {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}, "default": {"cpu": "2"}, "defaultRequest": {"memory": "1Mi", "cpu": "2"}}]}},
    ),
    (f"ingressclasses.{NETWORKING}", {"spec": {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n"}}}, {"spec": {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "scope": "Cluster"}}}),
    (
        f"rolebindings.{RBAC}",
        {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]},
        {"roleRef": {"kind": "Role", "name": "r", "apiGroup": RBAC}, "subjects": [{"kind": "User", "name": "u", "apiGroup": RBAC}]},
    ),
]


@pytest.mark.parametrize(("resource", "tree", "expected"), FILLED)
def test_what_is_left_out_is_filled_in(resource: str, tree: Tree, expected: Tree) -> None:
    assert stored(resource, tree) == expected
    assert causes(resource, tree) == []


def test_an_autoscalers_behavior_is_completed_part_by_part() -> None:
    behavior = stored("horizontalpodautoscalers.autoscaling", autoscaler(behavior={"scaleUp": {"selectPolicy": "Min"}}))["spec"]["behavior"]
    assert behavior["scaleUp"]["selectPolicy"] == "Min" and len(behavior["scaleUp"]["policies"]) == 2
    assert behavior["scaleDown"]["policies"] == [{"type": "Percent", "value": 100, "periodSeconds": 15}]


def test_a_node_can_give_what_it_has_unless_it_says_less() -> None:
    assert stored("nodes", {"status": {"capacity": {"cpu": "2"}}})["status"]["allocatable"] == {"cpu": "2"}


UPDATES: list[tuple[str, Tree, Tree, Expected]] = [
    ("configmaps", {"immutable": True, "data": {"a": "b"}}, {"data": {"a": "c"}}, [("immutable", "Forbidden"), ("data", "Forbidden")]),
    ("configmaps", {"data": {"a": "b"}}, {"immutable": True, "data": {"a": "c"}}, []),
    ("secrets", {"type": "a/b"}, {"type": "c/d"}, [("type", "field is immutable")]),
    ("endpointslices.discovery.k8s.io", {"addressType": "IPv4"}, {"addressType": "IPv6"}, [("addressType", "field is immutable")]),
    ("endpoints", {"subsets": [{"addresses": [{"ip": "10.0.0.01"}]}]}, {"subsets": [{"addresses": [{"ip": "10.0.0.01", "hostname": "h"}]}]}, []),
    (f"ingressclasses.{NETWORKING}", {"spec": {"controller": "a.b/c"}}, {"spec": {"controller": "a.b/d"}}, [("spec.controller", "field is immutable")]),
    (f"servicecidrs.{NETWORKING}", {"spec": {"cidrs": ["10.0.0.0/8"]}}, {"spec": {"cidrs": ["10.0.0.0/8", "fd00::/64"]}}, []),
    (f"servicecidrs.{NETWORKING}", {"spec": {"cidrs": ["10.0.0.0/8"]}}, {"spec": {"cidrs": ["11.0.0.0/8"]}}, [("spec.cidrs[0]", "field is immutable")]),
    ("nodes", {"spec": {"providerID": "a"}}, {"spec": {"providerID": "b"}}, [("spec.providerID", "may not change providerID")]),
    ("runtimeclasses.node.k8s.io", {"handler": "a"}, {"handler": "b"}, [("handler", "field is immutable")]),
    ("priorityclasses.scheduling.k8s.io", {"value": 1}, {"value": 2}, [("value", "may not be changed in an update")]),
    (
        f"rolebindings.{RBAC}",
        {"roleRef": {"kind": "Role", "name": "a"}},
        {"roleRef": {"kind": "Role", "name": "b"}},
        [("roleRef", 'Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"b"}: cannot change roleRef')],
    ),
    ("persistentvolumeclaims", claim(), claim(accessModes=["ReadOnlyMany"]), [("spec", "spec is immutable after creation")]),
    ("persistentvolumeclaims", claim(), claim(volumeName="v"), []),
    ("persistentvolumes", volume(), volume(hostPath={"path": "/b"}), [("spec.persistentvolumesource", "immutable after creation")]),
    (
        f"storageclasses.{STORAGE}",
        {"provisioner": "a", "parameters": {"x": "1"}},
        {"provisioner": "b"},
        [("parameters", "updates to parameters are forbidden."), ("provisioner", "updates to provisioner are forbidden.")],
    ),
    ("resourcequotas", {"spec": {"scopes": ["BestEffort"]}}, {"spec": {}}, [("spec.scopes", "field is immutable")]),
]


@pytest.mark.parametrize(("resource", "before", "after", "expected"), UPDATES)
def test_what_may_not_change(resource: str, before: Tree, after: Tree, expected: Expected) -> None:
    found = update_causes(resource, before, after)
    assert matches(found, expected), told(found)


EVENT = {
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "n"},
    "eventTime": "2020-01-02T03:04:05.000006Z",
    "reportingComponent": "a.b/c",
    "reportingInstance": "i",
    "action": "A",
    "reason": "R",
    "type": "Normal",
}


def test_the_new_form_of_an_event_is_strict_and_its_series_alone_may_change() -> None:
    rule = rule_for("events.events.k8s.io")
    event = made("events", EVENT)
    assert rule.validate(event) == []
    series = {"count": 2, "lastObservedTime": "2020-01-02T03:04:06.000006Z"}
    assert rule.judge_update({**event, "series": series}, event) == []
    assert [c.field for c in rule.judge_update({**event, "series": {"count": 1}}, event)] == ["series.count", "series.lastObservedTime"]
    assert [c.field for c in rule.judge_update({**event, "action": "B"}, event)] == ["action"]
    assert [c.field for c in rule.validate({**event, "count": 2, "reportingComponent": ""})] == [
        "reportingController",
        "reportingController",
        "reportingController",
        "count",
    ]


WARNED: list[tuple[str, Tree, str]] = [
    ("endpointslices.discovery.k8s.io", {"addressType": "FQDN"}, "spec.addressType: FQDN endpoints are deprecated"),
    ("secrets", {"type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}, "tls: failed to find any PEM data in certificate input"),
    (
        f"ingresses.{NETWORKING}",
        {"metadata": {"annotations": {"kubernetes.io/ingress.class": "x"}}, **ingress()},
        "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead",
    ),
    ("endpoints", {"subsets": [{"addresses": [{"ip": "2001:DB8::1"}]}]}, "RFC 5952"),
    ("persistentvolumes", volume(persistentVolumeReclaimPolicy="Recycle"), "The Recycle reclaim policy is deprecated"),
]


@pytest.mark.parametrize(("resource", "tree", "text"), WARNED)
def test_what_is_accepted_with_a_warning(resource: str, tree: Tree, text: str) -> None:
    (found,) = rule_for(resource).warnings(made(resource, tree), None)
    assert text in found


def test_the_newest_default_class_is_chosen() -> None:
    def made_at(name: str, second: int) -> Tree:
        annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
        return {"metadata": {"name": name, "creationTimestamp": f"2020-01-01T00:00:0{second}Z", "annotations": annotations}}

    tree = made(f"ingresses.{NETWORKING}", ingress())
    classes = [made_at("c", 1), made_at("b", 2), made_at("a", 2)]
    assert rule_for(f"ingresses.{NETWORKING}").admit(tree, None, lambda resource: classes) == ""
    assert tree["spec"]["ingressClassName"] == "a"


def test_one_priority_class_is_the_default() -> None:
    rule, first = rule_for("priorityclasses.scheduling.k8s.io"), {"metadata": {"name": "a"}, "globalDefault": True}
    second = {"metadata": {"name": "b"}, "globalDefault": True}
    assert rule.admit(second, None, lambda resource: [first]) == "PriorityClass a is already marked as default. Only one default can exist"
    assert rule.admit(first, first, lambda resource: [first]) == ""


def request(organization: str = "") -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "u")]
    names += [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization)] if organization else []
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    signed = made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def test_a_certificate_request_says_who_asked_and_is_decided_once() -> None:
    spec = {"request": request(), "signerName": "example.com/s", "usages": ["client auth"], "username": "forged"}
    tree = made("certificatesigningrequests.certificates.k8s.io", {"spec": spec})
    certificates.sign(tree, {"username": "me", "uid": "", "groups": ["g"], "extra": {}})
    assert (tree["spec"]["username"], tree["spec"]["groups"], certificates.validate(tree)) == ("me", ["g"], [])
    approved = {"type": "Approved", "status": "True", "reason": "R"}
    new = certificates.prepare_approval({**tree, "status": {"conditions": [approved]}}, tree)
    certificates.stamp(new, tree, "2020-01-01T00:00:00Z")
    assert certificates.revalidate(new, tree) == []
    assert new["status"]["conditions"][0]["lastUpdateTime"] == "2020-01-01T00:00:00Z"
    again = certificates.prepare_status({**new, "status": {"certificate": "eA=="}}, new)
    assert again["status"]["conditions"] == new["status"]["conditions"]
    denied = {"type": "Denied", "status": "True"}
    both = certificates.prepare_approval({**tree, "status": {"conditions": [approved, denied]}}, new)
    assert "mutually exclusive" in certificates.revalidate(both, new)[0].message
    gone = certificates.prepare_approval({**tree, "status": {}}, new)
    assert 'may not remove a condition of type "Approved"' in certificates.revalidate(gone, new)[0].message


def test_nobody_asks_for_a_certificate_of_the_masters() -> None:
    spec = {"request": request("system:masters"), "signerName": "kubernetes.io/kube-apiserver-client"}
    assert "system:masters" in certificates.admit({"spec": spec}, None, lambda resource: [])
    assert requests.groups(spec["request"]) == ["system:masters"]
