"""Tables of volumes, their claims, classes and drivers (pkg/printers/internalversion); pure."""

from __future__ import annotations

from seaway.api.tree import get
from seaway.cluster.apiserver.tables.cells import AGE, NAME, NONE, UNSET, B, Cell, Column, N, S, Tree, at, count

MODES = (
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
)
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


def access_modes(modes: list[str] | None) -> str:
    """Short names, in upstream's order, each once."""
    return ",".join(short for mode, short in MODES if mode in (modes or ()))


def phase(tree: Tree, now: float) -> str:
    if get(tree, "metadata", "deletionTimestamp"):
        return "Terminating"
    return str(get(tree, "status", "phase") or "")


def storage_class(tree: Tree, now: float) -> str:
    annotation = (get(tree, "metadata", "annotations") or {}).get(CLASS_ANNOTATION)
    return str(annotation if annotation is not None else get(tree, "spec", "storageClassName") or "")


def claim_of(tree: Tree, now: float) -> str:
    ref = get(tree, "spec", "claimRef")
    return f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else ""


def bound(cell: Cell) -> Cell:
    """A claim says its capacity and modes once it has a volume."""
    return lambda tree, now: cell(tree, now) if get(tree, "spec", "volumeName") else ""


def class_name(*annotations: str) -> Cell:
    def cell(tree: Tree, now: float) -> str:
        found = get(tree, "metadata", "annotations") or {}
        default = any(found.get(a) == "true" for a in annotations)
        return str(tree["metadata"].get("name", "")) + (" (default)" if default else "")

    return cell


def token_requests(tree: Tree, now: float) -> str:
    found = get(tree, "spec", "tokenRequests")
    return UNSET if found is None else ",".join(t.get("audience", "") for t in found)


CLASSES = (
    Column("StorageClass", S, 0, storage_class),
    Column("VolumeAttributesClass", S, 0, at("spec", "volumeAttributesClassName", default=UNSET)),
)
MODE = Column("VolumeMode", S, 1, at("spec", "volumeMode", default=UNSET))

COLUMNS = {
    "persistentvolumes": (
        NAME,
        Column("Capacity", S, 0, at("spec", "capacity", "storage", default="0")),
        Column("Access Modes", S, 0, lambda t, n: access_modes(get(t, "spec", "accessModes"))),
        Column("Reclaim Policy", S, 0, at("spec", "persistentVolumeReclaimPolicy")),
        Column("Status", S, 0, phase),
        Column("Claim", S, 0, claim_of),
        *CLASSES,
        Column("Reason", S, 0, at("status", "reason")),
        AGE,
        MODE,
    ),
    "persistentvolumeclaims": (
        NAME,
        Column("Status", S, 0, phase),
        Column("Volume", S, 0, at("spec", "volumeName")),
        Column("Capacity", S, 0, bound(at("status", "capacity", "storage", default="0"))),
        Column("Access Modes", S, 0, bound(lambda t, n: access_modes(get(t, "status", "accessModes")))),
        *CLASSES,
        AGE,
        MODE,
    ),
    "storageclasses.storage.k8s.io": (
        Column("Name", S, 0, class_name(*DEFAULT_ANNOTATIONS), "name"),
        Column("Provisioner", S, 0, at("provisioner")),
        Column("ReclaimPolicy", S, 0, at("reclaimPolicy", default="Delete")),
        Column("VolumeBindingMode", S, 0, at("volumeBindingMode", default="Immediate")),
        Column("AllowVolumeExpansion", S, 0, at("allowVolumeExpansion", default=False)),
        AGE,
    ),
    "volumeattributesclasses.storage.k8s.io": (
        Column("Name", S, 0, class_name("volumeattributesclass.beta.kubernetes.io/is-default-class"), "name"),
        Column("DriverName", S, 0, at("driverName")),
        AGE,
    ),
    "volumeattachments.storage.k8s.io": (
        NAME,
        Column("Attacher", S, 0, at("spec", "attacher"), "name"),
        Column("PV", S, 0, at("spec", "source", "persistentVolumeName")),
        Column("Node", S, 0, at("spec", "nodeName")),
        Column("Attached", B, 0, at("status", "attached", default=False)),
        AGE,
    ),
    "csinodes.storage.k8s.io": (NAME, Column("Drivers", N, 0, count("spec", "drivers")), AGE),
    "csidrivers.storage.k8s.io": (
        NAME,
        Column("AttachRequired", B, 0, at("spec", "attachRequired", default=True)),
        Column("PodInfoOnMount", B, 0, at("spec", "podInfoOnMount", default=False)),
        Column("StorageCapacity", B, 0, at("spec", "storageCapacity", default=False)),
        Column("TokenRequests", S, 0, token_requests),
        Column("RequiresRepublish", B, 0, at("spec", "requiresRepublish", default=False)),
        Column("Modes", S, 0, lambda t, n: ",".join(get(t, "spec", "volumeLifecycleModes") or ()) or NONE),
        AGE,
    ),
    "csistoragecapacities.storage.k8s.io": (
        NAME,
        Column("StorageClassName", S, 0, at("storageClassName")),
        Column("Capacity", S, 0, at("capacity", default=UNSET)),
    ),
}
