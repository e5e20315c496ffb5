"""One thing does not hinder another: slow TCP readers and UDP, A beside AAAA, plain bytes and TLS, names before the first sync."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wirecases import waiting
from wirenet import sibling

pytestmark = pytest.mark.kernel
WAITING = {k.removeprefix("load: "): v for k, v in waiting().items() if k.startswith("load: ")}
SCENES = ("unsynced", "slow_readers", "pairs", "pipelined", "tls")


@pytest.fixture(scope="module")
def seen() -> dict[str, dict]:
    wanted = [s for s in SCENES if s not in WAITING]
    lines = sibling(str(Path(__file__).parent / "wireload.py"), wanted)
    return {row["scene"]: row for row in map(json.loads, lines)}


def scene(seen: dict[str, dict], name: str) -> dict:
    if name in WAITING:
        pytest.skip(WAITING[name])
    assert not seen[name]["trouble"], seen[name]
    return seen[name]


def test_slow_readers_by_tcp_do_not_delay_udp(seen: dict[str, dict]) -> None:
    row = scene(seen, "slow_readers")
    assert row["lost"] == 0, row
    # milliseconds; how busy the machine is shows in what it took before
    assert row["during"] < 3 * row["before"] + 5 and row["p95"] < 3 * row["p95_before"] + 50 and row["tcp"] < 10 * row["p95_before"] + 100, row
    assert row["memory"] < 64 << 10, f"what nobody reads is kept: {row['memory']} KiB"


def test_a_and_aaaa_from_one_socket_never_stall(seen: dict[str, dict]) -> None:
    row = scene(seen, "pairs")
    assert row["lost"] == [] and row["p95"] < 250 and row["worst"] < 2500, row


def test_queries_in_one_breath_are_all_answered(seen: dict[str, dict]) -> None:
    row = scene(seen, "pipelined")
    assert (row["missing"], row["double"], row["half-closed"]) == (0, 0, 0), row


def test_dns_over_tls_as_kdig_asks_it(seen: dict[str, dict]) -> None:
    row = scene(seen, "tls")
    for host in ("127.0.0.1", "::1"):
        found = row[host]
        assert found[:2] == ["10.96.5.1", "fd00:10:96::5"] and found[-1] == "192.0.2.1" and len(found) == 303, found
        assert row[f"{host} as another"] == [], "the certificate is another's"
    assert row["lost"] == 0, row


def test_before_the_first_sync_names_fail_and_readiness_says_so(seen: dict[str, dict]) -> None:
    row = scene(seen, "unsynced")
    assert set(row["codes"]) == {"SERVFAIL"} and row["codes"]["SERVFAIL"] >= 20, row
    assert row["ready"] == 503 and row["then"] == "NOERROR", row
