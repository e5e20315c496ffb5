"""Addresses and ports of Services: never twice, whatever the order of things."""

from __future__ import annotations

import copy
import ipaddress
import random

import pytest

from seaway.cluster.apiserver.allocation import Allocator
from seaway.cluster.apiserver.rules.service import default_service
from seaway.cluster.apiserver.rules.servicechange import align_cluster_ips

V4, V6 = ipaddress.ip_network("10.96.0.0/24"), ipaddress.ip_network("fd00::/120")


def service(**spec: object) -> dict:
    tree = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}
    default_service(tree)
    return tree["spec"]


def give(allocator: Allocator, key: str, spec: dict, old: dict | None = None) -> list:
    align_cluster_ips(spec, old)
    return allocator.set_families(spec, old) or allocator.allocate(key, spec, old)


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        ({}, ["IPv4"], "SingleStack"),
        ({"ipFamilies": ["IPv6"]}, ["IPv6"], "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv4", "IPv6"], "PreferDualStack"),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, ["IPv6", "IPv4"], "RequireDualStack"),
        ({"clusterIP": "None", "selector": {"a": "b"}}, ["IPv4"], "SingleStack"),
        ({"clusterIP": "None"}, ["IPv4", "IPv6"], "RequireDualStack"),
    ],
)
def test_families_follow_the_policy(spec: dict, families: list[str], policy: str) -> None:
    made = service(**spec)
    assert give(Allocator((V4, V6)), "n/s", made) == []
    assert (made["ipFamilies"], made["ipFamilyPolicy"]) == (families, policy)
    if made.get("clusterIP") != "None":
        assert [6 if ":" in a else 4 for a in made["clusterIPs"]] == [int(f[-1]) for f in families]


def test_dual_stack_is_refused_where_there_is_one_family() -> None:
    (cause,) = give(Allocator((V4,)), "n/s", service(ipFamilyPolicy="RequireDualStack"))
    assert cause.field == "spec.ipFamilyPolicy" and "not configured for dual-stack" in cause.message


def test_an_address_that_is_taken_is_refused_and_nothing_is_kept() -> None:
    allocator = Allocator((V4, V6))
    first = service(clusterIP="10.96.0.9")
    assert give(allocator, "n/a", first) == []
    (cause,) = give(allocator, "n/b", service(clusterIP="10.96.0.9", type="NodePort"))
    assert "already allocated" in cause.message
    allocator.release("n/a", first)
    assert give(allocator, "n/b", service(clusterIP="10.96.0.9")) == []


def test_one_number_serves_tcp_and_udp_of_one_service_but_not_of_two() -> None:
    allocator = Allocator((V4, V6))
    both = service(type="NodePort", ports=[{"name": "a", "port": 53, "protocol": "TCP"}, {"name": "b", "port": 53, "protocol": "UDP"}])
    assert give(allocator, "n/a", both) == []
    assert both["ports"][0]["nodePort"] == both["ports"][1]["nodePort"]
    other = service(type="NodePort", ports=[{"port": 1, "protocol": "SCTP", "nodePort": both["ports"][0]["nodePort"]}])
    (cause,) = give(allocator, "n/b", other)
    assert cause.message.endswith("provided port is already allocated")


def test_a_full_range_is_said_to_be_full() -> None:
    allocator = Allocator((ipaddress.ip_network("10.96.0.0/29"),))
    causes = [give(allocator, f"n/{i}", service()) for i in range(7)]
    assert causes[:6] == [[]] * 6 and "range is full" in causes[6][0].message


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_ever_given_out_twice(seed: int) -> None:
    chooser = random.Random(seed)
    allocator = Allocator((V4, V6), (30000, 30040), seed)
    live: dict[str, dict] = {}
    for step in range(400):
        key = f"n/{chooser.randrange(40)}"
        if key in live and chooser.random() < 0.4:
            allocator.release(key, live.pop(key))
            continue
        spec = service(type=chooser.choice(["ClusterIP", "NodePort"]), ipFamilyPolicy=chooser.choice([None, "PreferDualStack"]))
        if chooser.random() < 0.2:
            spec["clusterIP"] = f"10.96.0.{chooser.randrange(1, 250)}"
        if key in live:
            continue
        if give(allocator, key, spec) == []:
            live[key] = copy.deepcopy(spec)
        addresses = [a for s in live.values() for a in s["clusterIPs"]]
        ports = [p["nodePort"] for s in live.values() for p in s["ports"] if p.get("nodePort")]
        assert len(set(addresses)) == len(addresses) and len(set(ports)) == len(ports), step
    rebuilt = Allocator((V4, V6), (30000, 30040))
    for key, spec in live.items():
        rebuilt.hold(key, spec)
    assert rebuilt._addresses == allocator._addresses and rebuilt._ports == allocator._ports
