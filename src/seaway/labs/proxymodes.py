"""Lab: what the number of Services costs a connection, and a change (claims 5 and 6 of the notes).

iptables walks a rule a Service for every new connection, whether it is to a Service or not, and its tool takes the whole table
through its hands for a change; nftables looks an address up, and eBPF has it looked up once, by connect(2). Each data plane
gets a node of its own in network namespaces of its own, with so many Services, and pods that connect through the last one.
"""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Mapping, Sequence

from seaway.client.errors import Unavailable
from seaway.labs import chart, proxyrig
from seaway.labs.frame import Options, Result, Stage
from seaway.labs.proxyrig import BASES, Rig
from seaway.labs.rates import Place, Rate, rates

MODES = ("iptables-legacy", "iptables-nft", "nftables", "ebpf")
SECONDS, CHANGES, WITHIN = 0.08, 20, 2.5


def sizes_of(options: Options) -> tuple[int, ...]:
    return (10, 1000) if options.quick else (10, 1000, 5000)


def measure(
    stage: Stage, modes: Sequence[str], sizes: Sequence[int], rounds: int
) -> tuple[dict[Place, Rate], dict[tuple[str, int], float], dict[str, str]]:
    """(rates by place, seconds of one change by mode and size, modes that this kernel refuses and why)."""
    changes: dict[tuple[str, int], float] = {}
    refused: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        places = [(stack.enter_context(Rig(base, 0)), "direct") for base in BASES]
        places += [(stack.enter_context(Rig(mode, size)), "last") for mode in modes for size in sizes]
        for rig, _ in places:
            try:
                rig.ready()
            except Unavailable as e:
                if rig.mode in BASES:
                    raise
                refused[rig.mode] = str(e)
                stage.say(str(e))
        places = [(rig, target) for rig, target in places if rig.mode not in refused]
        for rig, _ in places[len(BASES) :]:
            changes[rig.mode, rig.services] = change = statistics.median(rig.changes(CHANGES, WITHIN))
            stage.say(f"{rig.mode}, {rig.services:,} Services: one change takes {change * 1000:.1f} ms")
        stage.say(f"{rounds} rounds of new connections over all of them")
        taken = [{(r.mode, r.services, t): r.connect(t, SECONDS) for r, t in places} for _ in range(rounds)]
    return rates(taken), changes, refused


def result(
    sizes: Sequence[int],
    found: Mapping[Place, Rate],
    changes: Mapping[tuple[str, int], float],
    left_out: Mapping[str, str],
) -> Result:
    """Table, sentences and picture of what was measured."""
    modes = list(dict.fromkeys(mode for mode, _ in changes))
    rows, numbers = [], {}
    for mode in modes:
        for size in sizes:
            one, change = found[mode, size, "last"], changes[mode, size]
            rows.append(
                (
                    f"{mode}, {size:,}",
                    f"{one.rate:,.0f}",
                    f"{one.cpu:,.0f}",
                    f"{one.cpu_of_tracked:.2f}",
                    f"{change * 1000:.1f} ms",
                )
            )
            numbers[f"ratio/{mode}/{size}"], numbers[f"change/{mode}/{size}"] = one.cpu_of_tracked, change
    ratios = {mode: [found[mode, size, "last"].cpu_of_tracked for size in sizes] for mode in modes}
    picture = chart.under(
        chart.lines(
            "New connections through the last Service, relative to direct",
            sizes,
            ratios,
            lambda v: f"{v:.2f}",
            "ratio to direct",
            "Services",
        ),
        chart.lines(
            "One Service changes: until the kernel has it",
            sizes,
            {mode: [changes[mode, size] * 1000 for size in sizes] for mode in modes},
            lambda v: f"{v:.3g} ms",
            "median",
            "Services",
        ),
    )
    few, many = sizes[0], sizes[-1]
    notes = [
        "Measured: new connections (a byte, and the end) from one pod to another on the same node, through the last Service.",
        "of direct: to the pod itself, in the same rounds, on a node that tracks connections and has no Service; for a CPU",
        "second of client, server and kernel together, so that what else this machine does is not in it.",
    ]
    for mode in modes:
        fell, grew = ratios[mode][-1] / ratios[mode][0], changes[mode, many] / changes[mode, few]
        notes.append(
            f"{mode}: {many:,} Services instead of {few:,} leave {fell:.0%} of the connections; "
            f"a change takes {grew:,.1f} times as long."
        )
    notes += [f"Left out: {mode} ({why})." for mode, why in left_out.items()]
    columns = ("Services", "connections/s", "for a CPU second", "of direct", "one change")
    return Result("Data planes by the number of Services", columns, tuple(rows), tuple(notes), picture, numbers)


def run(stage: Stage, options: Options) -> Result:
    """Measures in network namespaces; no cluster is needed."""
    left_out = {mode: why for mode in MODES if (why := proxyrig.missing(mode))}
    modes = [mode for mode in MODES if mode not in left_out]
    for mode, why in left_out.items():
        stage.say(f"{mode} is left out: {why}")
    stage.say(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    sizes = sizes_of(options)
    found, changes, refused = measure(stage, modes, sizes, (2 if options.quick else 4) * options.runs)
    return result(sizes, found, changes, left_out | refused)
