"""make bench PART=cluster: the embedded cluster in figures. Medians; each against the goal that design/README.md sets.

Every part brings its own cluster up (named bench, in a runtime folder of its own) and takes it down. Load comes from raw
keep-alive connections, so that what is measured is the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from rig import Cluster, Raw, row, run, scratch, until

from seaway.client import kubeconfig
from seaway.client.rest import kind_of

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {{name: web, image: traefik/whoami, readinessProbe: {{httpGet: {{path: /health, port: 80}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{type: NodePort, selector: {{app: web}}, ports: [{{port: 80, nodePort: 30080}}]}}
"""


def manifest(folder: str, replicas: int) -> str:
    path = Path(folder, f"web-{replicas}.yaml")
    path.write_text(WEB.format(replicas=replicas))
    return str(path)


def first_request(scratch: str) -> None:
    """`seaway up` with two nodes and a manifest, until a client outside is answered through a NodePort."""
    found = []
    for _ in range(3):
        start = time.monotonic()
        with Cluster("--nodes", "2", "-f", manifest(scratch, 1)) as cluster:
            poll = "until curl -sf -m 1 -o /dev/null http://172.30.0.2:30080; do sleep 0.02; done"
            cluster.outside("sh", "-c", poll)
            found.append(time.monotonic() - start)
    value = statistics.median(found)
    row("seaway up to the first routed request, 2 nodes", f"{value:.2f} s", "goal under 3 s", value < 3)


async def memory(scratch: str) -> None:
    """PSS by component with 50 pods, after a minute of requests through the Service."""
    with Cluster("--nodes", "2", "-f", manifest(scratch, 50)) as cluster:
        async with cluster.rest() as api:
            async def ready() -> bool:
                tree = await api.get(kind_of("deployments.apps"), "default", "web")
                return bool((tree.get("status") or {}).get("readyReplicas") == 50)

            await until(ready)
        loop = "end=$(($(date +%s)+60)); while [ $(date +%s) -lt $end ]; do curl -s -o /dev/null http://172.30.0.2:30080; done"
        cluster.outside("sh", "-c", loop)
        told = json.loads(run("status", "--name", "bench", "-o", "json"))[0]["processes"]
    sums: dict[str, tuple[int, int]] = {}
    for process in told:
        name = "agents" if process["name"].startswith("agent-") else process["name"]
        count, size = sums.get(name, (0, 0))
        sums[name] = (count + 1, size + process["pss"])
    total = sum(size for _, size in sums.values()) / 1024
    for name, (count, size) in sorted(sums.items(), key=lambda s: -s[1][1]):
        row(f"  {name} x {count}", f"{size / 1024:.1f} MiB", "", None)
    own = total - sums.get("web", (0, 0))[1] / 1024
    row("memory, 50 pods, after a minute of load: without the 50 programs", f"{own:.0f} MiB", "", None)
    row("memory, 50 pods, after a minute of load: all", f"{total:.0f} MiB", "goal 250 MB", total < 250)


async def creates(cluster: Cluster, count: int, connections: int) -> float:
    """Creates a second of a 450-byte ConfigMap, durable, over TLS, validated."""
    credentials = kubeconfig.from_file(cluster.kubeconfig)
    raws = [await Raw(credentials).open() for _ in range(connections)]
    numbers = iter(range(count))

    async def work(raw: Raw) -> None:
        for number in numbers:
            meta = {"name": f"bench-{number:06d}", "labels": {"app": "bench"}}
            tree = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"k": "x" * 330}}
            status = await raw.send("POST", "/api/v1/namespaces/default/configmaps", json.dumps(tree).encode())
            if status != 201:
                sys.exit(f"bench: create answered {status}")

    start = time.monotonic()
    await asyncio.gather(*(work(r) for r in raws))
    rate = count / (time.monotonic() - start)
    for raw in raws:
        raw.writer.close()
    return rate


async def fan_out(cluster: Cluster, watchers: int) -> float:
    """Seconds from the write of one update to the last of many watchers having it; median of five."""
    credentials = kubeconfig.from_file(cluster.kubeconfig)
    writer = await Raw(credentials).open()
    await writer.send("POST", "/api/v1/namespaces", b'{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"fan"}}')
    base = "/api/v1/namespaces/fan/secrets"
    await writer.send("POST", base, b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}')
    arrived: dict[int, list[float]] = {}

    async def watch() -> None:
        raw = await Raw(credentials).open()
        raw.writer.write(f"GET {base}?watch=true HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        await raw.reader.readuntil(b"\r\n\r\n")
        while line := await raw.reader.readline():
            if b'"round":"' in line:
                arrived.setdefault(int(line.split(b'"round":"')[1].split(b'"')[0]), []).append(time.monotonic())

    tasks = []
    for _ in range(watchers):
        tasks.append(asyncio.ensure_future(watch()))
        if len(tasks) % 50 == 0:
            await asyncio.sleep(0.3)
    await asyncio.sleep(2)
    found = []
    for number in range(1, 6):
        start = time.monotonic()
        patch = json.dumps({"metadata": {"labels": {"round": str(number)}}}).encode()
        await writer.send("PATCH", base + "/s", patch, "application/merge-patch+json")

        async def all_there(number: int = number) -> bool:
            return len(arrived.get(number, ())) >= watchers

        await until(all_there)
        found.append(max(arrived[number]) - start)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return statistics.median(found)


async def api(scratch: str) -> None:
    with Cluster("--data", os.path.join(scratch, "data")) as cluster:
        log = (cluster.folder / "logs" / "apiserver.log").read_text()
        level = json.loads(log.strip().splitlines()[0])["synchronous"]
        rates = [await creates(cluster, 200, 8)]
        rates = []
        for _ in range(3):
            async with cluster.rest() as rest:
                await rest.request("DELETE", "/api/v1/namespaces/default/configmaps", query={"labelSelector": "app=bench"})
            rates.append(await creates(cluster, 6000, 64))
        value = statistics.median(rates)
        row(f"durable creates a second (TLS, validated, synchronous={level})", f"{value:.0f}", "goal 3000", value >= 3000)
        value = await fan_out(cluster, 1000)
        row("one update to 1,000 watchers (TLS)", f"{value * 1000:.0f} ms", "", None)


async def many(scratch: str) -> None:
    with Cluster("--nodes", "5") as cluster:
        async with cluster.rest() as rest:
            start = time.monotonic()
            for tree in (list(_documents(manifest(scratch, 500)))):
                kind = {"Deployment": "deployments.apps", "Service": "services"}[tree["kind"]]
                await rest.create(kind_of(kind), "default", tree)

            async def ready() -> bool:
                tree = await rest.get(kind_of("deployments.apps"), "default", "web")
                return bool((tree.get("status") or {}).get("readyReplicas") == 500)

            await until(ready, 240)
            row("500 pods to ready on five nodes", f"{time.monotonic() - start:.1f} s", "", None)


def _documents(path: str) -> Any:
    import yaml

    return yaml.safe_load_all(Path(path).read_text())


def main() -> None:
    parser = argparse.ArgumentParser("bench/cluster.py")
    parser.add_argument("parts", nargs="*", default=["first", "memory", "api", "many"])
    parts = parser.parse_args().parts
    with scratch() as folder:
        if "first" in parts:
            first_request(folder)
        if "memory" in parts:
            asyncio.run(memory(folder))
        if "api" in parts:
            uvloop.run(api(folder))
        if "many" in parts:
            asyncio.run(many(folder))


if __name__ == "__main__":
    main()
