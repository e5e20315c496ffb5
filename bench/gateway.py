"""make bench PART=gateway: Ingress and Gateway API on Envoy in figures, each against the goal of the issue.

    make bench PART=gateway                        all of it
    make bench PART=gateway ONLY=propagation       one part, several with commas: attached, propagation, rest, requests
    make bench PART=gateway SECONDS=2 COUNT=15     quicker

- attached: 1,000 routes at once: until the Gateway counts them, until all are accepted; writes of statuses
- propagation: from sending a write to the API until a client outside has the right answer, beside 10, 1,000 and 3,000 routes, on
  hosts of their own and all on one host, at rest and while others are edited
- rest: memory and CPU of the controller that holds 5,000 routes, while nothing happens
- requests: through our Envoy beside nginx and HAProxy as plain proxies, with one worker each

All of it in an embedded cluster with one node, which is brought up for it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time

import gatewayproxies
import uvloop
from gatewaychanges import CHURN, REST, Edge, Took, at_rest, high, median, processes
from gatewayroutes import SHAPES
from rig import Cluster, row, scratch

from seaway.labs.frame import table

PARTS = ("attached", "propagation", "rest", "requests")
SIZES, MANY, CROWD = (10, 1000, 3000), 5000, 1000
MEDIAN, P99, MEMORY, CPU = 30.0, 100.0, 300.0, 0.1


async def attached(edge: Edge) -> None:
    found = await edge.attach(CROWD)
    print(f"\n{CROWD:,} routes at once, written on 8 connections within {found.written:.2f} s\n")
    row("until the Gateway's attachedRoutes is right", f"{found.counted:.2f} s", "", None)
    row("until every route is Accepted", f"{found.accepted:.2f} s", "", None)
    row("until the last one answers", f"{found.answered:.2f} s", "", None)
    row("writes of the Gateway's status", str(found.gateway_writes), "", None)
    row("writes of routes' statuses", str(found.route_writes), f"the most of one route: {found.most}", None)
    await edge.clear()


async def propagation(edge: Edge, count: int, shapes: list[str]) -> None:
    rows, found = [], {}
    for shape in shapes:
        edge.shape, there = shape, 0
        for routes in SIZES:
            await edge.fill(there, routes)
            there = routes
            for churn in (False, True):
                took = found[shape, routes, churn] = await edge.changes(routes, churn, count)
                rows.append((f"{routes:,} routes, {SHAPES[shape]}, {f'{took.churn:.0f} other edits a second' if churn else 'at rest'}", *figures(took)))
        await edge.clear()
    columns = ("ms", "added", "p99", "edited", "p99", "of these the API")
    print(f"\nFrom sending a write to the first right answer outside: medians and 99th of {count}; others are edited {CHURN:.0f} times a second or not\n")
    print(table(columns, rows) + "\n")
    for shape in shapes:
        for churn in (False, True):
            took = found[shape, SIZES[-1], churn]
            both, when = took.added + took.edited, "while others are edited" if churn else "at rest"
            row(f"{SIZES[-1]:,} routes, {SHAPES[shape]}, {when}: median", f"{median(both):.1f} ms", f"goal {MEDIAN:.0f} ms", median(both) <= MEDIAN)
            row("      p99", f"{high(both):.1f} ms", f"goal {P99:.0f} ms", high(both) <= P99)


def figures(took: Took) -> tuple[str, ...]:
    times = (median(took.added), high(took.added), median(took.edited), high(took.edited), median(took.written))
    return tuple(f"{t:.1f}" for t in times)


async def rest(edge: Edge) -> None:
    edge.shape = "hosts"
    began = time.monotonic()
    await edge.fill(0, MANY)
    print(f"\n{MANY:,} routes, attached and answered {time.monotonic() - began:.1f} s after the first write\n")
    [controller] = processes("gateway")
    await asyncio.sleep(3)
    cpu = await at_rest(controller)
    pss, most = controller.memory()
    row(f"controller, {MANY:,} routes: memory (PSS)", f"{pss:.0f} MiB", f"goal {MEMORY:.0f} MiB", pss <= MEMORY)
    row("      the most RSS that it has had", f"{most:.0f} MiB", "", None)
    row(f"      processors over {REST:.0f} s in which nothing happens", f"{cpu:.3f}", f"goal {CPU:.1f}", cpu <= CPU)
    for process in processes("envoy"):
        row("      Envoy's memory beside it (PSS)", f"{process.memory()[0]:.0f} MiB", "", None)


async def routes(parts: list[str], count: int, shapes: list[str]) -> None:
    with Cluster() as cluster:
        async with Edge(cluster).open() as edge:
            if "attached" in parts:
                await attached(edge)
            if "propagation" in parts:
                await propagation(edge, count, shapes)
            if "rest" in parts:
                await rest(edge)


def main() -> None:
    parser = argparse.ArgumentParser("bench/gateway.py", description="What the gateway costs and how fast it is.")
    parser.add_argument("--only", default=os.environ.get("ONLY", ""), help=f"parts, separated by commas: {', '.join(PARTS)}")
    parser.add_argument("--count", type=int, default=int(os.environ.get("COUNT", 30)), help="changes of each kind that are timed")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="how routes share hosts in propagation")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SECONDS", 4)), help="of one run of requests")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", 3)), help="of requests, over all proxies")
    args = parser.parse_args()
    parts = args.only.split(",") if args.only else list(PARTS)
    if wrong := [p for p in parts if p not in PARTS]:
        parser.error(f"--only: no part named {wrong[0]!r}; parts are {', '.join(PARTS)}")
    shapes = args.shapes.split(",")
    if wrong := [s for s in shapes if s not in SHAPES]:
        parser.error(f"--shapes: no shape named {wrong[0]!r}; shapes are {', '.join(SHAPES)}")
    began = time.monotonic()
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}", flush=True)
    with scratch():
        if set(parts) - {"requests"}:
            uvloop.run(routes(parts, args.count, shapes))
        if "requests" in parts:
            gatewayproxies.requests(args.seconds, args.rounds)
    print(f"\n{time.monotonic() - began:.0f} s, load average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
