"""IPAddress objects: whose each ClusterIP is, kept in step with Services; and addresses that people reserve."""

from __future__ import annotations

from server import Server

PATH = "/apis/networking.k8s.io/v1/ipaddresses"


def services(ns: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{ns}/services" + (f"/{name}" if name else "")


def owned(server: Server, ns: str, name: str) -> dict[str, dict]:
    """address -> the IPAddress object, of a Service."""
    items = server.request("GET", PATH)[1]["items"]
    parents = {i["metadata"]["name"]: i["spec"]["parentRef"] for i in items}
    mine = {a for a, p in parents.items() if (p["resource"], p.get("namespace"), p["name"]) == ("services", ns, name)}
    return {i["metadata"]["name"]: i for i in items if i["metadata"]["name"] in mine}


def test_every_cluster_ip_has_an_object_that_says_whose_it_is(server: Server, ns: str) -> None:
    spec = {"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]}
    made = server.create(services(ns), {"metadata": {"name": "both"}, "spec": spec})
    found = owned(server, ns, "both")
    assert set(found) == set(made["spec"]["clusterIPs"]) and len(found) == 2
    for address, item in found.items():
        family = "IPv6" if ":" in address else "IPv4"
        assert item["metadata"]["labels"] == {
            "ipaddress.kubernetes.io/ip-family": family,
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        assert server.request("GET", f"{PATH}/{address}")[1]["metadata"]["uid"] == item["metadata"]["uid"]
    spec = {"ipFamilyPolicy": "SingleStack", "ipFamilies": made["spec"]["ipFamilies"][:1]}
    spec["clusterIPs"] = made["spec"]["clusterIPs"][:1]
    media = "application/merge-patch+json"
    assert server.request("PATCH", services(ns, "both"), {"spec": spec}, media=media)[0] == 200
    assert set(owned(server, ns, "both")) == set(made["spec"]["clusterIPs"][:1])
    server.request("DELETE", services(ns, "both"))
    assert not owned(server, ns, "both")


def test_headless_and_external_services_have_none(server: Server, ns: str) -> None:
    server.create(services(ns), {"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}})
    external = {"type": "ExternalName", "externalName": "example.org"}
    server.create(services(ns), {"metadata": {"name": "e"}, "spec": external})
    assert not owned(server, ns, "h") and not owned(server, ns, "e")


def test_an_address_that_somebody_reserved_is_given_to_no_service(server: Server, ns: str) -> None:
    address, parent = "10.96.77.77", {"resource": "widgets", "name": "mine"}
    server.create(PATH, {"metadata": {"name": address}, "spec": {"parentRef": parent}})
    body = {"metadata": {"name": "taken"}, "spec": {"clusterIP": address, "ports": [{"port": 80}]}}
    status, answer = server.request("POST", services(ns), body)
    assert status == 422 and answer["details"]["causes"][0]["field"] == "spec.clusterIPs"
    assert "provided IP is already allocated" in answer["message"]
    server.request("DELETE", f"{PATH}/{address}")
    assert server.create(services(ns), body)["spec"]["clusterIP"] == address


def test_the_name_of_an_address_is_the_address(server: Server) -> None:
    parent = {"resource": "services", "namespace": "n", "name": "s"}
    for name, why in (("10.96.0.077", "leading 0s"), ("FD00::1", "canonical"), ("a-name", "valid IP address")):
        status, answer = server.request("POST", PATH, {"metadata": {"name": name}, "spec": {"parentRef": parent}})
        assert status == 422 and answer["details"]["causes"][0]["field"] == "metadata.name", answer
        assert why in answer["message"], answer


def test_the_ranges_that_addresses_come_from_are_told(server: Server) -> None:
    found = server.request("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")[1]
    assert found["spec"]["cidrs"] == ["10.96.0.0/16", "fd00:10:96::/112"]
    (ready,) = found["status"]["conditions"]
    assert (ready["type"], ready["status"]) == ("Ready", "True")
