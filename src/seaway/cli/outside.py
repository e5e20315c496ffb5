"""`seaway outside -- CMD`: a program of this machine as a client outside the cluster, in its own network namespace there."""

from __future__ import annotations

import argparse
import os
import sys

from seaway.cluster import place
from seaway.cluster.fabric import linux


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "seaway outside", description="Run a command outside the cluster: node ports and load balancers answer there."
    )
    parser.add_argument("--name", default="seaway", help="the cluster's name")
    parser.add_argument(
        "--from", dest="origin", default="outside", help="`outside`, or a node's name: run in that node's network"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD", help="what to run")
    args = parser.parse_args(argv)
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        parser.error("a command is missing: seaway outside -- curl http://172.30.0.2:30080")
    where = place.of(args.name)
    state = where.state()
    if not place.is_alive(state):
        print(f"seaway outside: no cluster named {args.name} is up; `seaway up` starts one", file=sys.stderr)
        return 1
    origin = args.origin
    if origin != "outside":
        if origin not in state["nodes"]:
            print(f"seaway outside: no node named {origin} (there are: {', '.join(state['nodes'])})", file=sys.stderr)
            return 2
        origin = f"node-{state['nodes'].index(origin)}"
    init = f"/proc/{state['pid']}"
    try:
        network = os.open(f"{init}/root{where.private}/ns/{origin}", os.O_RDONLY | os.O_CLOEXEC)
        if os.geteuid() != 0:
            linux.enter(f"{init}/ns/user", linux.CLONE_NEWUSER)
        linux.setns(network, linux.CLONE_NEWNET)
        os.execvp(command[0], command)
    except FileNotFoundError:
        print(f"seaway outside: {command[0]}: not found", file=sys.stderr)
        return 127
    except OSError as e:
        print(f"seaway outside: {e}", file=sys.stderr)
        return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
