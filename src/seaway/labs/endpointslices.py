"""Lab: what one change costs on the watch (claim 3 of the notes, KEP-0752).

Endpoints and EndpointSlices as the controllers would write them are written to a real API server, watched by real watchers,
and changed; the bytes of the watch streams are counted. What 5,000 nodes would receive is arithmetic, and says so.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from typing import Any

from seaway.client import kubeconfig
from seaway.client.errors import Unavailable
from seaway.client.rest import Rest, kind_of
from seaway.cluster.config import ClusterConfig, default_nodes
from seaway.controllers import endpoints, endpointslices
from seaway.controllers.writes import Create, Patch, Write, apply
from seaway.labs import chart
from seaway.labs.frame import Options, Result, Stage, human

Tree = dict[str, Any]
NODES = 5000
WATCHERS = 10
CHANGES = 5
FORMS = ("Endpoints", "slices of 100", "slices of 1,000")
PATIENCE = 60.0
QUIET = 0.3  # seconds without a byte: the change has arrived everywhere


def pod(number: int, ready: bool = True, generation: int = 0) -> Tree:
    """A pod of a Deployment as the controllers see it."""
    name = f"web-7d4b9c8f6d-{number:05x}{generation}"
    return {
        "metadata": {"namespace": "default", "name": name, "uid": f"{number:08x}-1c2d-4e5f-8a9b-{generation:012x}"},
        "spec": {"nodeName": f"worker-{number % NODES:04d}", "containers": [{"name": "c"}]},
        "status": {
            "phase": "Running",
            "podIP": f"10.{128 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


SERVICE: Tree = {
    "metadata": {
        "namespace": "default",
        "name": "web",
        "uid": "00000000-0000-4000-8000-000000000000",
        "labels": {"app": "web"},
    },
    "spec": {
        "clusterIP": "10.96.10.10",
        "ipFamilies": ["IPv4"],
        "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
    },
}


class Book:
    """One form of the endpoints of a Service: the objects as they are in the API, and the writes that a change takes."""

    def __init__(self, form: str, api: Rest) -> None:
        self.api = api
        self.limit = {"Endpoints": 0, "slices of 100": 100, "slices of 1,000": 1000}[form]
        self.kind = kind_of("endpointslices.discovery.k8s.io") if self.limit else kind_of("endpoints")
        self.objects: dict[str, Tree] = {}

    def writes(self, pods: list[Tree]) -> list[Write]:
        if self.limit:
            nodes: dict[str, Tree] = {p["spec"]["nodeName"]: {"metadata": {}} for p in pods}
            found, _ = endpointslices.plan(SERVICE, pods, nodes, list(self.objects.values()), self.limit, "")
            return found
        # Not truncated: as the object was before it was cut at 1,000 addresses (v1.22).
        subsets = endpoints.subsets_of(SERVICE, pods)
        meta = {"name": "web", "namespace": "default", "labels": {"app": "web"}}
        if not self.objects:
            tree = {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": subsets}
            return [Create(self.kind, "default", tree)]
        return [Patch(self.kind, "default", "web", {"subsets": subsets})]

    async def settle(self, pods: list[Tree]) -> int:
        """Writes what the pods ask for; the number of writes."""
        writes = self.writes(pods)
        for write in writes:
            if isinstance(write, Create) and self.limit:
                # No owner: the Service is not there, and the garbage collector would take the slices away.
                meta = {k: v for k, v in write.tree["metadata"].items() if k != "ownerReferences"}
                write = Create(write.kind, write.namespace, {**write.tree, "metadata": meta})
            answer = await apply(self.api, write)
            if isinstance(write, (Create, Patch)):
                owner = [{"uid": SERVICE["metadata"]["uid"]}]
                meta = {**answer["metadata"], "ownerReferences": owner}
                self.objects[meta["name"]] = {**answer, "metadata": meta}
        return len(writes)

    async def remove(self) -> None:
        for name in self.objects:
            await self.api.delete(self.kind, "default", name)


class Counters:
    """Watchers of one kind, each a connection of its own, that count what they receive."""

    def __init__(self, book: Book, number: int) -> None:
        self._book, self.bytes = book, [0] * number
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Counters:
        listed = await self._book.api.list(self._book.kind, "default", {"limit": "1"})
        version = listed["metadata"]["resourceVersion"]
        self._tasks = [asyncio.ensure_future(self._watch(i, version)) for i in range(len(self.bytes))]
        await asyncio.sleep(QUIET)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, number: int, version: str) -> None:
        async for chunk in self._book.api.chunks(self._book.kind, "default", {"resourceVersion": version}):
            self.bytes[number] += len(chunk)

    async def take(self) -> float:
        """The median of what each watcher received since the last call, once all is quiet."""
        before: list[int] = []
        end = time.monotonic() + PATIENCE
        while before != self.bytes or not all(self.bytes):
            before = list(self.bytes)
            if time.monotonic() > end:
                raise Unavailable(f"a watcher received nothing within {PATIENCE:.0f} s")
            await asyncio.sleep(QUIET)
        self.bytes[:] = [0] * len(self.bytes)
        return statistics.median(before)


async def one_change(api: Rest, form: str, size: int, watchers: int) -> tuple[float, int]:
    """(bytes that a watcher receives when one pod's readiness turns, writes): medians of several changes."""
    book, pods = Book(form, api), [pod(i) for i in range(size)]
    await book.settle(pods)
    try:
        async with Counters(book, watchers) as counters:
            found, writes = [], 0
            for n in range(CHANGES):
                at = size * (2 * n + 1) // (2 * CHANGES)
                pods[at] = pod(at, ready=False)
                writes = await book.settle(pods)
                found.append(await counters.take())
        return statistics.median(found), writes
    finally:
        await book.remove()


def roll(size: int) -> Iterator[list[Tree]]:
    """The pods of a rolling update, one pod at a time: the new one ready, then the old one gone."""
    pods = [pod(i) for i in range(size)]
    for i in range(size):
        old = pods[i]
        pods.append(pod(i + (1 << 15), generation=1))
        yield list(pods)
        pods.remove(old)
        pods.insert(i, pods.pop())
        yield list(pods)


async def rolling(api: Rest, form: str, size: int) -> float:
    """Bytes that a watcher receives during a whole rolling update, measured."""
    book = Book(form, api)
    await book.settle([pod(i) for i in range(size)])
    try:
        async with Counters(book, 1) as counters:
            for pods in roll(size):
                await book.settle(pods)
            return await counters.take()
    finally:
        await book.remove()


async def measure(
    api: Rest, sizes: tuple[int, ...], stage: Stage
) -> tuple[dict[tuple[str, int], tuple[float, int]], dict[str, float]]:
    single: dict[tuple[str, int], tuple[float, int]] = {}
    for size in sizes:
        for form in FORMS:
            single[(form, size)] = await one_change(api, form, size, WATCHERS)
            received, writes = single[(form, size)]
            stage.say(
                f"{size:,} endpoints, {form}: one change is {writes} write, {human(received)} to each of {WATCHERS} watchers"
            )
    rolls = {}
    for form in FORMS:
        rolls[form] = await rolling(api, form, sizes[0])
        stage.say(f"{sizes[0]:,} endpoints, {form}: a rolling update is {human(rolls[form])} to a watcher")
    return single, rolls


def run(stage: Stage, options: Options) -> Result:
    """Measures on a cluster of its own."""
    sizes = (100, 1000) if options.quick else (100, 1000, 10_000)
    config = ClusterConfig(name="lab", nodes=default_nodes(1, "lab"))

    async def go(path: str) -> tuple[dict[tuple[str, int], tuple[float, int]], dict[str, float]]:
        async with Rest(kubeconfig.from_file(path), "seaway-lab") as api:
            return await measure(api, sizes, stage)

    with stage.cluster(config) as where:
        single, rolls = asyncio.run(go(str(where.kubeconfig)))
    rows = []
    numbers: dict[str, float] = {}
    for size in sizes:
        for form in FORMS:
            received, writes = single[(form, size)]
            whole = rolls[form] if size == sizes[0] else received * 2 * size
            rows.append(
                (
                    f"{size:,} as {form}",
                    str(writes),
                    human(received),
                    human(received * NODES),
                    human(whole) + ("" if size == sizes[0] else " *"),
                    human(whole * NODES) + " *",
                )
            )
            numbers[f"{form}/{size}"] = received
    picture = chart.bars(
        "One endpoint changes: bytes to each watcher",
        [f"{s:,} endpoints" for s in sizes],
        {form: [single[(form, s)][0] for s in sizes] for form in FORMS},
        human,
        "bytes on the watch (logarithmic)",
        log=True,
    )
    largest = sizes[-1]
    ratio = single[("Endpoints", largest)][0] / single[("slices of 100", largest)][0]
    return Result(
        "Endpoints against EndpointSlices on the watch",
        ("endpoints", "writes", "one change", f"x {NODES:,} nodes", "rolling update", f"x {NODES:,} nodes"),
        tuple(rows),
        (
            f"Measured: bytes of JSON on the wire, inside TLS, to {WATCHERS} real watchers (one for the rolling update).",
            f"x {NODES:,} nodes is arithmetic: what one watcher received, times {NODES:,}; every node watches everything.",
            f"*: arithmetic: bytes of one change x 2 changes a pod x pods; measured for {sizes[0]:,} endpoints only.",
            "Endpoints are shown whole; since v1.22 Kubernetes truncates them at 1,000 addresses, and etcd refuses 1.5 MB.",
            f"At {largest:,} endpoints one change sends {ratio:,.0f} times as much with Endpoints as with slices of 100.",
        ),
        picture,
        numbers,
    )
