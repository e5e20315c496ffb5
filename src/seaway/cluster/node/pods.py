"""One pod on its node: a worker that makes the shim, the network, the volumes and the containers be as the pod says, probes
them, and tells the API server. Level-triggered: each turn looks at what is there; `lifecycle` decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seaway.api.tree import Key, get, key_of
from seaway.cluster.node import (
    admission,
    ending,
    housekeeping,
    lifecycle,
    messages,
    mounts,
    podstatus,
    probing,
    pulling,
    sandbox,
    shutdown,
    starting,
    sysctls,
)
from seaway.cluster.node.hostnames import HostnameError
from seaway.cluster.node.lifecycle import Container, Start
from seaway.cluster.node.resolving import ResolvConfError
from seaway.cluster.node.shims import Shim, ShimError, ShimGone
from seaway.cluster.node.volumes import VolumeError

if TYPE_CHECKING:
    from seaway.cluster.node.agent import Agent

Tree = dict[str, Any]
MOUNT_RETRY = 1.0
NAME_RETRY = 10.0


class PodWorker:
    def __init__(self, agent: Agent, pod: Tree) -> None:
        self.agent, self.pod = agent, pod
        self.uid: str = pod["metadata"]["uid"]
        self.folder = os.path.join(agent.folder, "pods", self.uid)
        self.shim: Shim | None = None
        self.addresses: list[str] = []
        self.resolv_conf = ""
        self.states: dict[str, Container] = {}
        self.waiting: dict[str, tuple[str, str]] = {}
        self.ready: dict[str, bool] = {}
        self.started: dict[str, bool] = {}
        self.probing: dict[str, dict[str, asyncio.Task[None]]] = {}
        self.last: dict[str, Tree] = {
            c["name"]: c.get("lastState") or {} for c in get(pod, "status", "containerStatuses") or ()
        }
        self.backed_off: dict[str, int] = {}
        self.pulls: dict[str, pulling.Pull] = {}
        self.image_ids: dict[str, str] = {
            c["name"]: c.get("imageID", "")
            for field in ("containerStatuses", "initContainerStatuses")
            for c in get(pod, "status", field) or ()
        }
        self.hooks: dict[str, asyncio.Task[None]] = {}  # postStart hooks that run
        self.restarting: set[str] = set()  # containers that a probe is ending
        self.failed: tuple[str, str] | None = None  # (reason, message) of the whole pod's failure
        self.told: Tree | None = None
        self.told_at = 0  # the resourceVersion that the last word made
        self.wake = asyncio.Event()
        self.wake.set()
        self.killing = False
        self.ending: asyncio.Task[None] | None = None  # of a pod that is deleted
        self.unmounted = ""
        self.token_due = 0.0
        self.task = asyncio.ensure_future(self._run())

    @property
    def key(self) -> Key:
        return key_of(self.pod)

    @property
    def host_network(self) -> bool:
        return bool(self.pod["spec"].get("hostNetwork"))

    def update(self, pod: Tree) -> None:
        self.pod = pod
        self.wake.set()

    # the loop

    async def _run(self) -> None:
        while not self._ended():
            self.wake.clear()
            later: float | None
            try:
                later = await self._turn()
            except ShimGone:
                later = 0.0
            except (ShimError, OSError, VolumeError) as e:
                self.agent.event(self.pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {e}")
                later = MOUNT_RETRY
            except Exception as e:  # one pod's trouble is never another's
                traceback.print_exc()
                self.agent.event(self.pod, "Warning", "FailedSync", f"Error syncing pod, will be tried again: {e}")
                later = MOUNT_RETRY
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), later)

    def _ended(self) -> bool:
        return self.uid not in self.agent.workers or self.agent.workers[self.uid] is not self

    async def _turn(self) -> float | None:
        """One look at everything; seconds until the next is due, None: when something happens."""
        if get(self.pod, "metadata", "deletionTimestamp"):
            await self._terminate()
            return None
        phase = get(self.pod, "status", "phase")
        if phase in ("Succeeded", "Failed") and not self.shim:
            return None
        if self.failed and not self.shim:
            await self.report()
            return None
        if not self.shim and not get(self.pod, "status", "startTime") and self._refused():
            await self.report()
            return None
        grace = self.agent.power.grace(self)
        if grace is not None:
            await ending.shut_down(self, grace)
            return None
        if self.shim is None:
            try:
                await sandbox.ensure(self)
            except (HostnameError, ResolvConfError) as e:  # no try soon will go better: the pod waits, and says why
                self.agent.event(self.pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {e}")
                await self.report()
                return NAME_RETRY
        mounted = await mounts.prepare(self)
        if not mounted:
            await self.report()
            return MOUNT_RETRY
        now = time.time()
        later = self._refresh_due(now)
        deadline = lifecycle.deadline(self.pod)
        if deadline is not None and now >= deadline:
            self.failed = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            self.agent.event(self.pod, "Normal", *self.failed)
            await self._complete()
            return None
        later = min(later, deadline - now) if deadline is not None else later
        steps = lifecycle.ephemeral(self.pod, self.states)
        for step in [*steps, *lifecycle.decide(self.pod, self.states, self.started, now, self.hooks)]:
            if isinstance(step, Start):
                again = await starting.start(self, step)
                later = min(later, again) if again is not None else later
            else:
                starting.wait(self, step)
                later = min(later, max(step.until - now, 0.0))
        if lifecycle.phase(self.pod, self.states) in ("Succeeded", "Failed"):
            await self._complete()
            return None
        await self.report()
        return later

    async def _complete(self) -> None:
        """The pod is over: what still runs (sidecars; everything, at a deadline) ends in good order, and then it is said."""
        await self.report()
        await ending.containers(self, float(self.pod["spec"].get("terminationGracePeriodSeconds", 30)))
        await self.report()
        await sandbox.stop(self)

    def _refused(self) -> bool:
        """Whether the node does not take the pod, which fails then; asked once, before anything of it is made."""
        forbidden = sysctls.forbidden(self.pod)
        if self.agent.power.order:
            self.failed = shutdown.REFUSED
        elif forbidden:
            self.failed = ("SysctlForbidden", f"Pod was rejected: {forbidden}")
        else:
            others = (w for w in self.agent.workers.values() if w is not self and w.holds_room())
            self.failed = admission.refusal(self.pod, (w.pod for w in others), self.agent.allocatable)
        if self.failed:
            text = self.failed[1].removeprefix("Pod was rejected: ")
            self.agent.event(self.pod, "Warning", self.failed[0], text)
        return bool(self.failed)

    def holds_room(self) -> bool:
        """Whether the pod still counts: not when it is over, nor when it only waits for its object to go."""
        if self.failed or get(self.pod, "status", "phase") in ("Succeeded", "Failed"):
            return False
        return self.shim is not None or not self.killing

    def _refresh_due(self, now: float) -> float:
        """Seconds until a token is to be renewed; an hour at most, so that one of a longer life is looked at again."""
        return min(max(self.token_due - now, 0.0), 3600.0) if self.token_due else 3600.0

    def read_state(self, state: Tree) -> None:
        for name, entry in state["containers"].items():
            self.know(name, entry)
        for container in [*self.pod["spec"]["containers"], *(self.pod["spec"].get("initContainers") or ())]:
            known = self.states.get(container["name"])
            if known and known.status == "running" and container["name"] not in self.probing:
                probing.start(self, container, fresh=False)

    def know(self, name: str, entry: Tree) -> None:
        fields = {
            k: entry[k]
            for k in ("status", "id", "attempt", "started", "code", "signal", "finished", "reason", "message", "streak")
            if k in entry
        }
        state = Container(**fields)
        if state.status == "exited" and not state.message:
            policy = self._message_policy(name)
            log = self.log_path(name, state.attempt)
            text = messages.read(policy, state.code, self.message_path(name, state.attempt), log)
            state = replace(state, message=text)
        if state.status == "exited" and state.code == 137 and self.agent.cgroups.out_of_memory(self.uid, name):
            state = replace(state, reason="OOMKilled")
        self.states[name] = state

    def on_event(self, message: Tree) -> None:
        if message.get("event") == "exit":
            asyncio.ensure_future(self._exited(message["container"]))

    async def _exited(self, name: str) -> None:
        probing.stop(self, name)
        self.ready[name] = self.started[name] = False
        if self.shim and self.shim.alive:
            with contextlib.suppress(ShimError):
                self.know(name, (await self.shim.ask("state"))["state"]["containers"][name])
        self.wake.set()

    def on_end(self) -> None:
        """The shim died and its containers with it: the sandbox is made anew, the containers count as killed."""
        now = time.time()
        self.shim = None
        for name, state in self.states.items():
            if state.status == "running":
                self.states[name] = Container(
                    "exited",
                    state.id,
                    state.attempt,
                    state.started,
                    137,
                    9,
                    now,
                    "ContainerStatusUnknown",
                    "The container could not be located when the pod was terminated",
                )
            probing.stop(self, name)
            self.ready[name] = False
        self.agent.addresses.free(self.uid)
        self.addresses = []
        over = bool(self.failed) or lifecycle.phase(self.pod, self.states) in ("Succeeded", "Failed")
        if not self.killing and not over:  # the sandbox of a pod that is over just goes, as it should
            self.agent.event(
                self.pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created."
            )
        self.wake.set()

    def container(self, name: str) -> Tree:
        spec = self.pod["spec"]
        every = [n for field in ("containers", "initContainers", "ephemeralContainers") for n in spec.get(field) or ()]
        found: Tree = next(c for c in every if c["name"] == name)
        return found

    def say_killing(self, name: str, text: str) -> None:
        self.agent.event(self.pod, "Normal", "Killing", text, self.path_of(name))

    def log_path(self, name: str, attempt: int) -> str:
        return os.path.join(self.folder, "logs", name, f"{attempt}.log")

    def _message_policy(self, name: str) -> str:
        sections = ("containers", "initContainers", "ephemeralContainers")
        every = (c for section in sections for c in self.pod["spec"].get(section) or ())
        return str(next((c.get("terminationMessagePolicy") for c in every if c["name"] == name), "") or "File")

    def message_path(self, name: str, attempt: int) -> str:
        return os.path.join(self.folder, "messages", name, str(attempt))

    def path_of(self, name: str) -> str:
        """A container as events name it."""
        field = "containers" if any(c["name"] == name for c in self.pod["spec"]["containers"]) else "initContainers"
        return f"spec.{field}{{{name}}}"

    def restart(self, name: str, which: str, grace: float | None = None) -> None:
        """A probe has failed too often: the container ends, with the probe's own grace period where it has one."""
        if name in self.restarting:
            return
        self.restarting.add(name)
        self.say_killing(name, f"Container {name} failed {which} probe, will be restarted")
        if grace is None:
            grace = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        task = asyncio.ensure_future(ending.kill(self, name, grace))
        task.add_done_callback(lambda _: self.restarting.discard(name))

    async def _terminate(self) -> None:
        """The end of a pod; the endpoint controllers see its deletionTimestamp at the same time, not before or after."""
        if self.killing:
            return
        self.killing = True
        self.ending = asyncio.ensure_future(ending.end(self))
        self.ending.add_done_callback(self._end_tried)

    def _end_tried(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        traceback.print_exception(task.exception())
        self.killing = False
        asyncio.get_running_loop().call_later(MOUNT_RETRY, self.wake.set)

    async def discard(self) -> None:
        """A pod that the API server no longer knows: its processes go at once. First its own turn is over, so that nothing of
        it is made anew meanwhile."""
        self.killing = True
        self.task.cancel()
        self.wake.set()  # a wait that ends in that moment takes no notice of being cancelled
        await asyncio.wait([self.task])
        for name in list(self.probing):
            probing.stop(self, name)
        await sandbox.stop(self)
        await housekeeping.clear(self.folder)
        self.agent.forget_groups(self.uid)

    async def report(self, final: bool = False) -> None:
        status = podstatus.status(self)
        if final:
            status["conditions"] = [
                c if c["type"] not in ("Ready", "ContainersReady") else {**c, "status": "False"}
                for c in status["conditions"]
            ]
        if status == self.told and not self._contradicted(status):
            return
        version = await self.agent.write_status(self, status)
        if version is not None:
            self.told, self.told_at = status, version

    def _contradicted(self, status: Tree) -> bool:
        """Somebody has written otherwise since: the node's pods are made not ready while their agent is silent."""
        if int(self.pod["metadata"].get("resourceVersion") or 0) < self.told_at:
            return False
        said = {c["type"]: c["status"] for c in status["conditions"]}
        there = {c["type"]: c["status"] for c in get(self.pod, "status", "conditions") or ()}
        return any(there.get(kind) != value for kind, value in said.items())
