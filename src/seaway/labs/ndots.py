"""Lab: what ndots:5 makes of a name outside the cluster (pod's resolv.conf, kubernetes/kubernetes #33554).

A pod's resolver tries every search domain before a name that has fewer dots than `ndots`, for both families each: five rounds of
two questions for one address, where the node has a search domain of its own. A pod may say ndots:1, a program may write the name
with a dot at its end, or the server may walk the rest of the path at its first question (autopath). Names are looked up by glibc
in real pods; the name server that knows them is outside, and takes its time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from seaway.client.errors import Unavailable
from seaway.cluster import layout
from seaway.cluster.config import ClusterConfig, Dns, Networking
from seaway.cluster.place import Place
from seaway.labs import chart
from seaway.labs.frame import Options, Result, Stage
from seaway.labs.kubectl import Kubectl

Tree = dict[str, Any]
DOMAIN, SEARCH = "shop.example", "corp.example"
DELAY = 0.010  # seconds that a name server across a network takes
DEPLOYMENT = "deployment/seaway-dns"
PATIENCE = 20.0


class Way(NamedTuple):
    """How names are looked up: the pod's `ndots`, what is written behind the domain, and whether the server walks the path."""

    name: str
    ndots: int
    end: str = ""
    autopath: bool = False


WAYS = (Way("ndots:5", 5), Way("ndots:1", 1), Way("a dot at the end", 5, "."), Way("autopath", 5, "", True))


class Counted(NamedTuple):
    """Of one run: names, queries of the pod and at the name server outside, milliseconds of each name, and what failed."""

    names: int
    queries: int
    outside: int
    milliseconds: tuple[float, ...]
    failed: tuple[str, ...]


def pod(way: Way) -> Tree:
    """The client; ndots:5 is what Kubernetes gives a pod that says nothing."""
    container: Tree = {
        "name": "client",
        "image": "python:3",
        "command": ["sleep", "infinity"],
        "volumeMounts": [{"name": "lab", "mountPath": "/lab"}],
    }
    spec: Tree = {
        "containers": [container],
        "volumes": [{"name": "lab", "configMap": {"name": "lab"}}],
        "terminationGracePeriodSeconds": 0,
    }
    if way.ndots != 5:
        spec["dnsConfig"] = {"options": [{"name": "ndots", "value": str(way.ndots)}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": client(way)}, "spec": spec}


def client(way: Way) -> str:
    return f"client-{WAYS.index(way)}"


@contextmanager
def outside(where: Place, address: str) -> Iterator[Path]:
    """The name server outside, as long as the block: where it writes what it is asked."""
    program = str(resources.files("seaway.labs").joinpath("nameserver.py"))
    with tempfile.TemporaryDirectory(prefix="seaway-lab-") as folder:
        asked, errors = Path(folder, "asked"), Path(folder, "errors")
        command = [sys.executable, "-m", "seaway.cli.outside", "--name", where.folder.name, "--"]
        command += [sys.executable, "-I", program, address, DOMAIN, str(DELAY)]
        with open(asked, "wb") as out, open(errors, "wb") as err:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            end = time.monotonic() + PATIENCE
            while not asked.read_text():
                if process.poll() is not None or time.monotonic() > end:
                    said = errors.read_text().strip().splitlines()
                    raise Unavailable(f"the name server outside did not start: {said[-1] if said else 'without a word'}")
                time.sleep(0.05)
            yield asked
        finally:
            process.kill()
            process.wait()


def look_up(kubectl: Kubectl, way: Way, names: int, prefix: str, asked: Path) -> Counted:
    """So many names that nobody has asked for before, one after the other."""
    before = asked.read_text().count("\n")
    suffix = f".{DOMAIN}{way.end}"
    said = kubectl("exec", client(way), "--", "python3", "/lab/lookups.py", str(names), prefix, suffix)
    found = json.loads(said)
    at_server = asked.read_text().count("\n") - before
    return Counted(names, found["queries"], at_server, tuple(found["milliseconds"]), tuple(found["failed"]))


def _resolves(kubectl: Kubectl, way: Way, asked: Path) -> bool:
    return not look_up(kubectl, way, 1, f"first-{client(way)}-", asked).failed


def walk_paths(kubectl: Kubectl) -> None:
    """Lets the cluster's name servers walk search paths: as an administrator would, by their Corefile."""
    held = json.loads(kubectl("-n", "kube-system", "get", "configmap", "coredns", "-o", "json"))
    corefile = held["data"]["Corefile"].replace("    ready\n", "    ready\n    autopath @kubernetes\n")
    patch = {"data": {"Corefile": corefile}}
    kubectl("-n", "kube-system", "patch", "configmap", "coredns", "--type=merge", "-p", json.dumps(patch))
    kubectl("-n", "kube-system", "rollout", "restart", DEPLOYMENT)
    kubectl("-n", "kube-system", "rollout", "status", DEPLOYMENT, "--timeout=110s")


def measure(stage: Stage, where: Place, address: str, names: int, runs: int) -> dict[str, list[Counted]]:
    kubectl = Kubectl(where)
    text = resources.files("seaway.labs").joinpath("lookups.py").read_text()
    kubectl.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lab"}, "data": {"lookups.py": text}}])
    kubectl.apply(map(pod, WAYS))
    for way in WAYS:
        kubectl("wait", "--for=condition=Ready", f"pod/{client(way)}", "--timeout=60s")
    found: dict[str, list[Counted]] = {way.name: [] for way in WAYS}
    with outside(where, address) as asked:
        for autopath in (False, True):
            if autopath:
                walk_paths(kubectl)
            mine = [way for way in WAYS if way.autopath == autopath]
            for way in mine:
                kubectl.until(partial(_resolves, kubectl, way, asked))
            for run in range(runs):
                for way in mine:
                    counted = look_up(kubectl, way, names, f"r{run}-{client(way)}-", asked)
                    found[way.name].append(counted)
                    stage.say(
                        f"{way.name}, run {run + 1}: {counted.names} names, {counted.queries} queries, {counted.outside} of "
                        f"them outside, {statistics.median(counted.milliseconds):.1f} ms a name"
                    )
    return found


def result(counted: dict[str, list[Counted]]) -> Result:
    """Table, sentences and picture of what was measured."""
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, float] = {}
    for way, runs in counted.items():
        names = sum(one.names for one in runs)
        times = sorted(t for one in runs for t in one.milliseconds)
        queries, at_server = sum(one.queries for one in runs) / names, sum(one.outside for one in runs) / names
        median, ninety = statistics.median(times), times[min(int(0.9 * len(times)), len(times) - 1)]
        failed = sum(len(one.failed) for one in runs)
        figures = (f"{queries:.1f}", f"{at_server:.1f}", f"{median:.1f} ms", f"{ninety:.1f} ms", str(failed))
        rows.append((way, str(names), *figures))
        numbers |= {f"queries/{way}": queries, f"outside/{way}": at_server, f"ms/{way}": median, f"failed/{way}": failed}
    ways = list(counted)
    picture = chart.under(
        chart.bars(
            "One name outside the cluster: queries",
            ways,
            {
                "to the cluster's DNS": [numbers[f"queries/{way}"] for way in ways],
                "from there to the name server outside": [numbers[f"outside/{way}"] for way in ways],
            },
            lambda v: f"{v:.3g}",
            "A and AAAA",
        ),
        chart.bars(
            "The same: time until the program has its address",
            ways,
            {"median": [numbers[f"ms/{way}"] for way in ways]},
            lambda v: f"{v:.3g} ms",
            f"the name server outside takes {DELAY * 1000:.0f} ms",
        ),
    )
    first = ways[0]
    notes = [
        f"Names of {DOMAIN}, each looked up once, by glibc in a pod: A and AAAA together. Queries are the packets that it sends.",
        f"The search path has the cluster's three domains and the node's own ({SEARCH}), as nodes in clouds and companies have.",
        "A wrong name in the cluster's domains costs the way to the cluster's DNS, here a short one; in the node's own the way",
        "outside as well, which autopath goes for the pod.",
    ]
    for way in ways[1:]:
        quicker = numbers[f"ms/{first}"] / numbers[f"ms/{way}"]
        notes.append(
            f"{way}: {numbers[f'queries/{first}'] / numbers[f'queries/{way}']:.1f} times fewer queries of the pod than "
            f"{first}, {f'{quicker:.1f} times quicker' if abs(quicker - 1) > 0.15 else 'as quick'}."
        )
    columns = ("a name is looked up with", "names", "queries of the pod", "outside", "median", "90th", "failed")
    return Result("What a name outside the cluster costs", columns, tuple(rows), tuple(notes), picture, numbers)


def configuration() -> tuple[ClusterConfig, str]:
    """A cluster whose nodes ask a name server outside and have a search domain, and that server's address."""
    networking = Networking(ip_family="ipv4")
    address = str(layout.plan(replace(ClusterConfig(), networking=networking)).outside[0])
    return replace(ClusterConfig(), networking=replace(networking, dns=Dns(upstreams=(address,), searches=(SEARCH,)))), address


def run(stage: Stage, options: Options) -> Result:
    config, address = configuration()
    with stage.cluster(config) as where:
        counted = measure(stage, where, address, 10 if options.quick else 50, 1 if options.quick else options.runs)
    return result(counted)
