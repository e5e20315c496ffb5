"""The verdict on a packet and its reasons, row by row; the packet-flow cases (tests/proxy/flows) run through it too."""

from __future__ import annotations

import pytest
from test_plan import ENDING, HERE, UNREADY, at, service

from seaway.proxy import plan
from seaway.proxy.table import ServiceTable
from seaway.proxy.trace import DROP, FORWARD, PASS, REJECT, Packet, passed_over, trace
from seaway.proxy.tracing import main, target, told
from seaway.services.resolve import Endpoint, Port

POD, NODE, OUTSIDE = "10.244.0.9", "172.30.0.2", "192.0.2.77"
A, B = at("10.244.0.1"), at("10.244.1.1", "there")


def table(*endpoints: Endpoint, **change: object) -> ServiceTable:
    return plan.table(4, [plan.part(service(*endpoints, **change), HERE)], HERE)


def to(address: str, port: int = 80, source: str = POD, protocol: str = "tcp") -> Packet:
    return Packet(source, protocol, address, port, source == NODE)


def said(found: ServiceTable, packet: Packet) -> str:
    verdict = trace(found, packet)
    ends = [a + ("*" if (a, p) in verdict.masqueraded else "") for a, p in verdict.backends]
    return " ".join([verdict.action, *ends])


ROWS = [
    ("a pod to a ClusterIP", {}, to("10.96.0.1"), "forward 10.244.0.1 10.244.1.1"),
    ("an outsider to a ClusterIP", {}, to("10.96.0.1", source=OUTSIDE), "forward 10.244.0.1* 10.244.1.1*"),
    ("the node to a ClusterIP", {}, to("10.96.0.1", source=NODE), "forward 10.244.0.1* 10.244.1.1*"),
    ("a pod to itself", {}, to("10.96.0.1", source="10.244.0.1"), "forward 10.244.0.1* 10.244.1.1"),
    ("a wrong port", {}, to("10.96.0.1", 81), "reject"),
    ("the wrong protocol", {}, to("10.96.0.1", protocol="udp"), "reject"),
    ("an address nobody has", {}, to("10.96.7.7"), "drop"),
    ("another pod", {}, to("10.244.3.3"), "pass"),
    ("the node's own port", {}, to(NODE, 22), "pass"),
    ("a node port", {}, to(NODE, 30080, OUTSIDE), "forward 10.244.0.1* 10.244.1.1*"),
    ("policy Local from outside", {"external_local": True}, to(NODE, 30080, OUTSIDE), "forward 10.244.0.1"),
    ("policy Local from a pod", {"external_local": True}, to("192.0.2.1"), "forward 10.244.0.1 10.244.1.1"),
    ("policy Local from the node", {"external_local": True}, to("192.0.2.1", source=NODE), "forward 10.244.0.1* 10.244.1.1*"),
    ("source ranges let in", {"source_ranges": ("192.0.2.0/24",)}, to("172.30.255.1", source=OUTSIDE), "forward 10.244.0.1* 10.244.1.1*"),
    ("source ranges keep out", {"source_ranges": ("192.0.2.0/24",)}, to("172.30.255.1"), "drop"),
    ("internal policy Local", {"internal_local": True}, to("10.96.0.1"), "forward 10.244.0.1"),
]


@pytest.mark.parametrize(("change", "packet", "want"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_the_verdict_is_that_of_the_behaviour_table(change: dict, packet: Packet, want: str) -> None:
    assert said(table(A, B, **change), packet) == want


def test_nothing_here_is_a_drop_and_nothing_anywhere_a_refusal() -> None:
    assert said(table(B, external_local=True), to(NODE, 30080, OUTSIDE)) == DROP
    assert said(table(), to("10.96.0.1")) == REJECT
    assert said(table(B, internal_local=True), to("10.96.0.1")) == DROP


def test_every_verdict_gives_its_reasons() -> None:
    found = table(A, B, external_local=True, affinity=60)
    texts = {p: " | ".join(trace(found, p).reasons) for p in (to(NODE, 30080, OUTSIDE), to("10.96.0.1", 81), to("10.96.7.7"), to("1.2.3.4"))}
    assert list(texts.values()) == [
        "172.30.0.2:30080/tcp is a node port of shop/web:http | externalTrafficPolicy Local: from outside only this node's endpoints, "
        "which see the client's address | sessionAffinity ClientIP: a client stays with its endpoint for 60 s",
        "10.96.0.1 is a Service's ClusterIP, which has no port 81/tcp",
        "10.96.7.7 is in a Service range, and no Service's",
        "1.2.3.4:80/tcp is no address of a Service",
    ]
    assert trace(found, to("1.2.3.4")).action == PASS and trace(found, to(NODE, 30080, OUTSIDE)).action == FORWARD


HINTED = Endpoint("10.244.1.5", 8080, True, True, False, "there", "z2", ("z2",), ())
NEAR = Endpoint("10.244.0.5", 8080, True, True, False, "here", "z1", ("z1",), ())
OVER = [
    ((A, at("u", state=UNREADY)), {}, {"u": "not ready"}),
    ((A, at("e", state=ENDING)), {}, {"e": "terminating, while others are ready"}),
    ((A, at("e", state=(False, False, True))), {}, {"e": "terminating, and no longer serving"}),
    ((NEAR, HINTED), {}, {"10.244.1.5": "hinted for zone z2"}),
    ((A, B), {"internal_local": True}, {"10.244.1.1": "on node there, and the policy is Local"}),
    ((A, B), {}, {}),
]


@pytest.mark.parametrize(("endpoints", "change", "want"), OVER)
def test_of_each_endpoint_not_chosen_it_is_said_why(endpoints: tuple, change: dict, want: dict) -> None:
    one = service(*endpoints, **change)
    verdict = trace(plan.table(4, [plan.part(one, HERE)], HERE), to("10.96.0.1"))
    assert {e.address: why for e, why in passed_over(one, one.ports[0], HERE, verdict)} == want


def test_a_person_reads_all_of_it() -> None:
    one = service(A, B, at("10.244.0.7", state=UNREADY), external_local=True)
    packet = to(NODE, 30080, OUTSIDE)
    lines = told(packet, trace(plan.table(4, [plan.part(one, HERE)], HERE), packet), "here", {"shop/web": one}, HERE)
    assert lines == [
        "192.0.2.77 -> 172.30.0.2:30080/tcp at node here: FORWARD",
        "  because 172.30.0.2:30080/tcp is a node port of shop/web:http",
        "  because externalTrafficPolicy Local: from outside only this node's endpoints, which see the client's address",
        "  to one of:",
        "    10.244.0.1:8080, which sees 192.0.2.77",
        "  and not to:",
        "    10.244.1.1:8080: on node there, and the policy is Local",
        "    10.244.0.7:8080: not ready",
    ]
    empty = service(ports=(Port("http", "TCP", 80, 0, ()),))
    lines = told(to("10.96.0.1"), trace(plan.table(4, [plan.part(empty, HERE)], HERE), to("10.96.0.1")), "here", {"shop/web": empty}, HERE)
    assert "do its selector's pods exist?" in lines[-1]


def test_a_target_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert target("[fd00:0::1]:80") == ("fd00::1", 80) and target("10.0.0.1:1") == ("10.0.0.1", 1)
    assert main(["--from", "node", "--to", "nowhere"]) == 1
    assert "--to: 'nowhere' is no address and port" in capsys.readouterr().err
