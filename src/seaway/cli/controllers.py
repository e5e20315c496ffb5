"""`seaway controllers`: the controllers that any cluster can run, with leader election."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import uuid

from seaway.client import kubeconfig, lease
from seaway.client.events import Events
from seaway.client.kubeconfig import CredentialsError
from seaway.client.rest import Rest
from seaway.controllers import everywhere, run


async def _main(args: argparse.Namespace) -> None:
    async with Rest(kubeconfig.find(args.kubeconfig), "seaway-controllers") as api:

        async def work() -> None:
            caches, events = run.Caches(api), Events(api, "endpoint-controllers", "")
            async with asyncio.TaskGroup() as group:
                group.create_task(events.run())
                group.create_task(run.run(caches, everywhere.controllers(caches, events, args.max_endpoints_per_slice)))

        while True:
            await lease.lead(
                api, args.lease_namespace, "seaway-controllers", f"{os.uname().nodename}_{uuid.uuid4()}", work
            )


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "seaway controllers",
        description="Keep EndpointSlices and Endpoints, and mirror hand-written Endpoints, in any cluster.",
    )
    parser.add_argument("--kubeconfig", default="", help="path to a kubeconfig; the pod's ServiceAccount otherwise")
    parser.add_argument("--max-endpoints-per-slice", type=int, default=100, help="1 to 1000")
    parser.add_argument("--lease-namespace", default="kube-system", help="where the leader's Lease lies")
    args = parser.parse_args(argv)
    if not 1 <= args.max_endpoints_per_slice <= 1000:
        parser.error("--max-endpoints-per-slice must be between 1 and 1000")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        asyncio.run(_main(args))
    except CredentialsError as e:
        print(f"seaway controllers: {e}", file=sys.stderr)
        return 1
    return 0
