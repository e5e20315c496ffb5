"""What the API gives a Service: addresses, families, node ports; what it refuses; what may not change."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from server import Server

MERGE = "application/merge-patch+json"
V4, V6 = ipaddress.ip_network("10.96.0.0/16"), ipaddress.ip_network("fd00:10:96::/112")
PORT = {"port": 80}


def path(ns: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{ns}/services" + (f"/{name}" if name else "")


def service(name: str = "s", **spec: Any) -> dict:
    return {"metadata": {"name": name}, "spec": {"ports": [PORT], **spec}}


def make(server: Server, ns: str, name: str = "s", **spec: Any) -> dict:
    return server.create(path(ns), service(name, **spec))["spec"]


def change(server: Server, ns: str, name: str = "s", **spec: Any) -> tuple[int, Any]:
    return server.request("PATCH", path(ns, name), {"spec": spec}, media=MERGE)


def families(spec: dict) -> list[str]:
    """The families that the addresses are of, each in the range of its family."""
    found = []
    for text in spec["clusterIPs"]:
        address = ipaddress.ip_address(text)
        assert address in (V4 if address.version == 4 else V6), text
        found.append(f"IPv{address.version}")
    return found


def fields(answer: dict) -> list[str]:
    assert answer["reason"] == "Invalid", answer
    return [c["field"] for c in answer["details"]["causes"]]


def test_a_service_of_one_port_gets_its_defaults(server: Server, ns: str) -> None:
    spec = make(server, ns, selector={"a": "b"})
    assert families(spec) == ["IPv4"] and spec["clusterIP"] == spec["clusterIPs"][0]
    assert {k: v for k, v in spec.items() if not k.startswith("clusterIP")} == {
        "type": "ClusterIP",
        "selector": {"a": "b"},
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }


@pytest.mark.parametrize(
    ("spec", "policy", "want"),
    [
        ({}, "SingleStack", ["IPv4"]),
        ({"ipFamilies": ["IPv6"]}, "SingleStack", ["IPv6"]),
        ({"ipFamilyPolicy": "SingleStack"}, "SingleStack", ["IPv4"]),
        ({"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", ["IPv4", "IPv6"]),
        ({"ipFamilyPolicy": "RequireDualStack"}, "RequireDualStack", ["IPv4", "IPv6"]),
        ({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}, "PreferDualStack", ["IPv6", "IPv4"]),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}, "RequireDualStack", ["IPv6", "IPv4"]),
        ({"type": "NodePort", "ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", ["IPv4", "IPv6"]),
    ],
)
def test_families_follow_the_policy(server: Server, ns: str, spec: dict, policy: str, want: list) -> None:
    found = make(server, ns, **spec)
    assert (found["ipFamilyPolicy"], found["ipFamilies"], families(found)) == (policy, want, want)


def test_a_service_gains_and_gives_up_its_second_family(server: Server, ns: str) -> None:
    single = make(server, ns)
    _, answer = change(server, ns, ipFamilyPolicy="PreferDualStack")
    both = answer["spec"]
    assert both["ipFamilies"] == families(both) == ["IPv4", "IPv6"]
    assert both["clusterIPs"][0] == single["clusterIP"], "the first address stays"
    _, answer = change(server, ns, ipFamilyPolicy="SingleStack")
    assert answer["spec"]["clusterIPs"] == single["clusterIPs"] and answer["spec"]["ipFamilies"] == ["IPv4"]
    status, _ = server.request("POST", path(ns), service("t", ipFamilies=["IPv6"], clusterIP=both["clusterIPs"][1]))
    assert status == 201, "the second address is free again"


def test_a_headless_service_has_no_address(server: Server, ns: str) -> None:
    chosen = make(server, ns, "a", clusterIP="None", selector={"a": "b"})
    assert chosen["clusterIPs"] == ["None"] and chosen["ipFamilyPolicy"] == "SingleStack"
    assert chosen["ipFamilies"] == ["IPv4"]
    free = make(server, ns, "b", clusterIP="None")
    assert (free["ipFamilyPolicy"], free["ipFamilies"]) == ("RequireDualStack", ["IPv4", "IPv6"])
    bare = server.create(path(ns), {"metadata": {"name": "c"}, "spec": {"clusterIP": "None", "selector": {"a": "b"}}})
    assert "ports" not in bare["spec"]


def test_an_external_name_has_no_address_and_no_family(server: Server, ns: str) -> None:
    tree = {"metadata": {"name": "e"}, "spec": {"type": "ExternalName", "externalName": "db.example.com"}}
    spec = server.create(path(ns), tree)["spec"]
    assert spec == {"type": "ExternalName", "externalName": "db.example.com", "sessionAffinity": "None"}
    _, answer = change(server, ns, "e", type="ClusterIP", externalName=None, ports=[PORT])
    assert families(answer["spec"]) == ["IPv4"]
    before = answer["spec"]["clusterIP"]
    _, answer = change(server, ns, "e", type="ExternalName", externalName="x.y", clusterIP=None, clusterIPs=None)
    assert "clusterIP" not in answer["spec"] and "clusterIPs" not in answer["spec"]
    assert server.request("POST", path(ns), service("t", clusterIP=before))[0] == 201, "its address is free again"


def test_a_node_port_is_given_in_range_and_only_once(server: Server, ns: str) -> None:
    ports = [make(server, ns, f"s{i}", type="NodePort")["ports"][0]["nodePort"] for i in range(20)]
    assert len(set(ports)) == 20 and all(30000 <= p <= 32767 for p in ports)
    spec = make(server, ns, "lb", type="LoadBalancer")
    assert spec["ports"][0]["nodePort"] not in ports and spec["allocateLoadBalancerNodePorts"] is True
    assert (
        "nodePort" not in make(server, ns, "no", type="LoadBalancer", allocateLoadBalancerNodePorts=False)["ports"][0]
    )


def test_one_service_port_of_two_protocols_shares_a_node_port(server: Server, ns: str) -> None:
    ports = [{"name": p, "port": 53, "protocol": p.upper()} for p in ("tcp", "udp")]
    found = make(server, ns, type="NodePort", ports=ports)["ports"]
    assert found[0]["nodePort"] == found[1]["nodePort"]


def test_a_put_without_node_ports_and_addresses_keeps_them(server: Server, ns: str) -> None:
    before = make(server, ns, type="NodePort", ipFamilyPolicy="RequireDualStack")
    status, answer = server.request("PUT", path(ns, "s"), service(type="NodePort", selector={"a": "b"}))
    assert status == 200
    assert answer["spec"] == {**before, "selector": {"a": "b"}}


def test_a_node_port_is_free_after_delete_and_change_of_type(server: Server, ns: str) -> None:
    wanted = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]}
    make(server, ns, "a", **wanted)
    _, answer = change(server, ns, "a", type="ClusterIP")
    assert "nodePort" not in answer["spec"]["ports"][0] and "externalTrafficPolicy" not in answer["spec"]
    make(server, ns, "b", **wanted)
    server.request("DELETE", path(ns, "b"))
    make(server, ns, "c", **wanted)


def test_a_refused_service_takes_nothing(server: Server, ns: str) -> None:
    make(server, ns, "a", type="NodePort", ports=[{"port": 80, "nodePort": 30003}], clusterIP="10.96.3.1")
    ports = [{"name": "x", "port": 80, "nodePort": 30002}, {"name": "y", "port": 81, "nodePort": 30003}]
    refused = service("b", type="NodePort", ports=ports, clusterIP="10.96.3.2")
    assert fields(server.request("POST", path(ns), refused)[1]) == ["spec.ports[1].nodePort"]
    make(server, ns, "c", type="NodePort", ports=[{"port": 80, "nodePort": 30002}], clusterIP="10.96.3.2")


def test_a_dry_run_takes_nothing(server: Server, ns: str) -> None:
    wanted = service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30004}], clusterIP="10.96.3.3")
    for _ in range(2):
        status, answer = server.request("POST", path(ns), wanted, query={"dryRun": "All"})
        assert (status, answer["spec"]["clusterIP"]) == (201, "10.96.3.3")
    assert server.request("POST", path(ns), wanted)[0] == 201
    assert server.request("DELETE", path(ns, "a"), query={"dryRun": "All"})[0] == 200
    assert fields(server.request("POST", path(ns), {**wanted, "metadata": {"name": "b"}})[1]) == ["spec.clusterIPs"]


def test_an_address_or_port_taken_in_one_namespace_is_taken_in_all(server: Server, ns: str) -> None:
    other = f"{ns}-other"
    server.create("/api/v1/namespaces", {"metadata": {"name": other}})
    make(server, ns, clusterIP="10.96.3.4")
    make(server, ns, "p", type="NodePort", ports=[{"port": 80, "nodePort": 30005}])
    status, answer = server.request("POST", path(other), service(clusterIP="10.96.3.4"))
    assert (status, fields(answer)) == (422, ["spec.clusterIPs"])
    assert answer["message"].endswith("failed to allocate IP 10.96.3.4: provided IP is already allocated")
    wanted = service(type="NodePort", ports=[{"port": 81, "nodePort": 30005}])
    status, answer = server.request("POST", path(other), wanted)
    assert (status, answer["details"]["causes"]) == (
        422,
        [
            {
                "field": "spec.ports[0].nodePort",
                "reason": "FieldValueInvalid",
                "message": "Invalid value: 30005: provided port is already allocated",
            }
        ],
    )


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"clusterIP": "10.1.2.3"}, "spec.clusterIPs"),
        ({"clusterIP": "hello"}, "spec.clusterIPs[0]"),
        ({"clusterIP": "10.96.9.1", "ipFamilies": ["IPv6"]}, "spec.clusterIPs[0]"),
        ({"ipFamilies": ["IPv5"]}, "spec.ipFamilies[0]"),
        ({"ipFamilyPolicy": "Both"}, "spec.ipFamilyPolicy"),
        ({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4", "IPv6"]}, "spec.ipFamilyPolicy"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}, "spec.ports[0].nodePort"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 32768}]}, "spec.ports[0].nodePort"),
        ({"ports": [{"port": 80, "nodePort": 30100}]}, "spec.ports[0].nodePort"),
        ({"type": "NodePort", "clusterIP": "None"}, "spec.clusterIPs[0]"),
        ({"type": "ExternalName"}, "spec.externalName"),
        ({"type": "ExternalName", "externalName": "-"}, "spec.externalName"),
        ({"type": "Magic"}, "spec.type"),
        ({"ports": []}, "spec.ports"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port"),
        ({"ports": [{"port": 65536}]}, "spec.ports[0].port"),
        ({"ports": [{"port": 80, "protocol": "ICMP"}]}, "spec.ports[0].protocol"),
        ({"ports": [{"port": 80, "targetPort": 0x10000}]}, "spec.ports[0].targetPort"),
        ({"ports": [{"name": "a", "port": 80}, {"port": 81}]}, "spec.ports[1].name"),
        ({"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]}, "spec.ports[1].name"),
        ({"sessionAffinity": "Cookie"}, "spec.sessionAffinity"),
        ({"externalTrafficPolicy": "Local"}, "spec.externalTrafficPolicy"),
        ({"internalTrafficPolicy": "Near"}, "spec.internalTrafficPolicy"),
        ({"selector": {"a b": "c"}}, "spec.selector"),
        ({"trafficDistribution": "Anywhere"}, "spec.trafficDistribution"),
    ],
)
def test_what_is_wrong_with_a_service_is_named(server: Server, ns: str, spec: dict, field: str) -> None:
    status, answer = server.request("POST", path(ns), service(**spec))
    assert status == 422 and field in fields(answer), answer
    assert server.request("GET", path(ns, "s"))[0] == 404


@pytest.mark.parametrize(
    ("start", "edit", "field"),
    [
        ({}, {"clusterIP": "10.96.3.9", "clusterIPs": ["10.96.3.9"]}, "spec.clusterIPs[0]"),
        ({"clusterIP": "None"}, {"clusterIP": "10.96.3.9", "clusterIPs": ["10.96.3.9"]}, "spec.clusterIPs[0]"),
        ({}, {"clusterIP": "None", "clusterIPs": ["None"]}, "spec.clusterIPs[0]"),
    ],
)
def test_the_first_address_never_changes(server: Server, ns: str, start: dict, edit: dict, field: str) -> None:
    before = make(server, ns, **start)
    status, answer = change(server, ns, **edit)
    assert (status, fields(answer)) == (422, [field])
    assert server.request("GET", path(ns, "s"))[1]["spec"] == before
    assert server.request("POST", path(ns), service("t", clusterIP="10.96.3.9"))[0] == 201, "nothing was taken"
    server.request("DELETE", path(ns, "t"))


def test_what_is_given_out_survives_a_restart(make_server: Any) -> None:
    server = make_server()
    spec = make(server, "default", type="NodePort", ipFamilyPolicy="RequireDualStack")
    server.kill()
    server.start().wait()
    assert server.request("GET", path("default", "s"))[1]["spec"] == spec
    for address in spec["clusterIPs"]:
        status, _ = server.request(
            "POST",
            path("default"),
            service("t", clusterIP=address, ipFamilies=["IPv6"] if ":" in address else ["IPv4"]),
        )
        assert status == 422
    wanted = service("t", type="NodePort", ports=[{"port": 80, "nodePort": spec["ports"][0]["nodePort"]}])
    assert server.request("POST", path("default"), wanted)[0] == 422


def test_the_clusters_own_service_has_the_first_address(server: Server) -> None:
    _, own = server.request("GET", path("default", "kubernetes"))
    assert own["spec"]["clusterIP"] == "10.96.0.1" and own["spec"]["ports"][0]["port"] == 443
    assert server.request("POST", path("default"), service("thief", clusterIP="10.96.0.1"))[0] == 422
