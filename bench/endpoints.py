"""make bench PART=endpoints: 10,000 endpoints behind one Service. What one pod's change writes and how long it takes, what a
whole roll writes, and what both APIs send to a watcher. The controllers are the cluster's own; the pods are objects only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from rig import Cluster, Raw, row, scratch, until

from seaway.client import kubeconfig
from seaway.client.rest import Rest, kind_of

SLICES, ENDPOINTS = kind_of("endpointslices.discovery.k8s.io"), kind_of("endpoints")
CONNECTIONS, CHANGES = 16, 20
CONDITION = {True: "True", False: "False"}


def pod(number: int, generation: int = 0) -> dict[str, Any]:
    meta = {"name": f"web-{number:05d}-{generation}", "labels": {"app": "web"}}
    spec = {"nodeName": "bench", "schedulerName": "none", "containers": [{"name": "c", "image": "web"}], "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def status(number: int, ready: bool) -> dict[str, Any]:
    address = f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    conditions = [{"type": t, "status": CONDITION[ready], "lastTransitionTime": "2026-01-01T00:00:00Z"} for t in ("Ready", "ContainersReady")]
    return {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}}


@dataclass
class Watched:
    """What one watcher of one API has received."""

    events: int = 0
    size: int = 0
    last: float = 0.0
    rest: bytes = b""
    ready: set[str] = field(default_factory=set)

    async def run(self, api: Rest, kind: Any) -> None:
        listed = await api.list(kind, "default")
        async for chunk in api.chunks(kind, "default", {"resourceVersion": listed["metadata"]["resourceVersion"]}):
            self.size += len(chunk)
            *lines, self.rest = (self.rest + chunk).split(b"\n")
            self.events += len(lines)
            self.last = time.monotonic()

    def reset(self) -> None:
        self.events = self.size = 0


class Load:
    """Many raw connections that work through a list of requests."""

    def __init__(self, cluster: Cluster) -> None:
        self._credentials = kubeconfig.from_file(cluster.kubeconfig)

    async def __aenter__(self) -> Load:
        self.raws = [await Raw(self._credentials).open() for _ in range(CONNECTIONS)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for raw in self.raws:
            raw.writer.close()

    async def all(self, requests: list[tuple[str, str, Any]]) -> None:
        work = iter(requests)

        async def go(raw: Raw) -> None:
            for method, path, tree in work:
                media = "application/merge-patch+json" if method == "PATCH" else "application/json"
                answered = await raw.send(method, path, json.dumps(tree).encode(), media)
                if answered >= 300:
                    sys.exit(f"bench: {method} {path} answered {answered}")

        await asyncio.gather(*(go(r) for r in self.raws))


PODS = "/api/v1/namespaces/default/pods"


def start_requests(numbers: range, generation: int) -> list[tuple[str, str, Any]]:
    return [("POST", PODS, pod(n, generation)) for n in numbers]


def ready_requests(numbers: range, generation: int, shift: int) -> list[tuple[str, str, Any]]:
    return [("PATCH", f"{PODS}/web-{n:05d}-{generation}/status", status(n + shift, True)) for n in numbers]


async def listed(api: Rest) -> tuple[int, int]:
    """(endpoints that are ready, slices) as the API has them."""
    found = (await api.list(SLICES, "default", {"labelSelector": "kubernetes.io/service-name=web"}))["items"]
    return sum(1 for s in found for e in s["endpoints"] or () if e["conditions"]["ready"]), len(found)


async def measure(cluster: Cluster, size: int) -> None:
    async with cluster.rest() as api, Load(cluster) as load:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "bench"}}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
        await api.create(kind_of("nodes"), "", node)
        await api.create(kind_of("services"), "default", service)
        slices, endpoints = Watched(), Watched()
        tasks = [asyncio.ensure_future(w.run(api, k)) for w, k in ((slices, SLICES), (endpoints, ENDPOINTS))]
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await load.all(start_requests(range(size), 0))
        await load.all(ready_requests(range(size), 0, 0))

        async def settled() -> bool:
            return (await listed(api))[0] == size

        await until(settled)
        row(f"{size:,} pods to slices, cold", f"{time.monotonic() - began:.1f} s", f"{slices.events} slice writes, {(await listed(api))[1]} slices", None)
        await asyncio.sleep(2)
        times, writes, sizes = [], [], []
        for n in range(CHANGES):
            at = 7 * n  # among the first thousand, which the Endpoints object still lists
            slices.reset()
            endpoints.reset()
            start = time.monotonic()
            await api.patch(kind_of("pods"), "default", f"web-{at:05d}-0", status(at, n % 2 == 1), "status")
            if n % 2 == 1:
                await api.patch(kind_of("pods"), "default", f"web-{at:05d}-0", status(at, False), "status")

            async def told() -> bool:
                return slices.events > 0

            await until(told, 30)
            times.append(slices.last - start)
            await asyncio.sleep(1.0)
            writes.append(slices.events)
            sizes.append((slices.size, endpoints.size))
        one = max(writes)
        row("one pod's change: from the write to a watcher of slices", f"{statistics.median(times) * 1000:.0f} ms", "median", None)
        row("one pod's change: slice writes", f"{one}", "must be 1", one == 1)
        a, b = (statistics.median(s[i] for s in sizes) for i in (0, 1))
        row("one pod's change: bytes to a watcher, EndpointSlices", f"{a / 1000:.1f} kB", "", None)
        row("one pod's change: bytes to a watcher, Endpoints (cut at 1,000)", f"{b / 1000:.1f} kB", f"ratio {b / a if a else 0:.1f}", None)
        slices.reset()
        endpoints.reset()
        began = time.monotonic()
        for at in range(0, size, 500):
            part = range(at, min(at + 500, size))
            await load.all(start_requests(part, 1))
            await load.all(ready_requests(part, 1, 1 << 15))
            await load.all([("DELETE", f"{PODS}/web-{n:05d}-0", {}) for n in part])
        await until(settled)
        row(f"a full roll of {size:,} pods, 500 at a time", f"{time.monotonic() - began:.1f} s", f"{slices.events} slice writes", None)
        await asyncio.sleep(2)
        row("a full roll: bytes to a watcher, EndpointSlices", f"{slices.size / 1e6:.1f} MB", f"{slices.events} events", None)
        row("a full roll: bytes to a watcher, Endpoints (cut at 1,000)", f"{endpoints.size / 1e6:.1f} MB", f"{endpoints.events} events", None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# The node of the pods is an object only: nobody is to find out that it says nothing.
CONFIG = """
apiVersion: seaway.dev/v1alpha1
kind: Cluster
components: {controllers: {nodeMonitorGracePeriod: 3600s, nodeStartupGracePeriod: 3600s}}
"""


async def run(size: int, folder: str) -> None:
    path = Path(folder, "cluster.yaml")
    path.write_text(CONFIG)
    with Cluster("--config", str(path)) as cluster:
        await measure(cluster, size)


def main() -> None:
    parser = argparse.ArgumentParser("bench/endpoints.py")
    parser.add_argument("--size", type=int, default=10_000, help="endpoints behind the Service")
    args = parser.parse_args()
    with scratch() as folder:
        uvloop.run(run(args.size, folder))


if __name__ == "__main__":
    main()
