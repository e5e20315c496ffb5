"""The packet-flow cases with real packets: every data plane, every case that applies to it, both families."""

from __future__ import annotations

import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import flowdata
import flowplanes
import flowrun
import pytest

FLOWS = flowdata.read()
# Found by these cases and not mended yet: (mode, cases) -> what is wrong.
FINDINGS: dict[tuple[str, str], str] = {}
_PLAYED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}


def _cases() -> list[Any]:
    found = []
    for mode in flowplanes.MODES:
        for flow in FLOWS.flows:
            if flow.on(mode).skip:
                continue
            wrong = [why for (m, case), why in FINDINGS.items() if fnmatch(mode, m) and fnmatch(flow.id, case)]
            marks = [pytest.mark.xfail(reason=wrong[0], strict=False)] if wrong else []
            found.append(pytest.param(mode, flow, marks=marks, id=f"{mode}-{flow.id}-ipv{flow.family}"))
    return found


def played(mode: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """One run a mode, whoever asks first."""
    if mode not in _PLAYED:
        _PLAYED[mode] = flowrun.run(mode, "*")
    return _PLAYED[mode]


@pytest.mark.kernel
@pytest.mark.parametrize(("mode", "flow"), _cases())
def test_a_packet_ends_where_the_behaviour_table_says(mode: str, flow: flowdata.Flow) -> None:
    line = played(mode)[0][f"{flow.id}/{flow.family}"]
    assert line["problems"] == [], f"{flow.client} to {flow.destinations}: {line['seen']}"


@pytest.mark.kernel
@pytest.mark.parametrize("mode", flowplanes.MODES)
def test_cleanup_leaves_nothing_in_the_nodes_namespace(mode: str) -> None:
    assert played(mode)[1]["residue"] == ""


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
def test_a_killed_run_leaves_no_process_and_so_no_namespace() -> None:
    run = flowrun.start("nftables", "affinity-of-one-endpoint")
    try:
        deadline = time.monotonic() + 20
        while len(_descendants(run.pid)) < 9:  # the run and its agents
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        born = _descendants(run.pid)
    finally:
        run.kill()
    run.communicate(timeout=10)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in born):
        assert time.monotonic() < deadline, "processes outlive a killed run"
        time.sleep(0.05)
