"""What is left on a node of pods that are no more: their shims, folders and cgroups (kubelet HandlePodCleanups).

A shim may begin after its pod has gone: an agent that was killed had asked for it, or the zygote was slow. So what is left is
looked for time and again, and a folder goes only when no shim has it (shimlock).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from seaway.cluster.node import shimlock
from seaway.cluster.node.shims import Shim, ShimError

if TYPE_CHECKING:
    from seaway.cluster.node.agent import Agent

PERIOD = 2.0  # seconds, as the kubelet's housekeepingPeriod
TRIES = 50
PAUSE = 0.02


async def clear(folder: str) -> bool:
    """Ends the shim that a pod's folder has, and removes the folder. False: a shim has it still, one that begins or one whose
    last child has not gone; to be tried again."""
    for _ in range(TRIES):
        await _stop(os.path.join(folder, "shim.sock"))
        if shimlock.remove(folder):
            return True
        await asyncio.sleep(PAUSE)
    return False


async def _stop(path: str) -> None:
    with contextlib.suppress(ShimError):
        shim = await Shim.connect(path, lambda _: None, lambda: None, within=0.0)
        try:
            await shim.ask("stop")
        finally:
            shim.close()


async def tidy(agent: Agent) -> None:
    """Removes what no pod of this node has."""
    root = os.path.join(agent.folder, "pods")
    for uid in [*os.listdir(root), *agent.cgroups.pods()]:
        if uid in agent.workers or any(p["metadata"]["uid"] == uid for p in agent.pods.all()):
            continue  # asked anew each time: pods come and go while others are cleared away
        if await clear(os.path.join(root, uid)):
            agent.cgroups.remove(uid)


async def run(agent: Agent) -> None:
    while True:
        await asyncio.sleep(PERIOD)
        try:
            await tidy(agent)
        except OSError as e:
            print(f"agent of {agent.name}: housekeeping: {e}", flush=True)
