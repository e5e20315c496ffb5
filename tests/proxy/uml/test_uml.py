"""User-mode Linux as a second kernel: it boots, does its job, leaves nothing; IPVS works in it."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import uml

pytestmark = pytest.mark.kernel
HERE = Path(__file__).resolve().parent
SPREADING = ("rr", "wrr", "lc", "wlc")  # the others send one client, or one after the other, to one place


def _traces() -> set[str]:
    found = {str(p) for p in Path(tempfile.gettempdir()).glob("seaway-uml-*")}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"linux.uml" in entry.read_bytes():
                found.add(entry.parent.name)
        except OSError:
            continue
    return found


def test_ipvs_balances_real_connections_by_every_scheduler() -> None:
    assert uml.missing() == ""
    before = _traces()
    ended = uml.run([sys.executable, str(HERE / "ipvsjob.py")], timeout=90, modules=("ip_vs",))
    assert ended.status == 0, ended.err + ended.console
    found: dict[str, Any] = json.loads(ended.out)
    tools = {k: found.pop(k) for k in ("iptables-legacy", "ip6tables-legacy", "ipset", "sctp")}
    assert all(tools.values()), tools
    assert {name.partition("/")[0] for name in found} == {"rr", "lc", "wrr", "wlc", "sh", "dh", "sed", "nq", "mh"}
    for name, (who, count, oddities) in found.items():
        assert count == 10 and not oddities, name
        assert who == ["a", "b"] if name.partition("/")[0] in SPREADING else set(who) <= {"a", "b"}, name
    assert _traces() <= before


def test_a_job_that_fails_or_takes_too_long_says_so() -> None:
    failed = uml.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=30)
    assert (failed.status, failed.out, failed.err) == (3, "out\n", "err\n"), failed.console
    late = uml.run(["sleep", "60"], timeout=1)
    assert late.status != 0 and "took longer than 1 s" in late.err


def test_a_killed_kernel_leaves_no_process(tmp_path: Path) -> None:
    before = _traces()
    process = uml.start(tmp_path, ["sh", "-c", "echo on; sleep 60"], 60)
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "out").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while not _traces() <= before:
        assert time.monotonic() < deadline, _traces() - before
        time.sleep(0.05)
