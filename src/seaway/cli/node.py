"""`seaway node`: shuts a node down gracefully, as the kubelet does when its machine is halted, and starts it again."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from typing import Any

from seaway.api.tree import condition, key_of
from seaway.client import kubeconfig
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.rest import Rest, kind_of
from seaway.cluster import place
from seaway.cluster.configfile import DURATION
from seaway.cluster.node import shutdown
from seaway.cluster.node.shutdown import Order
from seaway.cluster.place import Place

Tree = dict[str, Any]
LOOK, SLACK = 0.2, 5.0  # SLACK: after the grace, for the last kills to be done and told
WITHIN = 60.0


def duration(text: str) -> float:
    found = DURATION.match(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} must be a duration such as 30s or 500ms")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("seaway node", description="Shut a node of a cluster down, and start it again.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    down = commands.add_parser("shutdown", help="end the node's pods in good order, take no more; waits for that")
    down.add_argument("--grace", type=duration, default=30.0, help="time for all pods (default 30s)")
    down.add_argument(
        "--grace-critical", type=duration, default=10.0, help="the part of it kept for critical pods (default 10s)"
    )
    start = commands.add_parser("start", help="bring the node back; waits until it is Ready")
    for command in (down, start):
        command.add_argument("node", metavar="NODE", help="the node's name")
        command.add_argument("--name", default="seaway", help="the cluster's name")
    return parser


def give(where: Place, node: str, order: Order) -> Order:
    """Writes the order where the node's agent looks; one that stands already goes on as it was given."""
    path = where.shutdown(node)
    try:
        standing = shutdown.load(path.read_text())
    except FileNotFoundError:
        standing = None
    if standing:
        return standing
    fresh = path.with_suffix(".new")
    fresh.write_text(shutdown.dump(order))
    os.replace(fresh, path)
    return order


def _is_down(node: Tree) -> bool:
    ready = condition(node, "Ready") or {}
    return ready.get("status") == "False" and shutdown.NODE_MESSAGE in (ready.get("message") or "")


async def wait_down(api: Rest, name: str, end: float) -> list[str]:
    """Until the node has said that it shuts down and its pods have ended; what is still there at `end`."""
    told = False
    left: dict[str, Tree] = {}
    while True:
        try:
            told = told or _is_down(await api.get(kind_of("nodes"), "", name))
            pods = (await api.list(kind_of("pods"), "", {"fieldSelector": f"spec.nodeName={name}"}))["items"]
            now = {str(key_of(p)): p for p in shutdown.holding(pods)}
            for pod in sorted(left.keys() - now.keys()):
                print(f"pod {pod} has ended", flush=True)
            left = now
            if told and not left:
                return []
        except Unavailable:
            pass  # the API server starts again
        if time.time() > end:
            return sorted(left) or [f"node {name} itself, which does not answer"]
        await asyncio.sleep(LOOK)


async def shut_down(where: Place, name: str, order: Order) -> int:
    order = give(where, name, order)
    print(f"node {name} is shutting down, within {order.grace:g}s", flush=True)
    async with Rest(kubeconfig.from_file(where.kubeconfig), "seaway-node") as api:
        left = await wait_down(api, name, order.deadline(True) + SLACK)
    if left:
        print(f"seaway node: the grace is over; not ended: {', '.join(left)}", file=sys.stderr)
        return 1
    print(f"node {name} is down; `seaway node start {name}` brings it back")
    return 0


async def start(where: Place, name: str) -> int:
    where.shutdown(name).unlink(missing_ok=True)
    end = time.monotonic() + WITHIN
    async with Rest(kubeconfig.from_file(where.kubeconfig), "seaway-node") as api:
        while True:
            try:
                ready = condition(await api.get(kind_of("nodes"), "", name), "Ready") or {}
                if ready.get("status") == "True":
                    print(f"node {name} is Ready")
                    return 0
            except Unavailable:
                pass
            if time.monotonic() > end:
                hint = f"see `kubectl describe node {name}`"
                print(f"seaway node: {name} is not Ready within {WITHIN:g} s; {hint}", file=sys.stderr)
                return 1
            await asyncio.sleep(LOOK)


def main(argv: list[str]) -> int:
    args = options().parse_args(argv)
    where = place.of(args.name)
    state = where.state()
    problem = shutdown.problem(args.grace, args.grace_critical) if args.command == "shutdown" else ""
    if not place.is_alive(state):
        problem = f"no cluster named {args.name} is up; `seaway up` starts one"
    elif args.node not in state["nodes"]:
        problem = f"cluster {args.name} has no node {args.node}; it has {', '.join(state['nodes'])}"
    if problem:
        print(f"seaway node: {problem}", file=sys.stderr)
        return 1
    try:
        if args.command == "start":
            return asyncio.run(start(where, args.node))
        return asyncio.run(shut_down(where, args.node, Order(time.time(), args.grace, args.grace_critical)))
    except (ApiStatusError, OSError) as e:
        print(f"seaway node: {e}", file=sys.stderr)
        return 1
