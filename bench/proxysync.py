"""One proxy in network namespaces of its own, from its first list to a kernel that holds everything, and then change by change;
`bench/proxy.py` runs it.

    python bench/proxysync.py MODE SERVICES FOLDER CGROUP CHANGES

FOLDER has the API's pages as JSON; what decodes them is the proxy's own cost, as TLS and HTTP are not. Prints one JSON object.
MODE `layout` loads kube-proxy's layout instead, without any API.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import kubeproxylayout
import msgspec
import uvloop

from seaway.api.kinds import Kind
from seaway.cluster.fabric import build
from seaway.cluster.fabric.rtnetlink import Batch, index_of
from seaway.labs import manyservices
from seaway.labs.proxyrig import PLANES, SYSCTLS, own_lock
from seaway.proxy.conntrack import KernelConntrack
from seaway.proxy.kernel import KernelError, Nftables
from seaway.proxy.modes import open_plane
from seaway.proxy.planes import Plane
from seaway.proxy.process import Proxy
from seaway.proxy.table import Delta, ServiceTable

Tree = dict[str, Any]
PAGE, CHUNK = 500, 1000  # objects a page, Services a transaction of kube-proxy's layout
BOUND = 30.0  # seconds for kube-proxy's layout
WITHIN = 8.0  # seconds for all changes


def write_pages(folder: Path, size: int) -> None:
    """The lists of the API, page by page."""
    for plural, make in (
        ("services", manyservices.service),
        ("endpointslices", lambda n: manyservices.slice_of(n, manyservices.endpoints(n))),
    ):
        for number, at in enumerate(range(0, size, PAGE)):
            more = {"continue": str(number + 1)} if at + PAGE < size else {}
            page = {"metadata": {"resourceVersion": str(size), **more}, "items": [make(n) for n in range(at, min(at + PAGE, size))]}
            (folder / f"{plural}-{number}").write_bytes(msgspec.json.encode(page))


class PagedApi:
    """Lists from files, watches from a queue of lines."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def list(self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None) -> Tree:
        if kind.resource == "nodes":
            return {"metadata": {"resourceVersion": "1"}, "items": [manyservices.node()]}
        text = (self._folder / f"{kind.resource}-{(query or {}).get('continue', '0')}").read_bytes()
        found: Tree = msgspec.json.decode(text)
        await asyncio.sleep(0)
        return found

    async def watch(self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None) -> AsyncIterator[Tree]:
        while True:
            if kind.resource != "endpointslices":
                await asyncio.Event().wait()
            yield msgspec.json.decode(await self.lines.get())

    async def get(self, kind: Kind, namespace: str, name: str) -> Tree:
        raise NotImplementedError("a proxy does not ask for single objects")

    async def create(self, kind: Kind, namespace: str, tree: Tree, subresource: str = "", name: str = "") -> Tree:
        raise NotImplementedError("a proxy does not write")

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Any, subresource: str = "", media: str = "") -> Tree:
        raise NotImplementedError("a proxy does not write")

    async def delete(self, kind: Kind, namespace: str, name: str, options: Tree | None = None) -> Tree:
        raise NotImplementedError("a proxy does not write")


class Told:
    """A plane that says when the kernel has something."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.whole_of: dict[int, int] = {}  # family -> addresses and ports that the kernel was given
        self.changed = asyncio.Event()

    def whole(self, table: ServiceTable) -> None:
        self._plane.whole(table)
        self.whole_of[table.family] = len(table.vips)

    def change(self, family: int, delta: Delta) -> None:
        self._plane.change(family, delta)
        self.changed.set()

    async def audit(self, family: int, table: Callable[[], ServiceTable], unchanged: Callable[[], bool]) -> str:
        return await self._plane.audit(family, table, unchanged)

    async def retire(self) -> None:
        await self._plane.retire()

    def cleanup(self) -> None:
        self._plane.cleanup()


def cpu() -> float:
    """CPU seconds of this process and of the programs that it has called."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def memory() -> tuple[int, int]:
    """(RSS, PSS) in bytes."""
    found = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        words = line.split()
        if words[0] in ("Rss:", "Pss:"):
            found[words[0]] = int(words[1]) * 1024
    return found["Rss:"], found["Pss:"]


async def until(check: Callable[[], object], task: asyncio.Future[None]) -> None:
    while not check():
        if task.done():
            task.result()
            raise RuntimeError("the proxy has ended")
        await asyncio.sleep(0.002)


async def measure(mode: str, size: int, folder: Path, group: str, changes: int) -> Tree:
    named, backend = PLANES[mode]
    wanted = manyservices.settings(named, backend, "/" + os.path.basename(group), (4, 6))._replace(sync_period=3600.0)
    rss, pss = memory()
    began, spent = time.perf_counter(), cpu()
    api, plane = PagedApi(folder), Told(open_plane(wanted))
    proxy = Proxy(api, plane, KernelConntrack(), wanted, lambda: (manyservices.NODE_ADDRESS,))
    task = asyncio.ensure_future(proxy.run())
    await until(lambda: len(plane.whole_of) == 2 and proxy.last_sync, task)
    found: Tree = {"cold": time.perf_counter() - began, "cold cpu": cpu() - spent}
    if plane.whole_of != {4: size, 6: 0}:
        raise RuntimeError(f"the kernel was given {plane.whole_of} instead of {size} Services")
    found["rss"], found["pss"] = memory()
    found["rss before"], found["pss before"] = rss, pss
    times: list[float] = []
    spent, end = cpu(), time.monotonic() + WITHIN
    for n in range(changes):
        number = n * 7919 % size
        tree = manyservices.slice_of(number, manyservices.endpoints(number, 1 + n // size), size + n + 1)
        line = msgspec.json.encode({"type": "MODIFIED", "object": tree})
        plane.changed.clear()
        at = time.perf_counter()
        api.lines.put_nowait(line)
        await plane.changed.wait()
        times.append(time.perf_counter() - at)
        await asyncio.sleep(0.005)  # after a rest, as one change comes
        if time.monotonic() > end:
            break
    found |= {"changes": times, "change cpu": (cpu() - spent) / len(times)}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return found


def layout(size: int, changes: int) -> Tree:
    """kube-proxy's layout: in transactions of 1,000 Services, which is kinder than its own single one; until BOUND."""
    kernel = Nftables()
    ends = {n: manyservices.endpoints(n) for n in range(size)}
    began, spent = time.perf_counter(), cpu()
    kernel.nft(kubeproxylayout.SKELETON)
    loaded = 0
    for at in range(0, size, CHUNK):
        kernel.nft(kubeproxylayout.load({n: ends[n] for n in range(at, min(at + CHUNK, size))}))
        loaded = min(at + CHUNK, size)
        if time.perf_counter() - began > BOUND:
            break
    found: Tree = {"cold": time.perf_counter() - began, "cold cpu": cpu() - spent, "loaded": loaded}
    times: list[float] = []
    spent, end = cpu(), time.monotonic() + WITHIN
    for n in range(changes):
        number = n * 7919 % loaded
        new = manyservices.endpoints(number, 1 + n // loaded)
        text = kubeproxylayout.change(number, ends[number], new)
        at_ = time.perf_counter()
        kernel.nft(text)
        times.append(time.perf_counter() - at_)
        ends[number] = new
        if time.monotonic() > end:
            break
    return {**found, "changes": times, "change cpu": (cpu() - spent) / len(times)}


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def main(mode: str, size: int, folder: str, group: str, changes: int) -> None:
    if group:
        Path(group, "cgroup.procs").write_text("0")
    if mode == "iptables-legacy":
        own_lock()
    build.configure_namespace(SYSCTLS)
    batch = Batch()
    batch.address(index_of("lo"), ipaddress.ip_address(manyservices.NODE_ADDRESS))
    batch.commit()
    found = layout(size, changes) if mode == "layout" else uvloop.run(measure(mode, size, Path(folder), group, changes))
    times = found.pop("changes")
    print(json.dumps({**found, "median": statistics.median(times), "p99": percentile(times, 0.99), "times": len(times)}))


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
    except KernelError as e:
        sys.exit(str(e))
