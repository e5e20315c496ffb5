"""`seaway gateway`: the controller for Ingress and Gateway API as a process, one of its replicas at work at a time."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import uuid

import uvloop

from seaway.client import kubeconfig, lease
from seaway.client.events import Events
from seaway.client.kubeconfig import CredentialsError
from seaway.client.rest import Rest
from seaway.gateway.infrastructure import parameters
from seaway.gateway.infrastructure.values import CONTROLLER, SYSTEM, XDS_PORT
from seaway.gateway.measures import Measures
from seaway.gateway.process import Gateway, Settings
from seaway.gateway.programming import Programming
from seaway.gateway.provisioning import Provisioning
from seaway.metrics import exposition
from seaway.metrics import process as of_process
from seaway.metrics.pages import METRICS, Page, serve
from seaway.routing.gateway import classes

log = logging.getLogger("seaway.gateway")
OK = Page(200, "ok\n")
INGRESS_CONTROLLER = "seaway.dev/ingress-controller"


class _State:
    """What the pages say; `gateway` while this replica is the one at work."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None

    async def ready(self) -> Page:
        if self.gateway is None:
            return Page(200, "another replica is at work\n")  # a proxy that asks here is refused, and asks again at once
        return OK if self.gateway.settled else Page(503, "the first look at the cluster is not complete\n")

    async def healthy(self) -> Page:
        return OK


async def _main(args: argparse.Namespace) -> None:
    """Works until SIGTERM, and gives its lease away then."""
    working = asyncio.ensure_future(_work(args))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    await asyncio.wait((working,))
    if not working.cancelled():
        working.result()


async def _work(args: argparse.Namespace) -> None:
    base = parameters.read(parameters.Parameters(), [{"data": dict(args.parameter)}])
    measures = Measures()
    of_process.add(measures.registry)
    state = _State()
    async with Rest(kubeconfig.find(args.kubeconfig), "seaway-gateway") as api:

        async def measured() -> Page:
            return Page(200, exposition.render(measures.registry), METRICS)

        await serve({"/healthz": state.healthy, "/readyz": state.ready}, port=args.health_port)
        await serve({"/metrics": measured}, port=args.metrics_port)

        async def work() -> None:
            provisioning = Provisioning(api, args.namespace, base.parameters, (args.xds_host, args.xds_port))
            programming = Programming(args.xds_port, provisioning.authorities, measures, args.xds_host)
            events = Events(api, CONTROLLER, "")
            settings = Settings(tuple(args.controller_name), tuple(args.ingress_controller))
            gateway = Gateway(api, settings, programming, provisioning, measures, events)
            state.gateway = gateway
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(events.run())
                    group.create_task(programming.run())
                    group.create_task(gateway.run())
            finally:
                state.gateway = None

        # A pod has one such process at a time: one that was killed finds its Lease to be its own.
        identity = os.environ.get("POD_NAME") or f"{os.uname().nodename}_{uuid.uuid4()}"
        while True:
            await lease.lead(api, args.namespace, CONTROLLER, identity, work, release=True)


def _parameter(text: str) -> tuple[str, str]:
    key, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "seaway gateway",
        description="Serve Ingress and Gateway API with Envoy, in any cluster.",
        epilog="`seaway gateway routes` shows what is programmed, for whom, from which object.",
    )
    parser.add_argument("--kubeconfig", default="", help="path to a kubeconfig; the pod's ServiceAccount otherwise")
    parser.add_argument(
        "--controller-name",
        action="append",
        metavar="NAME",
        help=f"controllerName of GatewayClasses that are served; may be repeated (default {classes.CONTROLLER})",
    )
    parser.add_argument(
        "--ingress-controller",
        action="append",
        metavar="NAME",
        help=f"spec.controller of IngressClasses that are served; may be repeated (default {INGRESS_CONTROLLER})",
    )
    parser.add_argument(
        "--parameter",
        action="append",
        type=_parameter,
        default=[],
        metavar="KEY=VALUE",
        help="a default for fleets of Envoys, as in a ConfigMap that parametersRef names; may be repeated",
    )
    parser.add_argument(
        "--namespace",
        default=os.environ.get("POD_NAMESPACE") or SYSTEM,
        help="where the controller's own objects lie: its Lease, its authority, the fleets of IngressClasses",
    )
    parser.add_argument(
        "--xds-host", default=f"{CONTROLLER}.{SYSTEM}.svc", help="the name under which Envoys find this controller"
    )
    for name, default, what in (
        ("xds", XDS_PORT, "xDS"),
        ("health", 8081, "/healthz and /readyz"),
        ("metrics", 8080, "/metrics"),
    ):
        parser.add_argument(f"--{name}-port", type=_port, default=default, help=f"port of {what} ({default})")
    return parser


def main(argv: list[str]) -> int:
    if argv[:1] == ["routes"]:
        from seaway.gateway import routes

        return routes.main(argv[1:])
    parser = options()
    args = parser.parse_args(argv)
    args.controller_name = args.controller_name or [classes.CONTROLLER]
    args.ingress_controller = args.ingress_controller or [INGRESS_CONTROLLER]
    reading = parameters.read(parameters.Parameters(), [{"data": dict(args.parameter)}])
    if reading.problems:
        parser.error(f"--parameter: {reading.problems[0]}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    gc.set_threshold(50_000, 20, 100)  # caches are large and do not die: fewer looks at them
    try:
        uvloop.run(_main(args))
    except CredentialsError as e:
        print(f"seaway gateway: {e}", file=sys.stderr)
        return 1
    except BaseExceptionGroup as group:
        for error in _leaves(group):
            log.error("%s: %s", type(error).__name__, error, exc_info=error)
        return 1
    return 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [leaf for e in group.exceptions for leaf in (_leaves(e) if isinstance(e, BaseExceptionGroup) else [e])]
