"""Every event of the lab about a failing entry point."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from clusters import Cluster
from lab_rows import cells, held_by_the_killed


@pytest.mark.soak
def test_each_event_costs_what_it_must_with_one_envoy_and_with_two(tmp_path: Path) -> None:
    cluster = Cluster(name="lab-ingress-failure")
    try:
        said = cluster.seaway("lab", "ingress-failure", "--output", str(tmp_path / "f.svg"), within=400).stdout
    finally:
        cluster.__exit__()
    print(said)
    rows = cells(said)
    assert len(rows) == 12
    for event in ("no controller", "no API server"):
        assert [rows[f"{event} {n}"]["lost"] for n in (1, 2)] == ["0", "0"], event
    assert rows["rolling restart 2"]["lost"] == rows["node drained 2"]["lost"] == "0"
    held_by_the_killed(rows, said)
    # A second for the machine: the check's own time is nearly all of it here.
    held_by_the_killed(rows, said, "its node is silent", 1.0)
    for event in ("no controller", "no API server"):
        assert float(rows[f"{event} 2"]["change taken up after"].removesuffix(" s")) < 60
