"""Lab: an ingress proxy straight to pods, and through the Service's address (claim 10 of the notes).

The same Envoy serves both ways, so that nothing else differs: one route leads to a Service, whose endpoints are pods; the other
to a second Service, whose only endpoint is the first one's ClusterIP, which is what a proxy has that knows no endpoints. A proxy
keeps its connections, and kube-proxy chooses a pod once for each: so a proxy's requests lie on pods as its connections happen
to, and stay with one that is to end until it has ended.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import resources
from typing import Any, NamedTuple

from seaway.client.errors import Unavailable
from seaway.cluster.config import ClusterConfig, Networking, default_nodes
from seaway.cluster.place import Place
from seaway.labs import chart, webpods
from seaway.labs.frame import Options, Result, Stage
from seaway.labs.kubectl import Kubectl

Tree = dict[str, Any]
PODS, WORK = 10, 0.010  # and the seconds that a pod takes for a request, one at a time
RATE, CONNECTIONS = 300.0, 20
GRACE = 2  # seconds of the preStop sleep
GATEWAY_API = "gateway.networking.k8s.io/v1"
WAYS = {"straight to pods": "pods.example.com", "through the ClusterIP": "service.example.com"}
SERVICES = {"straight to pods": "web", "through the ClusterIP": "web-by-its-address"}


class Counted(NamedTuple):
    """Of one run: requests a second at the most; milliseconds and answers of each pod at the rate; requests that were lost when a
    pod ended and when one crashed; and how long after its delete the pod that ended was still asked, in seconds."""

    most: float
    milliseconds: tuple[float, ...]
    pods: tuple[int, ...]
    ended: int
    crashed: int
    lingered: float


def surroundings() -> list[Tree]:
    """The pods, their Service, and the Gateway."""
    return [
        *webpods.application("oneatatime.py", (str(WORK),), PODS, {"tcpSocket": {"port": "http"}}, GRACE),
        {
            "apiVersion": GATEWAY_API,
            "kind": "Gateway",
            "metadata": {"name": "edge"},
            "spec": {"gatewayClassName": "seaway", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
        },
    ]


def by_its_address(address: str) -> list[Tree]:
    """A Service without a selector whose one endpoint is another Service's address, and the routes of both ways."""
    name = SERVICES["through the ClusterIP"]
    trees: list[Tree] = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        },
    ]
    for way, host in WAYS.items():
        rules = [{"backendRefs": [{"name": SERVICES[way], "port": 80}]}]
        spec = {"parentRefs": [{"name": "edge"}], "hostnames": [host], "rules": rules}
        trees.append(
            {"apiVersion": GATEWAY_API, "kind": "HTTPRoute", "metadata": {"name": SERVICES[way]}, "spec": spec}
        )
    return trees


class Outside:
    """The client outside, of the cluster at `where`, that asks the entry point's address."""

    def __init__(self, where: Place, address: str) -> None:
        self._words = [sys.executable, "-m", "seaway.cli.outside", "--name", where.folder.name, "--"]
        self._address = address

    def answers(self, host: str) -> bool:
        words = [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-m",
            "2",
            "-w",
            "%{http_code}",
            "-H",
            f"Host: {host}",
            f"http://{self._address}/",
        ]
        return subprocess.run([*self._words, *words], capture_output=True, text=True).stdout == "200"

    @contextmanager
    def load(self, host: str, rate: float, counted: Tree) -> Iterator[None]:
        """Requests as long as the block; what was counted is in `counted` afterwards."""
        program = str(resources.files("seaway.labs").joinpath("keptload.py"))
        words = [*self._words, sys.executable, "-I", program, self._address, host, str(rate), str(CONNECTIONS)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdin and process.stdout
                if process.stdout.readline().strip() != "ready":
                    raise Unavailable("the client outside did not start")
                yield
                process.stdin.close()
                counted.update(json.loads(process.stdout.readline()))
            finally:
                process.kill()


def _whole(kubectl: Kubectl) -> bool:
    """All pods are ready and listed, and none is ending."""
    pods = kubectl.items("pods", "-l", "app=web")
    slices = kubectl.items("endpointslices", "-l", "kubernetes.io/service-name=web")
    ready = [e for s in slices for e in s.get("endpoints") or () if e["conditions"].get("ready")]
    return len(pods) == len(ready) == PODS


def _busiest(counted: Tree) -> str:
    pods: dict[str, int] = counted["pods"]
    if not pods:
        raise Unavailable(f"no pod answered: {counted['failed']}")
    return max(sorted(pods), key=lambda name: pods[name])


def run_once(kubectl: Kubectl, outside: Outside, way: str, seconds: float) -> Counted:
    host = WAYS[way]
    kubectl.until(lambda: _whole(kubectl))
    most: Tree = {}
    with outside.load(host, 0, most):
        time.sleep(seconds)
    paced: Tree = {}
    with outside.load(host, RATE, paced):
        time.sleep(2 * seconds)
    ended: Tree = {}
    with outside.load(host, RATE, ended):
        time.sleep(1)
        # The pod that matters most just now: an idle one would be missed by nobody.
        busiest = _busiest(paced)
        deleted = time.monotonic()
        kubectl("delete", "pod", busiest, "--wait=false")
        time.sleep(GRACE + 2)
    kubectl.until(lambda: _whole(kubectl))
    again: Tree = {}
    with outside.load(host, RATE, again):
        time.sleep(1)
    crashed: Tree = {}
    with outside.load(host, RATE, crashed):
        time.sleep(1)
        name = _busiest(again)
        crash = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/crash', timeout=2)"
        kubectl("exec", name, "--", "python3", "-c", crash, check=False)
        time.sleep(2)
    return Counted(
        len(most["milliseconds"]) / most["seconds"],
        tuple(paced["milliseconds"]),
        tuple(sorted(paced["pods"].values(), reverse=True)),
        sum(ended["failed"].values()),
        sum(crashed["failed"].values()),
        max(0.0, ended["last"].get(busiest, deleted) - deleted),
    )


def measure(stage: Stage, where: Place, options: Options) -> dict[str, list[Counted]]:
    kubectl = Kubectl(where)
    kubectl.apply(surroundings())
    kubectl("rollout", "status", "deployment/web", "--timeout=110s")
    kubectl.apply(by_its_address(str(kubectl.item("service", "web")["spec"]["clusterIP"])))
    addresses: list[str] = []

    def programmed() -> bool:
        status = kubectl.item("gateway", "edge").get("status") or {}
        addresses[:] = [str(a["value"]) for a in status.get("addresses") or ()]
        return bool(addresses) and {c["type"]: c["status"] for c in status["conditions"]}.get("Programmed") == "True"

    kubectl.until(programmed)
    outside = Outside(where, addresses[0])
    found: dict[str, list[Counted]] = {way: [] for way in WAYS}
    for host in WAYS.values():
        kubectl.until(partial(outside.answers, host))
    for number in range(1 if options.quick else options.runs):
        for way in WAYS:
            one = run_once(kubectl, outside, way, 1.0 if options.quick else 4.0)
            found[way].append(one)
            stage.say(
                f"{way}, run {number + 1}: {one.most:.0f} requests a second at the most; at {RATE:.0f} a second "
                f"{len(one.pods)} of {PODS} pods answer, 99th {_part(one.milliseconds, 0.99):.0f} ms; "
                f"{one.ended} lost when one ends, {one.crashed} when one crashes"
            )
    return found


def _part(times: tuple[float, ...], part: float) -> float:
    return sorted(times)[min(int(part * len(times)), len(times) - 1)] if times else 0.0


def result(counted: dict[str, list[Counted]]) -> Result:
    """Table, sentences and picture of what was measured."""
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, float] = {}
    shares: dict[str, list[float]] = {}
    for way, runs in counted.items():
        middle = {
            "most": statistics.median(one.most for one in runs),
            "p50": statistics.median(_part(one.milliseconds, 0.5) for one in runs),
            "p99": statistics.median(_part(one.milliseconds, 0.99) for one in runs),
            "pods": statistics.median(len(one.pods) for one in runs),
            "busiest": statistics.median(one.pods[0] / sum(one.pods) for one in runs)
            if all(one.pods for one in runs)
            else 0.0,
            "ended": float(sum(one.ended for one in runs)),
            "lingered": statistics.median(one.lingered for one in runs),
            "crashed": float(sum(one.crashed for one in runs)),
        }
        numbers |= {f"{what}/{way}": value for what, value in middle.items()}
        # Of the run in the middle by its busiest pod, so that bars are of one run.
        one = sorted(runs, key=lambda r: r.pods[0] if r.pods else 0)[len(runs) // 2]
        padded = [*one.pods, *[0] * (PODS - len(one.pods))][:PODS]
        shares[way] = [100 * n / max(sum(one.pods), 1) for n in padded]
        figures = (
            f"{middle['most']:.0f}/s",
            f"{middle['p50']:.1f} ms",
            f"{middle['p99']:.1f} ms",
            f"{middle['pods']:.0f} of {PODS}",
        )
        ends = (
            f"{middle['busiest']:.0%}",
            f"{middle['lingered']:.1f} s",
            f"{middle['ended']:.0f}",
            f"{middle['crashed']:.0f}",
        )
        rows.append((way, *figures, *ends))
    picture = chart.under(
        chart.bars(
            f"Requests of each of {PODS} pods at {RATE:.0f} a second",
            [str(n + 1) for n in range(PODS)],
            shares,
            lambda v: f"{v:.0f}%",
            "share of all, the busiest pod first",
        ),
        chart.bars(
            "The same: time until the answer",
            ["median", "99th"],
            {way: [numbers[f"p50/{way}"], numbers[f"p99/{way}"]] for way in counted},
            lambda v: f"{v:.3g} ms",
            f"a pod takes {WORK * 1000:.0f} ms for a request, one at a time",
        ),
    )
    notes = (
        f"{PODS} pods that take {WORK * 1000:.0f} ms for a request, one at a time: {PODS / WORK:.0f} a second at best.",
        f"The most: {CONNECTIONS} clients that ask without a pause. Times and shares: at {RATE:.0f} requests a second.",
        "Both ways lead through the same Envoy, which keeps its connections; through the ClusterIP kube-proxy chooses a",
        "pod for each connection, once, and Envoy cannot see which.",
        f"Asked after its delete: how long the busiest pod still got requests; it lives {GRACE} s (preStop) and ends at once.",
        "Lost: requests without an answer of 200, in all runs, when that pod ended, and when the program of one crashed.",
    )
    columns = (
        "the proxy sends",
        "the most",
        "median",
        "99th",
        "pods asked",
        "the busiest",
        "asked after its delete",
        "lost at an end",
        "at a crash",
    )
    return Result("An ingress proxy and the Service's address", columns, tuple(rows), notes, picture, numbers)


def run(stage: Stage, options: Options) -> Result:
    config = replace(ClusterConfig(), nodes=default_nodes(2, "lab"), networking=Networking(ip_family="ipv4"))
    with stage.cluster(config) as where:
        counted = measure(stage, where, options)
    return result(counted)
