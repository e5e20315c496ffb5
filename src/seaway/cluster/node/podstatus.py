"""A pod's status as the API shows it, from what its worker knows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from seaway.api.tree import get, stamp, with_condition
from seaway.cluster.node import lifecycle, shutdown

if TYPE_CHECKING:
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]


def status(worker: PodWorker) -> Tree:
    """The pod's status as it is now."""
    pod, spec, now = worker.pod, worker.pod["spec"], time.time()
    phase = "Failed" if worker.failed else lifecycle.phase(pod, worker.states)
    if phase in ("Succeeded", "Failed") and any(s.status == "running" for s in worker.states.values()):
        phase = "Running"  # it is over when its sidecars are
    over = phase if phase in ("Succeeded", "Failed") else ""
    is_initialized = lifecycle.initialized(pod, worker.states, worker.started)
    found: Tree = {
        "phase": phase,
        "hostIP": str(worker.agent.layout.addresses[0]),
        "hostIPs": [{"ip": str(a)} for a in worker.agent.layout.addresses],
        "startTime": get(pod, "status", "startTime") or stamp(now),
        "observedGeneration": pod["metadata"].get("generation", 1),
    }
    if worker.failed:
        found.update(reason=worker.failed[0], message=worker.failed[1])
    if worker.addresses:
        found.update(podIP=worker.addresses[0], podIPs=[{"ip": a} for a in worker.addresses])
    elif get(pod, "status", "podIP"):
        found.update(podIP=pod["status"]["podIP"], podIPs=pod["status"].get("podIPs"))
    statuses, unready = [], []
    for container in spec["containers"]:
        statuses.append(container_status(worker, container, "" if is_initialized else "PodInitializing"))
        if not statuses[-1]["ready"]:
            unready.append(container["name"])
    found["containerStatuses"] = statuses
    if spec.get("initContainers"):
        found["initContainerStatuses"] = [
            container_status(worker, c, "PodInitializing") for c in spec["initContainers"]
        ]
        unready += [
            c["name"]
            for c, s in zip(spec["initContainers"], found["initContainerStatuses"], strict=True)
            if lifecycle.is_sidecar(c) and not s["ready"]
        ]
    if spec.get("ephemeralContainers"):
        found["ephemeralContainerStatuses"] = [
            {**container_status(worker, c, ""), "ready": False} for c in spec["ephemeralContainers"]
        ]
    found["conditions"] = lifecycle.conditions(
        pod, is_initialized, not unready and not over, unready, worker.shim is not None, over, now
    )
    if worker.failed == shutdown.TERMINATED:
        found["conditions"] = with_condition(found["conditions"], shutdown.disruption(pod, now))
    return found


def replacing(status: Tree) -> Tree:
    """A status as a strategic merge patch. Lists of addresses merge by the address: a pod with a new sandbox would keep its
    old ones beside the new, so these are replaced as a whole."""
    lists = {k: [{"$patch": "replace"}, *status[k]] for k in ("podIPs", "hostIPs") if status.get(k)}
    return {**status, **lists}


def container_status(worker: PodWorker, container: Tree, default: str) -> Tree:
    name = container["name"]
    state = worker.states.get(name)
    waiting = worker.waiting.get(name, ("", ""))
    if state is None and not waiting[0] and default:
        waiting = (default, "")
    if state is not None and state.status == "running":
        waiting = ("", "")
    ready = worker.ready.get(name, True) if state is None or state.status == "running" else True
    found = lifecycle.container_status(
        container, state, worker.last.get(name), ready, worker.started.get(name, True), waiting
    )
    if state is not None:
        found["imageID"] = worker.image_ids.get(name, "")
    return found
