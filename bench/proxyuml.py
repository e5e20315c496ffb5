"""New connections inside User-mode Linux, which has IPVS: rigs of `seaway.labs.proxyrig` on that kernel; `bench/proxy.py` boots it.

    python bench/proxyuml.py MODES COUNTS ROUNDS SECONDS

Prints JSON lines: {"mode", "services", "programmed"} for each rig, then {"rounds": [[[mode, Services, target], rate, CPU], ...]}.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from seaway.labs import proxyrig
from seaway.labs.proxyrig import BASES, Rig


TRACKED = 1 << 18  # connections that the kernel may know of; its own bound is for the little memory that it has


def main(modes: list[str], counts: list[int], rounds: int, seconds: float) -> None:
    Path("/proc/sys/net/netfilter/nf_conntrack_max").write_text(str(TRACKED))
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
