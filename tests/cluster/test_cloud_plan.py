"""Services, nodes and their health, in; balancers, statuses and problems, out."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from seaway.api.tree import Key
from seaway.cluster.cloud.plan import (
    ADDRESSES,
    ASSIGNED,
    CLASS,
    MODE,
    Node,
    conditions,
    health_port,
    nodes_of,
    ours,
    plan,
    probed,
)

RANGES = (ipaddress.ip_network("172.30.255.0/24"), ipaddress.ip_network("fd00:255::/64"))
NODES = [Node("a", {4: "172.30.0.2", 6: "fd00::2"}), Node("b", {4: "172.30.0.3", 6: "fd00::3"})]


def service(name: str = "web", mode: str | None = None, created: str = "2026-01-01T00:00:00Z", has: tuple[str, ...] = (), **spec: Any) -> dict:
    meta: dict = {"namespace": "shop", "name": name, "creationTimestamp": created, "annotations": {MODE: mode} if mode is not None else {}}
    base = {"type": "LoadBalancer", "ipFamilies": ["IPv4"], "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}
    return {"metadata": meta, "spec": {**base, **spec}, "status": {"loadBalancer": {"ingress": [{"ip": a} for a in has]}}}


def well(address: str, port: int) -> bool:
    return True


@pytest.mark.parametrize(
    ("spec", "want"),
    [({}, True), ({"type": "ClusterIP"}, False), ({"type": "NodePort"}, False), ({"loadBalancerClass": CLASS}, True),
     ({"loadBalancerClass": "example.com/other"}, False), ({"loadBalancerClass": ""}, True)],
)
def test_which_services_are_this_providers(spec: dict, want: bool) -> None:
    tree = service(**spec)
    assert ours(tree) is want
    assert bool(plan([tree], NODES, RANGES, well).ingress) is want


def test_a_service_in_deletion_has_no_balancer_and_gives_its_address_to_who_waits() -> None:
    going = service("old", has=("172.30.255.1",))
    going["metadata"]["deletionTimestamp"] = "t"
    found = plan([going, service("new")], NODES, RANGES, well)
    assert found.ingress == {Key("shop", "new"): [{"ip": "172.30.255.1", "ipMode": "VIP"}]}


def test_the_older_service_chooses_first() -> None:
    found = plan([service("a", created="2026-01-01T00:00:09Z"), service("z"), service("b")], NODES, RANGES, well)
    assert {k.name: v[0]["ip"] for k, v in found.ingress.items()} == {"b": "172.30.255.1", "z": "172.30.255.2", "a": "172.30.255.3"}


def node(name: str, labels: dict | None = None, taints: list | None = None, going: bool = False, addresses: tuple[str, ...] = ("172.30.0.2", "fd00::2")) -> dict:
    meta: dict = {"name": name, "labels": labels or {}, **({"deletionTimestamp": "t"} if going else {})}
    rows = [{"type": "InternalIP", "address": a} for a in addresses] + [{"type": "Hostname", "address": name}]
    return {"metadata": meta, "spec": {"taints": taints or []}, "status": {"addresses": rows}}


@pytest.mark.parametrize(
    ("tree", "want"),
    [
        (node("n"), [Node("n", {4: "172.30.0.2", 6: "fd00::2"})]),
        (node("n", addresses=("fd00::2",)), [Node("n", {6: "fd00::2"})]),
        (node("n", addresses=("172.30.0.2", "172.30.0.9")), [Node("n", {4: "172.30.0.2"})]),
        (node("n", addresses=()), [Node("n", {})]),
        (node("n", {"node.kubernetes.io/exclude-from-external-load-balancers": ""}), []),
        (node("n", taints=[{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]), []),
        (node("n", taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]), [Node("n", {4: "172.30.0.2", 6: "fd00::2"})]),
        (node("n", going=True), []),
    ],
)
def test_which_nodes_may_be_used(tree: dict, want: list) -> None:
    assert nodes_of([tree]) == want


@pytest.mark.parametrize(
    ("spec", "want"),
    [({}, 10256), ({"externalTrafficPolicy": "Cluster"}, 10256), ({"externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}, 31000),
     ({"externalTrafficPolicy": "Cluster", "healthCheckNodePort": 31000}, 10256), ({"externalTrafficPolicy": "Local"}, 10256)],
)
def test_which_port_says_whether_a_node_can_take_traffic(spec: dict, want: int) -> None:
    assert health_port(service(**spec)) == want
    assert probed([service(**spec)], NODES[:1]) == {("172.30.0.2", want)}


def test_only_what_decides_is_probed_once_and_in_each_family() -> None:
    both = {"ipFamilies": ["IPv4", "IPv6"]}
    services = [service("a"), service("b", **both), service("c", externalTrafficPolicy="Local", healthCheckNodePort=31000), service("d", type="NodePort")]
    assert probed(services, [*NODES, Node("six", {6: "fd00::4"})]) == {
        ("172.30.0.2", 10256), ("172.30.0.3", 10256), ("fd00::2", 10256), ("fd00::3", 10256), ("fd00::4", 10256), ("172.30.0.2", 31000), ("172.30.0.3", 31000)}
    assert probed([], NODES) == set()


def test_only_healthy_nodes_with_an_address_of_the_family_are_used() -> None:
    tree = service(ipFamilies=["IPv4", "IPv6"], externalTrafficPolicy="Local", healthCheckNodePort=31000)
    found = plan([tree], [*NODES, Node("four", {4: "172.30.0.9"})], RANGES, lambda a, p: (a, p) != ("fd00::2", 31000) and p == 31000)
    assert [(b.family, b.nodes) for b in found.balancers] == [
        (4, (("a", "172.30.0.2"), ("b", "172.30.0.3"), ("four", "172.30.0.9"))), (6, (("b", "fd00::3"),))]


def test_no_healthy_node_keeps_the_address() -> None:
    found = plan([service()], NODES, RANGES, lambda a, p: False)
    assert found.balancers[0].nodes == () and found.ingress[Key("shop", "web")] and not found.problems


@pytest.mark.parametrize(
    ("mode", "default", "want"),
    [(None, "VIP", "VIP"), (None, "Proxy", "Proxy"), ("Proxy", "VIP", "Proxy"), ("VIP", "Proxy", "VIP"), ("proxy", "VIP", ""), ("", "VIP", "")],
)
def test_the_mode_is_the_annotations_or_the_default(mode: str | None, default: str, want: str) -> None:
    found = plan([service(mode=mode)], NODES, RANGES, well, default)
    key = Key("shop", "web")
    if want:
        assert found.balancers[0].mode == want == found.ingress[key][0]["ipMode"]
    else:
        assert found.problems == {key: f"annotation {MODE}: {mode!r} must be VIP or Proxy"}
        assert found.ingress == {key: []} and not found.balancers


@pytest.mark.parametrize(
    ("mode", "ports", "problem"),
    [
        ("VIP", [{"port": 80, "protocol": "TCP"}], False),
        ("Proxy", [{"port": 80, "protocol": "TCP"}], True),
        ("Proxy", [{"port": 80, "nodePort": 30080}, {"port": 81}], True),
        ("Proxy", [{"port": 80, "nodePort": 30080}, {"port": 81, "nodePort": 30081}], False),
    ],
)
def test_proxy_mode_needs_every_node_port(mode: str, ports: list, problem: bool) -> None:
    found = plan([service(mode=mode, ports=ports)], NODES, RANGES, well)
    assert list(found.problems.values()) == (["ipMode Proxy needs node ports: set allocateLoadBalancerNodePorts, or use ipMode VIP"] if problem else [])


@pytest.mark.parametrize(
    ("given", "four", "six"),
    [
        ([], (), ()),
        (["192.0.2.0/24"], ("192.0.2.0/24",), ()),
        ([" 192.0.2.0/24 ", "2001:db8::/32"], ("192.0.2.0/24",), ("2001:db8::/32",)),
        (["192.0.2.7/24"], ("192.0.2.0/24",), ()),
        (["198.51.100.0/24", "192.0.2.0/24"], ("192.0.2.0/24", "198.51.100.0/24"), ()),
        (["0.0.0.0/0", "192.0.2.0/24"], (), ()),
        (["2001:db8::/32"], (), ("2001:db8::/32",)),
    ],
)
def test_source_ranges_restrict_their_own_family(given: list, four: tuple, six: tuple) -> None:
    found = plan([service(ipFamilies=["IPv4", "IPv6"], loadBalancerSourceRanges=given)], NODES, RANGES, well)
    assert [b.sources for b in found.balancers] == [four, six]


def test_ports_are_carried_with_their_protocols() -> None:
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 53, "protocol": "UDP"}, {"port": 9, "protocol": "SCTP", "nodePort": 30009}, {"port": 81}]
    (balancer,) = plan([service(ports=ports)], NODES, RANGES, well).balancers
    assert balancer.ports == (("tcp", 80, 30080), ("udp", 53, 0), ("sctp", 9, 30009), ("tcp", 81, 0))


def test_one_services_bad_wish_is_its_own_problem() -> None:
    found = plan([service("bad", loadBalancerIP="nonsense"), service("good")], NODES, RANGES, well)
    assert found.problems == {Key("shop", "bad"): "spec.loadBalancerIP 'nonsense' is not an IP address"}
    assert found.ingress[Key("shop", "good")] == [{"ip": "172.30.255.1", "ipMode": "VIP"}]


def test_an_annotation_asks_for_an_address_of_each_family() -> None:
    tree = service(ipFamilies=["IPv4", "IPv6"], loadBalancerIP="172.30.255.4")
    tree["metadata"]["annotations"][ADDRESSES] = "172.30.255.9,fd00:255::9"
    bad = service("bad", created="2026-01-01T00:00:09Z")
    bad["metadata"]["annotations"][ADDRESSES] = "172.30.255.9"
    found = plan([tree, bad], NODES, RANGES, well)
    assert [i["ip"] for i in found.ingress[Key("shop", "web")]] == ["172.30.255.9", "fd00:255::9"]
    assert found.problems == {Key("shop", "bad"): f"annotation {ADDRESSES}: 172.30.255.9 is in use by another Service"}


def test_a_refusal_is_a_condition_which_stays_true_to_what_is_and_leaves_others_alone() -> None:
    tree = service()
    assert conditions(tree, "", "now") is None, "nothing was ever wrong"
    tree["status"]["conditions"] = [{"type": "Other", "status": "True"}]
    refused = conditions(tree, "in use", "now")
    assert refused == [
        {"type": "Other", "status": "True"},
        {"type": ASSIGNED, "status": "False", "reason": "Refused", "message": "in use", "lastTransitionTime": "now"},
    ]
    tree["status"]["conditions"] = refused
    assert conditions(tree, "in use", "later") is None
    worse = conditions(tree, "outside", "later")
    assert worse and worse[1]["message"] == "outside" and worse[1]["lastTransitionTime"] == "now"
    good = conditions(tree, "", "later")
    assert good and (good[1]["status"], good[1]["message"], good[1]["lastTransitionTime"]) == ("True", "", "later")
