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
from seaway.proxy.configuration import duration


async def _main(args: argparse.Namespace) -> None:
    async with Rest(kubeconfig.find(args.kubeconfig), "seaway-controllers") as api:

        async def work() -> None:
            caches, events = run.Caches(api), Events(api, "endpoint-controllers", "")
            async with asyncio.TaskGroup() as group:
                group.create_task(events.run())
                group.create_task(run.run(caches, everywhere.controllers(caches, events, args.max_endpoints_per_slice)))

        if not args.leader_elect:
            await work()
        identity = f"{os.uname().nodename}_{uuid.uuid4()}"
        timing = lease.Timing(
            args.leader_elect_lease_duration, args.leader_elect_renew_deadline, args.leader_elect_retry_period
        )
        while True:
            await lease.lead(api, args.lease_namespace, "seaway-controllers", identity, work, timing)


def _bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "seaway controllers",
        description="Keep EndpointSlices and Endpoints, and mirror hand-written Endpoints, in any cluster.",
    )
    parser.add_argument("--kubeconfig", default="", help="path to a kubeconfig; the pod's ServiceAccount otherwise")
    parser.add_argument("--max-endpoints-per-slice", type=int, default=100, help="1 to 1000")
    parser.add_argument("--lease-namespace", default="kube-system", help="where the leader's Lease lies")
    # The names are kube-controller-manager's.
    parser.add_argument(
        "--leader-elect",
        type=_bool,
        default=True,
        metavar="BOOL",
        help="work only while holding the Lease (default true)",
    )
    for name, seconds, text in (
        ("lease-duration", 15.0, "how long others wait for a leader that is silent"),
        ("renew-deadline", 10.0, "how long a leader that cannot renew goes on"),
        ("retry-period", 2.0, "how often both try"),
    ):
        parser.add_argument(f"--leader-elect-{name}", type=duration, default=seconds, help=f"{text} ({seconds:.0f}s)")
    args = parser.parse_args(argv)
    if not args.leader_elect_retry_period < args.leader_elect_renew_deadline < args.leader_elect_lease_duration:
        parser.error("--leader-elect-...: retry-period < renew-deadline < lease-duration must hold")
    if not 1 <= args.max_endpoints_per_slice <= 1000:
        parser.error("--max-endpoints-per-slice must be between 1 and 1000")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        asyncio.run(_main(args))
    except CredentialsError as e:
        print(f"seaway controllers: {e}", file=sys.stderr)
        return 1
    return 0
