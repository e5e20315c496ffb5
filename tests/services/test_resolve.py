"""A Service and its slices as routing reads them: every field of the API that decides where a packet goes."""

from __future__ import annotations

import copy

import pytest

from seaway.services.resolve import Resolved, resolve


def service(**spec: object) -> dict:
    base = {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "type": "ClusterIP",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}
    return {"metadata": {"namespace": "shop", "name": "web"}, "spec": {**base, **spec}}


def piece(*endpoints: dict, family: str = "IPv4", ports: object = None, labels: dict | None = None) -> dict:
    return {"metadata": {"labels": labels or {}}, "addressType": family, "endpoints": list(endpoints),
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}] if ports is None else ports}


def only(tree: dict, *slices: dict, family: int = 4) -> Resolved:
    found = resolve(tree, slices, family)
    assert found is not None
    return found


def addresses(found: Resolved, at: int = 0) -> list[tuple[str, int]]:
    return [(e.address, e.port) for e in found.ports[at].endpoints]


@pytest.mark.parametrize(
    ("conditions", "ready", "serving", "terminating"),
    [
        ({}, True, True, False),  # discovery/v1: a missing condition is read as ready
        ({"ready": None, "serving": None}, True, True, False),
        ({"ready": True}, True, True, False),
        ({"ready": False}, False, False, False),  # serving defers to ready
        ({"ready": False, "serving": True, "terminating": True}, False, True, True),
        ({"ready": False, "serving": False, "terminating": True}, False, False, True),
        ({"ready": True, "serving": False}, True, False, False),
    ],
)
def test_conditions_are_read_as_the_api_defines_them(
    conditions: dict, ready: bool, serving: bool, terminating: bool
) -> None:
    (endpoint,) = only(service(), piece({"addresses": ["10.1.0.1"], "conditions": conditions})).ports[0].endpoints
    assert (endpoint.ready, endpoint.serving, endpoint.terminating) == (ready, serving, terminating)


def test_place_and_hints_of_an_endpoint_are_kept() -> None:
    entry = {"addresses": ["10.1.0.1"], "nodeName": "n1", "zone": "z1",
             "hints": {"forZones": [{"name": "z1"}, {"name": "z2"}], "forNodes": [{"name": "n1"}]}}
    (endpoint,) = only(service(), piece(entry)).ports[0].endpoints
    assert (endpoint.node, endpoint.zone) == ("n1", "z1")
    assert (endpoint.for_zones, endpoint.for_nodes) == (("z1", "z2"), ("n1",))


def test_endpoints_are_sorted_by_number_and_not_by_text() -> None:
    found = only(service(), piece(*({"addresses": [f"10.1.0.{i}"]} for i in (10, 9, 100))))
    assert [a for a, _ in addresses(found)] == ["10.1.0.9", "10.1.0.10", "10.1.0.100"]


@pytest.mark.parametrize(
    ("ports", "want"),
    [
        ([{"name": "http", "port": 9000, "protocol": "TCP"}], [("10.1.0.1", 9000)]),
        ([{"name": "other", "port": 9000, "protocol": "TCP"}], []),
        ([{"name": "http", "port": 9000, "protocol": "UDP"}], []),
        ([{"name": "http", "port": 9000}], [("10.1.0.1", 9000)]),  # protocol defaults to TCP
        ([{"name": "http", "protocol": "TCP"}], []),
        ([], []),
    ],
)
def test_a_service_port_meets_the_slice_port_of_its_name_and_protocol(ports: list, want: list) -> None:
    assert addresses(only(service(), piece({"addresses": ["10.1.0.1"]}, ports=ports))) == want


def test_an_unnamed_port_meets_the_unnamed_port() -> None:
    tree = service(ports=[{"port": 80}])
    for ports in ([{"port": 8080}], [{"name": "", "port": 8080, "protocol": "TCP"}]):
        assert addresses(only(tree, piece({"addresses": ["10.1.0.1"]}, ports=ports))) == [("10.1.0.1", 8080)]


def test_slices_with_different_port_numbers_give_each_endpoint_its_own() -> None:
    one, two = ([{"name": "http", "port": n, "protocol": "TCP"}] for n in (8001, 8002))
    found = only(service(), piece({"addresses": ["10.1.0.1"]}, ports=one), piece({"addresses": ["10.1.0.2"]}, ports=two))
    assert addresses(found) == [("10.1.0.1", 8001), ("10.1.0.2", 8002)]


def test_an_endpoint_that_moves_between_slices_is_listed_once_whatever_the_order() -> None:
    old = piece({"addresses": ["10.1.0.1"], "conditions": {"ready": False, "serving": True, "terminating": True}})
    new = piece({"addresses": ["10.1.0.1"], "conditions": {"ready": True}})
    for slices in ((old, new), (new, old)):
        found = only(service(), *slices)
        assert [(e.address, e.ready) for e in found.ports[0].endpoints] == [("10.1.0.1", True)]


@pytest.mark.parametrize("family", ["IPv6", "FQDN"])
def test_slices_of_another_address_type_do_not_count(family: str) -> None:
    assert addresses(only(service(), piece({"addresses": ["fd00::1"]}, family=family))) == []


def test_a_slice_with_the_headless_label_is_hidden() -> None:
    hidden = piece({"addresses": ["10.1.0.1"]}, labels={"service.kubernetes.io/headless": ""})
    assert addresses(only(service(), hidden)) == []


def test_the_proxy_name_label_on_a_slice_does_nothing() -> None:
    labelled = piece({"addresses": ["10.1.0.1"]}, labels={"service.kubernetes.io/service-proxy-name": "other"})
    assert addresses(only(service(), labelled)) == [("10.1.0.1", 8080)]


@pytest.mark.parametrize(
    ("labels", "spec"),
    [
        ({"service.kubernetes.io/service-proxy-name": "other"}, {}),
        ({"service.kubernetes.io/service-proxy-name": ""}, {}),  # an empty name opts out too
        ({"service.kubernetes.io/headless": ""}, {}),
        ({}, {"clusterIP": "None", "clusterIPs": ["None"]}),
        ({}, {"clusterIP": "", "clusterIPs": []}),
        ({}, {"type": "ExternalName", "externalName": "example.org"}),
    ],
)
def test_services_that_are_no_proxys_business_are_left_alone(labels: dict, spec: dict) -> None:
    tree = service(**spec)
    tree["metadata"]["labels"] = labels
    assert resolve(tree, [piece({"addresses": ["10.1.0.1"]})], 4) is None


def test_a_single_stack_service_is_nothing_in_the_other_family() -> None:
    assert resolve(service(), [], 6) is None
    six = service(clusterIP="fd00::1", clusterIPs=["fd00::1"])
    assert resolve(six, [], 4) is None and only(six, family=6).cluster_ip == "fd00::1"


def test_cluster_ip_alone_is_enough_for_an_old_object() -> None:
    tree = service()
    del tree["spec"]["clusterIPs"]
    assert only(tree).cluster_ip == "10.96.0.1"


@pytest.mark.parametrize(
    ("kind", "want"), [("ClusterIP", 0), ("NodePort", 30080), ("LoadBalancer", 30080)]
)
def test_node_ports_count_where_the_type_has_them(kind: str, want: int) -> None:
    tree = service(type=kind, ports=[{"port": 80, "nodePort": 30080}])
    assert only(tree).ports[0].node_port == want


def balanced(*ingress: dict, kind: str = "LoadBalancer", **spec: object) -> dict:
    return {**service(type=kind, **spec), "status": {"loadBalancer": {"ingress": list(ingress)}}}


@pytest.mark.parametrize(
    ("ingress", "want"),
    [
        ({"ip": "172.30.255.1"}, ("172.30.255.1",)),
        ({"ip": "172.30.255.1", "ipMode": "VIP"}, ("172.30.255.1",)),
        ({"ip": "172.30.255.1", "ipMode": "Proxy"}, ()),  # KEP-1860
        ({"hostname": "lb.example.org"}, ()),
        ({"ip": "fd00:255::1"}, ()),
    ],
)
def test_a_load_balancer_address_counts_by_its_mode_and_family(ingress: dict, want: tuple) -> None:
    assert only(balanced(ingress)).load_balancer_ips == want


def test_a_stale_balancer_status_on_another_type_does_not_count() -> None:
    assert only(balanced({"ip": "172.30.255.1"}, kind="NodePort")).load_balancer_ips == ()


def test_external_ips_are_sorted_by_family() -> None:
    tree = service(clusterIPs=["10.96.0.1", "fd00::1"], externalIPs=["192.0.2.1", "2001:db8::1"])
    assert only(tree).external_ips == ("192.0.2.1",) and only(tree, family=6).external_ips == ("2001:db8::1",)


@pytest.mark.parametrize(
    ("ranges", "want"),
    [
        ([], ()),
        (["192.0.2.0/24"], ("192.0.2.0/24",)),
        ([" 192.0.2.0/24 ", "\t198.51.100.0/24"], ("192.0.2.0/24", "198.51.100.0/24")),  # white space is trimmed
        (["2001:db8::/32"], ()),  # of the other family only: no restriction
    ],
)
def test_source_ranges_are_trimmed_and_sorted_by_family(ranges: list[str], want: tuple) -> None:
    assert only(balanced(loadBalancerSourceRanges=ranges)).source_ranges == want


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ({}, 0),
        ({"sessionAffinity": "None"}, 0),
        ({"sessionAffinity": "ClientIP"}, 10800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 30}}}, 30),
        ({"sessionAffinity": "None", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 30}}}, 0),
    ],
)
def test_affinity_is_three_hours_unless_said(spec: dict, want: int) -> None:
    assert only(service(**spec)).affinity == want


def test_policies_and_the_health_port_are_read() -> None:
    found = only(service(internalTrafficPolicy="Local", externalTrafficPolicy="Local", healthCheckNodePort=31000))
    assert (found.internal_local, found.external_local, found.health_port) == (True, True, 31000)
    plain = only(service(internalTrafficPolicy="Cluster", externalTrafficPolicy="Cluster"))
    assert (plain.internal_local, plain.external_local, plain.health_port) == (False, False, 0)


def test_every_port_is_resolved_in_the_order_of_the_service() -> None:
    tree = service(ports=[{"name": "b", "port": 2, "protocol": "UDP"}, {"name": "a", "port": 1, "protocol": "SCTP"}])
    ports = [{"name": "a", "port": 11, "protocol": "SCTP"}, {"name": "b", "port": 12, "protocol": "UDP"}]
    found = only(tree, piece({"addresses": ["10.1.0.1"]}, ports=ports))
    assert [(p.name, p.protocol, p.endpoints[0].port) for p in found.ports] == [("b", "UDP", 12), ("a", "SCTP", 11)]


def test_reading_changes_nothing() -> None:
    tree, slices = balanced({"ip": "172.30.255.1"}), [piece({"addresses": ["10.1.0.1"]})]
    before = copy.deepcopy((tree, slices))
    only(tree, *slices)
    assert (tree, slices) == before
