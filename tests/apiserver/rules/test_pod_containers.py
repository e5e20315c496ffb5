"""Containers: names, images, ports, env, mounts, probes, hooks, restart rules; init, sidecar and ephemeral ones."""

from __future__ import annotations

from typing import Any

import pytest
from ruling import CONTAINER, begins, container, pod, refusals

C = "spec.containers[0]"
INIT = "spec.initContainers[0]"
TCP = {"tcpSocket": {"port": 1}}

FIELDS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"name": "a.b"}, (f'{C}.name: Invalid value: "a.b": must not contain dots',)),
    ({"name": "x" * 64}, (f'{C}.name: Invalid value: "{"x" * 64}": must be no more than 63 characters',)),
    ({"name": "", "image": ""}, (f"{C}.name: Required value", f"{C}.image: Required value")),
    ({"image": " a"}, (f'{C}.image: Invalid value: " a": must not have leading or trailing whitespace',)),
    (
        {"imagePullPolicy": "Often"},
        (f'{C}.imagePullPolicy: Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"',),
    ),
    (
        {"terminationMessagePolicy": "Log"},
        (f'{C}.terminationMessagePolicy: Unsupported value: "Log": supported values: "File", "FallbackToLogsOnError"',),
    ),
    # ports
    (
        {"ports": [{"containerPort": 1, "name": "UPPER--"}]},
        (
            f'{C}.ports[0].name: Invalid value: "UPPER--": must contain only alpha-numeric',
            f'{C}.ports[0].name: Invalid value: "UPPER--": must contain at least one letter (a-z)',
            f'{C}.ports[0].name: Invalid value: "UPPER--": must not contain consecutive hyphens',
            f'{C}.ports[0].name: Invalid value: "UPPER--": must not begin or end with a hyphen',
        ),
    ),
    (
        {"ports": [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}]},
        (f'{C}.ports[1].name: Duplicate value: "a"',),
    ),
    (
        {"ports": [{"containerPort": 0, "hostPort": -1, "protocol": "tcp"}]},
        (
            f"{C}.ports[0].containerPort: Required value",
            f"{C}.ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
            f'{C}.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
        ),
    ),
    (
        {"ports": [{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]},
        (f'{C}.ports[1].hostPort: Duplicate value: "TCP//5"',),
    ),
    ({"ports": [{"containerPort": 1, "hostPort": 5, "hostIP": "192.0.2.1"}, {"containerPort": 2, "hostPort": 5}]}, ()),
    # env
    ({"env": [{"name": "1.ok-name"}]}, ()),
    ({"env": [{"name": "\t"}]}, (f'{C}.env[0].name: Invalid value: "\\t": a valid environment variable name must',)),
    (
        {"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        (f'{C}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',),
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.containers"}}}]},
        (f'{C}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.containers": error converting fieldPath: field',),
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}]},
        (f'{C}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name",',),
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['a b']"}}}]},
        (f'{C}.env[0].valueFrom.fieldRef: Invalid value: "a b": name part must consist of',),
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}}]},
        (f'{C}.env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu",',),
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}]},
        (f'{C}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values 1m and 1',),
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "../k"}}}]},
        (
            f'{C}.env[0].valueFrom.secretKeyRef.key: Invalid value: "../k": a valid config key must consist of',
            f'{C}.env[0].valueFrom.secretKeyRef.key: Invalid value: "../k": must not start with \'..\'',
        ),
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "K"}}}]},
        (f'{C}.env[0].valueFrom.fileKeyRef.volumeName: Not found: "v"',),
    ),
    (
        {"envFrom": [{"configMapRef": {}, "secretRef": {"name": "ok"}}]},
        (
            f"{C}.envFrom[0].configMapRef.name: Required value",
            f'{C}.envFrom: Invalid value: "": may not have more than one field specified at a time',
        ),
    ),
    # probes and hooks
    (
        {"livenessProbe": {**TCP, "exec": {"command": ["a"]}, "successThreshold": 2}},
        (
            f"{C}.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            f"{C}.livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
    ),
    ({"readinessProbe": {**TCP, "successThreshold": 2}}, ()),
    (
        {"readinessProbe": {**TCP, "terminationGracePeriodSeconds": 1}},
        (f"{C}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes",),
    ),
    (
        {"startupProbe": {"httpGet": {"port": "", "scheme": "ftp"}, "periodSeconds": -1}},
        (
            f'{C}.startupProbe.httpGet.port: Invalid value: "": must contain only alpha-numeric',
            f'{C}.startupProbe.httpGet.port: Invalid value: "": must contain at least one letter',
            f'{C}.startupProbe.httpGet.scheme: Unsupported value: "ftp": supported values: "HTTP", "HTTPS"',
            f"{C}.startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
    ),
    ({"livenessProbe": {"exec": {}}}, (f"{C}.livenessProbe.exec.command: Required value",)),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        (f"{C}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",),
    ),
    # restarts of its own
    (
        {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]},
        (f"{C}.restartPolicy: Required value: must specify restartPolicy when restart rules are used",),
    ),
    (
        {"restartPolicy": "Never", "restartPolicyRules": [{"action": "Stop", "exitCodes": {"operator": "Is"}}, {"action": "Restart"}]},
        (
            f'{C}.restartPolicyRules[0].action: Unsupported value: "Stop": supported values: "Restart", "RestartAllContainers"',
            f'{C}.restartPolicyRules[0].exitCodes.operator: Unsupported value: "Is": supported values: "In", "NotIn"',
            f"{C}.restartPolicyRules[1].exitCodes: Required value: must be specified",
        ),
    ),
    (
        {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "cpu", "restartPolicy": "No"}]},
        (
            f'{C}.resizePolicy[1]: Duplicate value: "cpu"',
            f'{C}.resizePolicy: Unsupported value: "No": supported values: "NotRequired", "RestartContainer"',
        ),
    ),
]


@pytest.mark.parametrize(("fields", "expected"), FIELDS)
def test_a_containers_fields_are_judged(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = refusals("Pod", container(**fields))
    assert begins(found, expected), found


MOUNTS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"mountPath": "/a", "subPath": "/b"}, (f'{C}.volumeMounts.subPath: Invalid value: "/b": must be a relative path',)),
    (
        {"mountPath": "/a", "subPath": "b", "subPathExpr": "$(C)/.."},
        (
            f'{C}.volumeMounts[0].subPathExpr: Invalid value: "$(C)/..": subPathExpr and subPath are mutually exclusive',
            f'{C}.volumeMounts.subPathExpr: Invalid value: "$(C)/..": must not contain \'..\'',
        ),
    ),
    (
        {"mountPath": "/a", "mountPropagation": "Bidirectional"},
        (f"{C}.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged",),
    ),
    (
        {"mountPath": "/a", "recursiveReadOnly": "Enabled", "mountPropagation": "HostToContainer"},
        (
            f"{C}.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
            f"{C}.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None",
        ),
    ),
    (
        {"mountPath": "/a", "recursiveReadOnly": "Maybe"},
        (f'{C}.volumeMounts.recursiveReadOnly: Unsupported value: "Maybe": supported values: "Disabled", "Enabled", "IfPossible"',),
    ),
    ({"name": "w", "mountPath": "/a"}, (f'{C}.volumeMounts[0].name: Not found: "w"',)),
]


@pytest.mark.parametrize(("mount", "expected"), MOUNTS)
def test_mounts_are_judged(mount: dict[str, Any], expected: tuple[str, ...]) -> None:
    tree = container(volumeMounts=[{"name": "v", **mount}])
    tree["spec"]["volumes"] = [{"name": "v"}]
    found = refusals("Pod", tree)
    assert begins(found, expected), found


def test_a_mount_point_is_used_once_and_devices_stay_apart() -> None:
    mounts = [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}, {"name": "d", "mountPath": "/dev/x"}]
    devices = [{"name": "d", "devicePath": "/dev/x"}, {"name": "v", "devicePath": "/dev/../y"}]
    tree = container(volumeMounts=mounts, volumeDevices=devices)
    tree["spec"]["volumes"] = [{"name": "v"}, {"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]
    expected = (
        f'{C}.volumeMounts[0].name: Invalid value: "v": must not already exist in volumeDevices',
        f'{C}.volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
        f'{C}.volumeMounts[1].name: Invalid value: "v": must not already exist in volumeDevices',
        f'{C}.volumeMounts[2].name: Invalid value: "d": must not already exist in volumeDevices',
        f'{C}.volumeMounts[2].mountPath: Invalid value: "/dev/x": must not already exist as a path in volumeDevices',
        f'{C}.volumeDevices[0].name: Invalid value: "d": must not already exist in volumeMounts',
        f'{C}.volumeDevices[0].devicePath: Invalid value: "/dev/x": must not already exist as a path in volumeMounts',
        f'{C}.volumeDevices[1].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or',
        f"{C}.volumeDevices[1].devicePath: Invalid value: \"/dev/../y\": can not contain backsteps ('..')",
        f'{C}.volumeDevices[1].name: Invalid value: "v": must not already exist in volumeMounts',
    )
    found = refusals("Pod", tree)
    assert begins(found, expected), found


def init(**fields: Any) -> dict[str, Any]:
    return pod(initContainers=[{**CONTAINER, "name": "i", **fields}])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"readinessProbe": TCP}, (f"{INIT}.readinessProbe: Forbidden: may not be set for init containers without",)),
        ({"restartPolicy": "Always", "readinessProbe": TCP, "lifecycle": {"postStart": {"exec": {"command": ["a"]}}}}, ()),
        ({"restartPolicy": "Always", "lifecycle": {"postStart": {}}}, (f"{INIT}.lifecycle.postStart: Required value: must",)),
        ({"name": "c"}, (f'{INIT}.name: Duplicate value: "c"',)),
        (
            {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]},
            (f"{INIT}.resizePolicy[0].restartPolicy: Invalid value: \"RestartContainer\": must not be set to 'RestartContainer' for",),
        ),
    ],
)
def test_only_sidecars_have_probes_and_hooks(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = refusals("Pod", init(**fields))
    assert begins(found, expected), found


def test_a_new_pod_has_no_ephemeral_containers() -> None:
    ephemeral = {**CONTAINER, "name": "e", "targetContainerName": "gone", "ports": [{"containerPort": 1}]}
    assert refusals("Pod", pod(ephemeralContainers=[ephemeral])) == [
        'spec.ephemeralContainers[0].targetContainerName: Not found: "gone"',
        "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
        "spec.ephemeralContainers: Forbidden: cannot be set on create",
    ]


def test_a_pod_needs_a_container() -> None:
    assert refusals("Pod", pod(containers=[])) == ["spec.containers: Required value"]
