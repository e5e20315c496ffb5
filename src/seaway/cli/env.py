"""`seaway env`: the line that points kubectl at a cluster."""

from __future__ import annotations

import argparse
import shlex
import sys

from seaway.cluster import place


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("seaway env", description="Print the line that points kubectl at the cluster.")
    parser.add_argument("--name", default="seaway", help="the cluster's name")
    args = parser.parse_args(argv)
    where = place.of(args.name)
    if not place.is_alive(where.state()):
        print(f"seaway env: no cluster named {args.name} is up; `seaway up` starts one", file=sys.stderr)
        return 1
    print(f"export KUBECONFIG={shlex.quote(str(where.kubeconfig))}")
    return 0
