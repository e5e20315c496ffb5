"""Requests through our Envoy beside nginx and HAProxy as plain proxies: all are pods of one cluster, with one worker each, before
the same pod of nginx, behind a LoadBalancer Service each, asked from outside by wrk.

Proxies have one processor, whoever asks and answers the other; rounds go over all proxies. Ours stands here as it is by default,
with its access log, and without it, as the plain ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from gatewaychanges import Process
from gatewayroutes import NAMESPACE, gateway
from rig import Cluster, row, run

from seaway.cluster.node.debian import Fetched, FetchError, cache
from seaway.cluster.node.packages import Program
from seaway.labs.frame import table
from seaway.labs.kubectl import Kubectl
from seaway.labs.proxyrig import Tree

WRK = Program("wrk", ("wrk",))
HOST, CLIENTS = "web.example.com", 32
WITHIN = 60.0
PROXIES = {"ours": "Envoy, as the gateway sets it up", "quiet": "the same without its access log", "plain": "a plain Envoy", "nginx": "nginx", "haproxy": "HAProxy", "none": "no proxy"}
BACKEND = """worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000;
  server { listen 80; location / { default_type text/plain; return 200 "ok\\n"; } }
}
"""
NGINX = """worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000;
  upstream web { server BACKEND:80; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 80;
    location / {
      proxy_pass http://web; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
"""
HAPROXY = """global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend web
  bind :80
  default_backend web
backend web
  server web BACKEND:80
"""

ENVOY = """static_resources:
  listeners:
  - name: http
    address: {socket_address: {address: 0.0.0.0, port_value: 80}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          use_remote_address: true
          http_filters:
          - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: web}}]}]
  clusters:
  - name: web
    type: STATIC
    load_assignment:
      cluster_name: web
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: BACKEND, port_value: 80}}}}]}]
"""
ENVOY_IMAGE = "docker.io/envoyproxy/envoy:v1.40.0"


class Run(NamedTuple):
    """What one run of wrk told. `cpu`: of the proxy, microseconds a request."""

    rate: float
    p50: float
    p99: float
    failed: int
    cpu: float


def pod(name: str, image: str, file: str, text: str, *command: str) -> list[Tree]:
    """A pod with a configuration, and its LoadBalancer Service."""
    key = file.rpartition("/")[2]
    mount = {"name": "conf", "mountPath": file, "subPath": key}
    container: Tree = {"name": name, "image": image, "volumeMounts": [mount], "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1}}
    if command:
        container["command"] = list(command)
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": [{"name": "conf", "configMap": {"name": name}}]}
    meta = {"name": name, "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {key: text}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "labels": {"app": name}}, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}]}},
    ]


def ours() -> list[Tree]:
    """Two Gateways and the route of both."""
    api = "gateway.networking.k8s.io/v1"
    rules = [{"backendRefs": [{"name": "none", "port": 80}]}]
    spec = {"parentRefs": [{"name": "ours"}, {"name": "quiet"}], "hostnames": [HOST], "rules": rules}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "quiet", "namespace": NAMESPACE}, "data": {"accessLog": "false"}},
        gateway("ours"),
        gateway("quiet", "quiet"),
        {"apiVersion": api, "kind": "HTTPRoute", "metadata": {"name": "web", "namespace": NAMESPACE}, "spec": spec},
    ]


def _address(kubectl: Kubectl, proxy: str) -> str:
    what = ["gateway", proxy] if proxy in ("ours", "quiet") else ["service", proxy]
    status: Any = kubectl.item("-n", NAMESPACE, *what).get("status") or {}
    found = [a["value"] for a in status.get("addresses") or ()] + [a["ip"] for a in (status.get("loadBalancer") or {}).get("ingress") or ()]
    return next((a for a in found if ":" not in a), "")


def _answers(kubectl: Kubectl, cluster: Cluster, addresses: dict[str, str]) -> bool:
    for proxy in PROXIES:
        addresses[proxy] = addresses.get(proxy) or _address(kubectl, proxy)
        if not addresses[proxy]:
            return False
        done = cluster.outside("curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {HOST}", f"http://{addresses[proxy]}/")
        if done.stdout != "200":
            return False
    return True


def workers() -> dict[str, Process]:
    """The process of each proxy that does the work: of its pod's the one with the most CPU time."""
    told = json.loads(run("status", "--name", "bench", "-o", "json"))[0]["processes"]
    found: dict[str, Process] = {}
    for one in told:
        with contextlib.suppress(OSError):
            host = Path(f"/proc/{one['pid']}/root/etc/hostname").read_text().strip()
            proxy = host if host in PROXIES else host.partition("-seaway-")[0] if one["name"] == "envoy" else ""
            process = Process(one["pid"])
            if proxy and (proxy not in found or process.cpu() > found[proxy].cpu()):
                found[proxy] = process
    if lacking := set(PROXIES) - set(found):
        sys.exit(f"bench: no process of {', '.join(sorted(lacking))} is found")
    return found


class Wrk:
    def __init__(self, cluster: Cluster, root: str) -> None:
        self.cluster, self.root = cluster, root
        self.env = {"LD_LIBRARY_PATH": f"{root}/usr/lib/{os.uname().machine}-linux-gnu"}

    def run(self, address: str, seconds: float, process: Process | None, headers: tuple[tuple[str, str], ...] = (("Host", HOST),)) -> Run:
        before = process.cpu() if process else 0.0
        words = ["env", *(f"{k}={v}" for k, v in self.env.items()), f"{self.root}/usr/bin/wrk", "-t", "1", "-c", str(CLIENTS), "-d", f"{max(round(seconds), 1)}s",
                 "--latency", *(w for name, value in headers for w in ("-H", f"{name}: {value}")), f"http://{address}/"]
        text = self.cluster.outside(*words).stdout
        rate, total = re.search(r"Requests/sec: +([\d.]+)", text), re.search(r"(\d+) requests in", text)
        if rate is None or total is None:
            sys.exit(f"bench: wrk: {text[-500:]}")
        cpu = (process.cpu() - before) / int(total[1]) * 1e6 if process else 0.0
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        failed = (int(bad[1]) if bad else 0) + (sum(map(int, errors.groups())) if errors else 0)
        return Run(float(rate[1]), _milliseconds(text, "50%"), _milliseconds(text, "99%"), failed, cpu)


def _milliseconds(text: str, share: str) -> float:
    found = re.search(rf"{share} +([\d.]+)(us|ms|s)", text)
    assert found, text
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def requests(seconds: float, rounds: int) -> None:
    fetched = Fetched(cache())
    try:
        fetched.fetch(WRK)
    except FetchError as e:
        print(f"\nrequests are left out: wrk comes out of a Debian package: {e}")
        return
    with Cluster() as cluster:
        _requests(cluster, Wrk(cluster, fetched.root("wrk")), seconds, rounds)


def _requests(cluster: Cluster, wrk: Wrk, seconds: float, rounds: int) -> None:
    kubectl = Kubectl(cluster)  # type: ignore[arg-type]  # it has a kubeconfig, which is all that is asked for
    kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
    kubectl.apply(pod("none", "nginx", "/etc/nginx/nginx.conf", BACKEND))
    backend: list[str] = []

    def given() -> bool:
        backend[:] = [str((kubectl.item("-n", NAMESPACE, "pod", "none").get("status") or {}).get("podIP") or "")]
        return bool(backend[0])

    kubectl.until(given)
    kubectl.apply(pod("nginx", "nginx", "/etc/nginx/nginx.conf", NGINX.replace("BACKEND", backend[0])))
    kubectl.apply(pod("haproxy", "haproxy", "/usr/local/etc/haproxy/haproxy.cfg", HAPROXY.replace("BACKEND", backend[0])))
    file = "/etc/envoy/envoy.yaml"
    kubectl.apply(pod("plain", ENVOY_IMAGE, file, ENVOY.replace("BACKEND", backend[0]), "envoy", "-c", file, "--concurrency", "1", "--disable-hot-restart"))
    kubectl.apply(ours())
    addresses: dict[str, str] = {}
    kubectl.until(lambda: _answers(kubectl, cluster, addresses))
    for proxy in PROXIES:
        wrk.run(addresses[proxy], 1, None)  # warms up, and shows which of its processes works
    by = workers()
    cpus = sorted(os.sched_getaffinity(0))
    told = json.loads(run("status", "--name", "bench", "-o", "json"))[0]["processes"]
    for one in told:
        proxy = any(one["pid"] == p.pid for name, p in by.items() if name != "none")
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{one['pid']}/task"):
                os.sched_setaffinity(int(thread), {cpus[0] if proxy else cpus[-1]})
    os.sched_setaffinity(0, {cpus[-1]})
    found: dict[str, list[Run]] = {proxy: [] for proxy in PROXIES}
    for _ in range(rounds):
        for proxy, runs in found.items():
            runs.append(wrk.run(addresses[proxy], seconds, by[proxy] if proxy != "none" else None))
            time.sleep(0.2)
    os.sched_setaffinity(0, set(cpus))
    tell(found, seconds, rounds)


def tell(found: dict[str, list[Run]], seconds: float, rounds: int) -> None:
    middle = {p: Run(*(statistics.median(column) for column in zip(*runs, strict=True))) for p, runs in found.items()}
    rows = []
    for proxy, runs in found.items():
        one, cpu = middle[proxy], f"{1e6 / middle[proxy].cpu:,.0f}" if middle[proxy].cpu else "-"
        of = [f"{one.rate / middle[p].rate:.2f}" for p in ("nginx", "haproxy")]
        rows.append((PROXIES[proxy], f"{one.rate:,.0f}", f"{min(r.rate for r in runs):,.0f} - {max(r.rate for r in runs):,.0f}", *of, cpu, f"{one.p50:.2f}",
                     f"{one.p99:.2f}", str(sum(r.failed for r in runs))))
    columns = ("through", "requests / s", "spread", "of nginx", "of HAProxy", "for its CPU s", "p50 ms", "p99 ms", "failed")
    print(f"\nRequests over {CLIENTS} kept connections, medians of {rounds} rounds of {seconds:g} s over all; one worker each, on a processor of its own\n")
    print(table(columns, rows) + "\n")
    ratio = middle["nginx"].cpu / middle["quiet"].cpu if middle["quiet"].cpu else 0.0
    if middle["quiet"].cpu:
        row("our Envoy without access log: of a plain Envoy, for a CPU second", f"{middle['plain'].cpu / middle['quiet'].cpu:.2f}", "", None)
    row("our Envoy without access log: of nginx, for a CPU second", f"{ratio:.2f}", "", None)
