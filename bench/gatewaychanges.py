"""The gateway of a cluster while routes come and change: how long until a client outside has the right answer, what a thousand
routes at once cost, and what the controller takes when nothing happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gatewayroutes import GATEWAY, MARK, NAMESPACE, ROUTES, name, place, route, rules, surroundings
from rig import SEAWAY, Cluster, Raw, run

from seaway.client import kubeconfig
from seaway.client.informer import Informer
from seaway.client.reflector import Change
from seaway.gateway import kinds

Tree = dict[str, Any]
SERVED = kinds.served(kinds.GROUP, {"v1": ("gateways", "httproutes")})
GATEWAYS, HTTPROUTES = SERVED["gateways"], SERVED["httproutes"]
CONNECTIONS = 8
CHURN = 30.0  # edits of other routes a second
REST = 20.0  # seconds that the controller is looked at
MERGE = "application/merge-patch+json"
PATIENCE = 120.0


class Took(NamedTuple):
    """Seconds from sending a write to the first right answer, of routes that are added and of routes that are edited; what the
    API server took of it; and the other edits a second meanwhile."""

    added: list[float]
    edited: list[float]
    written: list[float]
    churn: float


class Attached(NamedTuple):
    """Many routes at once: seconds until the last is written, until the Gateway counts them all, until all are accepted, until
    the last one is answered; writes of the Gateway's status and of routes' ones, and the most of one route."""

    written: float
    counted: float
    accepted: float
    answered: float
    gateway_writes: int
    route_writes: int
    most: int


class Probe:
    """The client outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def right(self, host: str, path: str, **wanted: Any) -> float:
        """When the answer was right, of time.monotonic()."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"host": host, "path": path, **wanted}).encode() + b"\n")
        found = json.loads(await self._process.stdout.readline() or '{"error": "the client outside has ended"}')
        if "error" in found:
            sys.exit(f"bench: {found['error']}")
        return float(found["at"])


class Edge:
    """The Gateway, those who write its routes, and the client outside. `shape`: see gatewayroutes."""

    def __init__(self, cluster: Cluster, seed: int = 15) -> None:
        self.cluster, self.chance = cluster, random.Random(seed)
        self._credentials = kubeconfig.from_file(cluster.kubeconfig)
        self._version = 0
        self.shape = "hosts"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Edge]:
        self.raws = [await Raw(self._credentials).open() for _ in range(CONNECTIONS + 1)]
        async with self.cluster.rest() as self.api:
            for tree in surroundings():
                resource = {"Namespace": "/api/v1/namespaces", "Pod": f"/api/v1/namespaces/{NAMESPACE}/pods",
                            "Service": f"/api/v1/namespaces/{NAMESPACE}/services", "Gateway": ROUTES.replace("httproutes", "gateways")}[tree["kind"]]
                await self._send(self.raws[0], "POST", resource, tree)
            address = await self._address()
            self.gateways, self.routes = Informer(self.api, GATEWAYS, NAMESPACE), Informer(self.api, HTTPROUTES, NAMESPACE)
            running = [asyncio.ensure_future(i.run()) for i in (self.gateways, self.routes)]
            command = [SEAWAY, "outside", "--name", "bench", "--", sys.executable, str(Path(__file__).with_name("gatewayprobe.py")), address, "80"]
            process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
            self.probe = Probe(process)
            try:
                yield self
            finally:
                process.kill()
                await process.wait()
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
                for raw in self.raws:
                    raw.writer.close()

    async def _address(self) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            tree = await self.api.get(GATEWAYS, NAMESPACE, GATEWAY)
            status = tree.get("status") or {}
            programmed = any(c["type"] == "Programmed" and c["status"] == "True" for c in status.get("conditions") or ())
            if programmed and status.get("addresses"):
                return next(str(a["value"]) for a in status["addresses"] if ":" not in a["value"])
            await asyncio.sleep(0.05)
        sys.exit(f"bench: the Gateway is not programmed within {PATIENCE:.0f} s")

    @staticmethod
    async def _send(raw: Raw, method: str, path: str, tree: Tree, media: str = "application/json") -> None:
        body = json.dumps(tree).encode()
        try:
            status = await raw.send(method, path, body, media)
        except (asyncio.IncompleteReadError, ConnectionError):  # the server ends connections that are idle for long
            await raw.open()
            status = await raw.send(method, path, body, media)
        if status >= 300:
            sys.exit(f"bench: {method} {path} answered {status}")

    async def _each(self, works: Iterable[tuple[str, str, Tree]]) -> None:
        """Writes, on all connections but the last."""
        left = iter(works)

        async def go(raw: Raw) -> None:
            for method, path, tree in left:
                await self._send(raw, method, path, tree)

        await asyncio.gather(*(go(raw) for raw in self.raws[:-1]))

    def _attached(self) -> int:
        tree = self.gateways.get(NAMESPACE, GATEWAY) or {}
        return sum(int(x["attachedRoutes"]) for x in (tree.get("status") or {}).get("listeners") or ())

    def _accepted(self, count: int) -> bool:
        routes = self.routes.all()
        return len(routes) == count and all(
            any(c["type"] == "Accepted" and c["status"] == "True" for p in (r.get("status") or {}).get("parents") or () for c in p["conditions"])
            for r in routes
        )

    async def _until(self, check: Any, what: str) -> float:
        end = time.monotonic() + PATIENCE
        while not check():
            if time.monotonic() > end:
                sys.exit(f"bench: {what}: not within {PATIENCE:.0f} s")
            await asyncio.sleep(0.01)
        return time.monotonic()

    async def fill(self, first: int, last: int) -> None:
        """The routes from `first` to `last` - 1, and their answers."""
        if first < last:
            await self._each(("POST", ROUTES, route(self.shape, n)) for n in range(first, last))
            await self.probe.right(*place(self.shape, last - 1), mark=[MARK, "0"])
            await self._until(lambda: self._attached() == last and self._accepted(last), f"{last:,} routes attached and accepted")

    async def clear(self) -> None:
        await self._send(self.raws[0], "DELETE", ROUTES, {})
        await self._until(lambda: self._attached() == 0, "no route attached")

    # changes

    async def _edit(self, raw: Raw, number: int) -> str:
        self._version += 1
        version = str(self._version)
        await self._send(raw, "PATCH", f"{ROUTES}/{name(number)}", {"spec": {"rules": rules(self.shape, number, version)}}, MERGE)
        return version

    async def _churn(self, routes: int, made: list[int]) -> None:
        """Edits routes in the first half of them, as many a second as CHURN says."""
        began = time.monotonic()
        for n in range(10**9):
            await asyncio.sleep(max(0.0, began + n / CHURN - time.monotonic()))
            await self._edit(self.raws[-1], self.chance.randrange(max(routes // 2, 1)))
            made.append(n)

    async def changes(self, routes: int, churn: bool, count: int) -> Took:
        """Beside `routes` others: a route is added, edited and removed, so often."""
        raw, found, made = self.raws[0], Took([], [], [], 0.0), [0]
        churning = asyncio.ensure_future(self._churn(routes, made)) if churn else None
        began, number = time.monotonic(), routes
        host, path = place(self.shape, number)

        async def timed(write: Awaitable[Any], times: list[float], **wanted: Any) -> None:
            # Other routes' writes are in the air, and where in the controller's own pace this one falls is chance.
            await asyncio.sleep(self.chance.uniform(0.03, 0.06))
            asked = asyncio.ensure_future(self.probe.right(host, path, **wanted))
            sent = time.monotonic()
            await write
            found.written.append(time.monotonic() - sent)
            times.append(await asked - sent)

        for n in range(count):
            added, edited = f"a{n}", f"e{n}"
            await timed(self._send(raw, "POST", ROUTES, route(self.shape, number, added)), found.added, mark=[MARK, added])
            tree = {"spec": {"rules": rules(self.shape, number, edited)}}
            await timed(self._send(raw, "PATCH", f"{ROUTES}/{name(number)}", tree, MERGE), found.edited, mark=[MARK, edited])
            await timed(self._send(raw, "DELETE", f"{ROUTES}/{name(number)}", {}), [], status=404)
        if churning is None:
            return found
        if churning.done():
            churning.result()  # it ended by itself: whatever ended it ends this too
        churning.cancel()
        await asyncio.gather(churning, return_exceptions=True)
        return found._replace(churn=(len(made) - 1) / (time.monotonic() - began))

    async def attach(self, count: int) -> Attached:
        """So many routes at once."""
        writes: Counter[str] = Counter()
        counting = True

        def changed(change: Change) -> None:
            # An event of an object that was there is one write of its status: nobody else writes anything here.
            if counting and change.old is not None and change.new is not None:
                writes[f"{change.new['kind']}/{change.key.name}"] += 1

        for informer in (self.gateways, self.routes):
            informer.listen(changed)
        began = time.monotonic()
        answered = asyncio.ensure_future(self.probe.right(*place(self.shape, count - 1), mark=[MARK, "0"]))
        await self._each(("POST", ROUTES, route(self.shape, n)) for n in range(count))
        written = time.monotonic()
        counted = await self._until(lambda: self._attached() == count, f"{count:,} routes attached")
        all_accepted = await self._until(lambda: self._accepted(count), f"{count:,} routes accepted")
        at = await answered
        await asyncio.sleep(2)  # writes that come after all is said count too
        counting = False
        each = {k: n for k, n in writes.items() if k.startswith("HTTPRoute/")}
        return Attached(written - began, counted - began, all_accepted - began, at - began, writes[f"Gateway/{GATEWAY}"], sum(each.values()), max(each.values(), default=0))


class Process:
    """A process of the cluster by its pid on this machine."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu(self) -> float:
        return time.clock_gettime(~self.pid << 3 | 2)  # as clock_getcpuclockid(3) names it

    def memory(self) -> tuple[float, float]:
        """(PSS, the most RSS that it has had) in MiB."""
        rollup = dict(line.split()[:2] for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()[1:])
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        return int(rollup["Pss:"]) / 1024, int(status["VmHWM"].split()[0]) / 1024


def processes(wanted: str) -> list[Process]:
    """The cluster's processes of this name."""
    told = json.loads(run("status", "--name", "bench", "-o", "json"))[0]["processes"]
    return [Process(row["pid"]) for row in told if row["name"] == wanted]


async def at_rest(process: Process, seconds: float = REST) -> float:
    """Processors that it takes."""
    before, began = process.cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    return (process.cpu() - before) / (time.monotonic() - began)


def median(times: list[float]) -> float:
    return statistics.median(times) * 1000


def high(times: list[float]) -> float:
    """The 99th of a hundred, in milliseconds."""
    return sorted(times)[min(int(0.99 * len(times)), len(times) - 1)] * 1000


