"""`seaway lab NAME`: an experiment with a cluster of its own, its table, and its picture."""

from __future__ import annotations

import argparse
import importlib
import sys
from dataclasses import replace
from pathlib import Path

from seaway.cli import up
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.cluster import launch, place
from seaway.cluster.config import ClusterConfig
from seaway.cluster.launch import LaunchError
from seaway.cluster.place import Place
from seaway.labs.frame import LABS, Options, Stage, table


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a price such as 18.25")
    return price


def main(argv: list[str]) -> int:
    names = "\n".join(f"  {name:<16} {what}" for name, (_, what) in LABS.items())
    parser = argparse.ArgumentParser(
        "seaway lab",
        description="Run an experiment on a cluster of its own: a table on the terminal, a picture in a file.",
        epilog=f"labs:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=list(LABS), metavar="NAME", help="which experiment")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes that still show it")
    parser.add_argument(
        "--runs", type=int, default=3, metavar="N", help="how often what varies is repeated (default 3)"
    )
    parser.add_argument(
        "--price-per-address",
        type=_price,
        default=0.0,
        metavar="PRICE",
        help="ingress-cost: what an address of a load balancer costs, in any currency and time",
    )
    parser.add_argument("--output", default="", metavar="FILE", help="the picture (default: lab-NAME.svg here)")
    args = parser.parse_args(argv)
    if args.runs < 1:
        parser.error("--runs must be at least 1")
    if args.price_per_address and args.name != "ingress-cost":
        parser.error(f"--price-per-address is for ingress-cost; {args.name} has no bill")
    picture = Path(args.output or f"lab-{args.name}.svg")
    if not picture.parent.is_dir():
        parser.error(f"--output {picture}: there is no folder {picture.parent}")
    progress = up.Progress()

    def bring_up(config: ClusterConfig) -> Place:
        name = f"lab-{args.name}"
        launch.down(place.of(name))  # one that an interrupted lab left
        return up.start(replace(config, name=name), "", [], up.Progress(quiet=True))

    module, what = LABS[args.name]
    progress.say(what)
    try:
        result = importlib.import_module(module).run(
            Stage(progress.say, bring_up), Options(args.quick, args.runs, args.price_per_address)
        )
    except (LaunchError, Unavailable, ApiStatusError) as e:
        print(f"seaway lab: {e}", file=sys.stderr)
        return 1
    picture.write_text(result.picture)
    print(f"\n{result.title}\n\n{table(result.columns, result.rows)}\n")
    for note in result.notes:
        print(note)
    print(f"\nThe picture is in {picture}.", flush=True)
    return 0
