"""How long a change takes from the API to the answer, and what a list that starts again costs in memory; for `bench/dns.py`."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import dnsnames
from dnsnames import MOVING, ZONE
from dnsservers import Api, Tree, wait
from dnswire import Answer, client, exchange, share
from rig import row

from seaway.client import kubeconfig
from seaway.labs.frame import table

SERVICES, SLICES = f"/api/v1/namespaces/{MOVING}/services", f"/apis/discovery.k8s.io/v1/namespaces/{MOVING}/endpointslices"
MERGE = "application/merge-patch+json"


class Asked:
    """A blocking connection to the API."""

    def __init__(self, api: Api) -> None:
        credentials = kubeconfig.from_file(api.kubeconfig)
        url = urlsplit(credentials.server)
        self._http = http.client.HTTPSConnection(url.hostname or "", url.port, context=credentials.tls, timeout=30)

    def send(self, method: str, path: str, tree: Any = None, media: str = "application/json") -> bytes:
        self._http.request(method, path, json.dumps(tree).encode() if tree is not None else None, {"Content-Type": media})
        with self._http.getresponse() as found:
            body = found.read()
            if found.status >= 300:
                sys.exit(f"bench: {method} {path} answered {found.status}: {body[:200]!r}")
            return body

    def watch(self, path: str, seen: Callable[[str, float], None]) -> None:
        """Calls `seen` with the name of each event's object; for a thread of its own."""
        self._http.request("GET", path + "?watch=true&resourceVersion=0")
        found = self._http.getresponse()
        while line := found.readline():
            at = time.monotonic()
            seen(json.loads(line)["object"]["metadata"]["name"], at)

    def close(self) -> None:
        if self._http.sock is not None:
            with contextlib.suppress(OSError):
                self._http.sock.shutdown(socket.SHUT_RDWR)


def host(called: str) -> str:
    return f"{called}.{MOVING}.svc.{ZONE}"


# One change


def changes(api: Api, port: int, goal: float, count: int = 200) -> None:
    """Half of them endpoints of a headless Service, a quarter new Services, a quarter Services that go."""
    asked, sock = Asked(api), client(port)
    watchers = [Asked(api) for _ in range(2)]
    seen: dict[str, float] = {}
    threads = [threading.Thread(target=w.watch, args=(path, seen.__setitem__), daemon=True) for w, path in zip(watchers, (SERVICES, SLICES), strict=True)]
    asked.send("POST", SERVICES, dnsnames.service(MOVING, "one", "None"))
    asked.send("POST", SLICES, dnsnames.endpoint_slice(MOVING, "one", ["10.77.0.1", "10.77.0.2"]))
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    from_event: dict[str, list[float]] = {}
    from_write: dict[str, list[float]] = {}

    def until(what: str, event: str, name: str, good: Callable[[Answer], bool], began: float) -> None:
        for number in range(20_000):
            if good(exchange(sock, number & 0xFFFF, name, "A")):
                break
            time.sleep(0.0003)
        else:
            sys.exit(f"bench: {name} does not change")
        done = time.monotonic()
        while seen.get(event, 0.0) < began:
            time.sleep(0.001)
            if time.monotonic() > done + 10:
                sys.exit(f"bench: no event of {event}")
        from_event.setdefault(what, []).append(max(0.0, done - seen[event]))
        from_write.setdefault(what, []).append(done - began)
        time.sleep(0.005)

    for n in range(count // 2):
        addresses = (f"10.77.{n + 1}.1", f"10.77.{n + 1}.2")
        began = time.monotonic()
        asked.send("PATCH", f"{SLICES}/one-abcde", {"endpoints": dnsnames.endpoint_slice("", "", list(addresses))["endpoints"]}, MERGE)
        until("endpoints", "one-abcde", host("one"), lambda a, want=addresses: a.values == want, began)
    for n in range(count // 4):
        ip = f"10.96.200.{n + 1}"
        began = time.monotonic()
        asked.send("POST", SERVICES, dnsnames.service(MOVING, "comes", ip))
        until("a new Service", "comes", host("comes"), lambda a, want=(ip,): a.values == want, began)
        began = time.monotonic()
        asked.send("DELETE", f"{SERVICES}/comes")
        until("a Service that goes", "comes", host("comes"), lambda a: a.code == "NXDOMAIN", began)
    for watcher in watchers:
        watcher.close()
    rows = [(what, str(len(from_event[what])), *(f"{share(v[what], at) * 1000:.1f}" for v in (from_event, from_write) for at in (0.5, 0.99))) for what in from_event]
    print(f"\nFrom a change to the new answer, ms\n\n{table(('', 'changes', 'from the event: median', 'p99', 'from the write: median', 'p99'), rows)}\n")
    every = [t for times in from_event.values() for t in times]
    row(f"watch event to new answer, p99 of {len(every)}", f"{share(every, 0.99) * 1000:.1f} ms", f"goal {goal * 1000:.0f} ms; median {share(every, 0.5) * 1000:.1f} ms", share(every, 0.99) <= goal)


# A list that starts again


def relist(api: Api, ours: Tree) -> tuple[float, float]:
    """(RSS, PSS) at the most while the server lists everything once more: the API server is restarted without its history."""
    said = api.tree.log.read_text().count('"ready"')
    api.forget()
    wait(api.tree, lambda: api.tree.log.read_text().count('"ready"') > said, "the API server")
    asked = Asked(api)

    def lists() -> int:
        text = asked.send("GET", "/metrics").decode()
        found = [line for line in text.splitlines() if line.startswith("apiserver_request_total{") and 'resource="endpointslices"' in line and 'verb="LIST"' in line]
        return sum(int(float(line.split()[-1])) for line in found)

    most, end, listed_at, looked = (0.0, 0.0), time.monotonic() + 30, 0.0, 0.0
    while time.monotonic() < end:
        now = ours.memory()
        most = max(most[0], now[0]), max(most[1], now[1])
        if not listed_at and time.monotonic() > looked + 0.5:
            looked = time.monotonic()
            if lists():
                listed_at, end = looked, looked + 5
        time.sleep(0.02)
    if not listed_at:
        print("  the server did not list again within 30 s")
    return most
