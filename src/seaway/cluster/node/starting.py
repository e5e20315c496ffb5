"""Starting a pod's containers: image, environment and plan, the shim's word, the postStart hook."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

from seaway.api.tree import get
from seaway.cluster.node import ending, environment, images, lifecycle, mounts, plans, probing, pulling
from seaway.cluster.node.lifecycle import Start, Waiting
from seaway.cluster.node.shims import ShimError, ShimGone
from seaway.cluster.node.volumes import VolumeError

if TYPE_CHECKING:
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]
CONFIG_RETRY = 10.0


def wait(worker: PodWorker, step: Waiting) -> None:
    """A container that backs off: why, and an event once a restart."""
    worker.waiting[step.name] = (step.reason, step.message)
    state = worker.states[step.name]
    if worker.backed_off.get(step.name) != state.attempt:
        worker.backed_off[step.name] = state.attempt
        worker.agent.event(
            worker.pod,
            "Warning",
            "BackOff",
            f"Back-off restarting failed container {step.name} in pod "
            f"{worker.key.name}_{worker.key.namespace}({worker.uid})",
            worker.path_of(step.name),
        )


async def start(worker: PodWorker, step: Start) -> float | None:
    """Starts a container; seconds until the next try where it cannot be yet."""
    container = worker.container(step.name)
    path = worker.path_of(step.name)
    resolved = await pulling.ensure(worker, container, path)
    if not isinstance(resolved, images.Image):
        return resolved
    worker.image_ids[step.name] = images.identity(resolved)
    previous = worker.states.get(step.name)
    if previous is not None and previous.status == "exited":
        worker.last[step.name] = {"terminated": lifecycle._terminated(previous)}
    namespace = worker.pod["metadata"]["namespace"]
    try:
        await worker.agent.objects.need(worker.uid, namespace, environment.needed(container))
        env = environment.declared(
            mounts.pod_with_addresses(worker),
            container,
            worker.agent.services_of(namespace, worker.pod["spec"].get("enableServiceLinks", True)),
            lambda resource, n: worker.agent.objects.get(resource, namespace, n),
            worker.agent.allocatable,
        )
        plan = plans.plan(worker, container, resolved, env, step.attempt)
    except VolumeError as e:
        worker.agent.event(worker.pod, "Warning", "Failed", f"Error: {e}", path)
        worker.waiting[step.name] = ("CreateContainerConfigError", str(e))
        return CONFIG_RETRY  # what is missing wakes us when it comes
    assert worker.shim
    plan_path = os.path.join(worker.folder, f"{step.name}.json")
    with open(plan_path, "w") as f:
        json.dump(plan, f)
    worker.waiting.pop(step.name, None)
    try:
        entry = {k: plan[k] for k in ("id", "attempt", "log", "stdin", "tty", "targetContainer", "component")}
        entry["streak"] = step.streak
        await worker.shim.ask("start", container=step.name, plan=plan_path, entry=entry)
    except ShimGone:
        raise
    except ShimError as e:
        worker.agent.event(worker.pod, "Warning", "Failed", f"Error: {e}", path)
    else:
        worker.agent.event(worker.pod, "Normal", "Created", f"Container created: {step.name}", path)
        worker.agent.event(worker.pod, "Normal", "Started", f"Container started: {step.name}", path)
    worker.know(step.name, (await worker.shim.ask("state"))["state"]["containers"][step.name])
    if worker.states[step.name].status == "running":
        hook = get(container, "lifecycle", "postStart")
        if hook:
            worker.hooks[step.name] = asyncio.ensure_future(post_start(worker, container, hook))
        else:
            probing.start(worker, container, fresh=True)
    worker.wake.set()
    return None


async def post_start(worker: PodWorker, container: Tree, hook: Tree) -> None:
    """The container counts as started when its hook has ended; where it fails, the container is ended with it."""
    name = container["name"]
    worker.ready[name] = worker.started[name] = False
    try:
        problem = await probing.hook(worker, container, hook, None, "FailedPostStartHook")
        if problem:
            worker.say_killing(name, f"FailedPostStartHook: container {name} will be restarted")
            await ending.kill(worker, name, float(worker.pod["spec"].get("terminationGracePeriodSeconds", 30)))
        elif name in worker.states and worker.states[name].status == "running":
            probing.start(worker, container, fresh=True)
    finally:
        worker.hooks.pop(name, None)
        worker.wake.set()
