"""Services: what is filled in, refused, kept over an update, and warned of, as tables."""

from __future__ import annotations

from typing import Any

import pytest
from judge import causes, made, matches, told, update_causes

from seaway.cluster.apiserver.rules import service, servicechange

Tree = dict[str, Any]
PORT = {"port": 80}
ADDRESS = "must be a valid IP address"

REFUSED: list[tuple[Tree, list[tuple[str, str]]]] = [
    ({}, [("spec.ports", "Required value")]),
    ({"type": "Odd", "ports": [PORT]}, [("spec.type", 'supported values: "ClusterIP", "ExternalName"')]),
    ({"ports": [{"port": 0}]}, [("spec.ports[0].port", "between 1 and 65535"), ("spec.ports[0].targetPort", "between 1")]),
    ({"ports": [PORT, {"port": 81}]}, [("spec.ports[0].name", "Required"), ("spec.ports[1].name", "Required")]),
    (
        {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]},
        [("spec.ports[1].name", 'Duplicate value: "a"')],
    ),
    ({"ports": [{"port": 80, "targetPort": "x--y"}]}, [("spec.ports[0].targetPort", "consecutive hyphens")]),
    ({"ports": [{"port": 80, "protocol": "tcp"}]}, [("spec.ports[0].protocol", '"SCTP", "TCP", "UDP"')]),
    ({"ports": [{"port": 80, "nodePort": 30000}]}, [("spec.ports[0].nodePort", "may not be used when `type` is 'ClusterIP'")]),
    ({"type": "LoadBalancer", "ports": [{"port": 10250}]}, [("spec.ports[0]", "used by kubelet")]),
    ({"ports": [PORT], "selector": {"a b": "c"}}, [("spec.selector", "name part must consist of")]),
    ({"ports": [PORT], "sessionAffinity": "Client"}, [("spec.sessionAffinity", '"ClientIP", "None"')]),
    (
        {"ports": [PORT], "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}},
        [("spec.sessionAffinityConfig.clientIP.timeoutSeconds", "less than 86400")],
    ),
    ({"type": "ExternalName"}, [("spec.externalName", "Required value")]),
    ({"type": "ExternalName", "externalName": "A_b"}, [("spec.externalName", "RFC 1123 subdomain")]),
    (
        {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.0.0.1"},
        [("spec.clusterIPs", "may not be set for ExternalName")],
    ),
    ({"type": "NodePort", "clusterIP": "None", "ports": [PORT]}, [("spec.clusterIPs[0]", "for NodePort services")]),
    ({"ports": [PORT], "clusterIP": "10.0.0"}, [("spec.clusterIPs[0]", ADDRESS)]),
    ({"ports": [PORT], "clusterIP": "::ffff:10.0.0.1"}, [("spec.clusterIPs[0]", "IPv4-mapped IPv6")]),
    (
        {"ports": [PORT], "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]},
        [("spec.clusterIPs", "first value must match `clusterIP`")],
    ),
    ({"ports": [PORT], "ipFamilies": ["IPv4", "IPv4"]}, [("spec.ipFamilies[1]", "Duplicate")]),
    ({"ports": [PORT], "ipFamilies": ["ipv4"]}, [("spec.ipFamilies[0]", '"IPv4", "IPv6"')]),
    (
        {"ports": [PORT], "ipFamilies": ["IPv6"], "clusterIP": "10.0.0.1"},
        [("spec.clusterIPs[0]", "expected an IPv6 value as indicated by `ipFamilies[0]`")],
    ),
    ({"ports": [PORT], "ipFamilyPolicy": "Dual"}, [("spec.ipFamilyPolicy", '"PreferDualStack"')]),
    ({"ports": [PORT], "externalIPs": ["::1"]}, [("spec.externalIPs[0]", "loopback range")]),
    ({"ports": [PORT], "externalIPs": ["fe80::1"]}, [("spec.externalIPs[0]", "link-local range")]),
    (
        {"ports": [PORT], "loadBalancerSourceRanges": ["10.0.0.0/8"]},
        [("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'")],
    ),
    ({"ports": [PORT], "allocateLoadBalancerNodePorts": True}, [("spec.allocateLoadBalancerNodePorts", "Forbidden")]),
    ({"ports": [PORT], "loadBalancerClass": "a/b"}, [("spec.loadBalancerClass", "Forbidden")]),
    ({"ports": [PORT], "externalTrafficPolicy": "Local"}, [("spec.externalTrafficPolicy", "externally-accessible")]),
    ({"ports": [PORT], "healthCheckNodePort": 30000}, [("spec.healthCheckNodePort", "`externalTrafficPolicy` is 'Local'")]),
    ({"ports": [PORT], "internalTrafficPolicy": "Some"}, [("spec.internalTrafficPolicy", '"Cluster", "Local"')]),
    ({"ports": [PORT], "trafficDistribution": "Far"}, [("spec.trafficDistribution", '"PreferSameZone", "PreferSameNode"')]),
]


@pytest.mark.parametrize(("spec", "expected"), REFUSED)
def test_a_wrong_service_is_refused_with_its_field(spec: Tree, expected: list[tuple[str, str]]) -> None:
    found = causes("services", {"spec": spec})
    assert matches(found, expected), told(found)


@pytest.mark.parametrize(
    "name", ["a.b", "A", "-a", "a" * 64]
)
def test_a_service_is_named_by_a_dns_label(name: str) -> None:
    assert [c.field for c in causes("services", {"metadata": {"name": name}, "spec": {"ports": [PORT]}})] == ["metadata.name"]


def test_a_services_name_may_begin_with_a_digit() -> None:
    assert causes("services", {"metadata": {"name": "1st"}, "spec": {"ports": [PORT]}}) == []


UPDATES: list[tuple[Tree, Tree, list[tuple[str, str]]]] = [
    ({"clusterIP": "10.0.0.1"}, {}, []),
    ({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}, {"clusterIP": "10.0.0.2"}, [("spec.clusterIPs[0]", "may not change once set")]),
    (
        {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]},
        {"clusterIP": "None"},
        [("spec.clusterIPs[0]", "may not change once set")],
    ),
    (
        {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"},
        {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"},
        [("spec.clusterIPs[1]", "releasing the secondary clusterIP")],
    ),
    (
        {"clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"]},
        {"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"]},
        [("spec.ipFamilies[0]", "may not change once set"), ("spec.clusterIPs[0]", "expected an IPv6 value")],
    ),
    (
        {"type": "LoadBalancer", "loadBalancerClass": "a/b"},
        {"type": "LoadBalancer"},
        [("spec.loadBalancerClass", "may not change once set")],
    ),
    (
        {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001},
        {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30002},
        [("spec.healthCheckNodePort", "field is immutable")],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), UPDATES)
def test_what_a_service_may_not_change(before: Tree, after: Tree, expected: list[tuple[str, str]]) -> None:
    found = update_causes("services", *({"spec": {"ports": [PORT], **s}} for s in (before, after)))
    assert matches(found, expected), told(found)


def changed(before: Tree, after: Tree) -> Tree:
    """The spec after an update's own steps, without allocation."""
    old, new = (made("services", {"spec": {"ports": [PORT], **s}}) for s in (before, after))
    servicechange.keep_allocated(new["spec"], old["spec"])
    servicechange.align_cluster_ips(new["spec"], old["spec"])
    servicechange.drop_unneeded(new, old)
    return dict(new["spec"])


def test_node_ports_are_kept_by_the_name_of_the_port() -> None:
    named = [{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30002}]
    spec = changed({"type": "NodePort", "ports": named}, {"type": "NodePort", "ports": [{"name": "b", "port": 90}, {"name": "c", "port": 81}]})
    assert [p.get("nodePort") for p in spec["ports"]] == [30002, None]


def test_a_node_port_that_another_port_took_is_not_kept() -> None:
    spec = changed(
        {"type": "NodePort", "ports": [{"name": "a", "port": 80, "nodePort": 30001}]},
        {"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 30001}]},
    )
    assert [p.get("nodePort") for p in spec["ports"]] == [None, 30001]


def test_a_type_without_node_ports_drops_what_the_old_one_had() -> None:
    balancer = {
        "type": "LoadBalancer",
        "ports": [{"port": 80, "nodePort": 30001}],
        "externalTrafficPolicy": "Local",
        "healthCheckNodePort": 30009,
        "loadBalancerClass": "a/b",
        "allocateLoadBalancerNodePorts": True,
    }
    spec = changed(balancer, {**balancer, "type": "ClusterIP"})
    dropped = ("externalTrafficPolicy", "healthCheckNodePort", "loadBalancerClass", "allocateLoadBalancerNodePorts")
    assert not set(dropped) & set(spec) and "nodePort" not in spec["ports"][0]


def test_what_the_update_itself_changed_is_not_dropped() -> None:
    before = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]}
    spec = changed(before, {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30002}]})
    assert spec["ports"][0]["nodePort"] == 30002


def test_an_external_name_loses_addresses_and_families() -> None:
    before = {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
    spec = changed(before, {**before, "type": "ExternalName", "externalName": "a.b"})
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"} & set(spec)


WARNED: list[tuple[Tree, list[str]]] = [
    ({}, []),
    ({"externalIPs": ["192.0.2.1"]}, ["spec.externalIPs is deprecated and may no longer be implemented in some clusters"]),
    ({"externalName": "a.b"}, ['spec.externalName is ignored when spec.type is not "ExternalName"']),
    ({"clusterIP": "None", "sessionAffinity": "ClientIP"}, ["spec.SessionAffinity is ignored for headless services"]),
    ({"trafficDistribution": "PreferClose"}, ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"']),
    (
        {"loadBalancerIP": "2001:DB8::1"},
        ['spec.loadBalancerIP: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")'],
    ),
    (
        {"loadBalancerIP": "010.0.0.1"},
        [
            'spec.loadBalancerIP: non-standard IP address "010.0.0.1" will be considered invalid in a future Kubernetes '
            'release: use "10.0.0.1"'
        ],
    ),
    (
        {"loadBalancerSourceRanges": ["10.1.2.3/8"]},
        [
            'spec.loadBalancerSourceRanges[0]: CIDR value "10.1.2.3/8" is ambiguous in this context (should be '
            '"10.0.0.0/8" or "10.1.2.3/32"?)'
        ],
    ),
]


@pytest.mark.parametrize(("spec", "warnings"), WARNED)
def test_what_is_accepted_with_a_warning(spec: Tree, warnings: list[str]) -> None:
    assert service.warnings(made("services", {"spec": {"ports": [PORT], **spec}}), None) == warnings


def test_a_load_balancers_status_is_completed_and_judged() -> None:
    old = made("services", {"spec": {"type": "LoadBalancer", "ports": [PORT]}})
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "a.b"}, {"ip": "x"}, {"hostname": "192.0.2.1"}]}}
    new = service.prepare_status({**old, "status": status}, old)
    assert [i.get("ipMode") for i in new["status"]["loadBalancer"]["ingress"]] == ["VIP", None, "VIP", None]
    assert [c.field for c in service.validate_status(new, old)] == [
        "status.loadBalancer.ingress[2].ip",
        "status.loadBalancer.ingress[3].hostname",
    ]
