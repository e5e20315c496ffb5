"""The packet-flow cases with real packets: every data plane, every case that applies to it, both families."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import flowcgroup
import flowdata
import flowrun
import pytest
import uml

FLOWS = flowdata.read()
AT_ONCE = 3


class Play(NamedTuple):
    """A mode on a kernel: the machine's own, or User-mode Linux, which has what that one lacks."""

    mode: str
    backend: str = ""
    kernel: str = "here"
    pattern: str = "*"

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.mode, self.backend, self.kernel if self.kernel != "here" else "")))


PLAYS = {
    play.name: play
    for play in (
        Play("nftables"),
        Play("iptables", "nft"),
        *([Play("iptables", "legacy")] if os.geteuid() == 0 else []),  # the older backend is root's
        *([Play("ebpf")] if flowcgroup.possible() else []),  # as root, where there is a hierarchy of version 2
        Play("userspace"),
        Play("iptables", "legacy", "uml", "*external*"),
        Play("ipvs", "legacy", "uml"),
    )
}


def _cases() -> list[Any]:
    return [
        pytest.param(name, flow, id=f"{name}-{flow.id}-ipv{flow.family}")
        for name, play in PLAYS.items()
        for flow in FLOWS.flows
        if fnmatch(flow.id, play.pattern) and not flow.on(play.mode).skip
    ]


class Running(NamedTuple):
    process: subprocess.Popen[bytes]
    folder: Path


@pytest.fixture(scope="session")
def plays(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """All the plays that this session's tests ask for, three side by side: they mostly wait."""
    asked = {item.callspec.params.get("play") for item in request.session.items if hasattr(item, "callspec")}
    running: dict[str, Running] = {}
    try:
        for name, play in PLAYS.items():
            if name not in asked:
                continue
            going = [found.process for found in running.values() if found.process.poll() is None]
            if len(going) >= AT_ONCE:
                going[0].wait(150)
            folder = tmp_path_factory.mktemp(name)
            mode = f"{play.mode}/{play.backend}"
            if play.kernel == "here":
                process = flowrun.start(flowrun.program(mode, play.pattern), folder)
            else:
                assert uml.missing() == ""
                process = uml.start(folder, flowrun.program(mode, play.pattern), 150, ("ip_vs", "br_netfilter"))
            running[name] = Running(process, folder)
        yield running
    finally:
        for found in running.values():
            found.process.kill()
            found.process.wait()


_LINES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}


def played(plays: dict[str, Running], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if name not in _LINES:
        try:
            plays[name].process.wait(150)
        except subprocess.TimeoutExpired:
            plays[name].process.kill()  # what it has not written, nobody waits for again
        _LINES[name] = flowrun.lines(plays[name].folder)
    return _LINES[name]


@pytest.mark.kernel
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("play", "flow"), _cases())
def test_a_packet_ends_where_the_behaviour_table_says(
    plays: dict[str, Running], play: str, flow: flowdata.Flow
) -> None:
    line = played(plays, play)[0][f"{flow.id}/{flow.family}"]
    assert line["problems"] == [], f"{flow.client} to {flow.destinations}: {line['seen']}"


@pytest.mark.kernel
@pytest.mark.timeout(400)
@pytest.mark.parametrize("play", PLAYS)
def test_cleanup_leaves_nothing_in_the_nodes_namespace(plays: dict[str, Running], play: str) -> None:
    assert played(plays, play)[1]["residue"] == []


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            children = {int(word) for word in task.read_text().split()}
            found |= children
            waiting += children
    return found


@pytest.mark.kernel
def test_a_killed_run_leaves_no_process_and_so_no_namespace(tmp_path: Path) -> None:
    run = flowrun.start(flowrun.program("nftables", "affinity-of-one-endpoint"), tmp_path)
    try:
        deadline = time.monotonic() + 20
        while len(_descendants(run.pid)) < 9:  # the run and its agents
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        born = _descendants(run.pid)
    finally:
        run.kill()
        run.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in born):
        assert time.monotonic() < deadline, "processes outlive a killed run"
        time.sleep(0.05)
