"""Graceful node shutdown (KEP-2000, pkg/kubelet/nodeshutdown): which pods end when, how long each has, what is said of them.
Pure: an order is what was asked, and everything follows from it, the pods that are left and the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from seaway.api.tree import stamp

Tree = dict[str, Any]
CRITICAL = 2_000_000_000  # scheduling.SystemCriticalPriority
NODE_MESSAGE = "node is shutting down"
REFUSED = ("NodeShutdown", "Pod was rejected as the node is shutting down.")
TERMINATED = ("Terminated", "Pod was terminated in response to imminent node shutdown.")
BEGAN, CANCELLED = "Shutdown manager detected shutdown event", "Shutdown manager detected shutdown cancellation"
LEAST_AFTER_HOOK = 2.0  # minimumGracePeriodInSeconds: what a container has after a preStop that took everything


@dataclass(frozen=True, slots=True)
class Order:
    """A shutdown that was asked for: when (seconds since the epoch), the whole grace, the critical pods' share of it."""

    began: float
    grace: float
    critical: float

    def share(self, critical: bool) -> float:
        return self.critical if critical else self.grace - self.critical

    def deadline(self, critical: bool) -> float:
        return self.began + (self.grace if critical else self.grace - self.critical)


def problem(grace: float, critical: float) -> str:
    """What is wrong with two graces; empty: nothing (ValidateKubeletConfiguration)."""
    if critical > grace:
        return f"--grace-critical {critical:g}s must be <= --grace {grace:g}s"
    for option, value in (("--grace", grace), ("--grace-critical", critical)):
        if 0 < value < 1:
            return f"{option} {value:g}s must be either zero or otherwise >= 1s"
    return ""


def dump(order: Order) -> str:
    return json.dumps({"began": order.began, "grace": order.grace, "critical": order.critical})


def load(text: str) -> Order | None:
    """An order as it stands in its file; None where there is none that can be read."""
    try:
        tree = json.loads(text)
        return Order(float(tree["began"]), float(tree["grace"]), float(tree["critical"]))
    except (ValueError, KeyError, TypeError):
        return None


def is_critical(pod: Tree) -> bool:
    return int(pod["spec"].get("priority") or 0) >= CRITICAL


def grace(order: Order, pod: Tree, active: Iterable[Tree], now: float) -> float | None:
    """Seconds that a pod has to end, from now; None: it is not its turn. Critical pods come when no other is left or the
    others' share is over. An agent that begins anew gives no pod more than what is left of its group's time."""
    critical = is_critical(pod)
    if critical and now < order.deadline(False) and any(not is_critical(p) for p in active):
        return None
    own = float(pod["spec"].get("terminationGracePeriodSeconds", 30))
    return max(min(own, order.share(critical), order.deadline(critical) - now), 0.0)


def is_overdue(order: Order, pod: Tree, now: float) -> bool:
    """Whether a pod has outstayed its group's time, whatever else it was given: one that was deleted with a long grace."""
    return now >= order.deadline(is_critical(pod)) + LEAST_AFTER_HOOK


def disruption(pod: Tree, now: float) -> Tree:
    """The condition of a pod that a shutdown has ended (KEP-3329)."""
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "TerminationByKubelet",
        "message": TERMINATED[1],
        "lastProbeTime": None,
        "lastTransitionTime": stamp(now),
        "observedGeneration": pod["metadata"].get("generation", 1),
    }


def holding(pods: Iterable[Tree]) -> list[Tree]:
    """The pods of a node that a shutdown still waits for: those that its agent has taken and that are not over."""
    return [
        p
        for p in pods
        if (p.get("status") or {}).get("startTime") and p["status"].get("phase") not in ("Succeeded", "Failed")
    ]
