"""What the labs about entry points share: the application, fleets behind a load balancer, and the clients outside.

The load balancer is of ipMode Proxy with externalTrafficPolicy Local, as clouds' are in front of ingress controllers: it asks
each node whether it has a ready Envoy, gives new connections to nodes that have, and leaves open ones where they are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from seaway.cli.status import processes
from seaway.client.errors import Unavailable
from seaway.cluster.cloud import probes
from seaway.cluster.place import Place
from seaway.labs import entrycounts, webpods
from seaway.labs.entrycounts import Seen
from seaway.labs.kubectl import Kubectl

Tree = dict[str, Any]
GATEWAY_API = "gateway.networking.k8s.io/v1"
CONTROLLER = "seaway.dev/gateway-controller"
HOST = "web.example.com"
KEPT, RATE = 10, 40.0  # clients that keep their connection, and new connections a second
GRACE = 3  # seconds of the application's preStop sleep
# What the load balancer's health check takes to notice at most: its checks in a row, their pauses, and its patience with each.
NOTICED = probes.FAILURES * (probes.PERIOD + probes.TIMEOUT)
BALANCED = {
    "externalTrafficPolicy": "Local",
    "serviceAnnotations": '{"seaway.dev/load-balancer-ip-mode": "Proxy"}',
    "concurrency": "1",
    "settleSeconds": "2",
    "drainSeconds": "20",
}


def application(replicas: int) -> list[Tree]:
    """The pods and their Service."""
    probe = {"httpGet": {"path": "/ready", "port": "http"}, "failureThreshold": 1}
    return webpods.application("entryapp.py", (), replicas, probe, GRACE)


def gateway_class(name: str, parameters: Mapping[str, str]) -> list[Tree]:
    """A class, and what its owner chooses for the fleets of all its Gateways."""
    reference = {"group": "", "kind": "ConfigMap", "name": name, "namespace": "default"}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": {**BALANCED, **parameters},
        },
        {
            "apiVersion": GATEWAY_API,
            "kind": "GatewayClass",
            "metadata": {"name": name},
            "spec": {"controllerName": CONTROLLER, "parametersRef": reference},
        },
    ]


def gateway(name: str, of_class: str) -> Tree:
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    spec = {"gatewayClassName": of_class, "listeners": listeners}
    return {"apiVersion": GATEWAY_API, "kind": "Gateway", "metadata": {"name": name}, "spec": spec}


def route(name: str, host: str, gateways: Sequence[str]) -> Tree:
    spec = {
        "parentRefs": [{"name": one} for one in gateways],
        "hostnames": [host],
        "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
    }
    return {"apiVersion": GATEWAY_API, "kind": "HTTPRoute", "metadata": {"name": name}, "spec": spec}


def address(kubectl: Kubectl, name: str) -> str:
    """Where a Gateway is, once it is programmed."""
    found: list[str] = []

    def programmed() -> bool:
        status = kubectl.item("gateway", name).get("status") or {}
        found[:] = [str(a["value"]) for a in status.get("addresses") or ()]
        conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
        return bool(found) and conditions.get("Programmed") == "True"

    kubectl.until(programmed)
    return found[0]


def envoys(kubectl: Kubectl, fleet: str) -> list[Tree]:
    """The pods of a fleet, those that end among them."""
    return kubectl.items("pods", "-l", f"seaway.dev/fleet={fleet}")


def is_ready(pod: Tree) -> bool:
    conditions = {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions") or ()}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def envoy_pid(where: Place, pod: Tree) -> int:
    """The pid, on this machine, of a pod's Envoy: it is told its pod's name."""
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}".encode()
    for process in processes(where):
        if process["name"] == "envoy":
            with suppress(OSError):  # one that has just ended
                if name in Path(f"/proc/{process['pid']}/cmdline").read_bytes().split(b"\0"):
                    return int(process["pid"])
    raise Unavailable(f"there is no Envoy of pod {name.decode()}")


def pid(where: Place, name: str) -> int:
    """The pid, on this machine, of a process that there is once in a cluster."""
    for process in processes(where):
        if process["name"] == name:
            return int(process["pid"])
    raise Unavailable(f"there is no process {name}")


class Outside:
    """Clients of the cluster at `where`, outside and in nodes' networks."""

    def __init__(self, where: Place) -> None:
        self._name = where.folder.name

    def words(self, origin: str, *command: str) -> list[str]:
        return [sys.executable, "-m", "seaway.cli.outside", "--name", self._name, "--from", origin, "--", *command]

    def status(self, url: str, host: str = HOST, origin: str = "outside") -> str:
        """The status of an answer; 000 where there is none."""
        ask = ("curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", "-H", f"Host: {host}", url)
        return subprocess.run(self.words(origin, *ask), capture_output=True, text=True).stdout

    def rules(self, node: str, text: str) -> None:
        """Loads nftables rules in a node's network."""
        program = "import sys; from seaway.proxy.kernel import Nftables; Nftables().nft(sys.stdin.read())"
        command = self.words(node, sys.executable, "-c", program)
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"nft on {node}: {done.stderr.strip()}")

    @contextmanager
    def load(self, where: str, kept: int = KEPT, rate: float = RATE) -> Iterator[Load]:
        """Clients of the entry point at an address, as long as the block."""
        program = str(resources.files("seaway.labs").joinpath("entryload.py"))
        words = self.words("outside", sys.executable, "-I", program, where, HOST, str(kept), str(rate))
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            load = Load(process)
            try:
                if load.line() != "ready":
                    raise Unavailable(f"the clients of {where} did not start")
                yield load
                load.end()
            finally:
                process.kill()

    def entries(self, where: str) -> set[str] | None:
        """Who answers new connections at an address just now; None where one is lost."""
        with self.load(where, 0, 60) as load:
            time.sleep(0.4)
        return None if load.seen.lost else {a.entry for a in load.seen.answers}


class Load:
    """Clients that run; `seen` is there when they have ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.began = time.monotonic()
        self.seen = Seen()

    def line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def _read(self) -> Tree:
        line = self.line()
        if not line:
            raise Unavailable("the clients outside have ended")
        found: Tree = json.loads(line)
        return found

    def held(self) -> dict[str, int]:
        """Entry -> how many of the kept connections it has."""
        assert self._process.stdin
        self._process.stdin.write("held\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self.seen = entrycounts.read(self._read())
