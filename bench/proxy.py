"""make bench PART=proxy: what the data planes cost. First the proxy itself (from its lists to the kernel, one change, CPU, memory),
next to kube-proxy's own nftables layout loaded the same way; then new connections through a Service against direct ones. All in
network namespaces of its own; IPVS, which many kernels lack, in User-mode Linux against direct connections of that kernel.

The machine may have other work, so each figure stands beside what it is compared with in the same run, and connections are
counted for a CPU second as well (client, server, kernel and relay together): that is what the ratios with goals are of.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import proxysync
import proxyuml
from rig import row, scratch

from seaway.client.errors import Unavailable
from seaway.labs import proxyrig
from seaway.labs.frame import table
from seaway.labs.proxyrig import PLANES, Rig
from seaway.labs.rates import Place, Quickest, Rate, rates

Tree = dict[str, Any]
SIZES = (1000, 10_000, 44_000)
# How many Services a mode is asked to hold here: beyond, it does not end in the time of the part.
LARGEST = {"iptables-legacy": 10_000, "iptables-nft": 1000, "userspace": 1000, "layout": 10_000}
COLD = {10_000: 3.0, 44_000: 12.0}
CHANGE = 0.020
PATIENCE = 120.0  # seconds for one process
COUNTS = (10, 1000, 10_000)
RATIOS = {"ebpf": 0.95, "nftables": 0.85}
FLAT = 0.93  # of the rate at 10 Services, at 10,000
# What this kernel lacks is measured in User-mode Linux, and iptables there too, to compare the kernels.
ELSEWHERE = ("ipvs", "iptables-legacy")
ELSEWHERE_ROUNDS, ELSEWHERE_SECONDS = 80, 0.05


# The proxy itself


def sync(mode: str, size: int, folder: Path, changes: int) -> Tree | str:
    """What `proxysync` measured, or why not."""
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(proxyrig.group()) if mode == "ebpf" else ""
        command = [str(Path(proxysync.__file__).resolve()), mode, str(size), str(folder), group, str(changes)]
        environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        process = subprocess.Popen(proxyrig.isolated(*command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        try:
            out, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return f"over {PATIENCE:.0f} s"
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        return (errors.decode("utf-8", "replace").strip().splitlines() or ["ended"])[-1]
    found: Tree = json.loads(out)
    return found


def mega(size: float) -> str:
    return f"{size / 1e6:.0f} MB"


def syncs(modes: list[str], sizes: tuple[int, ...], changes: int, folder: Path) -> None:
    """One process a mode and size, one after the other; a table, then the goals."""
    rows, found = [], {}
    for size in sizes:
        pages = folder / str(size)
        pages.mkdir()
        proxysync.write_pages(pages, size)
        for mode in [*modes, "layout"]:
            if size > LARGEST.get(mode, size):
                continue
            one = sync(mode, size, pages, changes)
            called = "kube-proxy's layout" if mode == "layout" else mode
            if isinstance(one, str):
                rows.append((f"{called}, {size:,}", one, *("-",) * 7))
                continue
            found[mode, size] = one
            whole = one.get("loaded", size) == size
            cold = f"{one['cold']:.2f} s" if whole else f"{one['loaded']:,} in {one['cold']:.0f} s"
            rows.append(
                (
                    f"{called}, {size:,}",
                    cold,
                    f"{one['cold cpu']:.2f} s",
                    f"{one['median'] * 1000:.1f} ms",
                    f"{one['p99'] * 1000:.1f} ms",
                    str(one["times"]),
                    f"{one['change cpu'] * 1000:.1f} ms",
                    mega(one["rss"]) if "rss" in one else "-",
                    mega(one["pss"]) if "pss" in one else "-",
                )
            )
            print(f"  {called}, {size:,} Services: {cold} cold", file=sys.stderr, flush=True)
    columns = ("Services x 2 endpoints", "cold", "its CPU", "one change", "p99", "of", "its CPU", "RSS", "PSS")
    print(f"\nFrom the lists to the kernel\n\n{table(columns, rows)}\n")
    print("cold: lists of JSON decoded, Services planned, the kernel programmed, both families; of a process that has begun already.")
    print("kube-proxy's layout is only loaded: its text is made and given to the kernel, 1,000 Services a transaction. A change of")
    print("ours is from the watch's line to the kernel, with the 3 ms for which the proxy waits for companions.\n")
    for mode in ("nftables", "ebpf"):
        for size, goal in COLD.items():
            if (mode, size) in found:
                took, spent = found[mode, size]["cold"], found[mode, size]["cold cpu"]
                row(f"{mode}: {size:,} Services cold", f"{took:.2f} s", f"goal {goal:.0f} s (its CPU: {spent:.2f} s)", took <= goal)
        for size in sizes:
            if (mode, size) in found:
                took = found[mode, size]["median"]
                row(f"{mode}: one change among {size:,}", f"{took * 1000:.1f} ms", f"goal {CHANGE * 1000:.0f} ms, median", took <= CHANGE)
    for size in sizes:
        if ("layout", size) in found and ("nftables", size) in found:
            ours, theirs = found["nftables", size], found["layout", size]
            loaded = theirs["loaded"] / size
            row(f"kube-proxy's layout against ours, {size:,}: CPU of loading" + ("" if loaded == 1 else f" {loaded:.0%}"),
                f"x {theirs['cold cpu'] / ours['cold cpu']:.1f}", "ours is all in", None)
            row(f"kube-proxy's layout against ours, {size:,}: CPU of one change", f"x {theirs['change cpu'] / ours['change cpu']:.1f}", "", None)


# Connections


def connections(modes: list[str], counts: tuple[int, ...], rounds: int, seconds: float) -> dict[Place, Rate]:
    """Every mode and number of Services has a rig of its own; rounds go over all of them."""
    with contextlib.ExitStack() as stack:
        rigs = [stack.enter_context(Rig(base, 0)) for base in proxyrig.BASES]
        for count in counts:
            for mode in modes:
                if reason := proxyrig.missing(mode, count):
                    print(f"{mode}, {count:,} Services, is left out: {reason}")
                    continue
                rigs.append(stack.enter_context(Rig(mode, count)))
        for rig in rigs:
            print(f"  {rig.mode}, {rig.services:,} Services: programmed in {rig.ready():.1f} s", file=sys.stderr, flush=True)
        targets = {**dict.fromkeys(proxyrig.BASES, ("direct",)), "ipvs": ("last",)}  # ipvs: see proxyuml
        places = [(r, t) for r in rigs for t in targets.get(r.mode, ("direct", "first", "last"))]
        taken = [{(r.mode, r.services, t): r.connect(t, seconds) for r, t in places} for _ in range(rounds)]
    found = rates(taken)
    rows = []
    for (mode, count, target), one in found.items():
        what = f"{mode}, direct" if not count else f"{mode}, {count:,} Services, {target}"
        rows.append((what, f"{one.rate:,.0f}", f"{one.of_tracked:.2f}", f"{one.of_bare:.2f}",
                     f"{one.cpu:,.0f}", f"{one.cpu_of_tracked:.2f}", f"{one.cpu_of_bare:.2f}"))
    columns = ("new connections", "a second", "of tracked", "of bare", "a CPU second", "of tracked", "of bare")
    print(f"\nNew connections through a Service, medians of {rounds} interleaved rounds of {seconds:g} s\n\n{table(columns, rows)}\n")
    print("of tracked, of bare: against direct to the pod, with conntrack on and without any rule. A mode's own `direct` is to the pod")
    print("itself past the mode's rules.\n")
    for mode, goal in RATIOS.items():
        for count in (c for c in counts if (mode, c, "last") in found):
            worst = min((found[mode, count, t] for t in ("first", "last")), key=lambda r: r.cpu)
            if mode == "ebpf":
                ratio = worst.cpu / found[mode, count, "direct"].cpu
                row(f"ebpf: of direct on the same node, {count:,} Services", f"{ratio:.2f}", f"goal {goal:.2f}", ratio >= goal)
                row("      of direct on a node without any rule", f"{worst.cpu_of_bare:.2f}", "conntrack and the packets' rules cost the rest", None)
            else:
                ratio = worst.cpu_of_tracked
                row(f"{mode}: of direct with conntrack, {count:,} Services", f"{ratio:.2f}", f"goal {goal:.2f}", ratio >= goal)
    few, many = counts[0], counts[-1]
    for mode in modes:
        if (mode, many, "last") not in found:
            continue
        ratio, flat = found[mode, many, "last"].cpu / found[mode, few, "last"].cpu, mode in RATIOS
        row(f"{mode}: the last of {many:,} against the last of {few:,}", f"{ratio:.2f}", "goal: flat" if flat else "", ratio >= FLAT if flat else None)
    return found


def elsewhere(counts: tuple[int, ...]) -> dict[Place, Quickest]:
    """IPVS against direct connections on the same kernel."""
    print(f"\nNew connections in User-mode Linux, the quickest twentieth of {ELSEWHERE_ROUNDS} interleaved rounds of {ELSEWHERE_SECONDS:g} s; "
          f"load average {os.getloadavg()[0]:.1f}\n")
    try:
        found = proxyuml.measure(list(ELSEWHERE), counts, ELSEWHERE_ROUNDS, ELSEWHERE_SECONDS)
    except Unavailable as e:
        print(f"left out: {e}")
        return {}
    rows = [
        (f"{mode}, direct" if not count else f"{mode}, {count:,} Services, {target}", f"{one.rate:,.0f}", f"{one.of_tracked:.2f}", f"{one.of_bare:.2f}")
        for (mode, count, target), one in found.items()
    ]
    print(f"{table(('new connections', 'a second', 'of tracked', 'of bare'), rows)}\n")
    few, many = counts[0], counts[-1]
    ratio = found["ipvs", many, "last"].rate / found["ipvs", few, "last"].rate
    row(f"ipvs: of direct with conntrack, {many:,} Services", f"{found['ipvs', many, 'last'].of_tracked:.2f}", "on the same kernel", None)
    row(f"ipvs: the last of {many:,} against the last of {few:,}", f"{ratio:.2f}", "goal: flat", ratio >= FLAT)
    return found


def together(counts: tuple[int, ...], here: dict[Place, Rate], there: dict[Place, Quickest]) -> None:
    """Every mode's last Service beside each other, each against direct connections with conntrack on its own kernel."""
    ratios = {(mode, count): one.cpu_of_tracked for (mode, count, target), one in here.items() if target == "last"}
    ratios |= {(f"{mode} (User-mode Linux)", count): one.of_tracked for (mode, count, target), one in there.items() if target == "last"}
    modes = dict.fromkeys(mode for mode, _ in ratios)
    rows = [(mode, *(f"{ratios[mode, c]:.2f}" if (mode, c) in ratios else "-" for c in counts)) for mode in modes]
    print(f"\nThrough the last of so many Services, of direct with conntrack\n\n{table(('mode', *(f'{c:,}' for c in counts)), rows)}\n")


def main() -> None:
    parser = argparse.ArgumentParser("bench/proxy.py", description="What the service proxy's data planes cost.")
    parser.add_argument("--only", choices=["sync", "connections"], help="one half of the part")
    parser.add_argument("--modes", default=",".join(PLANES), help="data planes, separated by commas")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="Services that the proxy syncs")
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)), help="Services that connections are among")
    parser.add_argument("--changes", type=int, default=200, help="changes that are timed")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of connections")
    parser.add_argument("--seconds", type=float, default=0.08, help="of one round at one place")
    args = parser.parse_args()
    modes = args.modes.split(",")
    if set(modes) - set(PLANES):
        parser.error(f"--modes: one or more of {', '.join(PLANES)}")
    ipvs = "ipvs" in modes
    for mode in list(modes):
        if reason := proxyrig.missing(mode):
            if mode == "ipvs":
                reason = f"{reason}; its connections are measured in User-mode Linux"
            print(f"{mode} is left out: {reason}")
            modes.remove(mode)
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}: wall clock figures include what else runs here\n")
    if args.only != "connections":
        with scratch() as folder:
            syncs(modes, tuple(map(int, args.sizes.split(","))), args.changes, Path(folder))
    if args.only != "sync":
        counts = tuple(map(int, args.counts.split(",")))
        here = connections(modes, counts, args.rounds, args.seconds) if modes else {}
        together(counts, here, elsewhere(counts) if ipvs else {})


if __name__ == "__main__":
    main()
