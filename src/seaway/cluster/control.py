"""The controllers' process of the embedded cluster: those that run anywhere (EndpointSlices, Endpoints, mirroring) beside
those that only an embedded cluster needs (workloads, scheduler, namespaces)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import uvloop

from seaway.client import kubeconfig
from seaway.client.events import Events
from seaway.client.rest import Rest, wait_ready
from seaway.cluster.scheduler.run import Scheduler
from seaway.cluster.workloads import roster
from seaway.cluster.workloads.nodehealth import Timing
from seaway.controllers import everywhere
from seaway.controllers import run as controllers
from seaway.pki.authority import Authority, Pair

Tree = dict[str, Any]


async def _main(args: Tree) -> None:
    """Each component has its own identity, and so its own client."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    folder, times = args["kubeconfigs"], args["nodeLifecycle"]
    timing = Timing(times["monitor_period"], times["monitor_grace_period"], times["startup_grace_period"])
    with open(args["ca"]) as f:
        ca = f.read()
    with open(args["ca_key"], "rb") as key:
        authority = Authority(Pair(ca.encode(), key.read()))
    async with (
        Rest(kubeconfig.from_file(f"{folder}/controllers"), "seaway-controllers") as api,
        Rest(kubeconfig.from_file(f"{folder}/workloads"), "seaway-workloads") as workloads_api,
        Rest(kubeconfig.from_file(f"{folder}/scheduler"), "seaway-scheduler") as scheduler_api,
    ):
        await wait_ready(api, 60)
        endpoint_events = Events(api, "endpoint-controllers", "")
        scheduler_events = Events(scheduler_api, "default-scheduler", "")
        caches, workloads, scheduling = (
            controllers.Caches(api),
            controllers.Caches(workloads_api),
            controllers.Caches(scheduler_api),
        )
        own = everywhere.controllers(caches, endpoint_events, args["max_endpoints_per_slice"])
        embedded, writers = roster.controllers(workloads_api, workloads, ca, authority, timing)
        async with asyncio.TaskGroup() as group:
            for writer in writers:
                group.create_task(writer.run())
            group.create_task(endpoint_events.run())
            group.create_task(scheduler_events.run())
            group.create_task(controllers.run(caches, own))
            group.create_task(controllers.run(workloads, embedded))
            group.create_task(Scheduler(scheduling, scheduler_events).run())


def main(args: Tree, fds: dict[str, int]) -> None:
    uvloop.run(_main(args))
