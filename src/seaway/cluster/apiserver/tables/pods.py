"""The Table of Pods: the STATUS word and what stands beside it (printPod in pkg/printers/internalversion); pure."""

from __future__ import annotations

from typing import NamedTuple

from seaway.api.tree import get, seconds
from seaway.cluster.apiserver.tables.cells import AGE, NAME, NONE, Column, S, Tree, at, duration


class Summary(NamedTuple):
    """What a row tells of a pod's containers."""

    reason: str
    ready: int
    total: int
    restarts: int
    last: float | None


def _ended(ended: Tree, prefix: str = "") -> str:
    """How a container ended, in a word."""
    if ended.get("reason"):
        return prefix + str(ended["reason"])
    if ended.get("signal"):
        return f"{prefix}Signal:{ended['signal']}"
    return f"{prefix}ExitCode:{ended.get('exitCode', 0)}"


class _Restarts:
    """Restarts counted, and when the last ended run ended."""

    def __init__(self) -> None:
        self.count = 0
        self.last: float | None = None

    def add(self, container: Tree) -> None:
        self.count += container.get("restartCount", 0)
        finished = seconds(get(container, "lastState", "terminated", "finishedAt"))
        if finished is not None and (self.last is None or finished > self.last):
            self.last = finished


def _is_true(tree: Tree, condition: str) -> bool:
    conditions = get(tree, "status", "conditions") or ()
    return any(c.get("type") == condition and c.get("status") == "True" for c in conditions)


def _initializing(tree: Tree, sidecars: set[str], everything: _Restarts, lasting: _Restarts) -> tuple[str, int]:
    """(what the init containers have to say, empty when they are through; ready sidecars)."""
    total, ready = len(get(tree, "spec", "initContainers") or ()), 0
    for i, container in enumerate(get(tree, "status", "initContainerStatuses") or ()):
        everything.add(container)
        if container.get("name") in sidecars:
            lasting.add(container)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), get(state, "waiting", "reason")
        if ended is not None and not ended.get("exitCode"):
            continue
        if container.get("name") in sidecars and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if ended is not None:
            return _ended(ended, "Init:"), ready
        return f"Init:{waiting}" if waiting not in (None, "", "PodInitializing") else f"Init:{i}/{total}", ready
    return "", ready


def _main(tree: Tree, restarts: _Restarts) -> tuple[str, str, int]:
    """(what the main containers have to say, how one of them failed, how many are ready)."""
    reason, failed, ready = "", "", 0
    for container in reversed(get(tree, "status", "containerStatuses") or []):
        restarts.add(container)
        state = container.get("state") or {}
        if get(state, "waiting", "reason"):
            reason = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            reason = _ended(state["terminated"])
            failed = reason if state["terminated"].get("exitCode") else failed
        elif container.get("ready") and state.get("running") is not None:
            ready += 1
    return reason, failed, ready


def summary(tree: Tree) -> Summary:
    """The pod in a few words: the phase, unless a container has something to say."""
    status: Tree = tree.get("status") or {}
    phase = status.get("phase") or ""
    reason = status.get("reason") or phase
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    sidecars = {c["name"] for c in get(tree, "spec", "initContainers") or () if c.get("restartPolicy") == "Always"}
    restarts, lasting = _Restarts(), _Restarts()
    waiting, ready = _initializing(tree, sidecars, restarts, lasting)
    reason = waiting or reason
    if not waiting or _is_true(tree, "Initialized"):
        restarts = lasting
        told, failed, running = _main(tree, restarts)
        reason, ready = told or reason, ready + running
        if reason == "Completed":
            if running and _is_true(tree, "Ready"):
                reason = "Running"
            else:
                reason = failed or ("NotReady" if running else reason)
    if get(tree, "metadata", "deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    total = len(get(tree, "spec", "containers") or ()) + len(sidecars)
    return Summary(str(reason), ready, total, restarts.count, restarts.last)


def pod_ready(tree: Tree, now: float) -> str:
    found = summary(tree)
    return f"{found.ready}/{found.total}"


def pod_restarts(tree: Tree, now: float) -> str:
    found = summary(tree)
    if found.restarts and found.last is not None:
        return f"{found.restarts} ({duration(now - found.last)} ago)"
    return str(found.restarts)


def pod_ip(tree: Tree, now: float) -> str:
    return str(get(tree, "status", "podIPs", 0, "ip") or get(tree, "status", "podIP") or NONE)


def readiness_gates(tree: Tree, now: float) -> str:
    gates = get(tree, "spec", "readinessGates") or ()
    if not gates:
        return NONE
    return f"{sum(_is_true(tree, g['conditionType']) for g in gates)}/{len(gates)}"


def row_conditions(tree: Tree) -> list[Tree]:
    """What a row says of a pod that has ended."""
    phase = get(tree, "status", "phase")
    if phase not in ("Succeeded", "Failed"):
        return []
    message = "The pod has completed successfully." if phase == "Succeeded" else "The pod failed."
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


COLUMNS = {
    "pods": (
        NAME,
        Column("Ready", S, 0, pod_ready),
        Column("Status", S, 0, lambda t, n: summary(t).reason),
        Column("Restarts", S, 0, pod_restarts),
        AGE,
        Column("IP", S, 1, pod_ip),
        Column("Node", S, 1, at("spec", "nodeName", default=NONE)),
        Column("Nominated Node", S, 1, lambda t, n: get(t, "status", "nominatedNodeName") or NONE),
        Column("Readiness Gates", S, 1, readiness_gates),
    ),
}
