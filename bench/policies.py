"""make bench PART=policies: what each policy costs, against the plain route, in one run.

    make bench PART=policies                       all of them, 3 rounds of a second
    make bench PART=policies ONLY=jwt,cors         some; the plain route is always among them
    make bench PART=policies SECONDS=3 ROUNDS=5    steadier

One Gateway with one Envoy on a processor of its own, a host and a route for each policy, one nginx behind all of them. Rounds go over
all routes, so that what else the machine does meets all alike; a policy stands against the plain route of its own round, which is asked
three times in it. Requests a second and CPU time come from 32 connections that never wait, the time of an answer from one request
after the other. Before that, what a policy refuses is shown to be refused. The picture is bench-policies.svg (OUTPUT=FILE).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gatewayproxies
from gatewaychanges import Process, processes
from policyroutes import NAMESPACE, PLAIN, Measured, host, measured, route, slug, surroundings
from rig import SEAWAY, Cluster, row, run, scratch

from seaway.cluster.node.debian import Fetched, FetchError, cache
from seaway.labs.chart import sideways
from seaway.labs.frame import table
from seaway.labs.kubectl import Kubectl

IN_TURN = 300  # requests, one after the other
PATIENCE = 30.0  # seconds for a route to be as it is asked


class Cost(NamedTuple):
    """What a round told of a route. `cpu`: of the Envoy, microseconds a request; `p50` and `p99`: milliseconds of an answer."""

    rate: float
    cpu: float
    p50: float
    p99: float
    failed: int


class Probe:
    """The client outside that asks in turn."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, name: str, headers: tuple[tuple[str, str], ...], count: int) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"host": name, "headers": headers, "count": count}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextlib.contextmanager
def probe(address: str) -> Iterator[Probe]:
    command = [SEAWAY, "outside", "--name", "bench", "--", sys.executable, str(Path(__file__).with_name("policyprobe.py")), address, "80"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Probe(process)
    finally:
        process.kill()
        process.wait()


def address(kubectl: Kubectl) -> str:
    found: list[str] = []

    def given() -> bool:
        status: Any = kubectl.item("-n", NAMESPACE, "gateway", "edge").get("status") or {}
        found[:] = [a["value"] for a in status.get("addresses") or () if ":" not in a["value"]]
        return bool(found)

    kubectl.until(given)
    return found[0]


def until(true: Callable[[], bool], problem: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            sys.exit(f"bench: {problem} within {PATIENCE:.0f} s")
        time.sleep(0.1)


def accepted(kubectl: Kubectl, one: Measured) -> bool:
    status: Any = kubectl.item("-n", NAMESPACE, one.kind.lower(), slug(one.name)).get("status") or {}
    conditions = [c for a in status.get("ancestors") or () for c in a["conditions"] if c["type"] == "Accepted"]
    return bool(conditions) and all(c["status"] == "True" for c in conditions)


def refuses(cluster: Cluster, to: str, one: Measured) -> bool:
    body = ["--data-binary", "x" * one.body] if one.body else []
    done = cluster.outside("curl", "-s", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", *body, "-H", f"Host: {host(one)}", f"http://{to}/")
    return done.stdout == str(one.refused)


def ready(cluster: Cluster, kubectl: Kubectl, asking: Probe, to: str, routes: list[Measured]) -> list[Measured]:
    """All routes as they are asked: they answer, their policies are accepted, what must be refused or shown is. A client of a session
    brings its cookie along."""
    found = []
    for one in routes:
        until(lambda one=one: asking.ask(host(one), one.headers, 1)["status"] == 200, f"{one.name}: no answer with 200")
        if one.kind:
            until(lambda one=one: accepted(kubectl, one), f"{one.name}: the policy is not accepted")
        if one.refused:
            until(lambda one=one: refuses(cluster, to, one), f"{one.name}: nothing is refused with {one.refused}")
        if one.shown:
            until(lambda one=one: f"\r\n{one.shown}: " in asking.ask(host(one), one.headers, 1)["headers"], f"{one.name}: no {one.shown}")
        said = asking.ask(host(one), one.headers, 1)["headers"]
        cookie = said.partition("\r\nset-cookie: ")[2].partition(";")[0]
        found.append(one._replace(headers=(*one.headers, ("cookie", cookie))) if cookie else one)
    return found


def pinned(envoy: Process) -> list[int]:
    """The Envoy gets a processor, whoever asks and answers it the other; the processors that there are."""
    cpus = sorted(os.sched_getaffinity(0))
    for one in json.loads(run("status", "--name", "bench", "-o", "json"))[0]["processes"]:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{one['pid']}/task"):
                os.sched_setaffinity(int(thread), {cpus[0] if one["pid"] == envoy.pid else cpus[-1]})
    os.sched_setaffinity(0, {cpus[-1]})
    return cpus


def cost(wrk: gatewayproxies.Wrk, asking: Probe, to: str, envoy: Process, one: Measured, seconds: float) -> Cost:
    told = wrk.run(to, seconds, envoy, (("Host", host(one)), *one.headers))
    took = sorted(asking.ask(host(one), one.headers, IN_TURN)["took"])
    return Cost(told.rate, told.cpu, statistics.median(took) * 1000, took[int(0.99 * len(took))] * 1000, told.failed)


def middle(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))  # type: ignore[arg-type]  # a median of failures may be half of one


def bench(cluster: Cluster, wrk: gatewayproxies.Wrk, routes: list[Measured], seconds: float, rounds: int, output: Path) -> None:
    kubectl = Kubectl(cluster)  # type: ignore[arg-type]  # it has a kubeconfig, which is all that is asked for
    kubectl.apply(surroundings())
    kubectl.apply(tree for one in routes for tree in route(one))
    to = address(kubectl)
    with probe(to) as asking:
        routes = ready(cluster, kubectl, asking, to, routes)
        [envoy] = processes("envoy")
        wrk.run(to, 1, None, (("Host", host(routes[0])),))  # warms up
        cpus = pinned(envoy)
        plain, others = routes[0], routes[1:]
        half = len(others) // 2
        order = [plain, *others[:half], plain, *others[half:], plain]
        found: dict[str, list[Cost]] = {one.name: [] for one in routes}
        beside: list[Cost] = []
        for _ in range(rounds):
            taken = [(one.name, cost(wrk, asking, to, envoy, one, seconds)) for one in order]
            beside.append(middle([c for name, c in taken if name == PLAIN]))
            for name, each in taken:
                found[name].append(each)
        os.sched_setaffinity(0, set(cpus))
    tell(found, beside, seconds, output)


def tell(found: dict[str, list[Cost]], beside: list[Cost], seconds: float, output: Path) -> None:
    rows, ratios = [], {}
    for name, costs in found.items():
        one = middle(costs)
        against = [Cost(c.rate / p.rate, c.cpu / p.cpu, c.p50 / p.p50, c.p99 / p.p99, 0) for c, p in zip(costs, beside, strict=True)] if name != PLAIN else [Cost(1, 1, 1, 1, 0)]
        ratio = ratios[name] = middle(against)
        rows.append((name, f"{one.rate:,.0f}", f"{ratio.rate:.2f}", f"{one.cpu:.0f}", f"{ratio.cpu:.2f}", f"{one.p50:.2f}", f"{ratio.p50:.2f}",
                     f"{one.p99:.2f}", str(sum(c.failed for c in costs))))
    columns = ("policy", "requests / s", "of plain", "CPU us", "of plain", "p50 ms", "of plain", "p99 ms", "failed")
    print(f"\nEach policy against the plain route: medians of {len(beside)} rounds of {seconds:g} s; ratios within a round\n")
    print(table(columns, rows) + "\n")
    output.write_text(sideways("The CPU time of a request, of the plain route's", list(ratios), [r.cpu for r in ratios.values()], lambda v: f"{v:.2f}"))
    dearest = max(ratios, key=lambda name: ratios[name].cpu)
    row("the dearest, CPU time of the plain route's", f"{ratios[dearest].cpu:.2f}", dearest, None)
    print(f"picture: {output}")


def main() -> None:
    parser = argparse.ArgumentParser("bench/policies.py", description="What policies cost.")
    parser.add_argument("--only", default=os.environ.get("ONLY", ""), help="words that the names of policies have, separated by commas")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SECONDS", 1)), help="of one run of requests")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", 3)), help="over all policies")
    parser.add_argument("--output", type=Path, default=Path(os.environ.get("OUTPUT", "bench-policies.svg")), help="where the picture goes")
    args = parser.parse_args()
    every = measured()
    words = [w.lower() for w in args.only.split(",") if w]
    routes = [one for one in every if one.name == PLAIN or not words or any(w in one.name.lower() for w in words)]
    if len(routes) == 1:
        parser.error(f"--only: no policy has {args.only!r} in its name; there are {', '.join(one.name for one in every)}")
    began = time.monotonic()
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}", flush=True)
    fetched = Fetched(cache())
    try:
        fetched.fetch(gatewayproxies.WRK)
    except FetchError as e:
        sys.exit(f"bench: wrk comes out of a Debian package: {e}")
    with scratch(), Cluster() as cluster:
        bench(cluster, gatewayproxies.Wrk(cluster, fetched.root("wrk")), routes, args.seconds, args.rounds, args.output)
    print(f"\n{time.monotonic() - began:.0f} s, load average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
