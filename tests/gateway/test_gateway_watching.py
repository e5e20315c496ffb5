"""What is waited for before anything is decided: the first list of every kind that is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from seaway.client.errors import ApiStatusError, NotFound
from seaway.gateway import watching
from seaway.gateway.watching import Watching

Tree = dict[str, Any]
GROUP = "/apis/gateway.networking.k8s.io"


class Server:
    """Serves empty lists, but for what `refuses` says: resource -> status code."""

    def __init__(self) -> None:
        self.kinds: list[str] = ["gateways"]
        self.refuses: dict[str, int] = {}

    async def request(self, method: str, path: str) -> Tree:
        if path == GROUP:
            return {"versions": [{"version": "v1"}]}
        return {"resources": [{"name": name} for name in self.kinds]}

    async def list(self, kind: Any, namespace: str = "", query: Any = None) -> Tree:
        code = self.refuses.get(kind.resource)
        if code is not None:
            raise (NotFound if code == 404 else ApiStatusError)(code, {"message": "no"}, "list")
        return {"items": [], "metadata": {"resourceVersion": "1"}}

    async def watch(self, kind: Any, namespace: str, query: Any) -> AsyncIterator[Tree]:
        await asyncio.Event().wait()
        yield {}


async def until(claim: Any) -> None:
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.01)


def followed(monkeypatch: pytest.MonkeyPatch, play: Any) -> None:
    monkeypatch.setattr(watching, "ASK_AGAIN", 0.05)
    monkeypatch.setattr(watching, "LOOK", 0.05)

    async def main() -> None:
        server = Server()
        found = Watching(server, ["services", "gateways", "tlsroutes"], lambda *_: None)  # type: ignore[arg-type]
        running = asyncio.ensure_future(found.run())
        try:
            await play(server, found)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_a_kind_that_is_gone_before_its_first_list_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(server: Server, found: Watching) -> None:
        await until(found.complete.is_set)
        server.refuses["tlsroutes"] = 404
        server.kinds = ["gateways", "tlsroutes"]
        await until(lambda: "tlsroutes" in found.informers)
        server.kinds = ["gateways"]
        await until(lambda: "tlsroutes" not in found.informers and found.complete.is_set())
        server.refuses.clear()
        server.kinds = ["gateways", "tlsroutes"]
        await until(lambda: "tlsroutes" in found.informers and found.complete.is_set())

    followed(monkeypatch, play)


def test_what_is_at_work_does_not_wait_for_a_kind_that_may_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(server: Server, found: Watching) -> None:
        await until(found.complete.is_set)
        server.refuses["tlsroutes"] = 403
        server.kinds = ["gateways", "tlsroutes"]
        await until(lambda: "tlsroutes" in found.informers)
        await until(found.complete.is_set)

    followed(monkeypatch, play)


def test_nothing_is_complete_while_a_kind_of_the_beginning_may_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(server: Server, found: Watching) -> None:
        await until(lambda: found.informers["gateways"].trouble is not None)
        await asyncio.sleep(0.2)
        assert not found.complete.is_set()
        server.refuses.clear()
        await until(found.complete.is_set)

    async def refused(server: Server, found: Watching) -> None:
        server.refuses["gateways"] = 403
        await until(lambda: "gateways" in found.informers)
        await play(server, found)

    followed(monkeypatch, refused)
