"""The pods of a DaemonSet: which nodes shall have one, which pod is for which node; pure
(pkg/controller/daemon, pkg/controller/daemon/util)."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import get, seconds
from seaway.cluster.scheduler import fit
from seaway.cluster.workloads.podfacts import from_template, phase

Tree = dict[str, Any]
HASH, GENERATION = "controller-revision-hash", "pod-template-generation"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


def _tolerations(spec: Tree) -> list[Tree]:
    """The template's own, and those of every daemon (AddOrUpdateDaemonPodTolerations)."""
    have = list(spec.get("tolerations") or ())
    extra = list(TOLERATED)
    if spec.get("hostNetwork"):
        extra.append(("node.kubernetes.io/network-unavailable", "NoSchedule"))
    for key, effect in extra:
        entry = {"key": key, "operator": "Exists", "effect": effect}
        if entry not in have:
            have.append(entry)
    return have


def pod_for(owner: Tree, node: str, digest: str) -> Tree:
    """The pod of one node: bound to it by affinity, tolerating what daemons tolerate."""
    extra = {HASH: digest}
    generation = (owner["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION)
    if generation:
        extra[GENERATION] = generation
    pod = from_template(owner, "apps/v1", "DaemonSet", owner["spec"]["template"], extra)
    spec = pod["spec"]
    affinity = dict(spec.get("affinity") or {})
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity["nodeAffinity"] = {
        **(affinity.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
    }
    spec["affinity"] = affinity
    spec["tolerations"] = _tolerations(spec)
    return pod


def wants(owner: Tree, node: Tree) -> tuple[bool, bool]:
    """(whether a node shall have a pod, whether one that is there may stay): NodeShouldRunDaemonPod. A node's load does not
    count; a NoSchedule taint keeps pods away but drives none out."""
    spec = owner["spec"]["template"]["spec"]
    if spec.get("nodeName") and spec["nodeName"] != node["metadata"]["name"]:
        return False, False
    probe = {"metadata": {}, "spec": {**spec, "tolerations": _tolerations(spec)}}
    if fit.affinity_problem(probe, node):
        return False, False
    hard = [t for t in get(node, "spec", "taints") or () if t.get("effect") in ("NoSchedule", "NoExecute")]
    left = [t for t in hard if not any(fit.tolerates(o, t) for o in probe["spec"]["tolerations"])]
    return not left, not any(t["effect"] == "NoExecute" for t in left)


def assigned(pod: Tree) -> str:
    """The node a daemon pod is for, also before it is bound."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    for term in get(pod, "spec", "affinity", "nodeAffinity", required, "nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""


def by_node(pods: list[Tree]) -> dict[str, list[Tree]]:
    """Pods by the node they are for, the oldest first; of equal age the one that is bound and furthest on."""
    found: dict[str, list[Tree]] = {}
    order = {"Failed": 0, "Succeeded": 1, "Running": 2, "Pending": 3}
    for pod in sorted(
        pods,
        key=lambda p: (
            seconds(p["metadata"].get("creationTimestamp")) or 0,
            not p["spec"].get("nodeName"),
            order.get(phase(p), 4),
            p["metadata"]["name"],
        ),
    ):
        found.setdefault(assigned(pod), []).append(pod)
    return found
