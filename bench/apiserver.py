"""make bench PART=apiserver: the API server in figures. Medians, and ratios to the plain create or the quiet server beside them.

The load comes from raw keep-alive connections, so that what is measured is the server; it shares the machine with it. Pods
are left to a scheduler that does not exist, PodTemplates have no controller: nothing but the API server works on them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import uvloop
from rig import Cluster, Raw, row, run, scratch

from seaway.client import kubeconfig

BASE = "/api/v1/namespaces/bench"
TEMPLATES, PODS, MAPS = f"{BASE}/podtemplates", f"{BASE}/pods", f"{BASE}/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"
CONTAINER = {
    "name": "web",
    "image": "nginx:1.27",
    "ports": [{"name": "http", "containerPort": 80}],
    "env": [{"name": "MODE", "value": "bench"}, {"name": "LEVEL", "value": "info"}],
    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
}
CONNECTIONS = 32


def pod_spec() -> dict[str, Any]:
    return {"schedulerName": "nobody", "containers": [CONTAINER]}


def template(name: str, round_: int) -> dict[str, Any]:
    meta = {"name": name, "labels": {"app": "bench", "round": str(round_)}}
    body = {"metadata": {"labels": {"app": "bench"}}, "spec": pod_spec()}
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": meta, "template": body}


def memory() -> float:
    """MiB of the API server's process (PSS)."""
    told = json.loads(run("status", "--name", "bench", "-o", "json"))[0]["processes"]
    return float(next(p["pss"] for p in told if p["name"] == "apiserver")) / 1024


async def rate(raws: list[Raw], count: int, send: Callable[[Raw, int], Any]) -> float:
    """Requests a second over all connections."""
    numbers = iter(range(count))

    async def work(raw: Raw) -> None:
        for number in numbers:
            status = await send(raw, number)
            assert status in (200, 201), status

    start = time.monotonic()
    await asyncio.gather(*(work(r) for r in raws))
    return count / (time.monotonic() - start)


async def writes(credentials: kubeconfig.Credentials) -> None:
    """The ways to write an object of about a kilobyte, side by side."""
    raws = [await Raw(credentials).open() for _ in range(CONNECTIONS)]
    apply, merge = "application/apply-patch+yaml", "application/merge-patch+json"
    count = 2000

    def name(number: int) -> str:
        return f"t-{number:05d}"

    def applied(round_: int) -> Callable[[Raw, int], Any]:
        def send(raw: Raw, number: int) -> Any:
            body = json.dumps(template(name(number), round_)).encode()
            return raw.send("PATCH", f"{TEMPLATES}/{name(number)}?fieldManager=bench", body, apply)

        return send

    def created(raw: Raw, number: int) -> Any:
        return raw.send("POST", TEMPLATES, json.dumps(template(f"c-{number:05d}", 0)).encode())

    def replaced(raw: Raw, number: int) -> Any:
        return raw.send("PUT", f"{TEMPLATES}/c-{number:05d}", json.dumps(template(f"c-{number:05d}", 1)).encode())

    def merged(raw: Raw, number: int) -> Any:
        body = b'{"metadata":{"labels":{"round":"2"}}}'
        return raw.send("PATCH", f"{TEMPLATES}/c-{number:05d}", body, merge)

    base = await rate(raws, count, created)
    row("creates a second (PodTemplate of 1 kB, durable, TLS)", f"{base:.0f}", "", None)
    for what, send in (
        ("updates (PUT) a second", replaced),
        ("merge patches a second", merged),
        ("server-side applies a second: new objects", applied(0)),
        ("server-side applies a second: a label changes", applied(1)),
        ("server-side applies a second: nothing changes", applied(1)),
    ):
        value = await rate(raws, count, send)
        row(what, f"{value:.0f}", f"{value / base:.2f} of creates", None)
    for raw in raws:
        raw.writer.close()


async def fetch(credentials: kubeconfig.Credentials, path: str, accept: str) -> tuple[float, bytes]:
    """Seconds and body of a GET; chunked or not."""
    raw = await Raw(credentials).open()
    start = time.monotonic()
    raw.writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\n\r\n".encode())
    head = (await raw.reader.readuntil(b"\r\n\r\n")).lower()
    body = bytearray()
    if b"transfer-encoding: chunked" in head:
        while size := int(await raw.reader.readuntil(b"\r\n"), 16):
            body += await raw.reader.readexactly(size)
            await raw.reader.readexactly(2)
    else:
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        body += await raw.reader.readexactly(int(length.split(b":")[1]))
    raw.writer.close()
    return time.monotonic() - start, bytes(body)


async def lists(credentials: kubeconfig.Credentials, count: int) -> None:
    """All pods: as JSON, as a Table, in protobuf, in pages."""
    raws = [await Raw(credentials).open() for _ in range(CONNECTIONS)]

    def created(raw: Raw, number: int) -> Any:
        meta = {"name": f"p-{number:05d}", "labels": {"app": "bench", "half": str(number % 2)}}
        return raw.send("POST", PODS, json.dumps({"metadata": meta, "spec": pod_spec()}).encode())

    value = await rate(raws, count, created)
    row(f"{count:,} pods created: a second", f"{value:.0f}", "", None)
    for raw in raws:
        raw.writer.close()
    base = 0.0
    for what, path, accept in (
        ("JSON", PODS, "application/json"),
        ("JSON, a label selector", f"{PODS}?labelSelector=half%3D1", "application/json"),
        ("Table (kubectl get)", PODS, TABLE),
        ("Table, no objects", f"{PODS}?includeObject=None", TABLE),
        ("protobuf", PODS, PROTOBUF),
    ):
        found = [await fetch(credentials, path, accept) for _ in range(3)]
        seconds, size = statistics.median(f[0] for f in found), len(found[0][1])
        base = base or seconds
        row(f"list of {count:,} pods: {what}, {size / 1e6:.1f} MB", f"{seconds * 1000:.0f} ms", f"{seconds / base:.1f} of JSON", None)
    start, token, pages, got = time.monotonic(), "", 0, 0
    while True:
        seconds, body = await fetch(credentials, f"{PODS}?limit=500&continue={token}", "application/json")
        tree = json.loads(body)
        pages, got, token = pages + 1, got + len(tree["items"]), tree["metadata"].get("continue", "")
        if not token:
            break
    assert got == count, got
    row(f"list of {count:,} pods: {pages} pages of 500, parsed", f"{(time.monotonic() - start) * 1000:.0f} ms", "", None)


async def sizes(credentials: kubeconfig.Credentials, count: int, watchers: int) -> None:
    """Memory with many objects, then with many watchers."""
    raws = [await Raw(credentials).open() for _ in range(CONNECTIONS)]
    before = memory()
    row("memory of the API server before", f"{before:.0f} MiB", "", None)

    def created(raw: Raw, number: int) -> Any:
        tree = {"metadata": {"name": f"m-{number:06d}", "labels": {"app": "bench"}}, "data": {"k": "x" * 330}}
        return raw.send("POST", MAPS, json.dumps(tree).encode())

    await rate(raws, count, created)
    for raw in raws:
        raw.writer.close()
    full = memory()
    each = (full - before) * 1024 * 1024 / count
    row(f"memory with {count:,} ConfigMaps more", f"{full:.0f} MiB", f"{each:.0f} bytes each, history and all", None)
    tasks = []

    async def watch() -> None:
        raw = await Raw(credentials).open()
        raw.writer.write(f"GET {BASE}/secrets?watch=true HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        while await raw.reader.readline():
            pass

    for number in range(watchers):
        tasks.append(asyncio.ensure_future(watch()))
        if number % 50 == 49:
            await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    watched = memory()
    each = (watched - full) * 1024 / watchers
    row(f"memory with {watchers:,} watchers more", f"{watched:.0f} MiB", f"{each:.0f} KiB each, TLS and all", None)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def latency(credentials: kubeconfig.Credentials, pace: int, seconds: int) -> None:
    """From a write's sending to its event at a watch, with so many writes a second."""
    await (await Raw(credentials).open()).send("POST", "/api/v1/namespaces", b'{"metadata":{"name":"pace"}}')
    base = "/api/v1/namespaces/pace/configmaps"
    sent: dict[int, float] = {}
    found: list[float] = []
    watcher = await Raw(credentials).open()
    watcher.writer.write(f"GET {base}?watch=true&resourceVersion=0 HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    await watcher.reader.readuntil(b"\r\n\r\n")
    total = pace * seconds

    async def watch() -> None:
        while len(found) < total:
            line = await watcher.reader.readline()
            if b'"name":"w-' in line:
                number = int(line.split(b'"name":"w-')[1].split(b'"')[0])
                found.append(time.monotonic() - sent[number])

    watching = asyncio.ensure_future(watch())
    free: asyncio.Queue[Raw] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await Raw(credentials).open())

    async def write(number: int) -> None:
        raw = await free.get()
        sent[number] = time.monotonic()
        tree = {"metadata": {"name": f"w-{number}"}, "data": {"k": "x" * 330}}
        await raw.send("POST", base, json.dumps(tree).encode())
        free.put_nowait(raw)

    start, tasks = time.monotonic(), []
    for number in range(total):
        await asyncio.sleep(max(0.0, start + number / pace - time.monotonic()))
        tasks.append(asyncio.ensure_future(write(number)))
    await asyncio.gather(*tasks)
    done = total / (time.monotonic() - start)
    await asyncio.wait_for(watching, 30)
    found.sort()
    told = f"{found[len(found) // 2] * 1000:.1f} / {found[int(len(found) * 0.99)] * 1000:.1f} ms"
    row(f"write to watch event at {done:.0f} writes a second: p50 / p99", told, "", None)


async def beside(credentials: kubeconfig.Credentials, connections: int) -> None:
    """Reads of one user, alone and beside another's flood of creates."""
    raw = await Raw(credentials).open()
    for name in ("quiet", "flood"):
        subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
        tree = {"metadata": {"name": name}, "subjects": [subject], "roleRef": role}
        await raw.send("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", json.dumps(tree).encode())

    async def quiet() -> list[float]:
        found = []
        for _ in range(200):
            start = time.monotonic()
            assert await raw.send("GET", f"{BASE}/podtemplates/c-00000", b"", user="quiet") == 200
            found.append(time.monotonic() - start)
        return sorted(found)

    answers: dict[int, int] = {}

    async def flood(number: int) -> None:
        own = await Raw(credentials).open()
        while True:
            body = b'{"metadata":{"generateName":"f-"}}'
            status = await own.send("POST", MAPS, body, user="flood")
            answers[status] = answers.get(status, 0) + 1

    alone = await quiet()
    tasks = [asyncio.ensure_future(flood(n)) for n in range(connections)]
    await asyncio.sleep(2)
    answers.clear()
    start = time.monotonic()
    busy = await quiet()
    pace = sum(answers.values()) / (time.monotonic() - start)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for what, found in (("alone", alone), (f"beside {connections} connections of another, {pace:.0f} requests a second", busy)):
        told = f"{found[100] * 1000:.1f} / {found[197] * 1000:.1f} ms"
        row(f"a GET {what}: p50 / p99", told, f"{found[100] / alone[100]:.1f} of alone", None)


async def measure(parts: list[str]) -> None:
    with Cluster() as cluster:
        credentials = kubeconfig.from_file(cluster.kubeconfig)
        raw = await Raw(credentials).open()
        await raw.send("POST", "/api/v1/namespaces", b'{"metadata":{"name":"bench"}}')
        if "writes" in parts:
            await writes(credentials)
        if "flood" in parts:
            await raw.send("POST", TEMPLATES, json.dumps(template("c-00000", 0)).encode())
            await beside(credentials, 200)
        if "latency" in parts:
            await latency(credentials, 500, 10)
        if "sizes" in parts:
            await sizes(credentials, 50_000, 1000)
        if "lists" in parts:
            await lists(credentials, 10_000)


def main() -> None:
    parser = argparse.ArgumentParser("bench/apiserver.py")
    parser.add_argument("parts", nargs="*", default=["writes", "flood", "latency", "sizes", "lists"])
    parts = parser.parse_args().parts
    with scratch():
        uvloop.run(measure(parts))


if __name__ == "__main__":
    main()
