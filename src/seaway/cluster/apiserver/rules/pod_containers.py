"""Containers of a pod: init, main and ephemeral ones, with their ports and mounts (pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules, pod_env, pod_handlers, pod_paths, pod_resources, pod_security
from seaway.cluster.apiserver.rules.pod_volumes import pull_policy
from seaway.cluster.apiserver.status import Cause, duplicate, missing, not_permitted, required, too_many, wrong

Tree = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
RESTART_ACTIONS = ("Restart", "RestartAllContainers")
PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE = ("Disabled", "Enabled", "IfPossible")
NOT_IN_INIT = "may not be set for init containers without restartPolicy=Always"
NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"
# What an ephemeral container may not have, in the order of upstream's fields.
EPHEMERAL_FORBIDDEN = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)


class Pod(NamedTuple):
    """What the containers of a pod are checked against."""

    volumes: dict[str, Tree]
    claims: set[str]
    grace: int | None
    restart: str
    host_users: bool


def _ports(ports: list[Tree], path: str) -> list[Cause]:
    found, names = [], set[str]()
    for i, port in enumerate(ports):
        at, name = f"{path}[{i}]", port.get("name", "")
        if name:
            problems = formats.causes(f"{at}.name", name, formats.port_name)
            if not problems and name in names:
                problems = [duplicate(f"{at}.name", name)]
            found += problems
            names.add(name)
        number = port.get("containerPort", 0)
        if not number:
            found.append(required(f"{at}.containerPort"))
        else:
            found += [wrong(f"{at}.containerPort", number, why) for why in formats.port_number(number)]
        host = port.get("hostPort", 0)
        if host:
            found += [wrong(f"{at}.hostPort", host, why) for why in formats.port_number(host)]
        found += fieldrules.one_of(f"{at}.protocol", port.get("protocol", ""), PROTOCOLS)
    return found


def host_port_conflicts(containers: list[Tree], path: str) -> list[Cause]:
    found, taken = [], set[str]()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            text = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if text in taken:
                found.append(duplicate(f"{path}[{i}].ports[{j}].hostPort", text))
            taken.add(text)
    return found


def _mounts(container: Tree, volumes: dict[str, Tree], path: str) -> list[Cause]:
    found, points = [], set[str]()
    devices = {d.get("name", ""): d.get("devicePath", "") for d in container.get("volumeDevices") or ()}
    privileged = bool((container.get("securityContext") or {}).get("privileged"))
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        at = f"{path}[{i}]"
        name, point = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            found.append(required(f"{at}.name"))
        if name not in volumes:
            found.append(missing(f"{at}.name", name))
        if not point:
            found.append(required(f"{at}.mountPath"))
        if point in points:
            found.append(wrong(f"{at}.mountPath", point, "must be unique"))
        points.add(point)
        if name in devices:
            found.append(wrong(f"{at}.name", name, "must not already exist in volumeDevices"))
        if point in devices.values():
            found.append(wrong(f"{at}.mountPath", point, "must not already exist as a path in volumeDevices"))
        # Upstream names no index for what follows.
        sub, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
        if sub:
            found += pod_paths.descending(f"{path}.subPath", sub)
        if expression:
            if sub:
                why = "subPathExpr and subPath are mutually exclusive"
                found.append(wrong(f"{at}.subPathExpr", expression, why))
            found += pod_paths.descending(f"{path}.subPathExpr", expression)
        found += _propagation(mount, privileged, path)
    return found


def _propagation(mount: Tree, privileged: bool, path: str) -> list[Cause]:
    found = []
    propagation, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    if propagation is not None:
        at = f"{path}.mountPropagation"
        found += fieldrules.listed(at, propagation, PROPAGATIONS)
        if propagation == "Bidirectional" and not privileged:
            why = "Bidirectional mount propagation is available only to privileged containers"
            found.append(not_permitted(at, why))
    if recursive in ("Enabled", "IfPossible"):
        at = f"{path}.recursiveReadOnly"
        if not mount.get("readOnly"):
            found.append(not_permitted(at, "may only be specified when readOnly is true"))
        if propagation not in (None, "None"):
            why = "may only be specified when mountPropagation is None or not specified"
            found.append(not_permitted(at, why))
    elif recursive is not None:
        found += fieldrules.listed(f"{path}.recursiveReadOnly", recursive, RECURSIVE)
    return found


def _devices(container: Tree, volumes: dict[str, Tree], path: str) -> list[Cause]:
    found, names, paths = [], set[str](), set[str]()
    mounts = {m.get("name", ""): m.get("mountPath", "") for m in container.get("volumeMounts") or ()}
    for i, device in enumerate(container.get("volumeDevices") or ()):
        at = f"{path}[{i}]"
        name, target = device.get("name", ""), device.get("devicePath", "")
        if not name:
            found.append(required(f"{at}.name"))
        if name in names:
            found.append(wrong(f"{at}.name", name, "must be unique"))
        if name not in volumes:
            found.append(missing(f"{at}.name", name))
        elif not {"persistentVolumeClaim", "ephemeral"} & set(volumes[name]):
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            found.append(wrong(f"{at}.name", name, why))
        if not target:
            found.append(required(f"{at}.devicePath"))
        if target in paths:
            found.append(wrong(f"{at}.devicePath", target, "must be unique"))
        if target and pod_paths.without_backsteps("", target):
            found.append(wrong(f"{at}.devicePath", target, "can not contain backsteps ('..')"))
        else:
            paths.add(target)
        if name in mounts:
            found.append(wrong(f"{at}.name", name, "must not already exist in volumeMounts"))
        if target in mounts.values():
            found.append(wrong(f"{at}.devicePath", target, "must not already exist as a path in volumeMounts"))
        if name:
            names.add(name)
    return found


def _common(container: Tree, pod: Pod, path: str) -> list[Cause]:
    name = container.get("name", "")
    found = formats.causes(f"{path}.name", name, formats.label) if name else [required(f"{path}.name")]
    if not container.get("image"):
        found.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy", "")
    found += fieldrules.one_of(f"{path}.terminationMessagePolicy", policy, MESSAGE_POLICIES)
    found += _ports(container.get("ports") or [], f"{path}.ports")
    found += pod_env.validate(container.get("env") or [], f"{path}.env")
    found += pod_env.validate_from(container.get("envFrom") or [], f"{path}.envFrom")
    found += _mounts(container, pod.volumes, f"{path}.volumeMounts")
    found += _devices(container, pod.volumes, f"{path}.volumeDevices")
    found += pull_policy(f"{path}.imagePullPolicy", container.get("imagePullPolicy"))
    found += pod_resources.validate_container(container.get("resources") or {}, pod.claims, f"{path}.resources")
    policies = container.get("resizePolicy") or []
    found += pod_resources.validate_resize_policy(policies, pod.restart, f"{path}.resizePolicy")
    context = container.get("securityContext")
    return found + pod_security.validate_container(context, pod.host_users, f"{path}.securityContext")


def _restart_rules(container: Tree, path: str, init: bool = False) -> list[Cause]:
    """A container's own restart policy and its rules by exit code (KEP-5307)."""
    policy, rules, found = container.get("restartPolicy"), container.get("restartPolicyRules") or [], []
    if policy is None:
        if not rules:
            return []
        found.append(required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used"))
        if init:
            return found
    else:
        found += fieldrules.listed(f"{path}.restartPolicy", policy, RESTART_POLICIES)
    if len(rules) > 20:
        found.append(too_many(f"{path}.restartPolicyRules", len(rules), 20))
    for i, rule in enumerate(rules):
        at, codes = f"{path}.restartPolicyRules[{i}]", rule.get("exitCodes")
        found += fieldrules.listed(f"{at}.action", rule.get("action", ""), RESTART_ACTIONS)
        if codes is None:
            found.append(required(f"{at}.exitCodes", "must be specified"))
            continue
        found += fieldrules.listed(f"{at}.exitCodes.operator", codes.get("operator", ""), ("In", "NotIn"))
        if len(codes.get("values") or ()) > 255:
            found.append(too_many(f"{at}.exitCodes.values", len(codes["values"]), 255))
    return found


def validate(containers: list[Tree], pod: Pod, path: str) -> list[Cause]:
    """The containers that the pod is for."""
    if not containers:
        return [required(path)]
    found, names = [], set[str]()
    for i, container in enumerate(containers):
        at, name = f"{path}[{i}]", container.get("name", "")
        found += _common(container, pod, at)
        if name in names:
            found.append(duplicate(f"{at}.name", name))
        names.add(name)
        found += pod_handlers.validate_all(container, pod.grace, at)
        found += _restart_rules(container, at)
    return found + host_port_conflicts(containers, path)


def validate_init(containers: list[Tree], main: list[Tree], pod: Pod, path: str) -> list[Cause]:
    """Init containers; those with restartPolicy Always are sidecars and may have probes and hooks (KEP-753)."""
    found, names = [], {c.get("name", "") for c in main}
    for i, container in enumerate(containers):
        at, name = f"{path}[{i}]", container.get("name", "")
        sidecar = container.get("restartPolicy") == "Always"
        found += _common(container, pod, at) + _restart_rules(container, at, init=True)
        if name in names:
            found.append(duplicate(f"{at}.name", name))
        elif name:
            names.add(name)
        found += host_port_conflicts([container], path)
        if sidecar:
            found += pod_handlers.validate_all(container, pod.grace, at)
        else:
            forbidden = ("lifecycle", *pod_handlers.PROBES)
            found += [not_permitted(f"{at}.{n}", NOT_IN_INIT) for n in forbidden if container.get(n) is not None]
        for j, policy in enumerate(container.get("resizePolicy") or ()):
            if not sidecar and policy.get("restartPolicy") == "RestartContainer":
                why = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                found.append(wrong(f"{at}.resizePolicy[{j}].restartPolicy", "RestartContainer", why))
    return found


def validate_ephemeral(containers: list[Tree], others: list[Tree], pod: Pod, path: str) -> list[Cause]:
    """Containers that `kubectl debug` adds: no ports, probes or resources."""
    found, known = [], {c.get("name", "") for c in others}
    names = set(known)
    for i, container in enumerate(containers):
        at, name, target = f"{path}[{i}]", container.get("name", ""), container.get("targetContainerName", "")
        found += _common(container, pod, at) + validate_image(container, at)
        if name in names:
            found.append(duplicate(f"{at}.name", name))
        names.add(name)
        if target and target not in known:
            found.append(missing(f"{at}.targetContainerName", target))
        found += [not_permitted(f"{at}.{n}", NOT_EPHEMERAL) for n in EPHEMERAL_FORBIDDEN if container.get(n)]
        for j, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    found.append(not_permitted(f"{at}.volumeMounts[{j}].{field}", NOT_EPHEMERAL))
    return found


def validate_image(container: Tree, path: str) -> list[Cause]:
    """Only a pod is asked this: templates with padded images were stored for years."""
    image = container.get("image", "")
    return (
        []
        if image == image.strip()
        else [wrong(f"{path}.image", image, "must not have leading or trailing whitespace")]
    )
