"""Annotations that mean something for a pod: AppArmor and seccomp of old, deletion cost, mirror pods."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from seaway.cluster.apiserver.rules import pod_affinity, pod_paths, pod_security
from seaway.cluster.apiserver.status import Cause, not_permitted, wrong

Tree = dict[str, Any]
MIRROR = "kubernetes.io/config.mirror"
TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
LOCAL = "localhost/"
SECCOMP_KNOWN = ("runtime/default", "docker/default", "unconfined")
# What a profile's type is in an annotation.
APP_ARMOR_VALUES = {"Unconfined": "unconfined", "RuntimeDefault": "runtime/default"}


def app_armor_profile(annotation: str) -> Tree | None:
    """The field that an annotation stands for, None where it stands for none."""
    for kind, value in APP_ARMOR_VALUES.items():
        if annotation == value:
            return {"type": kind}
    local = annotation.removeprefix(LOCAL)
    return {"type": "Localhost", "localhostProfile": local} if local and local != annotation else None


def _deletion_cost(text: str) -> bool:
    """A 32-bit integer, written as strconv reads one, without a plus or leading zeros."""
    if not re.fullmatch("-?(0|[1-9][0-9]*)", text) or text == "-0":
        return False
    return len(text) < 12 and -(2**31) <= int(text) < 2**31


def _tolerations(text: str, path: str) -> list[Cause]:
    try:
        found = json.loads(text)
    except ValueError as e:
        return [wrong(path, TOLERATIONS, str(e))]
    if not isinstance(found, list) or not all(isinstance(t, dict) for t in found):
        return [wrong(path, TOLERATIONS, "json: cannot unmarshal value into Go value of type []core.Toleration")]
    return pod_affinity.validate_tolerations(found, f"{path}.{TOLERATIONS}")


def _seccomp(value: str, path: str) -> list[Cause]:
    if value in SECCOMP_KNOWN:
        return []
    if value.startswith(LOCAL):
        return pod_paths.descending(path, value.removeprefix(LOCAL))
    return [wrong(path, value, "must be a valid seccomp profile")]


def validate(annotations: Mapping[str, str], spec: Tree, path: str) -> list[Cause]:
    found = []
    if MIRROR in annotations and not spec.get("nodeName"):
        why = "must set spec.nodeName if mirror pod annotation is set"
        found.append(wrong(f"{path}[{MIRROR}]", annotations[MIRROR], why))
    if annotations.get(TOLERATIONS):
        found += _tolerations(annotations[TOLERATIONS], path)
    cost = annotations.get(DELETION_COST)
    if cost is not None and not _deletion_cost(cost):
        found.append(wrong(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer"))
    if SECCOMP_POD in annotations:
        found += _seccomp(annotations[SECCOMP_POD], f"{path}.{SECCOMP_POD}")
    for key, value in sorted(annotations.items()):
        if key.startswith(SECCOMP_CONTAINER):
            found += _seccomp(value, f"{path}.{key}")
    names = {container.get("name") for container, _ in pod_security.visited(spec, "")}
    for key, value in sorted(annotations.items()):
        if not key.startswith(APP_ARMOR):
            continue
        name = key.removeprefix(APP_ARMOR)
        if name not in names:
            found.append(wrong(f"{path}[{key}]", name, "container not found"))
        if value and value not in APP_ARMOR_VALUES.values() and not value.startswith(LOCAL):
            found.append(wrong(f"{path}[{key}]", value, f'invalid AppArmor profile name: "{value}"'))
    return found


def validate_update(annotations: Mapping[str, str], old: Mapping[str, str], path: str) -> list[Cause]:
    """What may not come, change or go on a pod that exists."""
    found = []
    for key, value in sorted(old.items()):
        if annotations.get(key) != value:
            if key.startswith(APP_ARMOR):
                found.append(not_permitted(f"{path}[{key}]", "may not remove or update AppArmor annotations"))
            if key == MIRROR:
                found.append(not_permitted(f"{path}[{key}]", "may not remove or update mirror pod annotation"))
    for key in sorted(annotations):
        if key not in old:
            if key.startswith(APP_ARMOR):
                found.append(not_permitted(f"{path}[{key}]", "may not add AppArmor annotations"))
            if key == MIRROR:
                found.append(not_permitted(f"{path}[{key}]", "may not add mirror pod annotation"))
    return found


def _match(
    kind: str, word: str, profile: Tree, annotation: str, values: Mapping[str, tuple[str, ...]], path: str
) -> list[Cause]:
    differs = f"{word} type in annotation and field must match"
    if kind == "Localhost":
        if not annotation.startswith(LOCAL):
            return [not_permitted(f"{path}.type", differs)]
        if annotation.removeprefix(LOCAL) != profile.get("localhostProfile"):
            why = f"{word} profile in annotation and field must match"
            return [not_permitted(f"{path}.localhostProfile", why)]
    elif kind in values and annotation not in values[kind]:
        return [not_permitted(f"{path}.type", differs)]
    return []


SECCOMP_MATCH = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default", "docker/default")}
APP_ARMOR_MATCH = {kind: (value,) for kind, value in APP_ARMOR_VALUES.items()}


def validate_match(annotations: Mapping[str, str], spec: Tree, path: str) -> list[Cause]:
    """An annotation beside the field that replaced it has to say the same."""
    found, pod = [], spec.get("securityContext") or {}
    own = pod.get("seccompProfile")
    if own is not None and SECCOMP_POD in annotations:
        at = f"{path}.securityContext.seccompProfile"
        found += _match(own.get("type", ""), "seccomp", own, annotations[SECCOMP_POD], SECCOMP_MATCH, at)
    windows = (spec.get("os") or {}).get("name") == "windows"
    later = []
    for container, place in pod_security.visited(spec, path):
        context, name = container.get("securityContext") or {}, container.get("name", "")
        profile = context.get("seccompProfile")
        if profile is not None and f"{SECCOMP_CONTAINER}{name}" in annotations:
            text, at = annotations[f"{SECCOMP_CONTAINER}{name}"], f"{place}.securityContext.seccompProfile"
            found += _match(profile.get("type", ""), "seccomp", profile, text, SECCOMP_MATCH, at)
        profile = context.get("appArmorProfile") or pod.get("appArmorProfile")
        if not windows and profile is not None and f"{APP_ARMOR}{name}" in annotations:
            text, at = annotations[f"{APP_ARMOR}{name}"], f"{place}.securityContext.appArmorProfile"
            later += _match(profile.get("type", ""), "apparmor", profile, text, APP_ARMOR_MATCH, at)
    return found + later
