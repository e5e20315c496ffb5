"""Addresses of a cluster: unique, inside their ranges, for any number of nodes."""

from __future__ import annotations

import ipaddress
import itertools

import pytest

from seaway.cluster import layout
from seaway.cluster.config import ClusterConfig, Networking, default_nodes


def made(count: int = 2, family: str = "dual", **net: object) -> layout.Layout:
    return layout.plan(ClusterConfig(nodes=default_nodes(count), networking=Networking(ip_family=family, **net)))  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["ipv4", "ipv6", "dual"])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 249, 250])
def test_no_two_legs_or_ranges_meet(count: int, family: str) -> None:
    found = made(count, family)
    legs = [*found.router, *found.outside, *(a for n in found.nodes for a in n.addresses)]
    assert len(legs) == len(set(legs)) == (count + 2) * len(found.families)
    for at, whole in enumerate(found.pod_ranges):
        own = sorted(n.pod_ranges[at] for n in found.nodes)
        assert all(r.subnet_of(whole) for r in own)
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(own))
        assert not any(leg in whole for leg in legs)
    assert [[a.version for a in n.addresses] for n in found.nodes] == [list(found.families)] * count


def test_every_address_is_a_host_of_the_node_range() -> None:
    found = made(250)
    for version, text in ((4, "172.30.0.0/24"), (6, "fd00:172:30::/64")):
        whole = ipaddress.ip_network(text)
        legs = [a for a in (*found.router, *found.outside, *(a for n in found.nodes for a in n.addresses)) if a.version == version]
        assert all(a in whole and a != whole[0] and a != whole[-1] for a in legs)


@pytest.mark.parametrize(
    ("family", "dns", "kubernetes"),
    [("ipv4", ["10.96.0.10"], "10.96.0.1"), ("ipv6", ["fd00:10:96::a"], "fd00:10:96::1"),
     ("dual", ["10.96.0.10", "fd00:10:96::a"], "10.96.0.1")],
)
def test_well_known_services_are_where_kubeadm_puts_them(family: str, dns: list, kubernetes: str) -> None:
    found = made(family=family)
    assert [str(a) for a in found.dns_addresses] == dns and str(found.kubernetes_address) == kubernetes


def test_a_node_has_110_pods_worth_of_addresses() -> None:
    assert all(r.num_addresses - 2 >= 110 for n in made(250).nodes for r in n.pod_ranges)


@pytest.mark.parametrize(
    ("count", "net", "said"),
    [
        (3, {"pod_subnets": ("10.0.0.0/23", "fd00::/56")}, "networking.podSubnet: 10.0.0.0/23 .* node 3"),
        (2, {"pod_subnets": ("10.0.0.0/25", "fd00::/56")}, "networking.podSubnet: 10.0.0.0/25 .* node 2"),
        (3, {"pod_subnets": ("10.0.0.0/16", "fd00::/63")}, "networking.podSubnet: fd00::/63 .* node 3"),
        (254, {}, "networking.nodeSubnet: 172.30.0.0/24 has no address left"),
    ],
)
def test_ranges_that_are_too_small_are_named(count: int, net: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made(count, **net)


def test_hardware_addresses_are_local_and_unique() -> None:
    found = [layout.mac(leg, end) for leg in (*range(300), 70000) for end in (0, 1)]
    found += [layout.pod_mac(ipaddress.ip_address(f"10.244.{i}.{j}"), e) for i in (0, 1) for j in range(200) for e in (0, 1)]
    assert len(set(found)) == len(found)
    assert all(int(m[:2], 16) & 3 == 2 for m in found), "locally administered, not multicast"


def test_a_layout_survives_the_way_to_another_process() -> None:
    assert layout.load(layout.dump(made(5))) == made(5)


def test_a_plan_is_the_same_every_time_and_more_nodes_move_none() -> None:
    assert made(7) == made(7) and made(9).nodes[:7] == made(7).nodes
