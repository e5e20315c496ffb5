"""Whether a node takes a pod that was given to it: what it asks for must be there, whoever placed it (pkg/kubelet/lifecycle,
the predicates of canAdmitPod). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seaway.cluster.scheduler import resources
from seaway.cluster.scheduler.filters import PORTS
from seaway.cluster.scheduler.snapshot import host_ports, ports_collide

Tree = dict[str, Any]


def refusal(pod: Tree, others: Iterable[Tree], allocatable: Mapping[str, str]) -> tuple[str, str] | None:
    """(reason, message) of the pod's failure; None where it is taken. Resources that the node does not speak of are not its
    own to judge (removeMissingExtendedResources)."""
    others = list(others)
    have = resources.amounts(allocatable)
    used: dict[str, int] = {}
    for other in others:
        resources.change(used, resources.requests(other), 1)
    asked = resources.requests(pod)
    for name in sorted(have, key=lambda n: (n != "pods", n)):
        amount, taken = asked.get(name, 0), used.get(name, 0)
        if amount and taken + amount > have[name]:
            text = (
                f"Node didn't have enough resource: {name}, requested: {amount}, used: {taken}, capacity: {have[name]}"
            )
            return f"OutOf{name}", f"Pod was rejected: {text}"
    wanted = host_ports(pod)
    if wanted and any(ports_collide(wanted, host_ports(other)) for other in others):
        return "NodePorts", f"Pod was rejected: Predicate NodePorts failed: {PORTS}"
    return None
