"""Addresses of load balancers: keep, give the lowest, refuse with the reason; never one address twice."""

from __future__ import annotations

import ipaddress
import random

import pytest

from seaway.api.tree import Key
from seaway.cluster.cloud.pool import Wish, assign

FOUR, SIX = ipaddress.ip_network("172.30.255.0/29"), ipaddress.ip_network("fd00:255::/125")
FULL = "no address is left in the pool 172.30.255.0/29; delete a Service of type LoadBalancer to free one"
IN_USE, NOT_IN = "spec.loadBalancerIP {} is in use by another Service", "spec.loadBalancerIP {} is not in the pool 172.30.255.0/29"


def a(number: int) -> str:
    return f"172.30.255.{number}"


def wish(name: str, has: tuple[str, ...] = (), asks: str = "", families: tuple[int, ...] = (4,)) -> Wish:
    return Wish(Key("shop", name), families, has, asks)


def granted(*wishes: Wish, ranges: tuple = (FOUR, SIX)) -> dict[str, tuple[str, ...] | str]:
    return {k.name: g.problem or g.addresses for k, g in assign(wishes, ranges).items()}


# wishes, oldest first -> what each is told
CASES: dict[str, tuple[list[Wish], dict]] = {
    "the lowest, never the range's first": ([wish("x")], {"x": (a(1),)}),
    "what one has it keeps": ([wish("x", (a(5),))], {"x": (a(5),)}),
    "a younger one keeps its address before an older gets one": ([wish("x"), wish("y", (a(1),))], {"x": (a(2),), "y": (a(1),)}),
    "two have the same: the older keeps it": ([wish("x", (a(3),)), wish("y", (a(3),))], {"x": (a(3),), "y": (a(1),)}),
    "an address of another range is not kept": ([wish("x", ("192.0.2.1",))], {"x": (a(1),)}),
    "an address of a family that is not wanted is not kept": ([wish("x", ("fd00:255::5",)), wish("y", families=(6,), asks="fd00:255::5")], {"x": (a(1),), "y": ("fd00:255::5",)}),
    "both families, in the Service's order": ([wish("x", families=(6, 4))], {"x": ("fd00:255::1", a(1))}),
    "a family more: the first stays": ([wish("x", (a(4),), families=(4, 6))], {"x": (a(4), "fd00:255::1")}),
    "of two of one family the first is kept, the other is free": ([wish("x", (a(1), a(2))), wish("y")], {"x": (a(1),), "y": (a(2),)}),
    "asked for": ([wish("x", asks=a(6))], {"x": (a(6),)}),
    "asked for another than one has": ([wish("x", (a(1),), asks=a(6)), wish("y")], {"x": (a(6),), "y": (a(1),)}),
    "asked for what one has": ([wish("x", (a(6),), asks=a(6))], {"x": (a(6),)}),
    "asked for one in use": ([wish("x", (a(1),)), wish("y", asks=a(1))], {"x": (a(1),), "y": IN_USE.format(a(1))}),
    "asked for by an older, had by a younger": ([wish("x", asks=a(1)), wish("y", (a(1),))], {"x": IN_USE.format(a(1)), "y": (a(1),)}),
    "asked for by two": ([wish("x", asks=a(2)), wish("y", asks=a(2))], {"x": (a(2),), "y": IN_USE.format(a(2))}),
    "asked for one outside": ([wish("x", asks="192.0.2.1"), wish("y")], {"x": NOT_IN.format("192.0.2.1"), "y": (a(1),)}),
    "asked in one family, given in the other": ([wish("x", asks="fd00:255::5", families=(4, 6))], {"x": (a(1), "fd00:255::5")}),
    "asked in a family that is not wanted": ([wish("x", asks="fd00:255::5")], {"x": (a(1),)}),
    "asked for one of each family": ([wish("x", asks=f"{a(5)}, fd00:255::5", families=(6, 4))], {"x": ("fd00:255::5", a(5))}),
    "asked for one of each family, one in use": ([wish("y", (a(5),)), wish("x", asks=f"fd00:255::5,{a(5)}", families=(4, 6)), wish("z", families=(6,))],
        {"y": (a(5),), "x": IN_USE.format(a(5)), "z": ("fd00:255::1",)}),
    "asked for nonsense beside an address": ([wish("x", asks=f"{a(5)},y")], {"x": f"spec.loadBalancerIP '{a(5)},y' is not an IP address"}),
    "asked in long form": ([wish("x", asks="FD00:0255:0::0001", families=(6,)), wish("y", families=(6,))], {"x": ("fd00:255::1",), "y": ("fd00:255::2",)}),
    "asked in long form for one in use": ([wish("x", ("fd00:255::1",), families=(6,)), wish("y", asks="fd00:255:0::1", families=(6,))], {"x": ("fd00:255::1",), "y": IN_USE.format("fd00:255::1")}),
    "asked for nonsense": ([wish("x", asks="nonsense"), wish("y")], {"x": "spec.loadBalancerIP 'nonsense' is not an IP address", "y": (a(1),)}),
    "exhausted": ([*(wish(f"w{i}") for i in range(1, 7)), wish("x")], {**{f"w{i}": (a(i),) for i in range(1, 7)}, "x": FULL}),
    "exhausted for one family: the other's is not taken": (
        [*(wish(f"w{i}", (a(i),)) for i in range(1, 7)), wish("x", families=(6, 4)), wish("y", families=(6,))],
        {**{f"w{i}": (a(i),) for i in range(1, 7)}, "x": FULL, "y": ("fd00:255::1",)}),
}


@pytest.mark.parametrize("case", CASES)
def test_who_gets_which_address(case: str) -> None:
    wishes, want = CASES[case]
    assert granted(*wishes) == want


def test_a_family_without_a_pool_is_said() -> None:
    assert granted(wish("x", families=(4, 6)), ranges=(FOUR,)) == {"x": "there is no IPv6 pool of load balancer addresses"}


def test_an_ipv6_range_gives_its_last_address_too() -> None:
    found = granted(*(wish(f"w{i}", families=(6,)) for i in range(8)))
    assert sorted(v for v in found.values() if isinstance(v, tuple)) == [(f"fd00:255::{i}",) for i in range(1, 8)]


@pytest.mark.parametrize("seed", range(20))
def test_addresses_are_never_doubled_and_a_second_look_changes_nothing(seed: int) -> None:
    """Services that come and go over a small pool; statuses that a bad restore has made equal."""
    chooser = random.Random(seed)
    wishes: dict[str, Wish] = {}
    for step in range(60):
        name = f"w{step}"
        if wishes and chooser.random() < 0.4:
            del wishes[chooser.choice(list(wishes))]
        else:
            asks = chooser.choice(["", "", "", a(chooser.randint(0, 9)), f"fd00:255:0::{chooser.randint(0, 9)}", "x"])
            wishes[name] = wish(name, asks=asks, families=chooser.choice([(4,), (6,), (4, 6), (6, 4)]))
        if wishes and chooser.random() < 0.1:
            one, two = chooser.choice(list(wishes)), chooser.choice(list(wishes))
            wishes[one] = wishes[one]._replace(has=wishes[two].has)
        grants = assign(wishes.values(), (FOUR, SIX))
        given = [address for g in grants.values() for address in g.addresses]
        assert len(given) == len(set(given)) and all(ipaddress.ip_address(x) in (FOUR if "." in x else SIX) for x in given)
        for key, grant in grants.items():
            assert grant.problem or [6 if ":" in x else 4 for x in grant.addresses] == list(wishes[key.name].families)
            kept = [x for x in wishes[key.name].has if x in given and x not in grant.addresses]
            assert all(x in [y for k, g in grants.items() if k != key for y in g.addresses] for x in kept)
            wishes[key.name] = wishes[key.name]._replace(has=grant.addresses)
        again = assign(wishes.values(), (FOUR, SIX))
        assert all(again[k].addresses == g.addresses for k, g in grants.items() if not g.problem)
