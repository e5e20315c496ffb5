"""Statuses as they are written: differences only, again where others were faster, and what is left behind cleared once."""

from __future__ import annotations

import asyncio
import itertools
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
        self.contested: list[str] = []

    def get(self, resource: Any, *key: Any) -> Any:
        """Of the cache by a Key; of the server by a namespace and a name."""
        if len(key) == 2:
            return self._get()
        return self.tree if key[0] == KEY else None

    async def _get(self) -> Tree:
        ours, status = {"manager": "seaway-gateway", "subresource": "status", "time": "3"}, {"subresource": "status"}
        others = [{"manager": "old", "time": "1", **status}, {"manager": "rival", "time": "2", **status}, {"manager": "kubectl", "time": "4"}]
        return {"metadata": {"managedFields": [*others, ours]}}

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


def written(objects: Objects, act: Callable[[StatusWriter], Awaitable[None]], pause: float = 0.0) -> list[Tree]:
    """What was patched while a writer ran."""

    async def run() -> None:
        writer = StatusWriter(objects, objects, lambda: (), pause, contested=lambda _, who: objects.contested.append(who))  # type: ignore[arg-type]
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


def test_a_status_that_another_controller_writes_over_is_written_ever_more_seldom_and_told_of() -> None:
    objects = Objects()
    times: list[float] = []

    async def act(writer: StatusWriter) -> None:
        loop = asyncio.get_running_loop()
        writer.want(Status("ingresses", *KEY, OURS))
        for turn in range(6):
            await until(lambda turn=turn: len(objects.patches) == turn + 1)  # type: ignore[misc]
            times.append(loop.time())
            assert objects.tree is not None
            objects.tree = {**objects.tree, "status": copied(OTHERS)}
            writer.look("ingresses", KEY)
        writer.want(Status("ingresses", *KEY, {"loadBalancer": {"ingress": [{"ip": "203.0.113.8"}]}}))
        began = loop.time()
        await until(lambda: len(objects.patches) == 7)
        assert loop.time() - began < 0.2, "what is new waits for no rival"

    written(objects, act, pause=0.01)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert all(pause >= 0.006 * 2**turn for turn, pause in enumerate(pauses)), pauses
    assert objects.contested == ["rival"], "once"


def test_one_write_of_a_hand_is_mended_and_nobody_is_accused() -> None:
    objects = Objects()

    async def act(writer: StatusWriter) -> None:
        writer.want(Status("ingresses", *KEY, OURS))
        await until(lambda: len(objects.patches) == 1)
        assert objects.tree is not None
        objects.tree = {**objects.tree, "status": copied(OTHERS)}
        writer.look("ingresses", KEY)
        await until(lambda: len(objects.patches) == 2)

    written(objects, act, pause=0.01)
    assert not objects.contested
