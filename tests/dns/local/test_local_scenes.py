"""A node's cache on a kernel: what it leaves and what not, that its queries are not tracked, and that it outlives pods of the
cluster's DNS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wirenet import sibling

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.kernel
OWN, OWN6, TABLE, OTHER = "169.254.20.10", "fd00::a9fe:140a", "seaway-dns-local", "169.254.99.1"


@pytest.fixture(scope="module")
def seen() -> dict[str, dict]:
    rows = map(json.loads, sibling(str(HERE / "localscenes.py"), []))
    return {row["scene"]: row for row in rows}


def scene(seen: dict[str, dict], name: str) -> dict:
    assert not seen[name]["trouble"], seen[name]
    return seen[name]


def test_addresses_and_rules_come_and_go_also_after_a_kill(seen: dict[str, dict]) -> None:
    row = scene(seen, "comes_and_goes")
    nothing = {"addresses": [OTHER], "tables": []}
    there = {"addresses": [OWN, OTHER, OWN6], "tables": [TABLE]}
    assert row["before"] == nothing and row["there"] == there
    assert row["killed"] == there, "nobody was left to take them away"
    assert row["again"] == {"addresses": [OWN, OTHER], "tables": [TABLE]}, "what the killed one has left is taken over, or goes"
    assert row["asked"]["lost"] == [] and row["asked"]["codes"] == ["NOERROR 1"]
    assert row["ended"] == nothing, "an address that was there before stays"


def test_a_second_cache_takes_nothing_from_the_first(seen: dict[str, dict]) -> None:
    row = scene(seen, "comes_and_goes")
    assert f"{OWN}:53 cannot be opened" in row["second"] and row["after a second one"] == row["there"]


def test_queries_are_not_tracked_and_pairs_never_stall(seen: dict[str, dict]) -> None:
    row = scene(seen, "untracked")
    assert row["entries direct"] > 0, "the kernel does track here"
    assert row["entries"] == 0
    for host in (OWN, OWN6):
        for name in ("web.default.svc.cluster.local", "www.example.org"):
            found = row[f"{host} {name}"]
            assert found["lost"] == [] and found["codes"] == ["NOERROR 1"] and found["worst"] < 1000, (host, name, found)
    assert row["tcp"] == ["192.0.2.1\n"] * 2
    assert row["memory"] < 80 << 10, f"on every node: {row['memory']} KiB"


def test_at_a_services_address_its_pods_answer_while_the_cache_is_not_there(seen: dict[str, dict]) -> None:
    row = scene(seen, "service_address")
    assert (row["before"], row["gone"]) == (30, 30), "the TTL of the cluster's DNS"
    assert row["there"] <= 5 and row["again"] <= 5, "the cache's"
    assert row["asked"]["codes"] == ["NOERROR 1"], row


def test_without_nft_the_cache_says_so_and_works(seen: dict[str, dict]) -> None:
    row = scene(seen, "without_nft")
    assert row["log"].count("there is no nft on this machine") == 1 and row["asked"]["codes"] == ["NOERROR 1"]
    assert row["ended"]["addresses"] == [OTHER]


def test_a_pod_of_the_clusters_dns_that_dies_stalls_nobody(seen: dict[str, dict]) -> None:
    """By UDP a lost packet costs a resolver seconds; here a silent connection gives way within tens of milliseconds."""
    row = scene(seen, "one_dies")
    assert max(v for k, v in row.items() if k.endswith("alone") or k in ("both", "refused")) < 2000, row
