"""What may change in a pod that exists: by an update, by ephemeralcontainers and by resize (pkg/apis/core/validation)."""

from __future__ import annotations

import copy
import difflib
import json
from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import pod_affinity, pod_annotations, pod_resources
from seaway.cluster.apiserver.rules.internal_forms import internal
from seaway.cluster.apiserver.status import Cause, not_permitted, required, wrong

Tree = dict[str, Any]
UPDATABLE = ",".join(
    (
        "`spec.containers[*].image`",
        "`spec.initContainers[*].image`",
        "`spec.activeDeadlineSeconds`",
        "`spec.tolerations` (only additions to existing tolerations)",
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )
)
ONLY_RESOURCES = "only cpu and memory resources are mutable"
NO_ADDITIONS = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
TERMS = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def difference(old: Any, new: Any) -> str:
    """Two trees line by line, for a person to read."""
    before, after = (json.dumps(t, indent=2, sort_keys=True).splitlines() for t in (old, new))
    return "\n".join(list(difflib.unified_diff(before, after, lineterm="", n=1))[2:])


def annotations_of(tree: Tree) -> dict[str, str]:
    return (tree.get("metadata") or {}).get("annotations") or {}


def annotation_causes(new: Tree, old: Tree, again: bool = True) -> list[Cause]:
    """Changes of annotations, and their values once more, as upstream does."""
    path, annotations = "metadata.annotations", annotations_of(new)
    found = pod_annotations.validate_update(annotations, annotations_of(old), path)
    return found + (pod_annotations.validate(annotations, new["spec"], path) if again else [])


def _images(new: list[Tree], old: list[Tree], path: str) -> tuple[list[Cause], bool]:
    """Of a container only its image; (causes, whether the rest makes no sense any more)."""
    if len(new) != len(old):
        return [not_permitted(path, "pod updates may not add or remove containers")], True
    found = []
    for i, container in enumerate(new):
        image = container.get("image", "")
        if not image:
            found.append(required(f"{path}[{i}].image"))
        if image.strip() != image:
            found.append(wrong(f"{path}[{i}].image", image, "must not have leading or trailing whitespace"))
    return found, False


def _tolerations(new: list[Tree], old: list[Tree], path: str) -> list[Cause]:
    def bare(toleration: Tree) -> Tree:
        return {k: v for k, v in toleration.items() if k != "tolerationSeconds"}

    have = [bare(t) for t in new]
    if not all(bare(t) in have for t in old):
        return [not_permitted(path, "existing toleration can not be modified except its tolerationSeconds")]
    return pod_affinity.validate_tolerations(new, path)


def _gates(new: list[Tree], old: list[Tree], path: str) -> list[Cause]:
    known = {gate.get("name") for gate in old}
    return [
        not_permitted(f"{path}[{i}].name", f"only deletion is allowed, but found new scheduling gate '{gate['name']}'")
        for i, gate in enumerate(new)
        if gate.get("name") not in known
    ]


def _only_more(new: Tree, old: Tree) -> bool:
    """A node selector term that keeps what it had, at its beginning."""
    names = ("matchExpressions", "matchFields")
    if not any(old.get(n) for n in names):
        return not any(new.get(n) for n in names)
    return all((new.get(n) or [])[: len(old.get(n) or ())] == (old.get(n) or []) for n in names)


def _node_affinity(spec: Tree) -> Tree | None:
    found: Tree | None = (spec.get("affinity") or {}).get("nodeAffinity")
    return found


def _affinity_change(new: Tree | None, old: Tree | None) -> list[Cause]:
    """A gated pod's required terms may only be narrowed (KEP-3838)."""
    name = pod_affinity.REQUIRED
    if old is None or old.get(name) is None:
        return []
    before = old[name].get("nodeSelectorTerms") or []
    after = ((new or {}).get(name) or {}).get("nodeSelectorTerms") or []
    if before and len(before) != len(after):
        return [wrong(TERMS, internal("NodeSelectorTerm", after or None), NO_ADDITIONS)]
    why = "only additions are allowed (no mutations or deletions)"
    return [
        wrong(f"{TERMS}[{i}]", internal("NodeSelectorTerm", term), why)
        for i, (term, was) in enumerate(zip(after, before, strict=False))
        if not _only_more(term, was)
    ]


def _scheduling(spec: Tree, old: Tree) -> list[Cause]:
    """What may change while a pod is gated; `spec` is given back its old values, so that the rest can be compared."""
    found = []
    selector, before = spec.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if selector != before:
        if any(selector.get(key) != value for key, value in before.items()):
            why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            found.append(wrong("spec.nodeSelector", dict(sorted(selector.items())) or None, why))
        _keep(spec, old, "nodeSelector")
    if _node_affinity(spec) != _node_affinity(old):
        found += _affinity_change(_node_affinity(spec), _node_affinity(old))
        affinity = {k: v for k, v in (spec.get("affinity") or {}).items() if k != "nodeAffinity"}
        if _node_affinity(old) is not None:
            affinity["nodeAffinity"] = _node_affinity(old)
        if affinity or "affinity" in old:
            spec["affinity"] = affinity
        else:
            spec.pop("affinity", None)
    return found


def _keep(spec: Tree, old: Tree, *names: str) -> None:
    for name in names:
        if name in old:
            spec[name] = old[name]
        else:
            spec.pop(name, None)


def validate_update(new: Tree, old: Tree) -> list[Cause]:
    """What ValidatePodUpdate adds to the validation of the pod itself."""
    spec, before = new["spec"], old["spec"]
    found = annotation_causes(new, old)
    for name in ("containers", "initContainers"):
        causes, stop = _images(spec.get(name) or [], before.get(name) or [], f"spec.{name}")
        found += causes
        if stop:
            return found
    deadline, previous, at = (
        spec.get("activeDeadlineSeconds"),
        before.get("activeDeadlineSeconds"),
        "spec.activeDeadlineSeconds",
    )
    if deadline is not None:
        if not 0 <= deadline <= formats.MAX_INT32:
            return [*found, wrong(at, deadline, formats.between(0, formats.MAX_INT32))]
        if previous is not None and previous < deadline:
            return [*found, wrong(at, deadline, "must be less than or equal to previous value")]
    elif previous is not None:
        found.append(wrong(at, None, "must not update from a positive integer to nil value"))
    found += _tolerations(spec.get("tolerations") or [], before.get("tolerations") or [], "spec.tolerations")
    found += _gates(spec.get("schedulingGates") or [], before.get("schedulingGates") or [], "spec.schedulingGates")
    rest = copy.deepcopy(spec)
    for name in ("containers", "initContainers"):
        for container, was in zip(rest.get(name) or (), before.get(name) or (), strict=True):
            _keep(container, was, "image")
    _keep(rest, before, "activeDeadlineSeconds", "schedulingGates", "tolerations")
    if before.get("schedulingGates"):
        found += _scheduling(rest, before)
    if rest != before:
        told = f"pod updates may not change fields other than {UPDATABLE}\n{difference(before, rest)}"
        found.append(not_permitted("spec", told))
    return found


def prepare_ephemeral(new: Tree, old: Tree) -> Tree:
    """Everything but the ephemeral containers stays as it was."""
    spec = {k: v for k, v in old["spec"].items() if k != "ephemeralContainers"}
    containers = (new.get("spec") or {}).get("ephemeralContainers")
    if containers:
        spec["ephemeralContainers"] = containers
    return {**old, "spec": spec}


def validate_ephemeral(new: Tree, old: Tree) -> list[Cause]:
    """Ephemeral containers may come; they neither change nor go."""
    if pod_annotations.MIRROR in annotations_of(old):
        return [not_permitted("", "static pods do not support ephemeral containers")]
    found, path = annotation_causes(new, old), "spec.ephemeralContainers"
    now = {c.get("name"): c for c in new["spec"].get("ephemeralContainers") or ()}
    for container in old["spec"].get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in now:
            found.append(not_permitted(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif now[name] != container:
            told = difference(container, now[name])
            found.append(not_permitted(path, f'existing ephemeral containers "{name}" may not be changed\n{told}'))
    return found


def prepare_resize(new: Tree, old: Tree) -> Tree:
    """Only resources and resize policies are taken over, where the containers are the same ones."""
    spec, wanted = dict(old["spec"]), new.get("spec") or {}
    for name in ("containers", "initContainers"):
        if len(wanted.get(name) or ()) != len(spec.get(name) or ()):
            return new
    for name in ("containers", "initContainers"):
        after, before = wanted.get(name) or [], spec.get(name) or []
        if [c.get("name") for c in after] != [c.get("name") for c in before]:
            spec[name] = after
            continue
        merged = [dict(c) for c in before]
        for container, asked in zip(merged, after, strict=True):
            _keep(container, asked, "resources", "resizePolicy")
        if merged:
            spec[name] = merged
    _keep(spec, wanted, "resources")
    return {**old, "spec": spec}


def _order(new: Tree, old: Tree) -> list[Cause]:
    found = []
    for name in ("containers", "initContainers"):
        after, before = new.get(name) or [], old.get(name) or []
        if len(after) != len(before):
            found.append(not_permitted(f"spec.{name}", f"{name} may not be added or removed on resize"))
            continue
        for i, (container, was) in enumerate(zip(after, before, strict=True)):
            if container.get("name") != was.get("name"):
                why = f"{name} may not be renamed or reordered on resize"
                found.append(not_permitted(f"spec.{name}[{i}].name", why))
    return found


def _without_compute(resources: Tree | None, old: Tree | None) -> Tree:
    """Resources with the cpu and memory that they had: what is left to differ is what may not change."""
    found: Tree = {k: v for k, v in (resources or {}).items() if k not in ("limits", "requests", "claims")}
    for section in ("limits", "requests"):
        now, was = (resources or {}).get(section) or {}, (old or {}).get(section) or {}
        kept = {k: v for k, v in now.items() if k not in pod_resources.COMPUTE}
        kept.update({k: v for k, v in was.items() if k in pod_resources.COMPUTE})
        if kept:
            found[section] = kept
    return found


def _removed(resources: Tree | None, old: Tree | None, path: str, noun: str) -> list[Cause]:
    found = []
    for section in ("requests", "limits"):
        now, was = (resources or {}).get(section) or {}, (old or {}).get(section) or {}
        if not set(was) <= set(now):
            found.append(not_permitted(f"{path}.{section}", f"{noun} {section} cannot be removed"))
    return found


def _supported(old: Tree) -> bool:
    """The node says that it resizes by telling the resources of a running container."""
    for status in (old.get("status") or {}).get("containerStatuses") or ():
        if "running" in (status.get("state") or {}):
            return status.get("resources") is not None
    return True


def _resized(new: Tree, old: Tree, name: str) -> list[Cause]:
    found = []
    for i, (container, was) in enumerate(zip(new.get(name) or (), old.get(name) or (), strict=True)):
        rest = {**container, "resources": _without_compute(container.get("resources"), was.get("resources"))}
        if rest != {**was, "resources": _without_compute(was.get("resources"), was.get("resources"))}:
            if name == "containers":
                found.append(not_permitted("spec", ONLY_RESOURCES))
            else:
                why = "only cpu and memory resources for init or sidecar containers are mutable"
                found.append(not_permitted(f"spec.{name}[{i}]", why))
        if name == "initContainers" and container != was and container.get("restartPolicy") != "Always":
            why = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
            restarting = [p for p in rest.get("resizePolicy") or () if p.get("restartPolicy") == "RestartContainer"]
            found += [not_permitted(f"spec.{name}[{i}]", why) for _ in restarting]
    return found


def validate_resize(new: Tree, old: Tree) -> list[Cause]:
    """cpu and memory of containers may change, within the QoS class (KEP-1287)."""
    spec, before = new["spec"], old["spec"]
    if pod_annotations.MIRROR in annotations_of(old):
        return [not_permitted("", "static pods cannot be resized")]
    if (before.get("os") or {}).get("name") == "windows":
        return [not_permitted("", "windows pods cannot be resized")]
    found = []
    quality = (old.get("status") or {}).get("qosClass") or pod_resources.qos_class(before)
    if quality != pod_resources.qos_class(spec):
        found.append(wrong("spec", quality, "Pod QOS Class may not change as a result of resizing"))
    if not _supported(old):
        found.append(not_permitted("spec", "Pod running on node without support for resize"))
    if spec.get("resources") != before.get("resources"):
        if before.get("resources") and not spec.get("resources"):
            found.append(not_permitted("spec.resources", "pod-level resources cannot be removed"))
        else:
            found += _removed(spec.get("resources"), before.get("resources"), "spec.resources", "pod-level resource")
            if _without_compute(spec.get("resources"), before.get("resources")) != _without_compute(
                before.get("resources"), before.get("resources")
            ):
                found.append(not_permitted("spec", f"{ONLY_RESOURCES} at pod-level"))
    order = _order(spec, before)
    if order:
        return found + order
    for name in ("initContainers", "containers"):
        for i, (container, was) in enumerate(zip(spec.get(name) or (), before.get(name) or (), strict=True)):
            found += _removed(
                container.get("resources"), was.get("resources"), f"spec.{name}[{i}].resources", "resource"
            )
    return found + _resized(spec, before, "containers") + _resized(spec, before, "initContainers")
