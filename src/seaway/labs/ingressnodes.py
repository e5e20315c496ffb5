"""Lab: nodes for the entry point alone (claim 15 of the notes): a label, a taint, a DaemonSet.

The class's owner asks for a DaemonSet on the nodes with the label, with a toleration of the taint, and for a port of the node.
Under load from outside a third ingress node joins, one is drained, and comes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from seaway.cluster.config import ClusterConfig, Dns, Networking, NodeConfig
from seaway.cluster.place import Place
from seaway.labs import chart, entries, entrycounts
from seaway.labs.entrycounts import Seen
from seaway.labs.frame import Options, Result, Stage
from seaway.labs.kubectl import Kubectl

Tree = dict[str, Any]
LABEL = "node-role.kubernetes.io/ingress"
TAINT = f"{LABEL}=:NoSchedule"
EDGES = ("lab-edge1", "lab-edge2", "lab-edge3")
WORKERS = ("lab-control-plane", "lab-worker")
PODS = 8
CLASS, GATEWAY = "edge", "web"
FLEET = f"{GATEWAY}-{CLASS}"
PARAMETERS = {
    "kind": "DaemonSet",
    "host": "port",
    "nodeSelector": f'{{{LABEL}: ""}}',
    "tolerations": f"[{{key: {LABEL}, operator: Exists, effect: NoSchedule}}]",
}
TWO, JOINED = "two ingress nodes", "a third joins"
DRAINED, UNLABELLED, BACK = "kubectl drain of one", "its label is taken away", "it comes back"


class Step(NamedTuple):
    """`answering`: the nodes whose port 80 answers; `workloads`: pods of the application on ingress nodes."""

    requests: int
    lost: int
    cut: int
    shares: Mapping[str, float]
    answering: tuple[str, ...]
    workloads: int


class Mark(NamedTuple):
    """When a step began, when it stood, and when it was over; and what was there in between. `homes`: address of an Envoy ->
    its node."""

    step: str
    began: float
    stood: float
    ended: float
    homes: Mapping[str, str]
    answering: tuple[str, ...]
    workloads: int


def steps(seen: Seen, marks: Sequence[Mark]) -> dict[str, Step]:
    """What clients saw, by step: losses of all of it, shares since it stood."""
    found = {}
    for mark in marks:
        of_all = entrycounts.between(seen, mark.began, mark.ended)
        shares = entrycounts.shares(entrycounts.between(seen, mark.stood, mark.ended), mark.homes, EDGES)
        found[mark.step] = Step(
            of_all.requests, len(of_all.lost), len(of_all.cut), shares, mark.answering, mark.workloads
        )
    return found


def placed(pods: Sequence[Tree], nodes: Sequence[str]) -> bool:
    """Whether a ready pod is on each of `nodes` and nowhere else. One that was just made may have no node yet."""
    return all(map(entries.is_ready, pods)) and sorted(p["spec"].get("nodeName", "") for p in pods) == sorted(nodes)


class Rig:
    """The cluster of the lab, and what is done to it."""

    def __init__(self, where: Place) -> None:
        self.kubectl, self.outside = Kubectl(where), entries.Outside(where)
        self.address = ""
        self.homes: dict[str, str] = {}  # of all Envoys that there ever were

    def dedicate(self, node: str) -> None:
        """The words that make a node an ingress node."""
        self.kubectl("taint", "node", node, TAINT, "--overwrite")
        self.kubectl("label", "node", node, f"{LABEL}=", "--overwrite")

    def build(self) -> None:
        for node in EDGES[:2]:
            self.dedicate(node)
        trees = [*entries.application(PODS), *entries.gateway_class(CLASS, PARAMETERS)]
        self.kubectl.apply([*trees, entries.gateway(GATEWAY, CLASS), entries.route("web", entries.HOST, [GATEWAY])])
        self.kubectl("rollout", "status", "deployment/web", "--timeout=100s")
        self.address = entries.address(self.kubectl, GATEWAY)

    def envoys(self) -> list[Tree]:
        pods = entries.envoys(self.kubectl, FLEET)
        self.homes |= {str(p["status"]["podIP"]): str(p["spec"]["nodeName"]) for p in pods if p["status"].get("podIP")}
        return pods

    def stands(self, nodes: Sequence[str]) -> bool:
        """An Envoy is ready on each of `nodes` alone, the load balancer uses them all, and the application is whole."""
        pods = self.envoys()
        if not placed(pods, nodes):
            return False
        application = self.kubectl.items("pods", "-l", "app=web")
        if len(application) != PODS or not all(map(entries.is_ready, application)):
            return False
        return {self.homes.get(entry) for entry in self.outside.entries(self.address) or ()} == set(nodes)

    def answering(self) -> tuple[str, ...]:
        """The nodes whose own port 80 answers a client outside."""
        found = {}
        for node in self.kubectl.items("nodes"):
            addresses = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
            found[str(node["metadata"]["name"])] = self.outside.status(f"http://{addresses[0]}/")
        return tuple(sorted(name for name, status in found.items() if status == "200"))

    def workloads(self) -> int:
        """Pods of the application on nodes with the label."""
        nodes = {str(n["metadata"]["name"]) for n in self.kubectl.items("nodes", "-l", LABEL)}
        return sum(p["spec"].get("nodeName") in nodes for p in self.kubectl.items("pods", "-l", "app=web"))

    def play(self, step: str, act: Callable[[], object], nodes: Sequence[str], seconds: float) -> Mark:
        """Does something, waits until the entry point stands on `nodes`, and lets it stand for some seconds."""
        began = time.monotonic()
        act()
        self.kubectl.until(lambda: self.stands(nodes))
        stood = time.monotonic()
        answering, workloads = self.answering(), self.workloads()
        time.sleep(max(0.0, stood + seconds - time.monotonic()))
        return Mark(step, began, stood, time.monotonic(), self.homes, answering, workloads)

    def _drain(self, node: str) -> None:
        self.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=100s")

    def join(self) -> None:
        """What runs on the node leaves it first; then it is an ingress node."""
        self._drain(EDGES[2])
        self.dedicate(EDGES[2])
        self.kubectl("uncordon", EDGES[2])

    def drain(self) -> None:
        self._drain(EDGES[0])

    def unlabel(self) -> None:
        self.kubectl("label", "node", EDGES[0], f"{LABEL}-")

    def come_back(self) -> None:
        self.kubectl("uncordon", EDGES[0])
        self.dedicate(EDGES[0])


def measure(stage: Stage, where: Place, seconds: float) -> tuple[dict[str, Step], Mapping[str, Sequence[int]]]:
    """The steps, and new connections of each ingress node by second."""
    rig = Rig(where)
    rig.build()
    rig.kubectl.until(lambda: rig.stands(EDGES[:2]))
    acts: list[tuple[str, Callable[[], object], Sequence[str]]] = [
        (TWO, lambda: None, EDGES[:2]),
        (JOINED, rig.join, EDGES),
        (DRAINED, rig.drain, EDGES),
        (UNLABELLED, rig.unlabel, EDGES[1:]),
        (BACK, rig.come_back, EDGES),
    ]
    marks = []
    with rig.outside.load(rig.address) as load:
        for step, act, nodes in acts:
            marks.append(rig.play(step, act, nodes, seconds))
            stage.say(f"{step}: port 80 answers on {', '.join(marks[-1].answering)}")
    curves = _curves(load.seen, marks[0].began, marks[-1].ended, rig.homes)
    return steps(load.seen, marks), curves


def _curves(seen: Seen, start: float, end: float, homes: Mapping[str, str]) -> dict[str, list[int]]:
    found = {name: [0] * int(end - start) for name in EDGES}
    for answer in seen.answers:
        second, name = int(answer.at - start), homes.get(answer.entry, "")
        if answer.new and name in found and 0 <= second < int(end - start):
            found[name][second] += 1
    return found


def result(found: Mapping[str, Step], curves: Mapping[str, Sequence[int]]) -> Result:
    """Table, sentences and picture of what was counted."""
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, float] = {}
    for name, step in found.items():
        shares = [f"{step.shares[node]:.0%}" for node in EDGES]
        answering = ", ".join(node.removeprefix("lab-") for node in step.answering)
        rows.append((name, str(step.requests), str(step.lost), str(step.cut), *shares, answering, str(step.workloads)))
        numbers |= {f"share/{name}/{node}": step.shares[node] for node in EDGES}
        numbers |= {f"lost/{name}": float(step.lost), f"cut/{name}": float(step.cut)}
        numbers |= {f"workloads/{name}": float(step.workloads), f"answering/{name}": float(len(step.answering))}
    notes = (
        f"Five nodes; an ingress node is one with the label {LABEL} and a taint of the same name. The GatewayClass's",
        "parameters say kind: DaemonSet, host: port, nodeSelector, tolerations, externalTrafficPolicy: Local. The application",
        f"({PODS} pods) tolerates nothing. {entries.KEPT} clients outside keep connections; {entries.RATE:.0f} a second are "
        "new ones, and shares are theirs.",
        "kubectl drain moves the application's pods off a node before it joins. It leaves pods of DaemonSets where they are: an",
        "ingress node that is drained goes on serving until its label is taken away; then its Envoy tells its clients to go.",
    )
    seconds = len(next(iter(curves.values())))
    picture = chart.under(
        chart.bars(
            "New connections by ingress node",
            [name.replace("kubectl ", "") for name in found],
            {node: [100 * step.shares[node] for step in found.values()] for node in EDGES},
            lambda v: f"{v:.0f}%",
            "share of all",
        ),
        chart.lines(
            "The same over time",
            [float(n) for n in range(seconds)],
            {node: [float(v) for v in curves[node]] for node in EDGES},
            lambda v: f"{v:.0f}",
            "new connections a second",
            "seconds",
        ),
    )
    columns = ("step", "requests", "lost", "cut", *EDGES, "port 80 answers on", "application's pods there")
    return Result("Nodes for the entry point alone", columns, tuple(rows), notes, picture, numbers)


def run(stage: Stage, options: Options) -> Result:
    names = (*WORKERS, *EDGES)
    nodes = tuple(NodeConfig(name, "worker" if n else "control-plane") for n, name in enumerate(names))
    networking = Networking(ip_family="ipv4", dns=Dns(upstreams=()))
    with stage.cluster(replace(ClusterConfig(), nodes=nodes, networking=networking)) as where:
        found, curves = measure(stage, where, 2.0 if options.quick else 4.0)
    return result(found, curves)
