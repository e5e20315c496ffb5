"""Routes that nobody touches, asked all the time, while everything around them changes: the play of an end-to-end test and of a soak.

```yaml
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: steady}
spec:
  parentRefs: [{name: edge}]
  hostnames: [steady.example.com, shared.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /steady}}]
    filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-route, value: steady}]}}]
    backendRefs: [{name: web, port: 80}]
```
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from clusters import SEAWAY, Cluster, wait_for, web

from seaway.client import kubeconfig
from seaway.client.rest import Rest, kind_of
from seaway.gateway import kinds
from seaway.pki.authority import Authority

Tree = dict[str, Any]
API = "gateway.networking.k8s.io/v1"
_SERVED = kinds.served(kinds.GROUP, {"v1": ("httproutes", "gateways")})
HTTPROUTES, GATEWAYS = _SERVED["httproutes"], _SERVED["gateways"]
SECURE, SHARED, STEADY = "secure.example.com", "shared.example.com", "steady.example.com"
MARK = "x-route"
SERVICES = 5  # that routes of others lead to; edits move routes between them


def rule(path: str, mark: str, service: str) -> Tree:
    edit = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": MARK, "value": mark}]}}
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "filters": [edit], "backendRefs": [{"name": service, "port": 80}]}


def route(name: str, hosts: list[str], rules: list[Tree]) -> Tree:
    spec = {"parentRefs": [{"name": "edge"}], "hostnames": hosts, "rules": rules}
    return {"apiVersion": API, "kind": "HTTPRoute", "metadata": {"name": name}, "spec": spec}


def gateway(*more: Tree) -> Tree:
    secret = {"mode": "Terminate", "certificateRefs": [{"name": "secure"}]}
    listeners = [
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": SECURE, "tls": secret},
        *more,
    ]
    return {"apiVersion": API, "kind": "Gateway", "metadata": {"name": "edge"}, "spec": {"gatewayClassName": "seaway", "listeners": listeners}}


def other(number: int) -> Tree:
    """A route of somebody else: on a host of the steady one, or on its own. The shared host gets so many rules that it is split."""
    hosts = [SHARED] if number % 8 else [f"h{number}.example.com"]
    return route(f"other-{number}", hosts, [rule(f"/p{number}", f"other-{number}", f"other-{number % SERVICES}")])


def crowded(turn: int) -> Tree:
    """A route with many rules, in another order each turn, and with other weights."""
    rules = [rule(f"/crowd/{n}", f"crowd-{n}", "web") for n in range(12)]
    for n, one in enumerate(rules):
        one["backendRefs"] = [{"name": "web", "port": 80, "weight": 1 + (n + turn) % 3}, {"name": f"other-{turn % SERVICES}", "port": 80, "weight": 1}]
    at = turn * 5 % len(rules)
    return route("crowd", [SHARED, STEADY][:: -1 if turn % 2 else 1], rules[at:] + rules[:at])


class Play:
    """`routes`: how many of others come and go. A cluster with a namespace of its own is given."""

    def __init__(self, cluster: Cluster, folder: Path, routes: int) -> None:
        self.cluster, self.folder, self.routes = cluster, folder, routes
        self.authority = Authority.new("test", time.time())

    def _secret(self) -> str:
        pair = self.authority.issue(SECURE, time.time(), hosts=(SECURE,), server=True)
        data = {"tls.crt": pair.certificate, "tls.key": pair.key}
        encoded = {k: base64.b64encode(v).decode() for k, v in data.items()}
        return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secure"}, "type": "kubernetes.io/tls", "data": encoded})

    def prepare(self) -> None:
        trees: list[Tree] = [gateway(), route("steady", [STEADY, SHARED, SECURE], [rule("/steady", "steady", "web")]), crowded(0)]
        for n in range(SERVICES):
            spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}
            trees.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"other-{n}"}, "spec": spec})
        self.cluster.apply(web(2).replace("sleep: {seconds: 1}", "sleep: {seconds: 2}") + "---\n" + self._secret())
        self.cluster.apply(yaml.safe_dump_all(trees))
        self.cluster.rollout("deployment/web")

        def found() -> list[str]:
            status = self.cluster.get("gateway", "edge").get("status") or {}
            right = {c["type"]: c["status"] for c in status.get("conditions") or ()}.get("Programmed") == "True"
            return [a["value"] for a in status.get("addresses") or () if ":" not in a["value"]] if right else []

        self.address = str(wait_for(found)[0])
        for host in (STEADY, SHARED):
            self.until(host, "/steady", 200)
        (self.folder / "ca.crt").write_bytes(self.authority.pair.certificate)

    def until(self, host: str, path: str, status: int) -> None:
        """A client outside has this answer."""
        words = ["curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", "-H", f"Host: {host}", f"http://{self.address}{path}"]
        wait_for(lambda: self.cluster.outside(*words, check=False) == str(status), what=f"{status} of {host}{path}")

    @contextmanager
    def load(self, counted: Tree) -> Iterator[None]:
        """Asks the steady routes as long as the block; what was counted is in `counted` afterwards."""
        clients = [
            {"name": f"{host.partition('.')[0]}, {'kept' if kept else 'new'} {n}", "host": host, "path": "/steady", "tls": host == SECURE, "kept": kept,
             "mark": [MARK, "steady"]}
            for host in (STEADY, SHARED, SECURE) for kept in (True, False) for n in range(2 if kept else 1)
        ]
        wanted = {"address": self.address, "ca": str(self.folder / "ca.crt"), "clients": clients}
        (self.folder / "load.json").write_text(json.dumps(wanted))
        words = [SEAWAY, "outside", "--name", self.cluster.name, "--", sys.executable, str(Path(__file__).with_name("routeload.py")), str(self.folder / "load.json")]
        with (self.folder / "load.err").open("w") as errors:
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **self.cluster.env})
        try:
            assert process.stdout and process.stdout.readline() == "ready\n", (self.folder / "load.err").read_text()
            yield
            counted.update(json.loads(process.communicate("end\n", timeout=30)[0]))
        finally:
            process.kill()
            process.wait()

    # what happens around them

    def _api(self) -> Rest:
        return Rest(kubeconfig.from_file(self.cluster.folder / "kubeconfig"), "test")

    async def come_change_and_go(self) -> None:
        """Routes of others are added one by one, edited, reordered and removed."""
        namespace, last = self.cluster.namespace, self.routes - 1
        async with self._api() as api:
            for n in range(self.routes):
                await api.create(HTTPROUTES, namespace, other(n))
                if n % 50 == 0:
                    await api.patch(HTTPROUTES, namespace, "crowd", {"spec": crowded(n // 50 + 1)["spec"]})
            await asyncio.to_thread(self.until, other(last)["spec"]["hostnames"][0], f"/p{last}", 200)
            for n in range(0, self.routes, 3):
                service = f"fresh-{n % 2}" if n % 30 == 0 else f"other-{(n + 1) % SERVICES}"
                if n in (0, 30):  # a Service that no route has led to before
                    tree = {"metadata": {"name": service}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}}
                    await api.request("PATCH", f"/api/v1/namespaces/{namespace}/services/{service}", {"apiVersion": "v1", "kind": "Service", **tree},
                                      {"fieldManager": "test"}, "application/apply-patch+yaml")
                await api.patch(HTTPROUTES, namespace, f"other-{n}", {"spec": {"rules": [rule(f"/q{n}", "edited", service)]}})
            await asyncio.to_thread(self.until, other(0)["spec"]["hostnames"][0], "/q0", 200)
            for turn in range(20):
                await api.patch(HTTPROUTES, namespace, "crowd", {"spec": crowded(turn)["spec"]})
            for n in range(self.routes):
                await api.delete(HTTPROUTES, namespace, f"other-{n}")
            await asyncio.to_thread(self.until, other(last)["spec"]["hostnames"][0], f"/p{last}", 404)

    async def rotate(self, times: int) -> None:
        """Certificates are replaced, and listeners come and go."""
        async with self._api() as api:
            for n in range(times):
                await api.patch(kind_of("secrets"), self.cluster.namespace, "secure", {"data": json.loads(self._secret())["data"]})
                await asyncio.sleep(0.3)  # new connections are to see each of them
                tls = {"mode": "Terminate", "certificateRefs": [{"name": "secure"}]}
                more = [{"name": "more", "port": 443, "protocol": "HTTPS", "hostname": f"more-{n}.example.com", "tls": tls},
                        {"name": "plain", "port": 80, "protocol": "HTTP", "hostname": f"plain-{n}.example.com"}]
                await api.patch(GATEWAYS, self.cluster.namespace, "edge", {"spec": gateway(*more[: n % 3])["spec"]})
                await asyncio.sleep(0.3)

    def replace_endpoints(self) -> None:
        """Every pod behind the routes is replaced."""
        wait_for(lambda: "restarted" in self.cluster.kubectl("rollout", "restart", "deployment/web", check=False), 5)  # once a second at most
        self.cluster.rollout("deployment/web")

    def replace_envoys(self) -> None:
        self.cluster.kubectl("rollout", "restart", "deployment/edge-seaway")
        self.cluster.rollout("deployment/edge-seaway")
        wait_for(lambda: len(self.cluster.get("pods", "-l", "seaway.dev/fleet=edge-seaway")["items"]) == 1, 90, "the old Envoy has ended")

    def kill_the_controller(self) -> None:
        """SIGKILL; the one that comes serves changes again."""
        for pid in self.cluster.pids("gateway"):
            os.kill(pid, signal.SIGKILL)
        self.cluster.apply(yaml.safe_dump(other(0)))
        self.until(other(0)["spec"]["hostnames"][0], "/p0", 200)


def wrong(counted: Tree) -> Tree:
    """What was not right, by client."""
    fine = {"right", "connections", "asked to go"}
    found = {name: {k: v for k, v in one["counts"].items() if k not in fine} for name, one in counted.items()}
    return {name: counts for name, counts in found.items() if counts}
