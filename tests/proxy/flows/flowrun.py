"""Plays the flow cases of one mode on the real kernel, in namespaces of its own, and writes what came of it as JSON lines.

    python tests/proxy/flows/flowrun.py nftables [PATTERN of case ids]

The caller's namespaces are left at once; everything made here ends with this process, however it ends. A line a case and
family: {"id", "family", "problems", "seen", "seconds"}; a last one with the times of the worlds and what was left behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import flowcgroup
import flowdata
import flownet
import flowplanes
import flowverdict
from flowdata import Flow, Set

Tree = dict[str, Any]
FLAGS = ["--net", "--pid", "--fork", "--mount-proc", "--kill-child"]


def program(mode: str, pattern: str = "*") -> list[str]:
    """What plays; `mode` may name a backend: iptables/legacy."""
    return [sys.executable, str(Path(__file__).resolve()), mode, pattern]


def start(argv: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """A program in namespaces of its own, which ends with the process that started it; rootless where we are not root. It
    writes to `folder`/out and /err."""
    flags = FLAGS if os.geteuid() == 0 else ["--user", "--map-root-user", *FLAGS]
    group = f"flows-{os.getpid()}-{time.monotonic_ns()}"
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", flowcgroup.VARIABLE: group}
    whole = ["setpriv", "--pdeathsig", "KILL", "unshare", *flags, *argv]
    reading, writing = os.pipe()  # the other end ends with the run: then the broom sweeps
    try:
        broom = [sys.executable, str(flowcgroup.__file__)]
        subprocess.Popen(broom, stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            return subprocess.Popen(
                whole, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, pass_fds=[writing]
            )
    finally:
        os.close(reading)
        os.close(writing)


def lines(folder: Path) -> tuple[dict[str, Tree], Tree]:
    """What a run wrote: its lines by `id/family`, and the last one."""
    found = [json.loads(line) for line in (folder / "out").read_text().splitlines()]
    if not found or "worlds" not in found[-1]:
        raise RuntimeError(f"the run did not end: {(folder / 'err').read_text()[-2000:]}")
    return {f"{line['id']}/{line['family']}": line for line in found[:-1]}, found[-1]


def by_world(found: Set, mode: str, pattern: str) -> dict[str, list[Flow]]:
    worlds: dict[str, list[Flow]] = {}
    for flow in found.flows:
        if fnmatch(flow.id, pattern) and not flow.on(mode).skip:
            worlds.setdefault(flow.world, []).append(flow)
    return worlds


def play(agents: dict[str, flownet.Agent], flows: list[Flow], mode: str) -> Iterator[Tree]:
    """All cases of a world at once: each agent probes for itself."""
    asked: dict[str, list[Tree]] = {}
    for key, flow in enumerate(flows):
        asked.setdefault(flownet.place_of(flow.client), []).append(flowverdict.probe(key, flow, flow.on(mode)))
    for place, probes in asked.items():
        agents[place].send({"do": "probe", "probes": probes})
    for place in asked:
        for result in agents[place].receive()["results"]:
            flow = flows[result["key"]]
            seen = flowverdict.observation(result)
            yield {
                "id": flow.id,
                "family": flow.family,
                "problems": flowverdict.problems(flow, flow.on(mode), seen),
                "seen": flowverdict.verdict_of(seen),
                "seconds": result["seconds"],
            }


XTABLES = {"nat", "filter", "mangle", "raw"}  # iptables' own tables: it makes them and never takes them away
XCHAINS = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}


def left_behind() -> list[str]:
    """What a cleaned-up proxy left in this namespace: rules, sets, chains; but for iptables' own empty chains."""
    found: list[str] = []
    table = ""
    for line in _said("nft", "list", "ruleset"):
        words = line.split()
        if words[0] == "table":
            table = words[2]
            found += [line] if table not in XTABLES else []
        elif words[0] == "chain" and table in XTABLES:
            found += [line] if words[1] not in XCHAINS else []
        elif words[0] not in ("}", "type"):
            found.append(f"{table}: {line}")
    for family in ("ip", "ip6"):
        for name in _legacy_tables(family):
            lines = _said(f"{family}tables-legacy-save", "-t", name)
            found += [x for x in lines if x.startswith("-A") or (x.startswith(":") and x.split()[0][1:] not in XCHAINS)]
    found += _said("ipset", "list", "-name")
    return found


def _legacy_tables(family: str) -> list[str]:
    """The tables that iptables' older backend has; root's secret in a user namespace, where that backend cannot be used."""
    try:
        return Path(f"/proc/net/{family}_tables_names").read_text().split()
    except (FileNotFoundError, PermissionError):
        return []


def _said(*command: str) -> list[str]:
    """What a tool prints; nothing where it is not there or this kernel has nothing for it."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def main(mode: str, backend: str, pattern: str) -> None:
    """`backend`: which of the two iptables, "" for the proxy's own choice."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    found = flowdata.read()
    group = flowcgroup.make() if mode == "ebpf" else ""
    agents = flownet.build_network(flowverdict.beyond(found.flows), group)
    flownet.start_servers(agents, *flowverdict.ports(found.flows))
    times: dict[str, float] = {}
    player: flowplanes.Player | None = None
    for name, flows in by_world(found, mode, pattern).items():
        began = time.monotonic()
        player = player or flowplanes.Player(mode, found.worlds[name], backend or "auto")
        player.world(found.worlds[name])
        for line in play(agents, flows, mode):
            print(json.dumps({**line, "world": name}), flush=True)
        flownet.forget_connections()
        times[name] = round(time.monotonic() - began, 2)
    if player:
        player.plane.cleanup()
    for agent in agents.values():
        agent.end()
    if group:
        flowcgroup.remove(group)
    print(json.dumps({"worlds": times, "residue": left_behind(), "backend": backend}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1].partition("/")[::2], sys.argv[2] if len(sys.argv) > 2 else "*")
