"""`seaway down`: ends a cluster and removes what it left."""

from __future__ import annotations

import argparse

from seaway.cluster import launch, place


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("seaway down", description="End an embedded cluster.")
    parser.add_argument("--name", default="seaway", help="the cluster's name")
    parser.add_argument("--all", action="store_true", help="every cluster of this user")
    args = parser.parse_args(argv)
    names = place.all_names() if args.all else [args.name]
    for name in names:
        print(f"cluster {name} ended" if launch.down(place.of(name)) else f"no cluster named {name} is up")
    return 0
