"""Security contexts, seccomp, AppArmor, sysctls, operating systems and host namespaces."""

from __future__ import annotations

from typing import Any

import pytest
from ruling import CONTAINER, begins, container, made, pod, refusals

C = "spec.containers[0].securityContext"
S = "spec.securityContext"
ID = "must be between 0 and 2147483647, inclusive"
WINDOWS = "Forbidden: cannot be set for a windows pod"

CONTAINER_CONTEXTS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"runAsUser": -1, "runAsGroup": 2**31}, (f"{C}.runAsUser: Invalid value: -1: {ID}", f"{C}.runAsGroup: Invalid value: 2147483648: {ID}")),
    ({"procMount": "Odd"}, (f'{C}.procMount: Unsupported value: "Odd": supported values: "Default", "Unmasked"',)),
    ({"procMount": "Unmasked"}, (f'{C}.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`',)),
    ({"seccompProfile": {"type": "Localhost"}}, (f"{C}.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",)),
    ({"seccompProfile": {}}, (f"{C}.seccompProfile.type: Required value: type is required when seccompProfile is set",)),
    (
        {"seccompProfile": {"type": "Unconfined", "localhostProfile": "a"}},
        (f'{C}.seccompProfile.localhostProfile: Invalid value: {{"Type":"Unconfined","LocalhostProfile":"a"}}: can only be set',),
    ),
    ({"appArmorProfile": {"type": "Localhost", "localhostProfile": " a"}}, (f'{C}.appArmorProfile.localhostProfile: Invalid value: " a": must not be padded',)),
    ({"appArmorProfile": {"type": "Own"}}, (f'{C}.appArmorProfile.type: Unsupported value: "Own": supported values: "Localhost", "RuntimeDefault", "Unconfined"',)),
    (
        {"allowPrivilegeEscalation": False, "privileged": True},
        (f'{C}: Invalid value: {{"Capabilities":null,"Privileged":true,"SELinuxOptions":null,"WindowsOptions":null,',),
    ),
    ({"allowPrivilegeEscalation": False, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}, (f'{C}: Invalid value: {{"Capabilities":{{"Add":["CAP_SYS_ADMIN"],"Drop":null}},',)),
    ({"windowsOptions": {"runAsUserName": "a\\b\\c"}}, (f'{C}.windowsOptions.runAsUserName: Invalid value: "a\\\\b\\\\c": runAsUserName cannot contain more',)),
    ({"windowsOptions": {"runAsUserName": "DOM AIN\\...", "gmsaCredentialSpec": ""}}, (f'{C}.windowsOptions.gmsaCredentialSpec: Invalid value: "": gmsaCredentialSpec cannot be an empty string', f"{C}.windowsOptions.runAsUserName: Invalid value: \"DOM AIN\\\\...\": runAsUserName's User cannot contain only periods")),
]


@pytest.mark.parametrize(("context", "expected"), CONTAINER_CONTEXTS)
def test_a_containers_context_is_judged(context: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = refusals("Pod", container(securityContext=context))
    assert begins(found, expected), found


POD_CONTEXTS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({S: {"fsGroup": -1, "supplementalGroups": [1, -2]}}, (f"{S}.fsGroup: Invalid value: -1: {ID}", f"{S}.supplementalGroups[1]: Invalid value: -2: {ID}")),
    ({S: {"fsGroupChangePolicy": "Never"}}, (f'{S}.fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch"',)),
    ({S: {"supplementalGroupsPolicy": "x", "seLinuxChangePolicy": "y"}}, (f'{S}.supplementalGroupsPolicy: Unsupported value: "x"', f'{S}.seLinuxChangePolicy: Unsupported value: "y"')),
    ({S: {"sysctls": [{"name": "net/core.somaxconn"}, {"name": "net/core.somaxconn"}, {"name": "."}]}}, (f'{S}.sysctls[1].name: Duplicate value: "net/core.somaxconn"', f'{S}.sysctls[2].name: Invalid value: ".": must have at most 253 characters and match regex ^(')),
    ({"hostNetwork": True, S: {"sysctls": [{"name": "net.ipv4.ip_forward"}]}}, (f"{S}.sysctls[0].name: Invalid value: \"net.ipv4.ip_forward\": may not be specified when 'hostNetwork' is true",)),
    ({"hostIPC": True, S: {"sysctls": [{"name": "kernel.msgmax"}]}}, (f"{S}.sysctls[0].name: Invalid value: \"kernel.msgmax\": may not be specified when 'hostIPC' is true",)),
    ({"hostPID": True, "shareProcessNamespace": True}, (f"{S}.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",)),
    ({"hostUsers": False, "hostNetwork": True, "hostPID": True}, ("spec.hostNetwork: Forbidden: when `hostUsers` is false", "spec.HostPID: Forbidden: when `hostUsers` is false")),
    ({"os": {"name": ""}}, ("spec.os.name: Required value",)),
    ({"os": {"name": "linux"}, S: {"windowsOptions": {"runAsUserName": "a"}}}, (f"{S}.windowsOptions: Forbidden: windows options cannot be set for a linux pod",)),
    ({"os": {"name": "windows"}, "hostIPC": True, "hostUsers": True, S: {"seLinuxOptions": {}, "sysctls": []}}, (f"{S}.seLinuxOptions: {WINDOWS}", f"spec.hostUsers: {WINDOWS}", f"spec.hostIPC: {WINDOWS}")),
    ({S: {"windowsOptions": {"hostProcess": True}}}, ("spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",)),
]


@pytest.mark.parametrize(("fields", "expected"), POD_CONTEXTS)
def test_a_pods_context_is_judged(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = refusals("Pod", pod(**{name.removeprefix("spec."): value for name, value in fields.items()}))
    assert begins(found, expected), found


def test_host_process_containers_keep_to_themselves() -> None:
    windows = {"windowsOptions": {"hostProcess": True}}
    containers = [{**CONTAINER, "securityContext": windows}, {**CONTAINER, "name": "d"}]
    assert begins(
        refusals("Pod", pod(containers=containers, hostNetwork=True)),
        ('spec: Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess',),
    )


ARMOR = "container.apparmor.security.beta.kubernetes.io/c"
ANNOTATIONS: list[tuple[dict[str, str], dict[str, Any], tuple[str, ...]]] = [
    ({ARMOR + "x": "unconfined"}, {}, (f'metadata.annotations[{ARMOR}x]: Invalid value: "cx": container not found',)),
    ({ARMOR: "odd"}, {}, (f'metadata.annotations[{ARMOR}]: Invalid value: "odd": invalid AppArmor profile name: "odd"',)),
    ({ARMOR: "unconfined"}, {"appArmorProfile": {"type": "RuntimeDefault"}}, (f"{C}.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match",)),
    ({ARMOR: "localhost/a"}, {"appArmorProfile": {"type": "Localhost", "localhostProfile": "b"}}, (f"{C}.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation",)),
    ({"seccomp.security.alpha.kubernetes.io/pod": "odd"}, {}, ('metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: "odd": must be a valid seccomp',)),
    ({"container.seccomp.security.alpha.kubernetes.io/c": "unconfined"}, {"seccompProfile": {"type": "RuntimeDefault"}}, (f"{C}.seccompProfile.type: Forbidden: seccomp type in annotation and field",)),
    ({"controller.kubernetes.io/pod-deletion-cost": "+1"}, {}, ('metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+1": must be a 32bit integer',)),
    ({"kubernetes.io/config.mirror": "x"}, {}, ('metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror',)),
]


@pytest.mark.parametrize(("annotations", "context", "expected"), ANNOTATIONS)
def test_annotations_of_old_agree_with_fields(annotations: dict[str, str], context: dict[str, Any], expected: tuple[str, ...]) -> None:
    tree = container(**({"securityContext": context} if context else {}))
    tree["metadata"]["annotations"] = annotations
    found = refusals("Pod", tree)
    assert begins(found, expected), found


def test_an_app_armor_annotation_becomes_the_field() -> None:
    tree = container()
    tree["metadata"]["annotations"] = {ARMOR: "localhost/mine"}
    context = made("Pod", tree)["spec"]["containers"][0]["securityContext"]
    assert context == {"appArmorProfile": {"type": "Localhost", "localhostProfile": "mine"}}
