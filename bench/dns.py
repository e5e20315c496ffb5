"""make bench PART=dns: cluster DNS in answered queries for a CPU second of the server, next to unbound and BIND, which hold the
same names, in the same run; latency at a fixed rate, memory, and what changes and a dead upstream do to it.

    make bench PART=dns                    all of it, about 10 minutes
    make bench PART=dns ONLY=a             one load on our server alone: a, mixed, nx, cold, warm
    make bench PART=dns ONLY=changes       or: latency, memory, changes, updates, death; several with commas
    make bench PART=dns SECONDS=1 ROUNDS=2    quicker

Servers have one CPU, dnsperf, the upstream and the API server the other; rounds go over all servers. The CPU is that of all
processes of a server: control process, workers, what it has. Everything runs in namespaces of its own on the loopback interface.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import dnschanges
import dnsdeath
import dnsnames
import dnsservers
import dnsupdates
import dnswire
import uvloop
from dnsservers import Api, Tree, cpus, ending
from dnswire import share
from rig import Raw, row, scratch

from seaway.client import kubeconfig
from seaway.cluster.fabric import build, linux
from seaway.cluster.node.debian import Fetched, FetchError, cache
from seaway.cluster.node.packages import Program
from seaway.dns.serving import turns
from seaway.labs.frame import table
from seaway.labs.proxyrig import isolated

PROGRAM = Program("dnsbench", ("dnsperf", "unbound", "bind9", "nsd"))
WORDS = {
    "a": "cluster A, 10,000 names",
    "mixed": "mix: A, AAAA NODATA, 20 % search path, SRV, PTR",
    "nx": "NXDOMAIN in the cluster's zone, never the same",
    "cold": "forwarded, each name once",
    "warm": "forwarded, 5,000 names again and again",
}
GOALS = {"a": 100e3, "mixed": 90e3, "nx": 90e3, "cold": 60e3, "warm": 60e3}
PARTS = (*WORDS, "latency", "memory", "changes", "updates", "death")
OF_UNBOUND, PACE, P99, MEMORY, CHANGE = 0.8, 20_000, 0.001, 100.0, 0.050
CLIENTS, CONNECTIONS = 20, 16
ANSWERS = ("NOERROR", "NXDOMAIN")
LONGEST = 3600.0  # seconds of all of it
FIRST, WARM_UP = 10.0, 0.7  # seconds at the most of the first pass over the names, which warms up; of a load whose names never come again


@dataclass(frozen=True)
class Run:
    """What one run of dnsperf told. `answered`: REFUSED and SERVFAIL are none; `cpu`: the server's seconds; `busy`: the share of
    its CPU."""

    answered: int
    lost: int
    rate: float
    cpu: float
    busy: float
    codes: str
    times: list[float]

    @property
    def each(self) -> float:
        return self.answered / self.cpu if self.cpu else 0.0


class Bench:
    """The servers that run, and dnsperf."""

    def __init__(self, folder: Path, root: Path, seconds: float, rounds: int) -> None:
        self.folder, self.root, self.seconds, self.rounds = folder, root, seconds, rounds
        self.env = {"LD_LIBRARY_PATH": f"{root}/usr/lib/{os.uname().machine}-linux-gnu"}
        self.chance = random.Random(14)
        self.servers: dict[str, Tree] = {}

    def queries(self, load: str, seconds: float, rate: float) -> Path:
        """A file of fresh queries; it is long enough where none is to come twice."""
        once = load in ("nx", "cold")
        path = self.folder / f"{load}.queries"
        path.write_text("\n".join(dnsnames.LOADS[load](self.chance, int(seconds * rate) if once else 100_000)) + "\n")
        return path

    def perf(self, server: str, file: Path, seconds: float, pace: int = 0, once: bool = False) -> Run:
        tree, port = self.servers[server], dnsservers.PORTS[server]
        tree.check()
        words = ["taskset", "-c", str(cpus()[1]), str(self.root / "usr/bin/dnsperf"), "-s", "127.0.0.1", "-p", str(port), "-d", str(file),
                 "-l", f"{seconds:g}", "-c", str(CLIENTS), "-t", "2"]
        words += ["-n", "1"] if once else []
        words += ["-Q", str(pace), "-v"] if pace else []
        out = self.folder / "dnsperf.out"
        began = tree.cpu()
        with out.open("w") as told:
            done = subprocess.run(words, stdout=told, stderr=subprocess.PIPE, text=True, env={**os.environ, **self.env}, timeout=seconds + 30,
                                  preexec_fn=turns.answer_first)  # the API server beside it is not to make answers look late
        cpu = tree.cpu() - began
        text = out.read_text()
        found = {k: re.search(rf"{k}: +(\S.*)", text) for k in ("Queries completed", "Queries lost", "Queries per second", "Response codes")}
        if done.returncode or None in found.values():
            sys.exit(f"bench: dnsperf: {done.stderr.strip() or text[-500:]}")
        values = {k: m.group(1) for k, m in found.items() if m}
        times = [float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("> ") and "." in line.rpartition(" ")[2]] if pace else []
        number = {k: float(v.split()[0]) for k, v in values.items() if k != "Response codes"}
        codes = {c: int(n) for c, n in re.findall(r"([A-Z]+) (\d+) \(", values["Response codes"])}
        whole = number["Queries completed"]
        said = ", ".join(f"{c} {n / whole:.1%}" for c, n in codes.items())
        return Run(sum(codes.get(c, 0) for c in ANSWERS), int(number["Queries lost"]), number["Queries per second"], cpu, cpu * number["Queries per second"] / whole if whole else 0.0, said, times)

    # Loads

    def loads(self, names: list[str], servers: list[str]) -> None:
        runs: dict[tuple[str, str], list[Run]] = {}
        firsts: dict[tuple[str, str], float] = {}
        for load in names:
            once = load in ("nx", "cold")
            fast = 60_000 if load == "cold" else 200_000
            for turn in range(-1, self.rounds):
                first = turn < 0
                seconds = self.seconds if not first else WARM_UP if once else FIRST
                file = self.queries(load, seconds, fast)
                for server in servers:
                    one = self.perf(server, file, seconds, once=once or first)
                    if not first:
                        runs.setdefault((load, server), []).append(one)
                    elif not once:
                        firsts[load, server] = one.each
        rows = []
        for (load, server), found in runs.items():
            each = [r.each for r in found]
            middle = statistics.median(each)
            whole = runs.get((load, "unbound"))
            ratio = f"{middle / statistics.median(r.each for r in whole):.2f}" if whole else "-"
            first = f"{firsts[load, server]:,.0f}" if (load, server) in firsts else "-"
            rows.append((f"{load}, {server}", f"{middle:,.0f}", f"{min(each):,.0f} - {max(each):,.0f}", ratio, first, f"{statistics.median(r.rate for r in found):,.0f}",
                         f"{statistics.median(r.busy for r in found):.0%}", str(sum(r.lost for r in found)), found[-1].codes))
        columns = ("load", "q / CPU s", "spread", "of unbound", "first pass", "q / s", "CPU used", "lost", "answers")
        print(f"\nAnswered queries for a CPU second of the server, medians of {self.rounds} rounds of {self.seconds:g} s\n\n{table(columns, rows)}\n")
        for load in names:
            print(f"  {load}: {WORDS[load]}")
        print("  first pass: over the same 100,000 queries, at a server that has not seen them\n")
        for load in (n for n in names if (n, "seaway") in runs):
            each = statistics.median(r.each for r in runs[load, "seaway"])
            row(f"{load}: q for a CPU second", f"{each:,.0f}", f"goal {GOALS[load]:,.0f}", each >= GOALS[load])
            if (load, "unbound") in runs:
                ratio = each / statistics.median(r.each for r in runs[load, "unbound"])
                row(f"{load}: of unbound", f"{ratio:.2f}", f"goal {OF_UNBOUND}", ratio >= OF_UNBOUND)

    def latency(self, servers: list[str], names: tuple[str, ...] = ("a", "mixed", "warm")) -> None:
        rows, best = [], {}
        for load in names:
            found: dict[str, list[Run]] = {}
            for turn in range(-1, self.rounds):
                file = self.queries(load, self.seconds, PACE)
                for server in servers:
                    if turn < 0:
                        self.perf(server, file, FIRST, once=True)
                        continue
                    one = self.perf(server, file, self.seconds, pace=PACE)
                    found.setdefault(server, []).append(one)
            for server, runs in found.items():
                ends = [share(r.times, 0.99) for r in runs]
                best[load, server] = statistics.median(ends)
                every = [t for r in runs for t in r.times]
                rows.append((f"{load}, {server}", f"{share(every, 0.5) * 1000:.2f}", f"{best[load, server] * 1000:.2f}", f"{min(ends) * 1000:.2f} - {max(ends) * 1000:.2f}",
                             f"{share(every, 0.999) * 1000:.2f}", f"{statistics.median(r.rate for r in runs):,.0f}", str(sum(r.lost for r in runs))))
        columns = ("ms", "p50", "p99", "spread of p99", "p99.9", "q / s", "lost")
        print(f"\nLatency at {PACE:,} q/s: dnsperf -Q {PACE} -v writes the time of each answer; medians of {self.rounds} rounds of {self.seconds:g} s\n\n{table(columns, rows)}\n")
        for load in names:
            beside = f"; unbound {best[load, 'unbound'] * 1000:.2f} ms" if "unbound" in servers else ""
            row(f"{load}: p99 at {PACE:,} q/s", f"{best[load, 'seaway'] * 1000:.2f} ms", f"goal {P99 * 1000:g} ms{beside}", best[load, "seaway"] <= P99)

    def memory(self) -> dict[str, list[tuple[float, float]]]:
        return {name: tree.each() for name, tree in self.servers.items()}

    def same(self, servers: list[str]) -> None:
        """What servers say differently; once over a sample of each load."""
        for load in ("a", "mixed", "nx", "warm"):
            asked = list(dnsnames.LOADS[load](random.Random(3), 60))
            told = {s: [dnswire.ask(dnsservers.PORTS[s], *q.split()) for q in asked] for s in servers}
            for i, query in enumerate(asked):
                said = {s: (told[s][i].code, told[s][i].count if not told[s][i].cut else "cut") for s in servers}
                if len(set(said.values())) > 1:
                    print(f"  differs: {query}: " + ", ".join(f"{s} {c} with {n}" for s, (c, n) in said.items()))
                    break


async def fill(api: Api) -> int:
    """Writes everything; 16 connections."""
    credentials = kubeconfig.from_file(api.kubeconfig)
    raws = [await Raw(credentials).open() for _ in range(CONNECTIONS)]
    work = iter(dnsnames.objects())
    count = 0

    async def go(raw: Raw, most: int) -> None:
        nonlocal count
        for path, tree in work:
            if (status := await raw.send("POST", path, json.dumps(tree).encode())) >= 300:
                sys.exit(f"bench: POST {path} answered {status}")
            count += 1
            if count == most:
                return

    await go(raws[0], len(dnsnames.NAMESPACES) + 1)
    await asyncio.gather(*(go(r, 0) for r in raws))
    for raw in raws:
        raw.writer.close()
    return count


def inside(args: argparse.Namespace, folder: Path, root: Path) -> None:
    """In namespaces of our own."""
    if args.nice:
        os.nice(args.nice)
    build.configure_namespace({"net/ipv4/ip_local_port_range": "10000 65000"})
    (folder / "data").mkdir()
    linux.mount("tmpfs", str(folder / "data"), "tmpfs")  # others' writes to the disk are not to be in the figures
    resolv = folder / "resolv.conf"
    resolv.write_text(f"nameserver {dnsservers.UPSTREAM}\n")
    linux.mount(str(resolv), "/etc/resolv.conf", None, linux.MS_BIND)
    bench = Bench(folder, root, args.seconds, args.rounds)
    os.sched_setaffinity(0, {cpus()[1]})
    parts = args.only.split(",") if args.only else list(PARTS)
    servers = args.servers.split(",") if args.servers else ["seaway"] if args.only else list(dnsservers.COMPARED)
    with contextlib.ExitStack() as stack:
        above = stack.enter_context(ending(dnsservers.upstream(folder, root, bench.env)))
        dnsservers.wait(above, lambda: dnsservers.answers(53, dnsservers.UPSTREAM), "the upstream")
        for name, make in (("unbound", dnsservers.unbound), ("bind", dnsservers.bind)):
            if name in servers:
                tree = bench.servers[name] = stack.enter_context(ending(make(folder, root, bench.env)))
                dnsservers.wait(tree, lambda port=dnsservers.PORTS[name]: dnsservers.answers(port), name)
        api = Api(folder, cpus()[1])
        stack.callback(lambda: api.tree.end())
        began = time.monotonic()
        dnsservers.wait(api.tree, lambda: '"ready"' in api.tree.log.read_text(), "the API server")
        count = uvloop.run(fill(api))
        print(f"  {count:,} objects written in {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        ours = bench.servers["seaway"] = stack.enter_context(ending(dnsservers.seaway(folder, api.kubeconfig)))
        took = dnsservers.wait(ours, dnsservers.is_ready, "seaway dns")
        row("seaway dns: from its start to ready", f"{took:.2f} s", f"CPU {ours.cpu():.2f} s, {len(ours.pids())} processes", None)
        time.sleep(1)
        memory = {"after the first sync": bench.memory()}
        if len(servers) > 1:
            bench.same(servers)
        loads = [p for p in parts if p in WORDS]
        if loads:
            bench.loads(loads, servers)
        if "latency" in parts:
            bench.latency(servers)
        memory["after the loads"] = bench.memory()
        if "changes" in parts:
            dnschanges.changes(api, dnsservers.PORTS["seaway"], CHANGE)
        if "updates" in parts:
            dnsupdates.updates(bench, api, PACE, P99)
        if "death" in parts:
            dnsdeath.death(bench, above)
        memory["at the end"] = bench.memory()
        if "memory" in parts:
            relist(api, ours, memory)
        ours.check()


def relist(api: Api, ours: Tree, memory: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    """The table of memory, and its peak while everything is listed anew."""
    rows, most = [], 0.0
    for when, servers in memory.items():
        for server, found in servers.items():
            rss, pss = (sum(one[i] for one in found) for i in (0, 1))
            rows.append((f"{server}, {when}", f"{rss:.0f}", f"{pss:.0f}", " + ".join(f"{one:.0f}" for _, one in found)))
            most = max(most, pss) if server == "seaway" else most
    rss, pss = dnschanges.relist(api, ours)
    rows.append(("seaway, the peak of a relist", f"{rss:.0f}", f"{pss:.0f}", ""))
    print(f"\nMemory of all processes of a server\n\n{table(('MB', 'RSS', 'PSS', 'of each process'), rows)}\n")
    most = max(most, pss)
    row("seaway: the most, relist included, PSS", f"{most:.0f} MB", f"goal {MEMORY:.0f} MB", most <= MEMORY)


def main() -> None:
    parser = argparse.ArgumentParser("bench/dns.py", description="What cluster DNS costs, next to unbound and BIND.")
    parser.add_argument("--only", default=os.environ.get("ONLY", ""), help=f"parts, separated by commas: {', '.join(PARTS)}; on ours alone")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SECONDS", 3)), help="of a run of dnsperf")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", 5)), help="that go over all servers")
    parser.add_argument("--servers", default=os.environ.get("SERVERS", ""), help="servers to measure, separated by commas, also with --only")
    parser.add_argument("--nice", type=int, default=int(os.environ.get("NICE", 0)), help="of all processes: below 0 on a machine that others use")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if wrong := [p for p in args.only.split(",") if p and p not in PARTS]:
        parser.error(f"--only: no part named {wrong[0]!r}; parts are {', '.join(PARTS)}")
    if args.inside:
        inside(args, Path(args.inside[0]), Path(args.inside[1]))
        return
    try:
        fetched = Fetched(cache())
        packages = fetched.fetch(PROGRAM)
    except FetchError as e:
        sys.exit(f"bench: dnsperf, unbound, BIND and NSD come out of Debian packages: {e}")
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}; {', '.join(p for p in packages if p.split('_')[0] in PROGRAM.packages)}", flush=True)
    with scratch() as folder:
        words = ["--only", args.only, "--seconds", str(args.seconds), "--rounds", str(args.rounds), "--servers", args.servers, "--nice", str(args.nice)]
        done = subprocess.run(isolated(str(Path(__file__).resolve()), *words, "--inside", folder, fetched.root(PROGRAM.program)), timeout=LONGEST)
        if os.environ.get("KEEP"):
            shutil.copytree(folder, os.environ["KEEP"], dirs_exist_ok=True, ignore=lambda _, names: [n for n in names if n.endswith((".sock", ".db"))])
    print(f"\nload average at the end {os.getloadavg()[0]:.1f}")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
