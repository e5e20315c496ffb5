"""The end of containers and pods: preStop, SIGTERM, the grace period, SIGKILL; sidecars last."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from seaway.api.tree import get, seconds
from seaway.cluster.node import lifecycle, probing, sandbox, shutdown
from seaway.cluster.node.shims import ShimError

if TYPE_CHECKING:
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]


def stop_signal(worker: PodWorker, name: str) -> int:
    """The signal that asks a container to end: the image's STOPSIGNAL (`SIGQUIT` or `3`), else SIGTERM."""
    try:
        with open(os.path.join(worker.folder, f"{name}.json")) as f:
            text = str(json.load(f).get("stopSignal") or "").upper()
        if text:
            return int(text) if text.isdigit() else int(signal.Signals["SIG" + text.removeprefix("SIG")])
    except (OSError, ValueError, KeyError):
        pass
    return int(signal.SIGTERM)


async def kill(worker: PodWorker, name: str, grace: float) -> None:
    """preStop, SIGTERM, the rest of the grace period, SIGKILL: one container."""
    if not worker.shim or name not in worker.states or worker.states[name].status != "running":
        return
    container = worker.container(name)
    loop = asyncio.get_running_loop()
    end = loop.time() + grace
    hook = get(container, "lifecycle", "preStop")
    if hook and grace > 0:
        await probing.hook(worker, container, hook, grace, "FailedPreStopHook")
    with contextlib.suppress(ShimError):
        if grace > 0:
            await worker.shim.ask("signal", container=name, signal=stop_signal(worker, name))
            left = max(end - loop.time(), 2.0 if hook else 0.0)
            while left > 0 and worker.shim and worker.states[name].status == "running":
                step = min(left, 0.02)
                await asyncio.sleep(step)
                left -= step
        if worker.shim and worker.states[name].status == "running":
            await worker.shim.ask("signal", container=name, signal=int(signal.SIGKILL))


async def end(worker: PodWorker) -> None:
    path = os.path.join(worker.folder, "shim.sock")
    if worker.shim is None and os.path.exists(path):
        with contextlib.suppress(ShimError, OSError):
            await sandbox.ensure(worker)
    deadline = seconds(get(worker.pod, "metadata", "deletionTimestamp")) or time.time()
    asked = float(get(worker.pod, "metadata", "deletionGracePeriodSeconds") or 0)
    grace = min(max(deadline - time.time(), 0.0) if asked else 0.0, asked)
    await containers(worker, grace)
    for name in list(worker.probing):
        probing.stop(worker, name)
    with contextlib.suppress(Exception):
        await worker.report(final=True)
    await sandbox.stop(worker)
    await worker.agent.gone(worker)


async def shut_down(worker: PodWorker, grace: float) -> None:
    """The end of a pod whose node shuts down; its object stays, as Failed. It is not ready from the start: unlike a deleted
    pod's, its endpoints have no other sign to go by, and they are to leave before preStop is over."""
    path = os.path.join(worker.folder, "shim.sock")
    if worker.shim is None and os.path.exists(path):  # what is not there any more is not made again
        with contextlib.suppress(ShimError, OSError):
            await sandbox.ensure(worker)
    await worker.report(final=True)
    await containers(worker, grace)
    for name in list(worker.probing):
        probing.stop(worker, name)
    worker.failed = shutdown.TERMINATED
    await worker.report()
    await sandbox.stop(worker)


async def containers(worker: PodWorker, grace: float) -> None:
    """Ends every container that runs: the regular ones together, then the sidecars in reverse order, within one grace."""
    spec = worker.pod["spec"]
    sidecars = lifecycle.sidecars(worker.pod)
    regular = [c["name"] for c in spec["containers"]] + [
        c["name"] for c in spec.get("initContainers") or () if c["name"] not in sidecars
    ]
    regular += [c["name"] for c in spec.get("ephemeralContainers") or ()]
    for name in regular + sidecars:
        if name in worker.states and worker.states[name].status == "running":
            worker.agent.event(worker.pod, "Normal", "Killing", f"Stopping container {name}", worker.path_of(name))
            probing.stop_liveness(worker, name)
        hook = worker.hooks.get(name)
        if hook:
            hook.cancel()
    began = time.time()
    await asyncio.gather(*(kill(worker, n, grace) for n in regular))
    for name in reversed(sidecars):  # sidecars last, in reverse order
        await kill(worker, name, max(grace - (time.time() - began), 1.0 if grace else 0.0))
    for _ in range(250):
        if not worker.shim or not any(s.status == "running" for s in worker.states.values()):
            break
        await asyncio.sleep(0.02)
