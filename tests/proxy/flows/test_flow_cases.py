"""The packet-flow cases as data, and the judge of what was seen: both without a kernel."""

from __future__ import annotations

import pytest
from flowdata import MODES, NODE, SITES, Flow, load, read
from flowsctp import crc32c, init, init_ack, read_init, read_init_ack
from flowverdict import Observation, Seen, probe, problems

FLOWS = read()
BY_ID = {f.id: f for f in FLOWS.flows if f.family == 4}


def seen(*rows: tuple[str, str], refused: int = 0, silent: int = 0, own: str = "") -> Observation:
    """Answers as (endpoint, the source it saw)."""
    own = own or SITES["c"].addresses[4]
    answers = {own: [Seen(name, 8080, peer, own) for name, peer in rows]} if rows else {}
    return Observation(answers, refused, silent, ())


def judged(case: str, found: Observation, mode: str = "nftables") -> list[str]:
    flow = BY_ID[case]
    return problems(flow, flow.on(mode), found)


C, LEG, SECOND = (SITES[n].addresses[4] for n in ("c", "node.leg", "node.second"))


def test_there_are_enough_cases_of_every_kind() -> None:
    assert len(FLOWS.ids) >= 400
    for verdict in ("", "DROP", "REJECT", "NETWORK"):
        assert sum(f.expected.verdict == verdict for f in FLOWS.flows) >= 30
    assert {f.protocol for f in FLOWS.flows} == {"tcp", "udp", "sctp"} and {f.family for f in FLOWS.flows} == {4, 6}


def test_what_a_mode_does_differently_says_why() -> None:
    exceptions = [(f.id, m, e) for f in FLOWS.flows for m, e in f.modes.items()]
    assert exceptions and all(m in MODES and e.why for _, m, e in exceptions)


def test_a_world_is_services_and_slices_as_an_api_server_holds_them() -> None:
    world = FLOWS.worlds["endpoints"]
    web = next(s for s in world.services if s["metadata"]["name"] == "web")
    assert web["spec"]["clusterIPs"] == ["10.96.0.1", "fd00:10:96::1"]
    assert web["spec"]["externalIPs"] == ["198.51.100.1", "2001:db8:51::1"]
    assert web["status"]["loadBalancer"]["ingress"] == [{"ip": "192.0.2.1"}, {"ip": "2001:db8:2::1"}]
    first = next(s for s in world.slices if s["metadata"]["name"] == "web-0-ipv6")
    assert first["addressType"] == "IPv6" and first["ports"] == [{"name": "", "protocol": "TCP", "port": 8080}]
    assert [e["addresses"] for e in first["endpoints"]] == [["fd00:10:244::11"], ["fd00:10:244:1::21"]]
    assert first["endpoints"][0]["nodeName"] == NODE


@pytest.mark.parametrize(
    ("case", "found", "text"),
    [
        ("ready-here-and-there-by-cluster-ip", seen(("a", C), ("x", C)), ""),
        ("ready-here-and-there-by-cluster-ip", seen(("a", C), ("x", C), ("b", C)), "answered by b:8080"),
        ("ready-here-and-there-by-cluster-ip", seen(("a", C)), "x:8080 never answered"),
        ("ready-here-and-there-by-cluster-ip", seen(("a", C), ("x", SECOND)), "source not kept"),
        ("ready-here-and-there-by-cluster-ip", seen(("a", C), ("x", C), silent=1), "expected answers"),
        ("node-port-from-a-pod", seen(("a", LEG), ("x", SECOND)), ""),
        ("node-port-from-a-pod", seen(("a", C), ("x", SECOND)), "source not masqueraded"),
        ("no-endpoints-by-cluster-ip", seen(refused=2), ""),
        ("no-endpoints-by-cluster-ip", seen(silent=1), "expected REJECT"),
        ("an-address-of-nobody", seen(silent=1), ""),
        ("an-address-of-nobody", seen(refused=1), "expected DROP"),
        ("an-address-of-nobody", seen(("network", C)), "expected DROP"),
        ("an-external-address-of-nobody", seen(("network", C)), ""),
        ("an-external-address-of-nobody", seen(("a", C)), "expected to leave the node"),
        ("one-client-stays-with-one-endpoint", seen(("a", C), ("a", C)), ""),
        ("one-client-stays-with-one-endpoint", seen(("a", C), ("b", C)), "did not stay"),
    ],
)
def test_the_judge_knows_right_from_wrong(case: str, found: Observation, text: str) -> None:
    told = judged(case, found)
    assert any(text in t for t in told) if text else told == []


def test_a_mode_is_judged_by_its_own_exception() -> None:
    assert judged("an-address-of-nobody", seen(("network", C)), "iptables") == []
    assert judged("an-address-of-nobody", seen(silent=1), "iptables")


def test_a_probe_tries_until_all_have_answered_and_no_longer_than_that() -> None:
    flow: Flow = BY_ID["five-endpoints-all-answer"]
    asked = probe(7, flow, flow.expected)
    assert asked["key"] == 7 and asked["most"] == 150 and len(asked["members"]) == 5
    drop = BY_ID["an-address-of-nobody"]
    assert probe(0, drop, drop.expected)["timeout"] > 1.03  # a refusal over IPv6 may take that long


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("in: {w: [{id: a, from: pod-c, to: 'web:80', expect: a}]}", "says who it looks like"),
        ("in: {w: [{id: a, from: pod-c, to: 'web:80', expect: q, masquerade: no}]}", "no such endpoint"),
        ("in: {w: [{id: a, from: pod-c, to: 'wub:80', expect: DROP}]}", "no such address"),
        ("in: {w: [{id: a, from: pod-c, to: 'web:80', expect: DROP, colour: red}]}", "unknown"),
        ("in: {w: [{id: a, from: pod-c, to: 'web:80', expect: DROP}, {id: a, from: node, to: 'web:80', expect: DROP}]}", "two cases"),
    ],
)
def test_a_case_that_makes_no_sense_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(["worlds: {w: {services: {web: {address: 1}}}}\n" + text])


def test_sctp_chunks_are_rfc_9260s() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    received = read_init(init(40000, 80, 77))
    assert received == (40000, 80, 77)
    answer = init_ack(received, b"a 80 10.0.0.1")
    assert read_init_ack(answer, 80, 40000, 77) == b"a 80 10.0.0.1"
    assert read_init_ack(answer, 80, 40000, 78) is None and read_init(answer) is None
