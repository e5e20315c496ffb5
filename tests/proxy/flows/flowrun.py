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

import flowdata
import flownet
import flowplanes
import flowverdict
from flowdata import Flow, Set

Tree = dict[str, Any]
FLAGS = ["--net", "--pid", "--fork", "--mount-proc", "--kill-child"]


def command(mode: str, pattern: str = "*") -> list[str]:
    """What starts a run: rootless where we are not root."""
    flags = FLAGS if os.geteuid() == 0 else ["--user", "--map-root-user", *FLAGS]
    return ["unshare", *flags, sys.executable, str(Path(__file__).resolve()), mode, pattern]


def start(mode: str, pattern: str) -> subprocess.Popen[str]:
    """A run, that ends with the process that started it."""
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    whole = ["setpriv", "--pdeathsig", "KILL", *command(mode, pattern)]
    return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def run(mode: str, pattern: str, timeout: float = 150) -> tuple[dict[str, Tree], Tree]:
    """Plays cases and returns their lines by `id/family`, and the last one."""
    with start(mode, pattern) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    lines = [json.loads(line) for line in out.splitlines()]
    if process.returncode or not lines or "worlds" not in lines[-1]:
        raise RuntimeError(f"flowrun {mode}: {process.returncode}: {err[-2000:]}")
    return {f"{line['id']}/{line['family']}": line for line in lines[:-1]}, lines[-1]


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


def left_behind() -> str:
    """What a cleaned-up proxy left in this namespace."""
    done = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True)
    return done.stdout.strip()


def main(mode: str, pattern: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    found = flowdata.read()
    agents = flownet.build_network(flowverdict.beyond(found.flows))
    flownet.start_servers(agents, *flowverdict.ports(found.flows))
    times: dict[str, float] = {}
    player = flowplanes.Player(mode)
    for name, flows in by_world(found, mode, pattern).items():
        began = time.monotonic()
        player.world(found.worlds[name])
        for line in play(agents, flows, mode):
            print(json.dumps({**line, "world": name}), flush=True)
        flownet.forget_connections()
        times[name] = round(time.monotonic() - began, 2)
    player.plane.cleanup()
    print(json.dumps({"worlds": times, "residue": left_behind()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "*")
