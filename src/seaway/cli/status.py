"""`seaway status`: the clusters of this user, their processes and what each costs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from seaway.cluster import launch, place
from seaway.cluster.place import Place

Tree = dict[str, Any]


def processes(where: Place) -> list[Tree]:
    """Every process of the cluster: its name, its pid on the host, its proportional memory in KiB (0 where unreadable)."""
    state = where.state()
    namespace = os.readlink(f"/proc/{state['pid']}/ns/pid")
    told = {row["pid"]: row for row in launch.ask(where, "status")["processes"]}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if _on_host_side(entry, state["pid"]):
                found.append({"pid": int(entry.name), "name": "hostside", "restarts": 0, "pss": _pss(entry)})
                continue
            text = (entry / "status").read_text()
            inner = next(line for line in text.splitlines() if line.startswith("NSpid:")).split()[1:]
            if entry.name != str(state["pid"]) and not _inside(entry, namespace, inner):
                continue
            name = (entry / "comm").read_text().strip()
            pid = int(inner[-2] if len(inner) > 2 and os.readlink(entry / "ns/pid") != namespace else inner[-1])
            row = told.get(pid) if os.readlink(entry / "ns/pid") == namespace else None
            found.append(
                {
                    "pid": int(entry.name),
                    "name": row["name"] if row else name,
                    "restarts": row["restarts"] if row else 0,
                    "pss": _pss(entry),
                }
            )
        except (OSError, StopIteration):
            continue
    return sorted(found, key=lambda r: r["pid"])


def _on_host_side(entry: Path, init: int) -> bool:
    """One of the processes that `launch` starts beside init: the program's third word is init's pid."""
    words = (entry / "cmdline").read_bytes().split(b"\0")
    return len(words) > 5 and words[3].endswith(b"/cluster/hostside.py") and words[5] == str(init).encode()


def _inside(entry: Path, namespace: str, inner: list[str]) -> bool:
    """In the cluster's PID namespace, or in a container's below it."""
    if os.readlink(entry / "ns/pid") == namespace:
        return True
    if len(inner) < 2:
        return False
    parent = entry
    for _ in range(64):
        line = next(line for line in (parent / "status").read_text().splitlines() if line.startswith("PPid:"))
        parent = Path("/proc", line.split()[1])
        if parent.name == "0" or not parent.exists():
            return False
        if os.readlink(parent / "ns/pid") == namespace:
            return True
    return False


def _pss(entry: Path) -> int:
    try:
        for line in (entry / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("seaway status", description="Show what runs.")
    parser.add_argument("--name", default="", help="only this cluster")
    parser.add_argument("-o", dest="output", choices=["table", "json"], default="table", help="form of the answer")
    args = parser.parse_args(argv)
    names = [args.name] if args.name else place.all_names()
    alive = [n for n in names if place.is_alive(place.of(n).state())]
    if args.output == "json":
        print(json.dumps([{**place.of(n).state(), "processes": processes(place.of(n))} for n in alive]))
        return 0 if alive else 1
    if not alive:
        print("no cluster is up; `seaway up` starts one", file=sys.stderr)
        return 1
    for name in alive:
        where = place.of(name)
        state, rows = where.state(), processes(where)
        total = sum(r["pss"] for r in rows) / 1024
        print(f"cluster {name}: API server {state['api']}, nodes {', '.join(state['nodes'])}, {total:.0f} MiB in all")
        print(f"{'PID':>8}  {'NAME':<32} {'RESTARTS':>8} {'MEMORY':>9}")
        for row in rows:
            print(f"{row['pid']:>8}  {row['name']:<32} {row['restarts']:>8} {row['pss'] / 1024:>6.1f} MiB")
    return 0
