"""DaemonSets: one pod a fitting node; on a new template the old pods go, maxUnavailable at a time (pkg/controller/daemon)."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import Key, get, is_true, labels
from seaway.client.errors import NotFound
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.cluster.scheduler import fit
from seaway.cluster.workloads.deployment import amount, template_hash
from seaway.cluster.workloads.replicaset import is_active, patch_of, pod_listener, pod_of
from seaway.controllers.run import Caches, Expectations
from seaway.controllers.writes import Create, Delete, Patch, Write, apply

Tree = dict[str, Any]
HASH = "controller-revision-hash"
TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


def pod_for(owner: Tree, node: str, digest: str) -> Tree:
    """The pod of one node: bound to it by affinity, tolerating what daemons tolerate."""
    pod = pod_of(owner, "apps/v1", "DaemonSet", owner["spec"]["template"], {HASH: digest})
    spec = dict(pod["spec"])
    affinity = dict(spec.get("affinity") or {})
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity["nodeAffinity"] = {
        **(affinity.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
    }
    spec["affinity"] = affinity
    have = list(spec.get("tolerations") or ())
    extra = list(TOLERATED)
    if spec.get("hostNetwork"):
        extra.append(("node.kubernetes.io/network-unavailable", "NoSchedule"))
    have += [
        {"key": k, "operator": "Exists", "effect": e}
        for k, e in extra
        if not any(t.get("key") == k and t.get("effect") == e for t in have)
    ]
    spec["tolerations"] = have
    return {**pod, "spec": spec}


def wants(owner: Tree, node: Tree) -> bool:
    """Whether a node shall have a pod: selector, affinity and taints, not its load."""
    spec = owner["spec"]["template"]["spec"]
    daemon = {
        **spec,
        "tolerations": [
            *(spec.get("tolerations") or ()),
            *({"key": k, "operator": "Exists", "effect": e} for k, e in TOLERATED),
        ],
    }
    probe = {"metadata": {}, "spec": daemon}
    return not fit.affinity_problem(probe, node) and not fit.taint_problem(probe, node)


def assigned(pod: Tree) -> str:
    """The node a daemon pod is for, also before it is bound."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    terms = (
        get(
            pod,
            "spec",
            "affinity",
            "nodeAffinity",
            "requiredDuringSchedulingIgnoredDuringExecution",
            "nodeSelectorTerms",
        )
        or ()
    )
    for term in terms:
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""


def plan(owner: Tree, pods: list[Tree], nodes: list[Tree]) -> list[Write]:
    meta, kind = owner["metadata"], kind_of("pods")
    if meta.get("deletionTimestamp"):
        return []
    digest = template_hash(owner["spec"]["template"], 0)
    by_node: dict[str, list[Tree]] = {}
    for pod in pods:
        by_node.setdefault(assigned(pod), []).append(pod)
    names = {n["metadata"]["name"] for n in nodes}
    writes: list[Write] = []

    def delete(pod: Tree) -> None:
        writes.append(Delete(kind, meta["namespace"], pod["metadata"]["name"], pod["metadata"]["uid"]))

    wanted_nodes = [n["metadata"]["name"] for n in nodes if wants(owner, n)]
    unavailable, stale = 0, []
    for name in wanted_nodes:
        here = by_node.get(name, [])
        active = sorted(
            (p for p in here if is_active(p)), key=lambda p: (p["metadata"]["creationTimestamp"], p["metadata"]["name"])
        )
        for pod in here:
            if get(pod, "status", "phase") == "Failed" and not pod["metadata"].get("deletionTimestamp"):
                delete(pod)
        if not here:
            writes.append(Create(kind, meta["namespace"], pod_for(owner, name, digest)))
            unavailable += 1
            continue
        for extra in active[1:]:
            delete(extra)
        if not active or not is_true(active[0], "Ready"):
            unavailable += 1
        if active and labels(active[0]).get(HASH) != digest:
            stale.append(active[0])
    for name, here in by_node.items():
        if name not in wanted_nodes and (name in names or not name):
            for pod in here:
                if is_active(pod):
                    delete(pod)
    if get(owner, "spec", "updateStrategy", "type") != "OnDelete":
        limit = amount(
            get(owner, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable") or 1, len(wanted_nodes), True
        )
        room = max(limit - unavailable, 0)
        for pod in sorted(stale, key=lambda p: is_true(p, "Ready")):
            if not is_true(pod, "Ready"):
                delete(pod)
            elif room > 0:
                delete(pod)
                room -= 1
    return writes


def status(owner: Tree, pods: list[Tree], nodes: list[Tree]) -> Tree:
    digest = template_hash(owner["spec"]["template"], 0)
    wanted = {n["metadata"]["name"] for n in nodes if wants(owner, n)}
    there = {assigned(p): p for p in pods if is_active(p)}
    here = [p for n, p in there.items() if n in wanted]
    ready = sum(1 for p in here if is_true(p, "Ready"))
    return {
        "currentNumberScheduled": len(here),
        "desiredNumberScheduled": len(wanted),
        "numberMisscheduled": sum(1 for n in there if n not in wanted),
        "numberReady": ready,
        "numberAvailable": ready,
        "numberUnavailable": len(wanted) - ready,
        "updatedNumberScheduled": sum(1 for p in here if labels(p).get(HASH) == digest),
        "observedGeneration": owner["metadata"].get("generation", 0),
    }


REQUIRED = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")


class DaemonSetController:
    def __init__(self, caches: Caches, events: Events) -> None:
        self._caches, self._events = caches, events
        self._sets, self._pods, self._nodes = caches.of("daemonsets.apps"), caches.of("pods"), caches.of("nodes")
        self._expected = Expectations()
        self.queue: Reconciler[Key] = Reconciler("daemonsets", self._reconcile)
        self._sets.listen(lambda change: self.queue.add(change.key))
        self._nodes.listen(self._node_changed)
        self._pods.listen(pod_listener("DaemonSet", self._expected, self.queue))

    def _node_changed(self, change: Change) -> None:
        for tree in self._sets.all():
            self.queue.add(Key(tree["metadata"]["namespace"], tree["metadata"]["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        owner = self._sets.get(*key)
        if owner is None:
            return None
        pods = self._pods.by("owner", owner["metadata"]["uid"])
        nodes = self._nodes.all()
        if self._expected.met(key):
            for write in plan(owner, pods, nodes):
                about = {"kind": "DaemonSet", "apiVersion": "apps/v1", **owner}
                if isinstance(write, Delete):
                    self._expected.expect(key, "-" + write.name)
                    try:
                        await apply(self._caches.api, write)
                    except NotFound:
                        self._expected.seen(key, "-" + write.name)
                    self._events.tell(about, "Normal", "SuccessfulDelete", f"Deleted pod: {write.name}")
                else:
                    name = (await apply(self._caches.api, write))["metadata"]["name"]
                    if self._pods.get(key.namespace, name) is None:
                        self._expected.expect(key, "+" + name)
                    self._events.tell(about, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        new, old = status(owner, pods, nodes), owner.get("status") or {}
        patch = patch_of(new, old)
        patch.update({n: new[n] for n in REQUIRED if old.get(n) != new[n]})
        if patch:
            await apply(self._caches.api, Patch(kind_of("daemonsets.apps"), *key, {"status": patch}, "status"))
        return None
