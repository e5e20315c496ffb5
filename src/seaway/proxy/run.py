"""`seaway kube-proxy`: the process, put together from its settings."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvloop

from seaway.client import kubeconfig
from seaway.client.events import Recorder
from seaway.client.kubeconfig import Credentials, CredentialsError
from seaway.client.rest import Rest
from seaway.metrics import process as measures
from seaway.proxy import addresses, events, health, tracing
from seaway.proxy.configuration import BadConfiguration, Settings
from seaway.proxy.conntrack import KernelConntrack
from seaway.proxy.events import Told
from seaway.proxy.flags import options, settings
from seaway.proxy.kernel import KernelError
from seaway.proxy.modes import cleanup, leftovers, open_plane, settled
from seaway.proxy.planes import Plane
from seaway.proxy.process import Proxy

log = logging.getLogger("kube-proxy")
REOPEN, LAST_WORDS = 5.0, 2.0  # seconds until a port is tried again, and for the events of a proxy that ends
LOOK = 5.0  # seconds between two looks at the configuration file


class Ending(Exception):
    """Why the proxy ends by itself, with the event for it."""

    def __init__(self, text: str, event: Told | None = None) -> None:
        super().__init__(text)
        self.event = event


class PortRefused(Ending):
    """A port of the proxy's own cannot be had, and it is not to go on without (`bindAddressHardFail`)."""


async def listen(
    serve: Callable[[], Awaitable[None]],
    failed: Callable[[str], Told],
    text: str,
    hard_fail: bool,
    wait: float = REOPEN,
) -> None:
    """Opens a port; while that fails, again after a while, or PortRefused."""
    while True:
        try:
            return await serve()
        except OSError as e:
            why = f"{text}: {e.strerror or e}"
            if hard_fail:
                raise PortRefused(why, failed(why)) from e
            log.error("%s; again in %.0f s", why, wait)
        await asyncio.sleep(wait)


def _where(address: tuple[str, int]) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


async def _ports(proxy: Proxy, wanted: Settings) -> None:
    """Opens /healthz and /metrics, where they are wanted."""
    async with asyncio.TaskGroup() as group:
        if wanted.healthz[1]:
            text = f"healthz server failed: failed to start proxier healthz on {_where(wanted.healthz)}"
            serve = partial(health.serve, wanted.healthz, proxy.state, proxy.metrics)
            group.create_task(listen(serve, partial(events.healthz_failed, wanted.node), text, wanted.hard_fail))
        if wanted.metrics[1]:
            measures.add(proxy.metrics.registry)
            text = f"starting metrics server failed: listen {_where(wanted.metrics)}"
            serve = partial(health.serve_metrics, wanted.metrics, wanted.mode, proxy.metrics)
            group.create_task(listen(serve, partial(events.metrics_failed, wanted.node), text, wanted.hard_fail))


def _content(path: str) -> bytes:
    """b"" where there is nothing: a volume is exchanged in a moment."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


async def changed(path: str, before: bytes, period: float = LOOK) -> None:
    """Ending, once a file says something else: who runs the proxy starts it anew, with what the file says then (runLoop of
    cmd/kube-proxy/app/options.go)."""
    while (await asyncio.to_thread(_content, path) or before) == before:
        await asyncio.sleep(period)
    raise Ending("content of the proxy server's configuration file was updated")


async def _main(wanted: Settings, plane: Plane, credentials: Credentials, path: str, document: bytes) -> int:
    async with Rest(credentials, "kube-proxy") as api:
        recorder = Recorder(api, "kube-proxy", os.uname().nodename)
        proxy = Proxy(
            api,
            plane,
            KernelConntrack(),
            wanted,
            addresses.local,
            lambda ended: leftovers(wanted, ended),
            recorder,
        )
        working = asyncio.ensure_future(proxy.run())
        endings: list[Ending] = []

        async def go_along() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_ports(proxy, wanted))
                    if path:
                        group.create_task(changed(path, document))
            except* Ending as group_:
                endings.extend(_leaves(group_))
                working.cancel()

        beside = [asyncio.ensure_future(recorder.run()), asyncio.ensure_future(go_along())]
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
        recorder.tell(*events.starting(wanted.node))
        try:
            await working
        except asyncio.CancelledError:
            for why in endings:
                log.error("%s", why)
                if why.event is not None:
                    recorder.tell(*why.event)
                    await recorder.flush(LAST_WORDS)
            await plane.retire()
        finally:
            for task in beside:
                task.cancel()
        return 1 if endings else 0


def _leaves(group: BaseExceptionGroup[Ending]) -> list[Ending]:
    return [leaf for e in group.exceptions for leaf in (_leaves(e) if isinstance(e, BaseExceptionGroup) else [e])]


def main(argv: list[str]) -> int:
    if argv[:1] == ["trace"]:
        return tracing.main(argv[1:])
    args = options().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        document = _content(args.config) if args.config else b""
        wanted = settings(args)
        plane = open_plane(wanted)
        wanted = settled(wanted, plane)
        if args.cleanup:
            for line in cleanup(wanted, plane):
                log.info("%s", line)
            return 0
        credentials = kubeconfig.find(wanted.kubeconfig)
    except (BadConfiguration, KernelError, CredentialsError) as e:
        print(f"seaway kube-proxy: {args.config + ': ' if args.config else ''}{e}", file=sys.stderr)
        return 1
    # Tens of thousands of objects that stay are walked by the collector again and again: a third of a cold start.
    gc.set_threshold(100_000, 20, 20)
    return uvloop.run(_main(wanted, plane, credentials, args.config, document))
