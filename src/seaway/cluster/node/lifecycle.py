"""What a pod needs next: which containers to start, restart or wait for, and what its status says; pure.

Restart policy and back-off are the kubelet's: 10 s, doubled up to 300 s, forgotten after ten minutes of running.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from seaway.api.tree import get, seconds, stamp, with_condition

Tree = dict[str, Any]
BACKOFF_FIRST, BACKOFF_LONGEST, BACKOFF_FORGET = 10.0, 300.0, 600.0


@dataclass(frozen=True, slots=True)
class Container:
    """What the shim knows of a container: `status` is running or exited; times in seconds since the epoch."""

    status: str
    id: str
    attempt: int
    started: float
    code: int = 0
    signal: int = 0
    finished: float = 0.0
    reason: str = ""
    message: str = ""
    streak: int = -1  # restarts since it last ran for long; -1: as many as attempts


@dataclass(frozen=True, slots=True)
class Start:
    """Start this container now, as its attempt number `attempt`, the `streak`-th in a row."""

    name: str
    attempt: int
    streak: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A container that is not to be started yet, and why; `until` 0: until something changes."""

    name: str
    reason: str
    message: str
    until: float


def backoff(attempt: int) -> float:
    """Seconds before attempt number `attempt` (1: the first restart)."""
    return min(BACKOFF_FIRST * 2 ** max(attempt - 1, 0), BACKOFF_LONGEST) if attempt else 0.0


def is_sidecar(container: Tree) -> bool:
    return container.get("restartPolicy") == "Always"


def restarts(container: Tree, policy: str, state: Container) -> bool:
    """Whether a container that has ended is started again: by its own rules (KEP-5307), its own policy, the pod's."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        inside = state.code in (codes.get("values") or ())
        if rule.get("action") == "Restart" and inside == (codes.get("operator") == "In"):
            return True
    policy = container.get("restartPolicy") or policy
    return policy == "Always" or (policy == "OnFailure" and state.code != 0)


def _again(pod: Tree, container: Tree, policy: str, state: Container, now: float) -> Start | Waiting | None:
    """What follows an exit."""
    if not restarts(container, policy, state):
        return None
    streak = state.attempt if state.streak < 0 else state.streak
    if state.finished - state.started > BACKOFF_FORGET:
        streak = 0
    wait = backoff(streak)  # the first restart is immediate
    if state.finished + wait <= now:
        return Start(container["name"], state.attempt + 1, streak + 1)
    meta = pod["metadata"]
    shown = f"{int(wait) // 60}m{int(wait) % 60}s" if wait >= 60 else f"{int(wait)}s"
    where = f"pod={meta['name']}_{meta.get('namespace', '')}({meta.get('uid', '')})"
    message = f"back-off {shown} restarting failed container={container['name']} {where}"
    return Waiting(container["name"], "CrashLoopBackOff", message, state.finished + wait)


def decide(
    pod: Tree,
    states: Mapping[str, Container],
    started: Mapping[str, bool],
    now: float,
    hooked: Collection[str] = (),
) -> list[Start | Waiting]:
    """What to do next. `started` says of sidecars whether their startup probe has passed; `hooked` are containers whose
    postStart hook still runs: what comes after them waits, as the kubelet starts one after the other."""
    spec = pod["spec"]
    policy = spec.get("restartPolicy", "Always")
    found: list[Start | Waiting] = []
    for container in spec.get("initContainers") or ():
        name, state = container["name"], states.get(container["name"])
        if state is None:
            return [*found, Start(name, 0)]
        if name in hooked:
            return found
        if is_sidecar(container):
            if state.status == "exited":
                step = _again(pod, container, "Always", state, now)
                if step:
                    found.append(step)
                if not begun(pod, states):
                    return found
            elif not started.get(name, True) and not begun(pod, states):
                return found
            continue
        if state.status == "running":
            return found
        if state.code != 0:
            step = _again(pod, container, "OnFailure" if policy != "Never" else "Never", state, now)
            return [*found, step] if step else found
    for container in spec["containers"]:
        state = states.get(container["name"])
        if container["name"] in hooked:
            return found
        if state is None:
            found.append(Start(container["name"], 0))
            if "postStart" in (container.get("lifecycle") or {}):
                return found
        elif state.status == "exited":
            step = _again(pod, container, policy, state, now)
            if step:
                found.append(step)
    return found


def begun(pod: Tree, states: Mapping[str, Container]) -> bool:
    """Whether a regular container has ever run here: then a sidecar that ends holds nobody back."""
    return any(c["name"] in states for c in pod["spec"]["containers"])


def deadline(pod: Tree) -> float | None:
    """When the pod's activeDeadlineSeconds are over; None without such."""
    limit, start = pod["spec"].get("activeDeadlineSeconds"), seconds(get(pod, "status", "startTime"))
    return start + limit if limit is not None and start is not None else None


def sidecars(pod: Tree) -> list[str]:
    return [c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)]


def ephemeral(pod: Tree, states: Mapping[str, Container]) -> list[Start]:
    """Ephemeral containers that are to be started: each once, beside whatever else the pod does; one with a target when
    that runs, for it joins its processes."""
    found = []
    for container in pod["spec"].get("ephemeralContainers") or ():
        target = states.get(container.get("targetContainerName") or "")
        waits = container.get("targetContainerName") and (target is None or target.status != "running")
        if container["name"] not in states and not waits:
            found.append(Start(container["name"], 0))
    return found


def phase(pod: Tree, states: Mapping[str, Container]) -> str:
    """The pod's phase from its containers (kubelet getPhase)."""
    spec = pod["spec"]
    policy = spec.get("restartPolicy", "Always")
    for container in spec.get("initContainers") or ():
        state = states.get(container["name"])
        if is_sidecar(container):
            continue
        if state is None or state.status == "running":
            return "Pending"
        if state.code != 0:
            return "Failed" if policy == "Never" else "Pending"
    regular = [states.get(c["name"]) for c in spec["containers"]]
    if any(s is None for s in regular):
        return "Pending" if not any(s and s.status == "running" for s in regular) else "Running"
    if any(s and s.status == "running" for s in regular):
        return "Running"
    if any(s and restarts(c, policy, s) for c, s in zip(spec["containers"], regular, strict=True)):
        return "Running"
    return "Succeeded" if all(s and s.code == 0 for s in regular) else "Failed"


def initialized(pod: Tree, states: Mapping[str, Container], started: Mapping[str, bool]) -> bool:
    for container in pod["spec"].get("initContainers") or ():
        state = states.get(container["name"])
        if state is None:
            return False
        if is_sidecar(container):
            if state.status != "running" or not started.get(container["name"], True):
                return False
        elif state.status != "exited" or state.code != 0:
            return False
    return True


def _terminated(state: Container) -> Tree:
    reason = state.reason or ("Completed" if state.code == 0 else "Error")
    found: Tree = {
        "exitCode": state.code,
        "reason": reason,
        "startedAt": stamp(state.started),
        "finishedAt": stamp(state.finished),
        "containerID": f"seaway://{state.id}",
    }
    if state.signal:
        found["signal"] = state.signal
    if state.message:
        found["message"] = state.message
    return found


def container_status(
    container: Tree, state: Container | None, last: Tree | None, ready: bool, started: bool, waiting: tuple[str, str]
) -> Tree:
    """One containerStatuses entry. `last` is lastState so far; `waiting` (reason, message) where it does not run."""
    found: Tree = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "restartCount": state.attempt if state else 0,
        "ready": False,
        "started": False,
        "lastState": last or {},
        "state": {},
    }
    if state is None:
        found["state"] = {
            "waiting": {"reason": waiting[0] or "ContainerCreating", **({"message": waiting[1]} if waiting[1] else {})}
        }
        return found
    found["containerID"] = f"seaway://{state.id}"
    found["imageID"] = container["image"]
    if state.status == "running":
        found["state"] = {"running": {"startedAt": stamp(state.started)}}
        found.update(ready=ready and started, started=started)
    elif waiting[0]:
        found["lastState"] = {"terminated": _terminated(state)}
        found["state"] = {"waiting": {"reason": waiting[0], "message": waiting[1]}}
    else:
        found["state"] = {"terminated": _terminated(state)}
        # A finished init container is ready; a finished ordinary one is not.
        found["ready"] = ready and state.code == 0
    return found


def conditions(
    pod: Tree, is_initialized: bool, containers_ready: bool, unready: list[str], sandboxed: bool, over: str, now: float
) -> list[Tree]:
    """The kubelet's conditions among those that are there; others' (readiness gates) stay as they are."""
    old = list(get(pod, "status", "conditions") or ())
    generation = pod["metadata"].get("generation", 1)

    def entry(kind: str, ok: bool, reason: str = "", message: str = "") -> Tree:
        found: Tree = {
            "type": kind,
            "status": "True" if ok else "False",
            "lastProbeTime": None,
            "lastTransitionTime": stamp(now),
            "observedGeneration": generation,
        }
        # None takes away what an earlier state said: the status is written as a strategic merge patch.
        shown = not ok or reason == "PodCompleted"
        found.update(reason=(reason or None) if shown else None, message=(message or None) if not ok else None)
        return found

    done = over == "Succeeded"
    reason = "PodCompleted" if done else ("PodFailed" if over == "Failed" else "ContainersNotReady")
    message = "" if over else f"containers with unready status: [{' '.join(unready)}]"
    gates = [g["conditionType"] for g in pod["spec"].get("readinessGates") or ()]
    true = {c["type"] for c in old if c.get("status") == "True"}
    missing = [g for g in gates if g not in true]
    own = [
        entry("PodReadyToStartContainers", sandboxed),
        entry(
            "Initialized",
            is_initialized or done,
            "PodCompleted" if done else "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(c['name'] for c in pod['spec'].get('initContainers') or ())}]",
        ),
        entry(
            "Ready",
            containers_ready and not missing,
            "ReadinessGatesNotReady" if containers_ready else reason,
            "; ".join(f'corresponding condition of pod readiness gate "{g}" does not exist.' for g in missing)
            if containers_ready
            else message,
        ),
        entry("ContainersReady", containers_ready, reason, message),
    ]
    result = old
    for condition in own:
        result = with_condition(result, condition)
    return result
