"""Modes of kube-proxy that this kernel has not, under load: in User-mode Linux."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROXY = Path(__file__).resolve().parents[1] / "proxy"
sys.path.insert(0, str(PROXY / "uml"))

import uml  # noqa: E402


@pytest.mark.soak
def test_iptables_ipvs_and_userspace_take_over_from_each_other_under_load() -> None:
    """No new connection fails, open ones go on to their end."""
    assert uml.missing() == ""
    ended = uml.run([sys.executable, str(PROXY / "flows" / "flowscenes.py"), "switch", "iptables/legacy"], 600, ("ip_vs", "br_netfilter"))
    assert ended.status == 0 and "switch" in ended.out, ended.err[-1500:]


@pytest.mark.soak
def test_in_ipvs_mode_too_neither_changes_nor_kills_of_the_proxy_lose_or_leak() -> None:
    assert uml.missing() == ""
    job = [sys.executable, str(PROXY / "flows" / "umlscenes.py"), "ipvs/legacy", "kill", "churn 30"]
    ended = uml.run(job, 300, ("ip_vs", "br_netfilter"))
    told = {t["played"]: t for t in map(json.loads, ended.out.splitlines())}
    assert set(told) == {"kill", "churn"}, ended.err[-1500:]
    assert all(t["status"] == 0 for t in told.values()), told


@pytest.mark.soak
def test_a_minute_of_changes_kills_and_switches_in_every_mode_side_by_side_fails_nothing() -> None:
    """`make bench PART=soak` is the same, and ten minutes long."""
    bench = Path(__file__).resolve().parents[2] / "bench" / "soak.py"
    environment = {**os.environ, "SOAK_SECONDS": "60"}
    done = subprocess.run([sys.executable, str(bench)], capture_output=True, text=True, timeout=500, env=environment)
    print(done.stdout)
    assert done.returncode == 0 and "MISSES" not in done.stdout, done.stdout + done.stderr
    for mode in ("nftables", "iptables", "userspace", "ipvs"):
        assert f"{mode}: requests that failed, connections that were cut" in done.stdout
