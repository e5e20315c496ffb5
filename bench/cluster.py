"""make bench PART=cluster: the embedded cluster in figures. Medians; each against the goal that design/README.md sets.

Every part brings its own cluster up (named bench, in a runtime folder of its own) and takes it down. Load comes from raw
keep-alive connections, so that what is measured is the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from seaway.client import kubeconfig
from seaway.client.rest import Rest, kind_of

ROOT = Path(__file__).resolve().parent.parent
SEAWAY = str(ROOT / ".venv" / "bin" / "seaway")
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


class Cluster:
    """A cluster named bench; `with` takes it down."""

    def __init__(self, *args: str) -> None:
        self.args = args

    def __enter__(self) -> Cluster:
        run("up", "--name", "bench", "--detach", *self.args)
        self.folder = Path(os.environ["SEAWAY_RUNTIME"]) / "bench"
        self.kubeconfig = self.folder / "kubeconfig"
        return self

    def __exit__(self, *exc: object) -> None:
        run("down", "--name", "bench")

    def rest(self) -> Rest:
        return Rest(kubeconfig.from_file(self.kubeconfig), "bench")

    def outside(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SEAWAY, "outside", "--name", "bench", "--", *command], capture_output=True, text=True)


def run(*args: str) -> str:
    done = subprocess.run([SEAWAY, *args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"seaway {' '.join(args)}: {done.stdout}{done.stderr}")
    return done.stdout


def manifest(folder: str, replicas: int) -> str:
    path = Path(folder, f"web-{replicas}.yaml")
    path.write_text(WEB.format(replicas=replicas))
    return str(path)


def row(what: str, value: str, goal: str, good: bool | None) -> None:
    mark = "" if good is None else ("  meets" if good else "  MISSES")
    print(f"{what:<62} {value:>16}   {goal}{mark}", flush=True)


async def until(check: Callable[[], Any], within: float = 120.0) -> None:
    end = time.monotonic() + within
    while not await check():
        if time.monotonic() > end:
            sys.exit("bench: a condition was not met in time")
        await asyncio.sleep(0.01)


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


class Raw:
    """A keep-alive TLS connection that sends prepared requests."""

    def __init__(self, credentials: kubeconfig.Credentials) -> None:
        url = urlsplit(credentials.server)
        self.host, self.port, self.tls = url.hostname or "", url.port or 443, credentials.tls

    async def open(self) -> Raw:
        context: ssl.SSLContext | None = self.tls
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, ssl=context, limit=1 << 20)
        return self

    async def send(self, method: str, path: str, body: bytes, media: str = "application/json") -> int:
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        for line in answer.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                await self.reader.readexactly(int(line.split(b":")[1]))
        return int(answer.split(b" ", 2)[1])


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
    scratch = tempfile.mkdtemp(prefix="seaway-bench-", dir=str(ROOT))
    os.environ["SEAWAY_RUNTIME"] = tempfile.mkdtemp(prefix="swb", dir="/tmp")
    try:
        if "first" in parts:
            first_request(scratch)
        if "memory" in parts:
            asyncio.run(memory(scratch))
        if "api" in parts:
            uvloop.run(api(scratch))
        if "many" in parts:
            asyncio.run(many(scratch))
    finally:
        subprocess.run([SEAWAY, "down", "--name", "bench"], capture_output=True)
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(os.environ["SEAWAY_RUNTIME"], ignore_errors=True)


if __name__ == "__main__":
    main()
