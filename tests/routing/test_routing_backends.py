"""Services as backends: ports, protocols, clusters, and who answers."""

from __future__ import annotations

import pytest
from ingressobjects import endpoints as slice_of
from ingressobjects import service
from routingworld import World

from seaway.api.tree import Tree
from seaway.routing.backends import ServicePort, cluster_of, endpoints, protocol_of, service_port, service_ports
from seaway.routing.ir import End

BOTH = ({"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"})


def world(*objects: Tree) -> World:
    return World([]).apply(*objects).settle()


def ends(found: World, cluster: str) -> list[End]:
    return list(found.engine.memo.view.ask(endpoints, cluster).ends)


def entry(address: str, **conditions: bool) -> Tree:
    return {"addresses": [address], "conditions": conditions, "zone": "z"}


def sliced(*entries: Tree) -> Tree:
    tree = slice_of("s")
    tree["endpoints"] = list(entries)
    return tree


def test_a_port_goes_by_number_by_name_and_by_protocol() -> None:
    view = world(service("s", *BOTH)).engine.memo.view
    assert service_port(view, "default", "s", 53) == ServicePort(53, "dns-tcp", "TCP", "", "")
    assert service_port(view, "default", "s", "dns", "UDP") == ServicePort(53, "dns", "UDP", "", "")
    assert service_port(view, "default", "s", "dns") is None is service_port(view, "default", "none", 53)
    assert view.ask(service_ports, "default", "none") is None


def test_tcp_and_udp_on_one_port_have_endpoints_of_their_own() -> None:
    tree = slice_of("s", "10.0.0.1")
    tree["ports"] = [
        {"name": "dns", "port": 5353, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 5300, "protocol": "TCP"},
    ]
    found = world(service("s", *BOTH), tree)
    assert [e.port for e in ends(found, "default/s/53")] == [5300]
    assert [e.port for e in ends(found, "default/s/53/tcp")] == [5300]
    assert [e.port for e in ends(found, "default/s/53/udp")] == [5353]


@pytest.mark.parametrize(
    ("word", "protocol"),
    [
        ("", "http1"),
        ("kubernetes.io/h2c", "h2"),
        ("Kubernetes.io/H2C", "h2"),
        ("kubernetes.io/new", ""),
        ("own/thing", ""),
        ("own", "http1"),
    ],
)
def test_app_protocol_is_a_protocol(word: str, protocol: str) -> None:
    assert protocol_of(ServicePort(80, "", "TCP", word, "")) == protocol


def test_a_cluster_that_speaks_otherwise_has_a_name_of_its_own() -> None:
    port = ServicePort(80, "", "TCP", "", "")
    assert cluster_of("ns", "s", port, "http1").name == "ns/s/80"
    assert cluster_of("ns", "s", port, "h2").name == "ns/s/80/h2"
    assert cluster_of("ns", "s", port._replace(app_protocol="grpc"), "h2").name == "ns/s/80"


def test_ready_endpoints_answer_and_terminating_ones_only_where_none_is_ready() -> None:
    ready = entry("10.0.0.1", ready=True)
    leaving = entry("10.0.0.2", ready=False, serving=True, terminating=True)
    gone = entry("10.0.0.3", ready=False, serving=False, terminating=True)
    starting = entry("10.0.0.4", ready=False)
    found = world(service("s"), sliced(starting, gone, leaving, ready))
    assert ends(found, "default/s/80") == [End("10.0.0.1", 8080, "z")]
    found.apply(sliced(starting, gone, leaving)).settle()
    assert ends(found, "default/s/80") == [End("10.0.0.2", 8080, "z", True)]
    found.apply(sliced(starting, gone)).settle()
    assert ends(found, "default/s/80") == []


def test_a_dual_stack_service_answers_in_its_first_family_or_in_the_one_that_it_has() -> None:
    objects = slice_of("s", "10.0.0.1"), slice_of("s", "fd00::1")
    for families, expected in ((["IPv4", "IPv6"], "10.0.0.1"), (["IPv6", "IPv4"], "fd00::1")):
        assert [e.address for e in ends(world(service("s", ipFamilies=families), *objects), "default/s/80")] == [
            expected
        ]
    only = world(service("s", ipFamilies=["IPv4", "IPv6"]), objects[1])
    assert [e.address for e in ends(only, "default/s/80")] == ["fd00::1"]


def test_what_is_not_there_has_no_endpoints() -> None:
    found = world(service("s"), service("x", type="ExternalName", externalName="a.org"), slice_of("s", "10.0.0.1"))
    for cluster in ("default/none/80", "default/s/81", "default/x/80", "other/s/80"):
        assert ends(found, cluster) == []
