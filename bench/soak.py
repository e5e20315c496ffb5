"""make bench PART=soak: ten minutes of the service proxy in every mode side by side, IPVS in User-mode Linux. Services, endpoints
and policies change all the time; then the proxy is killed in the middle of it, again and again; then other modes take over and
give back. Meanwhile new connections are made through Services that nobody touches, and others are held: none may fail. In the end
the kernel holds what a cold start gives, nothing of another mode is left, and the memory of the process has not grown.

SOAK_SECONDS=60 make bench PART=soak is a short one, SOAK_MODES=nftables,ebpf takes some of the modes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rig import row, scratch

from seaway.labs.frame import table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "proxy" / "flows"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "proxy" / "uml"))

import flowcgroup
import flowrun
import uml

Tree = dict[str, Any]
SOAK = str(Path(flowrun.__file__).with_name("flowsoak.py"))
MODES = ("nftables", "iptables", "ebpf", "userspace", "ipvs")
EVERY, EVERY_UML = 0.2, 0.5  # seconds from one connection of a stream to its next; there are fourteen
LEAST = 20.0
BOOT, ENDING = 60.0, 240.0  # seconds that may pass around it
SETTLED = 0.5  # of the time of changes only, after which memory should not grow
# MB in that time: allocators take memory in steps of about one, which is 20 MB an hour where minutes are looked at. In a soak that is
# long enough: at first caches fill.
GROWTH, LONG = 2.0, 300.0


def slope(samples: list[tuple[float, int]]) -> float:
    """Bytes a second: the median of the slopes between what was measured half the time apart (after Theil and Sen)."""
    half = len(samples) // 2
    pairs = [(a, b) for a, b in zip(samples, samples[half:], strict=False) if b[0] > a[0]]
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs) if pairs else 0.0


def missing(mode: str) -> str:
    if mode == "ebpf" and not flowcgroup.possible():
        return "needs root and a cgroup hierarchy of version 2"
    return uml.missing() if mode == "ipvs" else ""


def begin(mode: str, seconds: float, folder: Path) -> subprocess.Popen[bytes]:
    if mode == "ipvs":
        job = [sys.executable, SOAK, "ipvs/legacy", str(seconds), str(EVERY_UML)]
        return uml.start(folder, job, seconds + ENDING, ("ip_vs", "br_netfilter"))
    return flowrun.start([sys.executable, SOAK, mode, str(seconds), str(EVERY)], folder)


def play(modes: list[str], seconds: float, folder: Path) -> dict[str, Tree | str]:
    """What each mode's soak said, or what became of it."""
    running = {}
    found: dict[str, Tree | str] = {}
    try:
        for mode in modes:
            (folder / mode).mkdir()
            running[mode] = begin(mode, seconds, folder / mode)
        end = time.monotonic() + seconds + BOOT + ENDING
        for mode, process in running.items():
            try:
                process.wait(max(1.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            said, errors = ((folder / mode / name).read_text(errors="replace") for name in ("out", "err"))
            if said.strip():
                found[mode] = json.loads(said)
            else:
                found[mode] = (errors.strip().splitlines() or ["it did not end"])[-1][:500]
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    return found


def tell(found: dict[str, Tree | str]) -> bool:
    """The table, the goals, and what was wrong; whether all is well."""
    rows, good = [], True
    for mode, one in found.items():
        if isinstance(one, str):
            rows.append((mode, *("-",) * 10))
            continue
        memory = one["memory"]
        rows.append(
            (
                mode,
                f"{one['seconds']:.0f} s",
                f"{one['connections']:,}",
                str(len(one["failed"])),
                f"{one['slowest']:.1f} s",
                f"{one['held']}, {len(one['cut'])}",
                f"{one['changes']:,}",
                str(one["kills"] or one["restarts"]),
                str(one["switches"]),
                f"{memory[0][1] / 1e6:.0f}, {memory[-1][1] / 1e6:.0f} MB",
                f"{slope(memory[int(len(memory) * SETTLED):]) * 3600 / 1e6:+.1f} MB/h",
            )
        )
    columns = ("mode", "for", "new connections", "failed", "slowest", "held, cut", "changes", "kills", "switches", "PSS, then", "slope")
    print(f"{table(columns, rows)}\n")
    print("kills: of the mode whose process carries connections, orderly ends. PSS: of the process that lives while there are changes only,")
    print(f"at its start and its end; the slope is over the last {1 - SETTLED:.0%} of that time. An answer that takes 10 s has failed.\n")
    for mode, one in found.items():
        if isinstance(one, str):
            row(f"{mode}: the soak", "did not end", one, False)
            good = False
            continue
        bad = [*one["failed"], *one["cut"]]
        row(f"{mode}: requests that failed, connections that were cut", str(len(bad)), "goal 0", not bad)
        row(f"{mode}: differences to a cold start, leftovers", str(len(one["wrong"])), "goal 0", not one["wrong"])
        long = one["seconds"] >= LONG
        last = one["memory"][int(len(one["memory"]) * SETTLED) :]
        seconds = last[-1][0] - last[0][0]
        grows = slope(last) * seconds / 1e6
        goal = f"goal under {GROWTH:.0f} MB" if long else f"too short to tell: {LONG:.0f} s at least"
        row(f"{mode}: memory's growth in the last {seconds:.0f} s of changes", f"{grows:+.1f} MB", goal, grows < GROWTH if long else None)
        good &= not bad and not one["wrong"]
        for line in (bad + one["wrong"])[:10]:
            print(f"    {line}")
    return good


def main() -> None:
    parser = argparse.ArgumentParser("bench/soak.py", description="Minutes of changes, kills and switches of the service proxy.")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SOAK_SECONDS", "600")), help="of the soak")
    parser.add_argument("--modes", default=os.environ.get("SOAK_MODES", ",".join(MODES)), help="data planes, separated by commas")
    args = parser.parse_args()
    modes = args.modes.split(",")
    if set(modes) - set(MODES):
        parser.error(f"--modes: one or more of {', '.join(MODES)}")
    if args.seconds < LEAST:
        parser.error(f"--seconds: at least {LEAST:.0f}")
    for mode in list(modes):
        if reason := missing(mode):
            print(f"{mode} is left out: {reason}")
            modes.remove(mode)
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} before it; {', '.join(modes)} side by side\n", flush=True)
    with scratch() as folder:
        found = play(modes, args.seconds, Path(folder))
    print(f"load average {os.getloadavg()[0]:.1f} at its end\n")
    if not tell(found):
        sys.exit("the soak has found something")


if __name__ == "__main__":
    main()
