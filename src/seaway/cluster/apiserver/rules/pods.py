"""Pods and PodTemplates: their rules, put together (pkg/registry/core/pod)."""

from __future__ import annotations

import copy
from typing import Any

from seaway.cluster.apiserver import zeros
from seaway.cluster.apiserver.rules import (
    Part,
    Rule,
    pod_affinity,
    pod_annotations,
    pod_containers,
    pod_defaults,
    pod_spec,
    pod_status,
    pod_update,
    pod_warnings,
    templates,
)
from seaway.cluster.apiserver.rules.pod_volumes import Owner
from seaway.cluster.apiserver.status import Cause, not_permitted

Tree = dict[str, Any]
POD = "io.k8s.api.core.v1.Pod"
TEMPLATE = "io.k8s.api.core.v1.PodTemplate"


def default(tree: Tree) -> None:
    pod_defaults.default_pod(tree)
    zeros.complete(POD, tree)


def begin(tree: Tree) -> None:
    """A new pod: its status, its own labels in the selectors that ask for them, AppArmor from annotations of old."""
    spec = tree["spec"]
    pod_affinity.with_label_keys(spec, (tree.get("metadata") or {}).get("labels") or {})
    annotations = pod_update.annotations_of(tree)
    for container, _ in _armored(spec, annotations):
        profile = pod_annotations.app_armor_profile(annotations[f"{pod_annotations.APP_ARMOR}{container['name']}"])
        if profile is not None and profile != (spec.get("securityContext") or {}).get("appArmorProfile"):
            container.setdefault("securityContext", {})["appArmorProfile"] = profile
    pod_status.begin(tree)


def _armored(spec: Tree, annotations: dict[str, str]) -> list[tuple[Tree, str]]:
    """The containers whose AppArmor profile an annotation names and no field."""
    if (spec.get("os") or {}).get("name") == "windows":
        return []
    return [
        (container, f"{pod_annotations.APP_ARMOR}{container['name']}")
        for name in pod_defaults.CONTAINER_LISTS
        for container in spec.get(name) or ()
        if f"{pod_annotations.APP_ARMOR}{container.get('name')}" in annotations
        and (container.get("securityContext") or {}).get("appArmorProfile") is None
    ]


def grace(tree: Tree, asked: int | None) -> int:
    """Seconds of grace for a delete; 0 removes the object at once."""
    seconds = (tree.get("spec") or {}).get("terminationGracePeriodSeconds", 30) if asked is None else asked
    # Nobody has to be waited for where no kubelet has the pod, or where it has ended.
    if not (tree.get("spec") or {}).get("nodeName"):
        return 0
    if (tree.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    return 1 if seconds < 0 else int(seconds)


def _validate(tree: Tree) -> list[Cause]:
    """What holds for a pod at any time."""
    spec, meta = tree.get("spec") or {}, tree.get("metadata") or {}
    found = pod_annotations.validate(meta.get("annotations") or {}, spec, "metadata.annotations")
    found += pod_spec.validate(spec, "spec", Owner(meta.get("name", ""), is_pod=True))
    if not spec.get("serviceAccountName"):
        for i, volume in enumerate(spec.get("volumes") or ()):
            for j, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if source.get("serviceAccountToken") is not None:
                    at = f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken"
                    found.append(not_permitted(at, "must not be specified when serviceAccountName is not set"))
    for name in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(name) or ()):
            found += pod_containers.validate_image(container, f"spec.{name}[{i}]")
    return found


def validate(tree: Tree) -> list[Cause]:
    """A new pod."""
    spec, found = tree["spec"], _validate(tree)
    if spec.get("ephemeralContainers"):
        found.append(not_permitted("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        why = "cannot be set until all schedulingGates have been cleared"
        found.append(not_permitted("spec.nodeName", why))
    return found + pod_annotations.validate_match(pod_update.annotations_of(tree), spec, "spec")


def revalidate(tree: Tree, old: Tree) -> list[Cause]:
    return _validate(tree) + pod_update.validate_update(tree, old)


def prepare(new: Tree, old: Tree) -> None:
    """What the server gave the pod, an update need not repeat (plugins Priority and DefaultTolerationSeconds)."""
    for name in ("priority", "preemptionPolicy"):
        if new["spec"].get(name) is None and old["spec"].get(name) is not None:
            new["spec"][name] = old["spec"][name]
    pod_defaults.default_tolerations(new["spec"])


def _ephemeral(new: Tree, old: Tree) -> Tree:
    found = copy.deepcopy(pod_update.prepare_ephemeral(new, old))
    default(found)
    return found


def _resize(new: Tree, old: Tree) -> Tree:
    found = copy.deepcopy(pod_update.prepare_resize(new, old))
    default(found)
    return found


def _bound(new: Tree, old: Tree) -> Tree:
    """A binding is the scheduler's word: what it changes is decided where it is read."""
    return new


def _validate_ephemeral(new: Tree, old: Tree) -> list[Cause]:
    return _validate(new) + pod_update.validate_ephemeral(new, old)


def _validate_resize(new: Tree, old: Tree) -> list[Cause]:
    return _validate(new) + pod_update.validate_resize(new, old)


def warnings(tree: Tree, old: Tree | None) -> list[str]:
    """A pod draws warnings when it is created; an update draws none."""
    if old is not None:
        return []
    annotations = pod_update.annotations_of(tree)
    own = (tree["spec"].get("securityContext") or {}).get("appArmorProfile")
    found = pod_warnings.hostname((tree.get("metadata") or {}).get("name", ""))
    found += pod_warnings.of_spec(tree["spec"], annotations)
    for name in pod_defaults.CONTAINER_LISTS:
        for container in tree["spec"].get(name) or ():
            key = f"{pod_annotations.APP_ARMOR}{container.get('name')}"
            profile = pod_annotations.app_armor_profile(annotations.get(key, ""))
            used = (container.get("securityContext") or {}).get("appArmorProfile")
            if key in annotations and (used is None or used == profile) and not (profile and profile == own):
                found.append(f"metadata.annotations[{key}]: {pod_warnings.APP_ARMOR}")
    return found


def default_template(tree: Tree) -> None:
    templates.default(tree)
    zeros.complete(TEMPLATE, tree)


def validate_template(tree: Tree) -> list[Cause]:
    return templates.validate(tree.get("template") or {}, "template")


def begin_template(tree: Tree) -> None:
    tree["metadata"]["generation"] = 1


def prepare_template(new: Tree, old: Tree) -> None:
    """A PodTemplate has no spec: its template is what its generation counts."""
    if "generation" in old["metadata"] and new.get("template") != old.get("template"):
        new["metadata"]["generation"] = old["metadata"]["generation"] + 1


def template_warnings(tree: Tree, old: Tree | None) -> list[str]:
    if old is not None and tree.get("template") == old.get("template"):
        return []
    return pod_warnings.of_template(tree.get("template"), "template")


PODS = Rule(
    default=default,
    begin=begin,
    validate=validate,
    prepare=prepare,
    revalidate=revalidate,
    grace=grace,
    warnings=warnings,
    parts={
        "status": Part(pod_status.prepare, pod_status.validate, pod_status.warnings),
        "ephemeralcontainers": Part(_ephemeral, _validate_ephemeral, moves_generation=True),
        "resize": Part(_resize, _validate_resize, moves_generation=True),
        "binding": Part(_bound),
    },
)
POD_TEMPLATES = Rule(
    default=default_template,
    begin=begin_template,
    prepare=prepare_template,
    validate=validate_template,
    warnings=template_warnings,
)
