"""Three rolling restarts in each way of ending a pod, under constant load."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from clusters import Cluster


@pytest.mark.soak
def test_a_rolling_restart_loses_requests_only_without_a_hook(tmp_path: Path) -> None:
    cluster = Cluster(name="lab-termination")
    try:
        said = cluster.seaway("lab", "termination", "--runs", "3", "--output", str(tmp_path / "t.svg"), within=600).stdout
    finally:
        cluster.__exit__()
    print(said)
    runs = {}
    for way, rate, lost in re.findall(r"(no hook|signal handler|preStop sleep), run \d: \d+ requests at (\d+)/s, (\d+) lost", said):
        runs.setdefault(way, []).append((int(rate), int(lost)))
    assert {way: len(found) for way, found in runs.items()} == {"no hook": 3, "signal handler": 3, "preStop sleep": 3}
    assert all(lost > 0 for _, lost in runs["no hook"])
    for way in ("signal handler", "preStop sleep"):
        assert all(lost == 0 for _, lost in runs[way])
        # The load is open: its rate says what the machine gave the loader, which a neighbour may take in one run.
        assert max(rate for rate, _ in runs[way]) >= 300 and min(rate for rate, _ in runs[way]) >= 200
