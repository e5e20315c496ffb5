"""tcp-services and udp-services: which ports a class has by ConfigMaps, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from ingressobjects import fleet, ingress, ingress_class, service, world
from routingworld import World

from seaway.api.tree import Tree
from seaway.routing.ingress.classes import fleet_of
from seaway.routing.ingress.frontend import INGRESS
from seaway.routing.ir import Chain
from seaway.routing.policies.frontend import POLICIES

TCP = {"port": 5432, "name": "sql", "protocol": "TCP"}
UDP = {"port": 53, "name": "dns", "protocol": "UDP"}


def config(name: str, namespace: str = "seaway-system", **data: str) -> Tree:
    named = {k.removeprefix("p"): v for k, v in data.items()}
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": named}


def made(*objects: Tree) -> World:
    return world(service("both", TCP, UDP, namespace="shop"), *objects)


def chain(found: World, socket: str, name: str = "seaway") -> Chain:
    held = fleet(found, name)
    assert held is not None
    (only,) = held.sockets[socket].chains
    return only


def told(found: World, name: str = "tcp-services", namespace: str = "seaway-system") -> list[str]:
    status = found.status("configmaps", namespace, name)
    return [f"{reason}: {message}" for _, reason, message in status.events] if status is not None else []


def test_ports_of_the_conventional_maps_lead_to_services_without_any_ingress() -> None:
    found = made(config("tcp-services", p9000="shop/both:5432"), config("udp-services", p5353="shop/both:dns"))
    for socket, cluster in (("tcp-9000", "shop/both/5432/tcp"), ("udp-5353", "shop/both/53/udp")):
        stream = chain(found, socket).stream
        assert stream is not None and [t.cluster for t in stream.targets] == [cluster]
    assert found.specs[fleet_of("seaway")].ports == (("tcp-9000", 9000, "TCP"), ("udp-5353", 5353, "UDP"))
    found.apply(ingress("i", ("a.test", "/", "a"))).settle()
    assert {p for _, p, _ in found.specs[fleet_of("seaway")].ports} == {80, 9000, 5353}
    found.delete("ConfigMap", "seaway-system", "tcp-services").settle()
    assert {p for _, p, _ in found.specs[fleet_of("seaway")].ports} == {80, 5353}
    held = fleet(found)
    assert held is not None and set(held.sockets) == {"tcp-80", "udp-5353"}


@pytest.mark.parametrize(
    ("value", "decoded", "encoded"),
    [
        ("shop/both:5432", False, False),
        ("shop/both:sql:PROXY", True, False),
        ("shop/both:5432:proxy:PROXY", True, True),
        ("shop/both:5432::PROXY", False, True),
    ],
)
def test_proxy_headers_are_expected_and_said(value: str, decoded: bool, encoded: bool) -> None:
    found = made(config("tcp-services", p9000=value))
    only = chain(found, "tcp-9000")
    assert (only.client is not None and only.client.proxy_protocol) is decoded
    assert only.stream is not None
    held = fleet(found)
    assert held is not None
    policy = held.clusters[only.stream.targets[0].cluster].policy
    assert (policy is not None and policy.proxy_protocol == 1) is encoded
    assert not told(found)


BAD: list[tuple[str, str, str]] = [
    ("x", "shop/both:5432", "must be a port between 1 and 65535"),
    ("0", "shop/both:5432", "must be a port between 1 and 65535"),
    ("70000", "shop/both:5432", "must be a port between 1 and 65535"),
    ("80", "shop/both:5432", "port 80 is one that the proxy itself needs"),
    ("443", "shop/both:5432", "port 443 is one that the proxy itself needs"),
    ("19003", "shop/both:5432", "port 19003 is one that the proxy itself needs"),
    ("9001", "both:5432", "must be NAMESPACE/SERVICE:PORT"),
    ("9001", "shop/both", "must be NAMESPACE/SERVICE:PORT"),
    ("9001", "shop/both:5432:PROX", "must be NAMESPACE/SERVICE:PORT"),
    ("9001", "shop/both:5432;reload", "must be NAMESPACE/SERVICE:PORT"),
    ("9001", "shop/none:5432", "Service shop/none does not exist"),
    ("9001", "shop/both:5433", "Service shop/both has no TCP port 5433"),
    ("9001", "shop/both:dns", "Service shop/both has no TCP port dns"),
    ("09000", "shop/both:5432", "Duplicate value: 9000"),
]


@pytest.mark.parametrize(("port", "value", "why"), BAD)
def test_a_port_that_cannot_be_read_is_told_on_the_map_and_leaves_the_others_working(
    port: str, value: str, why: str
) -> None:
    found = made(config("tcp-services", **{"p9000": "shop/both:5432", f"p{port}": value}))
    (event,) = told(found)
    assert event.startswith(f"InvalidStream: data[{9000 if 'Duplicate' in why else port}]: ") and why in event
    held = fleet(found)
    assert held is not None and set(held.sockets) == {"tcp-9000"}


def test_datagrams_have_no_proxy_header() -> None:
    found = made(config("udp-services", p53="shop/both:53:PROXY"))
    assert "datagrams have no PROXY header" in told(found, "udp-services")[0]
    assert fleet(found) is None


def test_parameters_of_a_class_name_its_maps_and_other_maps_are_nobodys() -> None:
    parameters: dict[str, Any] = {"kind": "ConfigMap", "name": "p", "namespace": "infra", "scope": "Namespace"}
    found = made(
        ingress_class("edge", parameters=parameters),
        config("p", "infra", tcpServices="infra/streams"),
        config("streams", "infra", p7000="shop/both:5432", pbad="x"),
        config("tcp-services", "infra", p7001="shop/both:5432"),
    )
    assert chain(found, "tcp-7000", "edge").stream is not None
    assert fleet(found) is None
    assert [e.partition(":")[0] for e in told(found, "streams", "infra")] == ["InvalidStream"]
    assert found.status("configmaps", "infra", "tcp-services") is None


def test_a_class_lets_pass_to_its_ports_whom_its_policies_do() -> None:
    opened = config("tcp-services", p9000="shop/both:5432"), config("udp-services", p5353="shop/both:dns")
    for says, allow, deny, closed in (
        ({"allow": {"addresses": ["10.0.0.0/8"]}}, ("10.0.0.0/8",), (), False),
        ({"deny": {"addresses": ["::ffff:192.0.2.1"]}}, (), ("192.0.2.1/32",), False),
        ({"basicAuth": {"users": {"name": "nobody"}}}, (), (), True),
    ):
        on = {"group": "networking.k8s.io", "kind": "IngressClass", "name": "seaway"}
        policy = {"kind": "SecurityPolicy", "metadata": {"name": "p", "namespace": "seaway-system"}, "spec": {"targetRefs": [on], **says}}
        found = World([INGRESS, POLICIES]).apply(ingress_class("seaway"), service("both", TCP, UDP, namespace="shop"), *opened, policy).settle()
        for socket in ("tcp-9000", "udp-5353"):
            stream = chain(found, socket).stream
            assert stream is not None
            assert (stream.allow, stream.deny, not stream.targets) == (allow, deny, closed)
