"""What a pod and a template are given, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest
from ruling import CONTAINER, begins, container, made, pod, rule, workload

from seaway.cluster.apiserver.rules.pod_defaults import pull_policy


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "a" * 64, "Always"),
        ("NoSuchCase", "IfNotPresent"),
        ("", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_a_pod_is_given_what_it_leaves_out() -> None:
    spec = made("Pod", {"metadata": {"name": "p"}, "spec": {"containers": [dict(CONTAINER)]}})["spec"]
    assert spec == {
        "containers": [
            {
                **CONTAINER,
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "resources": {},
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


CONTAINERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"livenessProbe": {"httpGet": {"port": 1}, "periodSeconds": 0}}, {"livenessProbe": {"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}}),
    ({"resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}}}, {"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}}),
    ({"resources": {"requests": {"cpu": "0.0001"}}}, {"resources": {"requests": {"cpu": "1m"}}}),
    ({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]}, {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}}]}),
    ({"lifecycle": {"stopSignal": "SIGUSR1", "preStop": {"sleep": {"seconds": 1}}}}, {"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}),
]


@pytest.mark.parametrize(("given", "stored"), CONTAINERS)
def test_containers_are_completed(given: dict[str, Any], stored: dict[str, Any]) -> None:
    found = made("Pod", container(**given))["spec"]["containers"][0]
    assert {name: found[name] for name in stored} == stored


VOLUMES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"emptyDir": {}}),
    ({"hostPath": {"path": "/a"}}, {"hostPath": {"path": "/a", "type": ""}}),
    ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
    ({"image": {"reference": "a:1"}}, {"image": {"reference": "a:1", "pullPolicy": "IfNotPresent"}}),
    ({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, {"projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]}}),
    ({"rbd": {"monitors": ["m"], "image": "i"}}, {"rbd": {"monitors": ["m"], "image": "i", "pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}}),
]


@pytest.mark.parametrize(("given", "stored"), VOLUMES)
def test_volumes_are_completed(given: dict[str, Any], stored: dict[str, Any]) -> None:
    assert made("Pod", pod(volumes=[{"name": "v", **given}]))["spec"]["volumes"] == [{"name": "v", **stored}]


def test_a_template_is_not_given_what_only_pods_have() -> None:
    ports = [{"containerPort": 80}]
    limited = {**CONTAINER, "resources": {"limits": {"cpu": "1"}}, "ports": ports}
    spec = made("Deployment", workload({"containers": [limited], "hostNetwork": True}))["spec"]["template"]["spec"]
    assert "requests" not in spec["containers"][0]["resources"] and "enableServiceLinks" not in spec
    assert spec["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert made("Pod", pod(containers=[limited], hostNetwork=True))["spec"]["containers"][0]["ports"][0]["hostPort"] == 80


def test_a_negative_grace_period_is_a_second_in_pods_alone() -> None:
    assert made("Pod", pod(terminationGracePeriodSeconds=-9))["spec"]["terminationGracePeriodSeconds"] == 1
    template = made("Deployment", workload({"terminationGracePeriodSeconds": -9}))["spec"]["template"]
    assert template["spec"]["terminationGracePeriodSeconds"] == -9


WARNINGS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"nodeSelector": {"beta.kubernetes.io/os": "linux"}}, ("spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use",)),
    ({"volumes": [{"name": "v", "gitRepo": {"repository": "r"}}]}, ("spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",)),
    ({"volumes": [{"name": "v", "cephfs": {"monitors": ["m"]}}]}, ("spec.volumes[0].cephfs: deprecated in v1.28, non-functional in v1.31+",)),
    ({"volumes": [{"name": "v", "projected": {"sources": [{}]}}]}, ('volume "v" (Projected) has no sources provided',)),
    (
        {"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}]}}]},
        ('volume "v" (ConfigMap "c"): overlapping paths: "x/y" with "x"',),
    ),
    ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]}, ('spec.imagePullSecrets[1].name: duplicate name "a"', 'spec.imagePullSecrets[2].name: invalid empty name ""')),
    ({"hostAliases": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.1"}]}, ('spec.hostAliases[1].ip: duplicate ip "192.0.2.1"',)),
    ({"hostAliases": [{"ip": "2001:DB8::1"}]}, ('spec.hostAliases[0].ip: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")',)),
    ({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]}, ("spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",)),
]


@pytest.mark.parametrize(("fields", "expected"), WARNINGS)
def test_a_pod_draws_warnings(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = rule("Pod").warnings(made("Pod", pod(**fields)), None)
    assert begins(found, expected), found


CONTAINER_WARNINGS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, ('spec.containers[0].env[1]: hides previous definition of "A", which may be dropped',)),
    ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "x$(A)"}]}, ()),
    ({"resources": {"requests": {"memory": "100m"}}}, ('spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid',)),
    ({"ports": [{"containerPort": 1}, {"containerPort": 1}]}, ("spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",)),
    ({"ports": [{"containerPort": 1, "hostPort": 2}, {"containerPort": 1}]}, ("spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",)),
    ({"ports": [{"containerPort": 1, "hostPort": 2}, {"containerPort": 1, "hostPort": 2, "hostIP": "::1"}]}, ("spec.containers[0].ports[1]: dangerously ambiguous port definition with",)),
    ({"ports": [{"containerPort": 1, "hostIP": "::1"}]}, ("spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:1 Protocol:TCP HostIP:::1}",)),
]


@pytest.mark.parametrize(("fields", "expected"), CONTAINER_WARNINGS)
def test_a_container_draws_warnings(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = rule("Pod").warnings(made("Pod", container(**fields)), None)
    assert begins(found, expected), found


def test_a_name_with_dots_is_no_host_name() -> None:
    tree = pod()
    tree["metadata"]["name"] = "a.b"
    assert rule("Pod").warnings(made("Pod", tree), None) == [
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is "
        "recommended: [must not contain dots]"
    ]


def test_a_template_draws_warnings_at_its_own_path_and_when_it_changes() -> None:
    old = made("Deployment", workload({"nodeSelector": {"beta.kubernetes.io/arch": "arm"}}))
    warnings = rule("Deployment").warnings
    assert begins(warnings(old, None), ("spec.template.spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since",))
    assert warnings(old, old) == []
