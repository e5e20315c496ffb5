"""What one pod contributes to a Service."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.controllers import podendpoints

SIDECAR = {"restartPolicy": "Always", "ports": [{"name": "mesh", "containerPort": 15000}]}
SETUP = {"ports": [{"name": "setup", "containerPort": 1}]}
CONTAINERS = [{"ports": [{"name": "web", "containerPort": 8080, "protocol": "TCP"}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]},
              {"ports": [{"name": "web", "containerPort": 9999}, {"name": "late", "containerPort": 7}, {"name": "mesh", "containerPort": 8}]}, {}]


def pod(status: dict | None = None, meta: dict | None = None, **spec: Any) -> dict:
    base = {"containers": CONTAINERS, "initContainers": [SETUP, SIDECAR], "nodeName": "n"}
    return {"metadata": {"namespace": "shop", "name": "p", "uid": "u", **(meta or {})}, "spec": {**base, **spec},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], **(status or {})}}


def service(**spec: Any) -> dict:
    return {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"clusterIP": "10.96.0.1", **spec}}


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ({"ipFamilies": ["IPv6", "IPv4"]}, ["IPv6", "IPv4"]),
        ({"ipFamilies": []}, ["IPv4"]),
        ({}, ["IPv4"]),
        ({"clusterIP": "fd00::1"}, ["IPv6"]),
        ({"clusterIP": "None"}, ["IPv4"]),
    ],
)
def test_the_families_of_a_service(spec: dict, want: list) -> None:
    assert podendpoints.families_of(service(**spec)) == want


@pytest.mark.parametrize(
    ("port", "want"),
    [
        ({"port": 80}, 80),
        ({"port": 80, "targetPort": 8080}, 8080),
        ({"port": 80, "targetPort": 0}, 80),
        ({"port": 80, "targetPort": "web"}, 8080),  # the first container that has it
        ({"port": 80, "targetPort": "web", "protocol": "UDP"}, None),
        ({"port": 53, "targetPort": "dns", "protocol": "UDP"}, 53),
        ({"port": 53, "targetPort": "dns"}, None),
        ({"port": 80, "targetPort": "late"}, 7),
        ({"port": 80, "targetPort": "mesh"}, 8),  # containers before sidecars
        ({"port": 80, "targetPort": "setup"}, None),  # an init container that ends has no ports
        ({"port": 80, "targetPort": "none"}, None),
    ],
)
def test_a_port_behind_a_service_port(port: dict, want: int | None) -> None:
    assert podendpoints.target_port(port, pod()) == want


def test_sidecars_have_ports_too() -> None:
    assert podendpoints.target_port({"port": 80, "targetPort": "mesh"}, pod(containers=[{}])) == 15000


def test_a_port_set_has_what_resolved_in_the_services_order() -> None:
    ports = [{"name": "z", "port": 80, "targetPort": "web", "appProtocol": "h2c"}, {"name": "y", "port": 81, "targetPort": "none"}, {"port": 53, "protocol": "UDP", "targetPort": "dns"}]
    assert podendpoints.port_set(service(ports=ports), pod()) == (("z", "TCP", 8080, "h2c"), ("", "UDP", 53, ""))
    assert podendpoints.port_set(service(), pod()) == ()


GOING = {"deletionTimestamp": "t"}


@pytest.mark.parametrize(
    ("tree", "with_terminating", "without"),
    [
        (pod(), True, True),
        (pod({"phase": "Pending"}), True, True),
        (pod({"phase": "Unknown"}), True, True),
        (pod({"phase": "Succeeded"}), False, False),
        (pod({"phase": "Failed"}), False, False),
        (pod({"podIP": "", "podIPs": None}), False, False),
        (pod({"podIP": "10.0.0.1", "podIPs": None}), True, True),
        (pod(meta=GOING), True, False),
        (pod({"phase": "Failed"}, GOING), False, False),
    ],
)
def test_which_pods_can_be_endpoints(tree: dict, with_terminating: bool, without: bool) -> None:
    assert (podendpoints.listed(tree), podendpoints.listed(tree, terminating=False)) == (with_terminating, without)


@pytest.mark.parametrize(
    ("status", "four", "six"),
    [
        ({}, ["10.0.0.1"], []),
        ({"podIPs": [{"ip": "fd00::1"}, {"ip": "10.0.0.1"}], "podIP": "fd00::1"}, ["10.0.0.1"], ["fd00::1"]),
        ({"podIPs": [], "podIP": "fd00::1"}, [], ["fd00::1"]),
        ({"podIPs": [{"ip": "FD00:0:0::0001"}]}, [], ["fd00::1"]),
    ],
)
def test_addresses_by_family_in_canonical_form(status: dict, four: list, six: list) -> None:
    assert [podendpoints.addresses(pod(status), f) for f in ("IPv4", "IPv6")] == [four, six]


@pytest.mark.parametrize(
    ("spec", "want"),
    [({"hostname": "db-0", "subdomain": "web"}, "db-0"), ({"hostname": "db-0", "subdomain": "other"}, ""), ({"hostname": "db-0"}, ""), ({"subdomain": "web"}, "")],
)
def test_a_hostname_is_the_services_who_is_the_subdomain(spec: dict, want: str) -> None:
    assert podendpoints.hostname(service(), pod(**spec)) == want


NODE = {"metadata": {"labels": {podendpoints.ZONE: "z"}}}


@pytest.mark.parametrize(
    ("node", "spec", "want"),
    [
        (NODE, {}, {"nodeName": "n", "zone": "z"}),
        ({"metadata": {"labels": {podendpoints.ZONE: ""}}}, {}, {"nodeName": "n"}),
        ({"metadata": {}}, {}, {"nodeName": "n"}),
        (None, {}, {"nodeName": "n"}),
        (None, {"nodeName": ""}, {}),
    ],
)
def test_an_endpoint_says_where_it_is_as_far_as_is_known(node: dict | None, spec: dict, want: dict) -> None:
    found = podendpoints.endpoint(service(), pod(**spec), node, "IPv4")
    assert found is not None
    assert {k: v for k, v in found.items() if k in ("nodeName", "zone")} == want
    assert found["targetRef"] == {"kind": "Pod", "namespace": "shop", "name": "p", "uid": "u"}
    assert podendpoints.endpoint(service(), pod(**spec), node, "IPv6") is None
