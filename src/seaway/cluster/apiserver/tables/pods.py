"""The Table of Pods: the STATUS word and what stands beside it (printPod in pkg/printers/internalversion); pure."""

from __future__ import annotations

from seaway.api.tree import get, seconds
from seaway.cluster.apiserver.tables.cells import AGE, NAME, NONE, Column, S, Tree, at, duration


def pod_status(tree: Tree) -> str:
    """The word in the STATUS column: the phase, unless a container has something to say."""
    status: Tree = tree.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    sidecars = {c["name"] for c in get(tree, "spec", "initContainers") or () if c.get("restartPolicy") == "Always"}
    total = len(get(tree, "spec", "initContainers") or ())
    initializing = False
    for i, container in enumerate(status.get("initContainerStatuses") or ()):
        state = container.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if container["name"] in sidecars and container.get("started"):
            continue
        if ended is not None:
            reason = "Init:" + (
                ended.get("reason")
                or (f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode')}")
            )
        elif get(state, "waiting", "reason") not in (None, "", "PodInitializing"):
            reason = "Init:" + state["waiting"]["reason"]
        else:
            reason = f"Init:{i}/{total}"
        initializing = True
        break
    if not initializing:
        running = False
        for container in reversed(status.get("containerStatuses") or []):
            state = container.get("state") or {}
            ended = state.get("terminated")
            if get(state, "waiting", "reason"):
                reason = state["waiting"]["reason"]
            elif ended is not None and ended.get("reason"):
                reason = ended["reason"]
            elif ended is not None:
                reason = f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"
            elif container.get("ready") and "running" in state:
                running = True
        if reason == "Completed" and running:
            ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
            reason = "Running" if ready else "NotReady"
    if get(tree, "metadata", "deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def pod_ready(tree: Tree, now: float) -> str:
    spec, status = tree.get("spec") or {}, tree.get("status") or {}
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    ready = sum(
        1 for c in status.get("containerStatuses") or () if c.get("ready") and "running" in (c.get("state") or {})
    )
    ready += sum(1 for c in status.get("initContainerStatuses") or () if c["name"] in sidecars and c.get("ready"))
    return f"{ready}/{len(spec.get('containers') or ()) + len(sidecars)}"


def pod_restarts(tree: Tree, now: float) -> str:
    total, last = 0, None
    for container in get(tree, "status", "containerStatuses") or ():
        total += container.get("restartCount", 0)
        finished = seconds(get(container, "lastState", "terminated", "finishedAt"))
        if finished is not None and (last is None or finished > last):
            last = finished
    return f"{total} ({duration(now - last)} ago)" if total and last is not None else str(total)


def pod_ip(tree: Tree, now: float) -> str:
    return str(get(tree, "status", "podIPs", 0, "ip") or get(tree, "status", "podIP") or NONE)


def readiness_gates(tree: Tree, now: float) -> str:
    gates = get(tree, "spec", "readinessGates") or ()
    if not gates:
        return NONE
    true = {c["type"] for c in get(tree, "status", "conditions") or () if c.get("status") == "True"}
    return f"{sum(1 for g in gates if g['conditionType'] in true)}/{len(gates)}"


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
        Column("Status", S, 0, lambda t, n: pod_status(t)),
        Column("Restarts", S, 0, pod_restarts),
        AGE,
        Column("IP", S, 1, pod_ip),
        Column("Node", S, 1, at("spec", "nodeName", default=NONE)),
        Column("Nominated Node", S, 1, lambda t, n: get(t, "status", "nominatedNodeName") or NONE),
        Column("Readiness Gates", S, 1, readiness_gates),
    ),
}
