"""Tables of Nodes, their Leases and the classes of their runtimes (pkg/printers/internalversion); pure."""

from __future__ import annotations

from seaway.api.tree import get
from seaway.cluster.apiserver.tables.cells import AGE, NAME, NONE, UNKNOWN, Cell, Column, S, Tree, at

ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"


def node_status(tree: Tree, now: float) -> str:
    word = "Unknown"
    for condition in get(tree, "status", "conditions") or ():
        if condition["type"] == "Ready":
            word = "Ready" if condition["status"] == "True" else "NotReady"
    return word + (",SchedulingDisabled" if get(tree, "spec", "unschedulable") else "")


def node_roles(tree: Tree, now: float) -> str:
    labels = get(tree, "metadata", "labels") or {}
    roles = {key[len(ROLE_PREFIX) :] for key in labels if key.startswith(ROLE_PREFIX)} | {labels.get(ROLE_LABEL, "")}
    return ",".join(sorted(filter(None, roles))) or NONE


def node_address(kind: str) -> Cell:
    def cell(tree: Tree, now: float) -> str:
        return next((a["address"] for a in get(tree, "status", "addresses") or () if a["type"] == kind), NONE)

    return cell


def node_info(name: str) -> Cell:
    return lambda tree, now: get(tree, "status", "nodeInfo", name) or UNKNOWN


def kernel(tree: Tree, now: float) -> str:
    """The kernel's version and the machine's architecture."""
    version = get(tree, "status", "nodeInfo", "kernelVersion") or UNKNOWN
    architecture = get(tree, "status", "nodeInfo", "architecture")
    return f"{version} ({architecture})" if architecture else str(version)


COLUMNS = {
    "nodes": (
        NAME,
        Column("Status", S, 0, node_status),
        Column("Roles", S, 0, node_roles),
        AGE,
        Column("Version", S, 0, at("status", "nodeInfo", "kubeletVersion")),
        Column("Internal-IP", S, 1, node_address("InternalIP")),
        Column("External-IP", S, 1, node_address("ExternalIP")),
        Column("OS-Image", S, 1, node_info("osImage")),
        Column("Kernel-Version", S, 1, kernel),
        Column("Container-Runtime", S, 1, node_info("containerRuntimeVersion")),
    ),
    "leases.coordination.k8s.io": (NAME, Column("Holder", S, 0, at("spec", "holderIdentity")), AGE),
    "runtimeclasses.node.k8s.io": (NAME, Column("Handler", S, 0, at("handler")), AGE),
}
