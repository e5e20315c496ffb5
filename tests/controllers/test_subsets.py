"""Subsets of Endpoints: RepackSubsets' canonical form, and truncation at 1,000 by proportion."""

from __future__ import annotations

import itertools
import random

import pytest

from seaway.controllers.subsets import CAPACITY, repack, size, truncate


def address(number: int, **change: object) -> dict:
    return {"ip": f"10.0.{number // 250}.{number % 250 + 1}", **change}


def row(ready: str = "", waiting: str = "", *ports: int) -> dict:
    tree: dict = {}
    if ready:
        tree["addresses"] = [address(int(c)) for c in ready]
    if waiting:
        tree["notReadyAddresses"] = [address(int(c)) for c in waiting]
    if ports:
        tree["ports"] = [{"port": p, "protocol": "TCP"} for p in ports]
    return tree


REPACKED: dict[str, tuple[list, list]] = {
    "nothing": ([], []),
    "one": ([row("1", "", 80)], [row("1", "", 80)]),
    "the same ports come together": ([row("1", "", 80), row("2", "", 80)], [row("12", "", 80)]),
    "the same addresses come together": ([row("1", "", 80), row("1", "", 443)], [row("1", "", 80, 443)]),
    "both": ([row("1", "", 80), row("2", "", 80), row("1", "", 443), row("2", "", 443)], [row("12", "", 80, 443)]),
    "other addresses of one port stay apart": ([row("12", "", 80), row("1", "", 443)], [row("1", "", 443), row("12", "", 80)]),
    "ready and not are one subset": ([row("1", "", 80), row("", "2", 80)], [row("1", "2", 80)]),
    "not ready wins": ([row("1", "", 80), row("", "1", 80)], [row("", "1", 80)]),
    "not ready wins, whoever comes first": ([row("", "1", 80), row("1", "", 80)], [row("", "1", 80)]),
    "ready under one port, not under another": ([row("1", "", 80), row("", "1", 443)], [row("", "1", 443), row("1", "", 80)]),
    "without ports": ([row("1"), row("2")], [row("12")]),
    "with and without ports": ([row("1"), row("1", "", 80)], [row("1", "", 80)]),
    "addresses and ports in order": ([row("31", "", 90, 80), row("2", "", 90, 80)], [row("123", "", 80, 90)]),
    "the same address twice in a subset": ([row("11", "", 80)], [row("1", "", 80)]),
    "an empty subset is none": ([{}], []),
}


@pytest.mark.parametrize("case", REPACKED)
def test_subsets_are_repacked(case: str) -> None:
    given, want = REPACKED[case]
    assert repack(given) == want
    assert repack(want) == want, "canonical form is its own"


def test_one_ip_of_two_owners_is_two_addresses() -> None:
    first, second = ({**address(1), "targetRef": {"uid": u}} for u in ("a", "b"))
    (found,) = repack([{"addresses": [second], "ports": [{"port": 80}]}, {"addresses": [first], "ports": [{"port": 80}]}])
    assert found["addresses"] == [first, second]


def test_ports_differ_by_name_protocol_and_app_protocol() -> None:
    ports = [{"port": 80}, {"port": 80, "name": "a"}, {"port": 80, "protocol": "UDP"}, {"port": 80, "appProtocol": "h2c"}]
    (found,) = repack([{"addresses": [address(1)], "ports": [p]} for p in ports])
    assert sorted(map(str, found["ports"])) == sorted(map(str, [
        {"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "name": "a"}, {"port": 80, "protocol": "UDP"}, {"port": 80, "protocol": "TCP", "appProtocol": "h2c"}]))


@pytest.mark.parametrize("seed", range(20))
def test_repacking_does_not_depend_on_order_and_keeps_every_pair(seed: int) -> None:
    chooser = random.Random(seed)
    given = [row(str(chooser.randint(1, 5)) * (chooser.random() < 0.6), str(chooser.randint(1, 5)), *chooser.sample([80, 81, 443], chooser.randint(1, 2)))
             for _ in range(chooser.randint(1, 8))]
    found = repack(given)
    for order in itertools.islice(itertools.permutations(given), 10):
        assert repack(order) == found
    # Said slowly: each (address, port), not ready where any subset says so.
    pairs: dict = {}
    for subset in given:
        for section, ready in (("addresses", True), ("notReadyAddresses", False)):
            for a in subset.get(section, ()):
                for p in subset["ports"]:
                    pairs[a["ip"], p["port"]] = ready and pairs.get((a["ip"], p["port"]), True)
    listed = {}
    for subset in found:
        for section, ready in (("addresses", True), ("notReadyAddresses", False)):
            for a in subset.get(section, ()):
                for p in subset["ports"]:
                    assert (a["ip"], p["port"]) not in listed
                    listed[a["ip"], p["port"]] = ready
    assert listed == pairs


def block(ready: int, waiting: int, port: int) -> dict:
    sections = {"addresses": [address(i) for i in range(ready)], "notReadyAddresses": [address(i) for i in range(ready, ready + waiting)]}
    return {**{k: v for k, v in sections.items() if v}, "ports": [{"port": port, "protocol": "TCP"}]}


# (ready, not ready) of each subset -> the same after truncation; None: not touched
TRUNCATED = [
    ([(1000, 0)], None),
    ([(500, 500)], None),
    ([(1001, 0)], [(1000, 0)]),
    ([(900, 300)], [(900, 100)]),
    ([(1000, 1)], [(1000, 0)]),
    ([(1200, 300)], [(1000, 0)]),
    ([(0, 1500)], [(0, 1000)]),
    # ceil(1000/1500*1000) = 667 of the first, the rest of the second
    ([(1000, 0), (500, 0)], [(667, 0), (333, 0)]),
    ([(500, 0), (1000, 0)], [(334, 0), (666, 0)]),
    ([(1000, 200), (500, 100)], [(667, 0), (333, 0)]),
    # 700 ready stay, 300 places for 600 that wait: half of each
    ([(400, 200), (300, 400)], [(400, 100), (300, 200)]),
    # a subset that has only waiting ones goes where no place is left
    ([(1000, 0), (0, 50)], [(1000, 0)]),
    ([(2000, 0), (0, 50)], [(1000, 0)]),
    # rounding up takes from the last
    ([(334, 0), (334, 0), (334, 0)], [(334, 0), (334, 0), (332, 0)]),
]


@pytest.mark.parametrize(("given", "want"), TRUNCATED)
def test_a_thousand_addresses_ready_ones_first_each_subset_its_proportion(given: list, want: list | None) -> None:
    subsets = [block(r, w, 80 + i) for i, (r, w) in enumerate(given)]
    found, cut = truncate(subsets)
    assert cut is (want is not None)
    assert [(len(s.get("addresses") or ()), len(s.get("notReadyAddresses") or ())) for s in found] == (want or given)
    assert size(found, "addresses") + size(found, "notReadyAddresses") <= CAPACITY
    for before, after in zip(subsets, found, strict=False):
        assert after["ports"] == before["ports"]
        assert (after.get("addresses") or []) == (before.get("addresses") or [])[: len(after.get("addresses") or [])], "the first ones stay"
    assert truncate(found) == (found, False)
