"""PersistentVolume and PersistentVolumeClaim (pkg/apis/core): defaults, validation, what may change; pure.

Nothing here provisions or binds volumes: both kinds are stored and validated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from seaway.api import quantities
from seaway.api.tree import get
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules
from seaway.cluster.apiserver.rules.resources import quantity_causes
from seaway.cluster.apiserver.status import Cause, not_permitted, required, unsupported, wrong

Tree = dict[str, Any]
MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
RECLAIM = ("Delete", "Recycle", "Retain")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
IMMUTABLE_CLAIM = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
IMMUTABLE_SOURCE = "spec.persistentvolumesource is immutable after creation"
NOT_SOURCES = frozenset(
    "accessModes capacity claimRef mountOptions nodeAffinity persistentVolumeReclaimPolicy storageClassName "
    "volumeAttributesClassName volumeMode".split()
)


def mode_causes(modes: list[str], path: str) -> list[Cause]:
    if not modes:
        return [required(path, "at least 1 access mode is required")]
    found = [unsupported(path, mode, MODES) for mode in modes if mode not in MODES]
    if "ReadWriteOncePod" in modes and set(modes) - {"ReadWriteOncePod"}:
        found.append(not_permitted(path, "may not use ReadWriteOncePod with other access modes"))
    return found


def _class_causes(spec: Tree) -> list[Cause]:
    return [
        c
        for name in ("storageClassName", "volumeAttributesClassName")
        if spec.get(name)
        for c in formats.causes(f"spec.{name}", spec[name], formats.subdomain)
    ]


def _mode_cause(spec: Tree) -> list[Cause]:
    mode = spec.get("volumeMode")
    return [] if mode in VOLUME_MODES else [unsupported("spec.volumeMode", mode, VOLUME_MODES)]


# claims


def default_claim(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"


def _protect(tree: Tree, finalizer: str) -> None:
    """The StorageObjectInUseProtection admission: nothing in use goes; a controller takes the finalizer away."""
    finalizers = tree["metadata"].get("finalizers") or []
    if finalizer not in finalizers:
        tree["metadata"]["finalizers"] = [*finalizers, finalizer]


def begin_claim(tree: Tree) -> None:
    _protect(tree, "kubernetes.io/pvc-protection")
    tree["status"] = {"phase": "Pending"}


def choose_class(tree: Tree, old: Tree | None, others: Callable[[str], Iterable[Tree]]) -> str:
    """The DefaultStorageClass admission: a claim without a class gets the newest default one."""
    spec, annotations = tree["spec"], tree["metadata"].get("annotations") or {}
    if old is None and spec.get("storageClassName") is None and CLASS_ANNOTATION not in annotations:
        found = [
            c
            for c in others("storageclasses.storage.k8s.io")
            if (c["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
        ]
        if found:
            newest = max(c["metadata"]["creationTimestamp"] for c in found)
            same = [c["metadata"]["name"] for c in found if c["metadata"]["creationTimestamp"] == newest]
            spec["storageClassName"] = min(same)
    return ""


def validate_claim(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = mode_causes(spec.get("accessModes") or [], "spec.accessModes")
    found = fieldrules.selector_causes(spec.get("selector"), "spec.selector") + found
    size, at = get(spec, "resources", "requests", "storage"), "spec.resources[storage]"
    if size is None:
        found.append(required(at))
    elif quantities.parse(size) <= 0:
        found.append(wrong(at, size, "must be greater than zero"))
    else:
        found += quantity_causes("storage", size, at)
    found += _class_causes(spec)
    found += _mode_cause(spec)
    for name in ("dataSource", "dataSourceRef"):
        if spec.get(name) is not None:
            found += _source_causes(spec[name], f"spec.{name}")
    return found


def _source_causes(source: Tree, at: str) -> list[Cause]:
    found = [required(f"{at}.{name}") for name in ("name", "kind") if not source.get(name)]
    group, kind = source.get("apiGroup") or "", source.get("kind")
    if not group and kind and kind != "PersistentVolumeClaim":
        found.append(wrong(at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
    if group:
        found += formats.causes(f"{at}.apiGroup", group, formats.subdomain)
    return found


def claim_update_causes(tree: Tree, old: Tree) -> list[Cause]:
    new, was = dict(tree["spec"]), dict(old["spec"])
    found: list[Cause] = []
    if not was.get("volumeName"):
        was["volumeName"] = new.get("volumeName")
    if was.get("storageClassName") is None and new.get("storageClassName") is not None and not was.get("volumeName"):
        was["storageClassName"] = new["storageClassName"]
    size, before = (get(s, "resources", "requests", "storage") for s in (new, was))
    bound = get(old, "status", "phase") == "Bound"
    if bound:
        new["resources"] = was.get("resources")
        new["volumeAttributesClassName"] = was.get("volumeAttributesClassName")
    for spec in (new, was):
        for name in [n for n, v in spec.items() if v is None]:
            del spec[name]
    if new != was:
        changed = sorted(n for n in {*new, *was} if new.get(n) != was.get(n))
        found.append(not_permitted("spec", f"{IMMUTABLE_CLAIM} (changed: {', '.join(changed)})"))
    have = get(old, "status", "capacity", "storage")
    less = bound and size and before and quantities.parse(size) < quantities.parse(before)
    if less and (have is None or quantities.parse(size) <= quantities.parse(have)):
        why = "field can not be less than status.capacity"
        found.append(not_permitted("spec.resources.requests.storage", why))
    if tree["spec"].get("volumeMode") != old["spec"].get("volumeMode"):
        found.append(wrong("spec.volumeMode", tree["spec"].get("volumeMode"), "field is immutable"))
    return found


def validate_claim_status(tree: Tree, old: Tree) -> list[Cause]:
    status = tree.get("status") or {}
    found: list[Cause] = []
    for resource, amount in sorted((status.get("capacity") or {}).items()):
        found += quantity_causes(resource, amount, f"status.capacity[{resource}]")
    return found


# volumes


def default_volume(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    spec["persistentVolumeReclaimPolicy"] = spec.get("persistentVolumeReclaimPolicy") or "Retain"
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"
    if spec.get("hostPath") is not None and spec["hostPath"].get("type") is None:
        spec["hostPath"]["type"] = ""


def begin_volume(tree: Tree) -> None:
    _protect(tree, "kubernetes.io/pv-protection")
    tree["status"] = {"phase": "Pending"}


def sources(spec: Tree) -> list[str]:
    return sorted(name for name in spec if name not in NOT_SOURCES)


def validate_volume(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = mode_causes(spec.get("accessModes") or [], "spec.accessModes")
    capacity = spec.get("capacity") or {}
    if not capacity:
        found.append(required("spec.capacity"))
    elif "storage" not in capacity or len(capacity) > 1:
        found.append(unsupported("spec.capacity", capacity, ("storage",)))
    for resource, amount in sorted(capacity.items()):
        at = f"spec.capacity[{resource}]"
        if quantities.parse(amount) <= 0:
            found.append(wrong(at, amount, "must be greater than zero"))
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy not in RECLAIM:
        found.append(unsupported("spec.persistentVolumeReclaimPolicy", policy, RECLAIM))
    given = sources(spec)
    found += [not_permitted(f"spec.{name}", "may not specify more than 1 volume type") for name in given[1:]]
    if not given:
        found.append(required("spec", "must specify a volume type"))
    if spec.get("hostPath") is not None:
        found += _host_path_causes(spec["hostPath"], policy)
    if spec.get("local") is not None:
        if not spec["local"].get("path"):
            found.append(required("spec.local.path"))
        elif ".." in spec["local"]["path"].split("/"):
            found.append(wrong("spec.local.path", spec["local"]["path"], "must not contain '..'"))
        if not spec.get("nodeAffinity"):
            found.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    for name in ("driver", "volumeHandle"):
        if spec.get("csi") is not None and not spec["csi"].get(name):
            found.append(required(f"spec.csi.{name}"))
    for name in ("server", "path"):
        if spec.get("nfs") is not None and not spec["nfs"].get(name):
            found.append(required(f"spec.nfs.{name}"))
    found += _class_causes(spec)
    return found + _mode_cause(spec)


def _host_path_causes(source: Tree, policy: str | None) -> list[Cause]:
    path = source.get("path", "")
    if not path:
        return [required("spec.hostPath.path")]
    found = []
    if ".." in path.split("/"):
        found.append(wrong("spec.hostPath.path", path, "must not contain '..'"))
    if path == "/" and policy == "Recycle":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        found.append(not_permitted("spec.persistentVolumeReclaimPolicy", why))
    return found


def volume_update_causes(tree: Tree, old: Tree) -> list[Cause]:
    """The source stays what it is."""
    new, was = tree["spec"], old["spec"]
    pick = {n: new.get(n) for n in sources(new)}, {n: was.get(n) for n in sources(was)}
    found = [not_permitted("spec.persistentvolumesource", IMMUTABLE_SOURCE)] if pick[0] != pick[1] else []
    if new.get("volumeMode") != was.get("volumeMode"):
        found.append(wrong("spec.volumeMode", new.get("volumeMode"), "field is immutable"))
    if was.get("nodeAffinity") is not None and new.get("nodeAffinity") != was["nodeAffinity"]:
        why = "field is immutable, except for updating from beta label to GA"
        found.append(wrong("spec.nodeAffinity", new.get("nodeAffinity"), why))
    return found


def volume_warnings(tree: Tree, old: Tree | None) -> list[str]:
    found = []
    spec = tree.get("spec") or {}
    if CLASS_ANNOTATION in (tree["metadata"].get("annotations") or {}):
        told = 'deprecated since v1.8; use "storageClassName" attribute instead'
        found.append(f"metadata.annotations[{CLASS_ANNOTATION}]: {told}")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        told = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
        found.append(f"spec.persistentVolumeReclaimPolicy: {told}")
    return found


def claim_warnings(tree: Tree, old: Tree | None) -> list[str]:
    found = []
    if CLASS_ANNOTATION in (tree["metadata"].get("annotations") or {}):
        told = 'deprecated since v1.8; use "storageClassName" attribute instead'
        found.append(f"metadata.annotations[{CLASS_ANNOTATION}]: {told}")
    size = get(tree, "spec", "resources", "requests", "storage")
    if size and quantities.parse(size).denominator != 1:
        told = f'fractional byte value "{size}" is invalid, must be an integer'
        found.append(f"spec.resources.requests[storage]: {told}")
    return found
