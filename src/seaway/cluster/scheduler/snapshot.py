"""The cluster as one decision sees it: PodInfo (a pod, read once), NodeInfo (a node and what runs on it), Snapshot; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seaway.api.selectors import Selector, label_selector
from seaway.api.tree import controller_of, get, labels
from seaway.cluster.scheduler import resources
from seaway.cluster.scheduler.fit import PREFERRED, REQUIRED

Tree = dict[str, Any]
Port = tuple[str, str, int]  # address, protocol, number


@dataclass(frozen=True, slots=True)
class Term:
    """A pod affinity term, read: whose pods it means, and which nodes count as one place."""

    selector: Selector | None
    namespaces: frozenset[str]
    namespace_selector: Selector | None
    topology: str
    weight: int = 0

    def matches(self, pod: PodInfo, namespace_labels: Mapping[str, Mapping[str, str]]) -> bool:
        if self.selector is None or not self.selector.matches(pod.labels):
            return False
        if pod.namespace in self.namespaces:
            return True
        if self.namespace_selector is None:
            return False
        return self.namespace_selector.matches(namespace_labels.get(pod.namespace) or {})


def _term(pod: Tree, tree: Tree, weight: int = 0) -> Term:
    named, selected = tree.get("namespaces") or (), tree.get("namespaceSelector")
    if not named and selected is None:
        named = (pod["metadata"].get("namespace") or "",)  # the pod's own (getNamespacesFromPodAffinityTerm)
    return Term(
        label_selector(tree.get("labelSelector")),  # matchLabelKeys are in it: the API server merges them
        frozenset(named),
        label_selector(selected),
        tree.get("topologyKey", ""),
        weight,
    )


@dataclass(frozen=True, slots=True)
class PodInfo:
    """A pod as the rules read it."""

    tree: Tree
    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    priority: int
    requests: Mapping[str, int]
    scored: Mapping[str, int]
    ports: frozenset[Port]
    affinity: tuple[Term, ...]
    anti_affinity: tuple[Term, ...]
    preferred: tuple[Term, ...]
    preferred_anti: tuple[Term, ...]
    owner: str

    @property
    def terminating(self) -> bool:
        return bool(self.tree["metadata"].get("deletionTimestamp"))

    @property
    def started(self) -> str:
        """When the kubelet took it up, or when it was made: text that sorts by time."""
        return str(get(self.tree, "status", "startTime") or self.tree["metadata"].get("creationTimestamp") or "")

    @property
    def nominated(self) -> str:
        return str(get(self.tree, "status", "nominatedNodeName") or "")


def read_pod(tree: Tree) -> PodInfo:
    meta, spec = tree["metadata"], tree["spec"]
    near, away = get(spec, "affinity", "podAffinity") or {}, get(spec, "affinity", "podAntiAffinity") or {}

    def required(side: Tree) -> tuple[Term, ...]:
        return tuple(_term(tree, t) for t in side.get(REQUIRED) or ())

    def preferred(side: Tree) -> tuple[Term, ...]:
        return tuple(_term(tree, t["podAffinityTerm"], int(t.get("weight") or 0)) for t in side.get(PREFERRED) or ())

    return PodInfo(
        tree,
        meta.get("uid", ""),
        meta.get("namespace", ""),
        meta.get("name", ""),
        labels(tree),
        int(spec.get("priority") or 0),
        resources.requests(tree),
        resources.scored(tree),
        host_ports(tree),
        required(near),
        required(away),
        preferred(near),
        preferred(away),
        (controller_of(tree) or {}).get("uid", ""),
    )


def host_ports(pod: Tree) -> frozenset[Port]:
    """What a pod opens on its node: of its containers, and of init containers that go on running."""
    containers = [
        *(pod["spec"].get("containers") or ()),
        *(c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"),
    ]
    return frozenset(
        (p.get("hostIP") or "0.0.0.0", p.get("protocol") or "TCP", int(p["hostPort"]))
        for c in containers
        for p in c.get("ports") or ()
        if p.get("hostPort")
    )


def ports_collide(wanted: frozenset[Port], taken: frozenset[Port] | set[Port]) -> bool:
    """The same number and protocol on the same address, or where either means every address (HostPortInfo)."""
    for address, protocol, number in wanted:
        for other, theirs, port in taken:
            if number == port and protocol == theirs and (address == other or "0.0.0.0" in (address, other)):
                return True
    return False


@dataclass(slots=True)
class NodeInfo:
    """A node and the pods on it, bound or on their way."""

    tree: Tree
    pods: dict[str, PodInfo] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    scored: dict[str, int] = field(default_factory=dict)
    allocatable: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> None:
        """After the node object has changed."""
        self.allocatable = resources.amounts(get(self.tree, "status", "allocatable") or {})

    @property
    def name(self) -> str:
        return str(self.tree["metadata"]["name"])

    @property
    def labels(self) -> Mapping[str, str]:
        return labels(self.tree)

    @property
    def ports(self) -> set[Port]:
        return {port for pod in self.pods.values() for port in pod.ports}

    def add(self, pod: PodInfo) -> None:
        self.remove(pod.uid)
        self.pods[pod.uid] = pod
        resources.change(self.used, pod.requests, 1)
        resources.change(self.scored, pod.scored, 1)

    def remove(self, uid: str) -> PodInfo | None:
        pod = self.pods.pop(uid, None)
        if pod is not None:
            resources.change(self.used, pod.requests, -1)
            resources.change(self.scored, pod.scored, -1)
        return pod

    def copy(self) -> NodeInfo:
        """For a try that must leave no trace."""
        return NodeInfo(self.tree, dict(self.pods), dict(self.used), dict(self.scored))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a decision may read. `nominated`: pods that wait for room which preemption made, by node."""

    nodes: Mapping[str, NodeInfo]
    namespace_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    nominated: Mapping[str, tuple[PodInfo, ...]] = field(default_factory=dict)

    def with_node(self, node: NodeInfo) -> Snapshot:
        return Snapshot({**self.nodes, node.name: node}, self.namespace_labels, self.nominated)
