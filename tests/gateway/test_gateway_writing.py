"""Statuses as they are written: differences only, again where others were faster, and what is left behind cleared once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from seaway.api.tree import Key, Tree, copied
from seaway.client.errors import Conflict
from seaway.client.rest import kind_of
from seaway.gateway.writing import StatusWriter
from seaway.routing.engine import Status
from seaway.routing.ingress.frontend import left_behind

KEY = Key("shop", "web")
OURS = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
OTHERS = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}


class Objects:
    """An API server and a cache in one: what is patched is there at once."""

    def __init__(self, **status: Any) -> None:
        self.kinds = {"ingresses": kind_of("ingresses.networking.k8s.io")}
        self.tree: Tree | None = {"metadata": {"resourceVersion": "1"}, "status": copied(status)}
        self.patches: list[Tree] = []
        self.conflicts = 0

    def get(self, resource: str, key: Key) -> Tree | None:
        return self.tree if key == KEY else None

    async def patch(self, kind: Any, namespace: str, name: str, body: Tree, subresource: str) -> Tree:
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict(409, {})
        assert self.tree is not None and subresource == "status"
        assert body["metadata"]["resourceVersion"] == self.tree["metadata"]["resourceVersion"]
        self.patches.append(body["status"])
        status = {**self.tree["status"], **body["status"]}
        self.tree = {
            "metadata": {"resourceVersion": str(len(self.patches) + 1)},
            "status": {k: v for k, v in status.items() if v},
        }
        return self.tree


def written(objects: Objects, act: Callable[[StatusWriter], Awaitable[None]]) -> list[Tree]:
    """What was patched while a writer ran."""

    async def run() -> None:
        writer = StatusWriter(objects, objects, lambda: (), pause=0.0)  # type: ignore[arg-type]
        task = asyncio.create_task(writer.run())
        await act(writer)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return objects.patches


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not done():
            await asyncio.sleep(0.001)


async def quiet() -> None:
    """Long enough for whatever is queued; what must not be written is awaited by nothing else."""
    await asyncio.sleep(0.03)


def test_a_status_is_written_once_and_again_where_somebody_was_faster() -> None:
    objects = Objects()
    objects.conflicts = 2

    async def act(writer: StatusWriter) -> None:
        writer.want(Status("ingresses", *KEY, OURS))
        await until(lambda: bool(objects.patches))
        writer.look("ingresses", KEY)
        await quiet()

    assert written(objects, act) == [OURS]


def test_addresses_of_ours_are_cleared_once_they_are_known_for_ours_and_others_stay() -> None:
    objects = Objects(**OURS)
    known: list[str] = []

    async def act(writer: StatusWriter) -> None:
        writer.clear("ingresses", KEY, lambda tree: left_behind(tree, known))
        await quiet()
        assert not objects.patches  # whose they are is not known yet
        known.append("203.0.113.7")
        writer.look_at_cleared()
        await until(lambda: bool(objects.patches))
        # Another controller may write the same: it is not fought with.
        assert objects.tree is not None
        objects.tree["status"] = copied(OURS)
        writer.look("ingresses", KEY)
        await quiet()

    assert written(objects, act) == [{"loadBalancer": None}]


def test_others_addresses_stay_and_an_ingress_that_is_ours_again_is_written() -> None:
    objects = Objects(**OTHERS)

    async def act(writer: StatusWriter) -> None:
        writer.clear("ingresses", KEY, lambda tree: left_behind(tree, ["203.0.113.7"]))
        await quiet()
        assert not objects.patches
        writer.want(Status("ingresses", *KEY, OURS))
        await until(lambda: bool(objects.patches))
        writer.look_at_cleared()
        await quiet()
        writer.forget("ingresses", KEY)
        objects.tree = None

    assert written(objects, act) == [OURS]
