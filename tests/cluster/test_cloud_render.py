"""What the network does for balancers: routes, their differences, and the DNAT table as golden text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seaway.api.tree import Key
from seaway.cluster.cloud import render
from seaway.cluster.cloud.plan import Balancer

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "cloud"
NODES = {4: (("a", "172.30.0.2"), ("b", "172.30.0.3")), 6: (("a", "fd00::2"), ("b", "fd00::3"))}
ADDRESS = {4: "172.30.255.{}", 6: "fd00:255::{}"}
SOURCES = {4: ("192.0.2.0/24", "198.51.100.7/32"), 6: ("2001:db8::/32",)}


def balancer(name: str, number: int, mode: str = "Proxy", family: int = 4, nodes: int = 2, sources: bool = False, ports: tuple = (("tcp", 80, 30080),)) -> Balancer:
    return Balancer(Key("shop", name), family, ADDRESS[family].format(number), mode, ports, SOURCES[family] if sources else (), NODES[family][:nodes])


def everything(family: int) -> list[Balancer]:
    """One of each kind, of both families, not in order."""
    return [b for f in (family, 10 - family) for b in (
        balancer("web", 3, family=f, ports=(("tcp", 80, 30080), ("tcp", 443, 30443))),
        balancer("vip", 1, "VIP", f),
        balancer("guarded", 2, family=f, sources=True),
        balancer("one-node", 4, family=f, nodes=1, ports=(("udp", 53, 30053), ("sctp", 9, 30009))),
        balancer("nowhere", 5, family=f, nodes=0, sources=True),
    )]


@pytest.mark.parametrize("family", [4, 6])
def test_golden_tables(family: int) -> None:
    found = render.nft(family, everything(family), {4: "172.30.0.254", 6: "fd00::fe"}[family])
    path = GOLDEN / f"balancers-{family}.nft"
    if os.environ.get("GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()
    assert found == render.nft(family, everything(family)[::-1], {4: "172.30.0.254", 6: "fd00::fe"}[family]), "order of Services does not show"


def test_without_balancers_the_table_is_emptied() -> None:
    text = render.nft(4, [balancer("vip", 1, "VIP")], "172.30.0.254")
    assert "delete table ip seaway-cloud" in text and "daddr" not in text


def test_the_longest_names_fit_into_a_comment() -> None:
    long = balancer("s" * 63, 1, sources=True)._replace(key=Key("n" * 63, "s" * 63))
    comments = [line.split('"')[1] for line in render.nft(4, [long], "172.30.0.254").splitlines() if '"' in line]
    assert comments and max(map(len, comments)) <= 128, "nft allows 128 characters"


@pytest.mark.parametrize(
    ("balancers", "want"),
    [
        ([], {}),
        ([balancer("x", 1, "VIP")], {"172.30.255.1": ("a", "b")}),
        ([balancer("x", 1, "Proxy")], {"172.30.255.1": ("outside",)}),
        ([balancer("x", 1, "VIP", nodes=1)], {"172.30.255.1": ("a",)}),
        ([balancer("x", 1, "VIP", nodes=0), balancer("y", 2, "Proxy", nodes=0)], {}),
        ([balancer("x", 1, "VIP"), balancer("x", 1, "Proxy", 6)], {"172.30.255.1": ("a", "b"), "fd00:255::1": ("outside",)}),
    ],
)
def test_routes_go_where_the_address_is_served(balancers: list, want: dict) -> None:
    assert render.routes(balancers) == want


@pytest.mark.parametrize(
    ("have", "want", "fresh", "gone"),
    [
        ({}, {}, {}, []),
        ({}, {"x": ("a",)}, {"x": ("a",)}, []),
        ({"x": ("a",)}, {"x": ("a",)}, {}, []),
        ({"x": ("a",)}, {"x": ("a", "b")}, {"x": ("a", "b")}, []),
        ({"x": ("a",)}, {}, {}, ["x"]),
        # what a predecessor announced has unknown legs: set anew, or withdrawn
        ({"x": (), "y": ()}, {"x": ("a",)}, {"x": ("a",)}, ["y"]),
    ],
)
def test_only_differences_are_routed(have: dict, want: dict, fresh: dict, gone: list) -> None:
    assert render.changes(have, want) == (fresh, gone)
