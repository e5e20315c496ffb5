"""What happens to a packet, decided once: the rows of the behaviour table, written by hand."""

from __future__ import annotations

import pytest

from seaway.proxy import plan
from seaway.proxy.plan import Place
from seaway.proxy.table import Answer, Refusal, ServicePart, Split
from seaway.services.resolve import Endpoint, Port, Resolved

HERE = Place("here", "z1", ("172.30.0.2", "fd00:172:30::2"), ("10.244.0.0/16", "fd00:10:244::/56"), ("10.96.0.0/16",))
READY, ENDING, UNREADY = (True, True, False), (False, True, True), (False, False, False)


def at(address: str, node: str = "here", state: tuple[bool, bool, bool] = READY) -> Endpoint:
    return Endpoint(address, 8080, *state, node, "", (), ())


def service(*endpoints: Endpoint, **change: object) -> Resolved:
    """A Service that can be reached in every way there is."""
    ports = change.pop("ports", None) or (Port("http", "TCP", 80, 30080, endpoints),)
    values = {"namespace": "shop", "name": "web", "family": 4, "kind": "LoadBalancer", "cluster_ip": "10.96.0.1",
              "external_ips": ("192.0.2.1",), "load_balancer_ips": ("172.30.255.1",), "source_ranges": (), "affinity": 0,
              "internal_local": False, "external_local": False, "health_port": 0, "ports": ports}
    return Resolved(**{**values, **change})  # type: ignore[arg-type]


def said(answer: Answer) -> str:
    """`a b` for a DNAT, `a b masq` for a masqueraded one, `reject` or `drop`; `a of a b` where outsiders get a only."""
    if isinstance(answer, Refusal):
        return answer.verdict
    if isinstance(answer, Split):
        return f"{' '.join(a for a, _ in answer.local) or 'drop'} of {' '.join(a for a, _ in answer.everywhere)}"
    return " ".join([a for a, _ in answer.backends] + (["masq"] if answer.masquerade else []))


def fates(found: ServicePart) -> dict[str, str]:
    names = {"10.96.0.1": "cluster", "192.0.2.1": "external", "172.30.255.1": "balancer"}
    answers = {names[address]: said(v.answer) for (address, _, _), v in found.vips.items()}
    (node,) = found.node_ports.values()
    return {**answers, "node": said(node.answer)}


A, B = at("a"), at("b", "there")
# endpoints, internalTrafficPolicy Local, externalTrafficPolicy Local -> ClusterIP, and every external way
ROWS = [
    ((), False, False, "reject", "reject"),
    ((), True, True, "reject", "reject"),
    ((at("a", state=UNREADY),), False, False, "reject", "reject"),
    ((at("a", state=UNREADY),), True, True, "reject", "reject"),
    ((A, B), False, False, "a b", "a b masq"),
    ((A, B), True, False, "a", "a b masq"),
    ((A, B), False, True, "a b", "a of a b"),
    ((A, B), True, True, "a", "a of a b"),
    ((B,), False, False, "b", "b masq"),
    ((B,), True, False, "drop", "b masq"),
    ((B,), False, True, "b", "drop of b"),
    ((at("a", state=ENDING), B), False, False, "b", "b masq"),
    ((at("a", state=ENDING), B), True, True, "a", "a of b"),
    ((at("a", state=ENDING), B), False, True, "b", "a of b"),
    ((at("b", "there", ENDING),), False, True, "b", "drop of b"),
    ((at("a", state=ENDING), at("b", "there", ENDING)), False, True, "a b", "a of a b"),
]


@pytest.mark.parametrize(("endpoints", "internal", "external", "inside", "outside"), ROWS)
def test_every_way_in_has_the_fate_that_its_policy_gives(
    endpoints: tuple, internal: bool, external: bool, inside: str, outside: str
) -> None:
    found = fates(plan.part(service(*endpoints, internal_local=internal, external_local=external), HERE))
    assert found == {"cluster": inside, "external": outside, "balancer": outside, "node": outside}


def test_a_cluster_ip_service_has_no_node_port() -> None:
    found = plan.part(service(kind="ClusterIP", ports=(Port("http", "TCP", 80, 0, (A,)),)), HERE)
    assert found.node_ports == {}


def test_protocols_share_a_port_number_and_not_an_answer() -> None:
    ports = (Port("tcp", "TCP", 53, 30053, (A,)), Port("udp", "UDP", 53, 30053, ()), Port("s", "SCTP", 53, 0, (B,)))
    found = plan.part(service(ports=ports, external_ips=(), load_balancer_ips=()), HERE)
    assert {k: said(v.answer) for k, v in found.vips.items()} == {
        ("10.96.0.1", "tcp", 53): "a", ("10.96.0.1", "udp", 53): "reject", ("10.96.0.1", "sctp", 53): "b"}
    assert {k: said(v.answer) for k, v in found.node_ports.items()} == {("tcp", 30053): "a masq", ("udp", 30053): "reject"}


def test_hairpins_are_the_endpoints_that_may_be_chosen_wherever_they_are() -> None:
    endpoints = (A, B, at("c", state=ENDING), at("d", state=UNREADY))
    assert plan.part(service(*endpoints), HERE).hairpins == {"a", "b", "c"}


def test_node_hints_are_obeyed_for_every_way_in() -> None:
    near, far = (Endpoint(n, 80, True, True, False, "there", "", (), (node,)) for n, node in (("a", "here"), ("b", "x")))
    found = fates(plan.part(service(near, far), HERE))
    assert found == {"cluster": "a", "external": "a masq", "balancer": "a masq", "node": "a masq"}


@pytest.mark.parametrize(
    ("ranges", "want"),
    [
        ((), ()),
        (("192.0.2.0/24",), ("192.0.2.0/24",)),
        (("192.0.2.0/24", "192.0.2.128/25", "198.51.100.7/32"), ("192.0.2.0/24", "198.51.100.7/32")),
        (("172.30.0.0/24",), ("172.30.0.0/24", "172.30.255.1/32")),
        (("192.0.2.0/24", "0.0.0.0/0"), ()),
        (("nonsense",), ("172.30.255.1/32",)),
    ],
)
def test_source_ranges_say_who_may_use_a_balancers_address(ranges: tuple, want: tuple) -> None:
    found = plan.part(service(A, source_ranges=ranges), HERE)
    assert {k: v.sources for k, v in found.vips.items() if v.sources} == ({("172.30.255.1", "tcp", 80): want} if want else {})
    assert fates(found) == {"cluster": "a", "external": "a masq", "balancer": "a masq", "node": "a masq"}


def test_answers_are_titled_by_namespace_name_and_port() -> None:
    (title,) = {v.answer.title for v in plan.part(service(A), HERE).vips.values()}
    assert title == "shop/web:http"
    unnamed = plan.part(service(ports=(Port("", "TCP", 80, 0, (A,)),)), HERE)
    assert {v.answer.title for v in unnamed.vips.values()} == {"shop/web:80"}


def test_of_two_claims_to_an_address_the_first_service_wins() -> None:
    first = plan.part(service(A, name="a", load_balancer_ips=()), HERE)
    second = plan.part(service(B, name="b", cluster_ip="10.96.0.2", load_balancer_ips=()), HERE)
    found = plan.table(4, [first, second], HERE)
    assert found.vips[("192.0.2.1", "tcp", 80)].answer.title == found.node_ports[("tcp", 30080)].answer.title == "shop/a:http"
    assert found.cluster_ips == {"10.96.0.1", "10.96.0.2"}


@pytest.mark.parametrize(
    ("family", "addresses", "pods", "services"),
    [(4, {"172.30.0.2"}, ("10.244.0.0/16",), ("10.96.0.0/16",)), (6, {"fd00:172:30::2"}, ("fd00:10:244::/56",), ())],
)
def test_a_table_holds_the_nodes_values_of_its_own_family(
    family: int, addresses: set, pods: tuple, services: tuple
) -> None:
    found = plan.table(family, [], HERE).facts
    assert (found.node_addresses, found.cluster_cidrs, found.service_cidrs) == (addresses, pods, services)
