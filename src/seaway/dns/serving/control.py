"""The process that watches the API and holds the zone: it answers what the workers do not know yet and tells them what changed.
It also serves health, readiness and metrics."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Sequence

import uvloop

from seaway.client import kubeconfig
from seaway.client.reader import Reader
from seaway.dns import measures
from seaway.dns.serving import own
from seaway.dns.serving.assembly import kubernetes_of
from seaway.dns.serving.feed import Feed
from seaway.dns.serving.pages import Pages
from seaway.dns.serving.workers import Workers
from seaway.dns.settings import Kubernetes, Settings
from seaway.dns.zone.lookup import Zone
from seaway.dns.zone.store import Store

log = logging.getLogger("dns")


class Control:
    """The zone, its feed and its askers."""

    def __init__(self, settings: Settings, links: Sequence[socket.socket], said: int, again: bool) -> None:
        self._settings, self._said = settings, said
        self.kubernetes = kubernetes_of(settings)
        self.store = Store()
        self.zone = Zone(self.store, self.kubernetes or Kubernetes(zones=()), own.addresses)
        names, serial = lambda: list(self.store.services), lambda: self.store.serial
        self.workers = Workers(list(links), self.zone.answer, names, self.zone.plain_addresses, serial, again)
        self.ending = False

    @property
    def ready(self) -> bool:
        return self.zone.synced and not self.ending

    def changed(self) -> None:
        self.workers.change(self.store.take())

    async def feed(self, path: str) -> None:
        """Watches until cancelled. Without a `kubernetes` there is nothing to wait for."""
        if self.kubernetes is None:
            self._whole()
            await asyncio.Event().wait()
        assert self.kubernetes is not None
        credentials = kubeconfig.find(path)
        async with Reader(credentials, "dns") as api:
            feed = Feed(api, self.store, self.kubernetes, self.changed, credentials.server)
            running = asyncio.ensure_future(feed.run())
            waiting = asyncio.ensure_future(feed.synced.wait())
            try:
                await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
                self._whole()
                gc.collect()
                gc.freeze()  # what stays is walked no more
                await running
            finally:
                waiting.cancel()
                running.cancel()

    def _whole(self) -> None:
        self.zone.synced = True
        self.workers.sync()
        os.write(self._said, b"s")  # the supervisor waits for it when settings change

    async def metrics(self) -> str:
        return measures.exposition(await self.workers.counts(), self._settings)


async def run(
    settings: Settings,
    path: str,
    links: Sequence[socket.socket],
    pages: dict[str, socket.socket],
    said: int,
    again: bool,
    ending: bool,
) -> None:
    control = Control(settings, links, said, again)
    control.ending = ending
    loop = asyncio.get_running_loop()

    def end() -> None:
        control.ending = True

    loop.add_signal_handler(signal.SIGTERM, end)  # unready; the supervisor ends the process when its time has come
    loop.add_signal_handler(signal.SIGINT, end)
    asyncio.ensure_future(_with_parent(os.getppid()))
    await Pages(lambda: control.ready, control.metrics).serve(pages, settings.health, settings.ready, settings.metrics)
    await control.feed(path)


async def _with_parent(parent: int) -> None:
    """Nobody is to stay when the supervisor is killed."""
    while os.getppid() == parent:
        await asyncio.sleep(1.0)
    os._exit(1)


def main(
    settings: Settings,
    path: str,
    links: Sequence[socket.socket],
    pages: dict[str, socket.socket],
    said: int,
    again: bool,
    ending: bool,
) -> None:
    """The child's whole life. `again`: it takes the place of one that died; `ending`: whose end had begun."""
    code = 1
    gc.set_threshold(50_000, 20, 50)
    os.nice(5)  # an answer by UDP goes before what a change of the API costs here
    try:
        uvloop.run(run(settings, path, links, pages, said, again, ending))
        code = 0
    except KeyboardInterrupt:
        code = 0
    except BaseException:
        log.exception("the control process fails")
    finally:
        os._exit(code)
