"""The labs as a user runs them: a table, sentences and a picture."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
from clusters import Cluster
from lab_rows import cells, held_by_the_killed

from seaway.labs.frame import LABS

pytestmark = pytest.mark.e2e


def lab(folder: Path, name: str, *args: str) -> str:
    cluster = Cluster(name=f"lab-{name}")
    picture = folder / f"{name}.svg"
    try:
        said = cluster.seaway("lab", name, "--output", str(picture), *args, within=170).stdout
    finally:
        cluster.__exit__()
    assert xml.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert f"The picture is in {picture}." in said
    return said


def test_one_change_sends_a_slice_and_not_all_endpoints(tmp_path: Path) -> None:
    said = lab(tmp_path, "endpointslices", "--quick")
    rows = {line.split("  ")[0]: line for line in said.splitlines()}
    assert {"100 as Endpoints", "100 as slices of 100", "1,000 as Endpoints", "1,000 as slices of 100"} <= rows.keys()
    (told,) = [line for line in said.splitlines() if line.startswith("At 1,000 endpoints one change sends")]
    assert int(told.split()[6]) >= 5, told


def test_a_hook_or_a_handler_saves_what_a_plain_end_loses(tmp_path: Path) -> None:
    said = lab(tmp_path, "termination", "--quick")
    lost = {line.split("  ")[0]: line for line in said.splitlines() if "/s" in line}
    assert " none" not in lost["no hook"], said
    assert lost["preStop sleep"].endswith(" none") and lost["signal handler"].endswith(" none"), said


def test_ndots_five_asks_ten_times_and_each_answer_to_it_twice(tmp_path: Path) -> None:
    said = lab(tmp_path, "ndots", "--quick")
    rows = {line.split("  ")[0]: line.split("  ") for line in said.splitlines() if line.endswith("  0")}
    queries = {way: float([cell for cell in row if cell][2]) for way, row in rows.items()}
    assert queries == {"ndots:5": 10.0, "ndots:1": 2.0, "a dot at the end": 2.0, "autopath": 2.0}, said


def test_through_a_services_address_requests_lie_on_fewer_pods(tmp_path: Path) -> None:
    said = lab(tmp_path, "ingress-hop", "--quick")
    rows = {line.split("  ")[0]: [cell for cell in line.split("  ") if cell] for line in said.splitlines() if " of 10  " in line}
    busiest = {way: int(cells[5].strip(" %")) for way, cells in rows.items()}
    assert rows["straight to pods"][4].strip() == "10 of 10", said
    assert busiest["through the ClusterIP"] >= busiest["straight to pods"], said


def test_one_entry_point_has_one_address_for_all_services(tmp_path: Path) -> None:
    said = lab(tmp_path, "ingress-cost", "--quick", "--price-per-address", "10")
    counted = {line.split("  ")[0]: line.split("  ")[1:] for line in said.splitlines() if " Services, " in line and line.endswith(".00")}
    figures = {made: [cell.strip() for cell in cells if cell] for made, cells in counted.items()}
    assert {made: (cells[0], cells[1], cells[3]) for made, cells in figures.items() if made.startswith("4 ")} == {
        "4 Services, a LoadBalancer Service each": ("4", "0", "40.00"),
        "4 Services, a Gateway each": ("4", "4", "40.00"),
        "4 Services, one Gateway": ("1", "1", "10.00"),
        "4 Services, one Ingress class": ("1", "1", "10.00"),
    }, said


def test_what_is_planned_costs_nothing_and_a_killed_envoy_only_what_it_held(tmp_path: Path) -> None:
    rows = cells(said := lab(tmp_path, "ingress-failure", "--quick"))
    assert rows["node drained 2"]["lost"] == "0", said
    held_by_the_killed(rows, said)


def test_only_ingress_nodes_answer_and_one_joins_and_leaves_without_loss(tmp_path: Path) -> None:
    rows = cells(said := lab(tmp_path, "ingress-nodes", "--quick"))
    assert {step: (row["lost"], row["cut"], row["application's pods there"], row["port 80 answers on"]) for step, row in rows.items()} == {
        "two ingress nodes": ("0", "0", "0", "edge1, edge2"),
        "a third joins": ("0", "0", "0", "edge1, edge2, edge3"),
        "kubectl drain of one": ("0", "0", "0", "edge1, edge2, edge3"),
        "its label is taken away": ("0", "0", "0", "edge2, edge3"),
        "it comes back": ("0", "0", "0", "edge1, edge2, edge3"),
    }, said
    shares = {step: [int(row[f"lab-edge{n}"].strip("%")) for n in (1, 2, 3)] for step, row in rows.items()}
    assert shares["two ingress nodes"][2] == shares["its label is taken away"][0] == 0, said
    assert min(shares["a third joins"] + shares["it comes back"]) > 5, said


def test_help_lists_every_lab() -> None:
    cluster = Cluster()
    try:
        said = cluster.seaway("lab", "--help").stdout
        assert all(name in said for name in LABS)
        assert "invalid choice" in cluster.seaway("lab", "nonsense", check=False).stderr
    finally:
        cluster.__exit__()
