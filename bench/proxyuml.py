"""New connections inside User-mode Linux, which has IPVS: rigs of `seaway.labs.proxyrig` on that kernel, boots and all.

    python bench/proxyuml.py MODES COUNTS ROUNDS SECONDS

is what runs inside. It prints JSON lines: {"mode", "services", "programmed"} for each rig, then {"rounds": [[[mode, Services,
target], rate, CPU], ...]}.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from seaway.client.errors import Unavailable
from seaway.labs import proxyrig
from seaway.labs.proxyrig import BASES, Rig
from seaway.labs.rates import Place, Quickest, quickest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "proxy" / "uml"))

import uml

PATIENCE = 400.0


def measure(modes: list[str], counts: tuple[int, ...], rounds: int, seconds: float) -> dict[Place, Quickest]:
    """Boots, runs this file in there, reads what it says. That kernel has one CPU, and is a process itself: rounds in which
    something else of this machine has run say nothing."""
    if reason := uml.missing():
        raise Unavailable(reason)
    job = [str(Path(__file__).resolve()), ",".join(modes), ",".join(map(str, counts)), str(rounds), str(seconds)]
    ended = uml.run([sys.executable, *job], PATIENCE, ("ip_vs", "br_netfilter"))
    if ended.status != 0:
        raise Unavailable((ended.err.strip().splitlines() or [f"it ended with {ended.status}"])[-1])
    *programmed, last = map(json.loads, ended.out.splitlines())
    for one in programmed:
        told = f"{one['mode']}, {one['services']:,} Services, in User-mode Linux: programmed in {one['programmed']} s"
        print(f"  {told}", file=sys.stderr, flush=True)
    return quickest([{(mode, count, target): rate for (mode, count, target), rate, _ in r} for r in last["rounds"]])


def main(modes: list[str], counts: list[int], rounds: int, seconds: float) -> None:
    with contextlib.ExitStack() as stack:
        rigs = []
        # One CPU: one after the other.
        for mode, count in [*((base, 0) for base in BASES), *((mode, count) for count in counts for mode in modes)]:
            if reason := proxyrig.missing(mode, count):
                sys.exit(f"{mode}, {count:,} Services: {reason}")
            rigs.append(rig := stack.enter_context(Rig(mode, count)))
            print(json.dumps({"mode": mode, "services": count, "programmed": round(rig.ready(), 1)}), flush=True)
        # One Service a node: IPVS knows an answer by client and endpoint alone, so that a port which a client has used for one
        # Service is of no use for another with the same endpoint until the kernel has forgotten it.
        places = [(r, "direct" if r.mode in BASES else "last") for r in rigs]
        taken = [[((r.mode, r.services, t), *r.connect(t, seconds)) for r, t in places] for _ in range(rounds)]
        print(json.dumps({"rounds": taken}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1].split(","), list(map(int, sys.argv[2].split(","))), int(sys.argv[3]), float(sys.argv[4]))
