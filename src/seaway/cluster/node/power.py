"""Whether the node is to shut down: a file says so as long as it is there, so that no agent that dies misses it. This is the
edge of `shutdown`: it looks at the file and the clock, and wakes the pods whose turn it is."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from seaway.api.tree import get
from seaway.cluster.node import ending, shutdown
from seaway.cluster.node.shutdown import Order

if TYPE_CHECKING:
    from seaway.cluster.node.agent import Agent
    from seaway.cluster.node.pods import PodWorker

LOOK = 0.2


def read(path: Path) -> Order | None:
    try:
        return shutdown.load(path.read_text())
    except OSError:
        return None


class Power:
    def __init__(self, agent: Agent, path: str) -> None:
        self.agent, self.path = agent, Path(path)
        self.order = read(self.path)
        self.changed = asyncio.Event()  # the node's status is to be said again

    def grace(self, worker: PodWorker) -> float | None:
        """Seconds that the pod has to end because of a shutdown; None: it may stay for now."""
        if self.order is None:
            return None
        active = (w.pod for w in self.agent.workers.values() if w is not worker and _is_active(w))
        return shutdown.grace(self.order, worker.pod, active, time.time())

    async def watch(self) -> None:
        while True:
            order = read(self.path)
            if order != self.order:
                if (order is None) != (self.order is None):
                    self._tell(shutdown.BEGAN if order else shutdown.CANCELLED)
                self.order = order
                self.changed.set()
            if order:
                for worker in list(self.agent.workers.values()):
                    self._press(order, worker)
            await asyncio.sleep(LOOK)

    async def pause(self, within: float) -> None:
        """Sleeps, but not through a change."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.changed.wait(), within)
        self.changed.clear()

    def _press(self, order: Order, worker: PodWorker) -> None:
        if not _is_active(worker):
            return
        if self.grace(worker) is not None:
            worker.wake.set()
        if shutdown.is_overdue(order, worker.pod, time.time()):
            for name, state in worker.states.items():
                if state.status == "running":
                    asyncio.ensure_future(ending.kill(worker, name, 0.0))

    def _tell(self, message: str) -> None:
        name = self.agent.name  # the kubelet's events name the node by its name, not by its uid
        node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "uid": name}}
        self.agent.events.tell(node, "Normal", "NodeShutdown", message)


def _is_active(worker: PodWorker) -> bool:
    """Whether something of the pod may still run. One that was never begun is refused, and holds nobody up."""
    if worker.shim is not None:
        return True
    phase = get(worker.pod, "status", "phase")
    begun = get(worker.pod, "status", "startTime")
    return bool(begun) and not worker.failed and phase not in ("Succeeded", "Failed")
