"""Questions and answers of a zone, read by an independent library; expectations are the specification's (design/dns.md)."""

from __future__ import annotations

import random

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from seaway.api.tree import Key
from seaway.dns.answer import Responder
from seaway.dns.server import respond
from seaway.dns.zone import Zone

NODATA, NXDOMAIN, REFUSED, SERVFAIL = "NOERROR", "NXDOMAIN", "REFUSED", "SERVFAIL"


def made(zone_name: str = "cluster.local", synced: bool = True) -> Responder:
    found = Responder(Zone(), zone_name)

    def put(name: str, *slices: dict, **spec: object) -> None:
        found.zone.put(Key("app", name), {"metadata": {"namespace": "app", "name": name}, "spec": spec}, list(slices))

    def piece(ports: list, *endpoints: dict, family: str = "IPv4") -> dict:
        return {"addressType": family, "ports": ports, "endpoints": list(endpoints)}

    http, sip = {"name": "http", "port": 80, "protocol": "TCP"}, {"name": "sip", "port": 5060, "protocol": "UDP"}
    put("six", clusterIP="fd00::6", clusterIPs=["fd00::6"], ports=[http])
    put("front", clusterIP="10.96.0.1", ports=[http, sip, {"name": "SIPS", "port": 5061, "protocol": "TCP"}])
    put("peers", piece([http], {"addresses": ["10.244.0.1"], "hostname": "p-0"}, {"addresses": ["10.244.0.2"]}),
        piece([http], {"addresses": ["fd00:1::1"], "hostname": "p-0"}, family="IPv6"), clusterIP="None")
    put("plain", piece([{"port": 80}], {"addresses": ["10.244.0.3"]}), clusterIP="None")
    put("down", piece([http], {"addresses": ["10.244.0.4"], "conditions": {"ready": False}}), clusterIP="None")
    put("away", type="ExternalName", externalName="db.example.org")
    put("inner", type="ExternalName", externalName=f"front.app.svc.{zone_name}")
    put("lost", type="ExternalName", externalName=f"none.app.svc.{zone_name}")
    found.synced = synced
    return found


RESPONDER = made()


def ask(name: str, kind: str = "A", responder: Responder = RESPONDER, cls: str = "IN") -> dns.message.Message:
    full = name if name.endswith(".") else f"{name}.cluster.local."
    raw = respond(responder, dns.message.make_query(full, kind, cls, id=7).to_wire(), 65535)
    return dns.message.from_wire(raw)


def rows(section: list) -> list[str]:
    return sorted(f"{dns.rdatatype.to_text(s.rdtype)} {r}" for s in section for r in s)


FOUND = [
    ("six.app.svc", "AAAA", ["AAAA fd00::6"]),
    ("front.app.svc", "ANY", ["A 10.96.0.1"]),
    ("_sip._udp.front.app.svc", "SRV", ["SRV 0 100 5060 front.app.svc.cluster.local."]),
    ("_sips._tcp.front.app.svc", "SRV", ["SRV 0 100 5061 front.app.svc.cluster.local."]),
    ("_HTTP._TCP.Front.App.Svc", "SRV", ["SRV 0 100 80 front.app.svc.cluster.local."]),
    ("peers.app.svc", "A", ["A 10.244.0.1", "A 10.244.0.2"]),
    ("peers.app.svc", "AAAA", ["AAAA fd00:1::1"]),
    ("p-0.peers.app.svc", "A", ["A 10.244.0.1"]),
    ("p-0.peers.app.svc", "AAAA", ["AAAA fd00:1::1"]),
    ("10-244-0-2.peers.app.svc", "A", ["A 10.244.0.2"]),
    ("plain.app.svc", "A", ["A 10.244.0.3"]),
    ("away.app.svc", "AAAA", ["CNAME db.example.org."]),
    ("away.app.svc", "MX", ["CNAME db.example.org."]),
    ("inner.app.svc", "A", ["A 10.96.0.1", "CNAME front.app.svc.cluster.local."]),
    ("inner.app.svc", "CNAME", ["CNAME front.app.svc.cluster.local."]),
    ("lost.app.svc", "A", ["CNAME none.app.svc.cluster.local."]),
    ("fd00--7.app.pod", "AAAA", ["AAAA fd00::7"]),
    ("1.0.96.10.in-addr.arpa.", "PTR", ["PTR front.app.svc.cluster.local."]),
    ("1.0.244.10.IN-ADDR.arpa.", "PTR", ["PTR p-0.peers.app.svc.cluster.local."]),
    ("6." + "0." * 27 + "0.0.d.f.ip6.arpa.", "PTR",
     ["PTR six.app.svc.cluster.local."]),
]


@pytest.mark.parametrize(("name", "kind", "want"), FOUND)
def test_what_is_there_is_answered_with_authority(name: str, kind: str, want: list[str]) -> None:
    found = ask(name, kind)
    assert (dns.rcode.to_text(found.rcode()), rows(found.answer), rows(found.authority)) == ("NOERROR", want, [])
    assert found.flags & dns.flags.AA and not found.flags & dns.flags.TC


MISSING = [
    ("six.app.svc", "A", NODATA),  # the other family
    ("front.app.svc", "AAAA", NODATA),
    ("front.app.svc", "MX", NODATA),
    ("peers.app.svc", "SRV", NODATA),
    ("app.svc", "A", NODATA),
    ("svc", "A", NODATA),
    ("pod", "A", NODATA),
    ("cluster.local.", "A", NODATA),
    ("10-0-0-1.app.pod", "AAAA", NODATA),
    ("1.0.96.10.in-addr.arpa.", "A", NODATA),
    ("none.app.svc", "A", NXDOMAIN),
    ("front.none.svc", "A", NXDOMAIN),
    ("none.svc", "A", NXDOMAIN),
    ("front.app", "A", NXDOMAIN),
    ("below.front.app.svc", "A", NXDOMAIN),
    ("below.away.app.svc", "A", NXDOMAIN),
    ("down.app.svc", "A", NXDOMAIN),
    ("10-244-0-4.down.app.svc", "A", NXDOMAIN),
    ("10-244-0-9.peers.app.svc", "A", NXDOMAIN),
    ("_http._tcp.plain.app.svc", "SRV", NXDOMAIN),  # only named ports have SRV records
    ("_http._udp.front.app.svc", "SRV", NXDOMAIN),
    ("no-address.app.pod", "A", NXDOMAIN),
    ("1-2-3-400.app.pod", "A", NXDOMAIN),
    ("9.9.9.10.in-addr.arpa.", "PTR", NXDOMAIN),
]


@pytest.mark.parametrize(("name", "kind", "code"), MISSING)
def test_what_is_not_there_is_nodata_or_nxdomain_with_the_soa(name: str, kind: str, code: str) -> None:
    found = ask(name, kind)
    assert (dns.rcode.to_text(found.rcode()), found.answer) == (code, [])
    assert [s.rdtype for s in found.authority] == [dns.rdatatype.SOA] and found.flags & dns.flags.AA


@pytest.mark.parametrize(
    ("name", "kind", "cls"),
    [("example.org.", "A", "IN"), (".", "NS", "IN"), ("local.", "A", "IN"), ("notcluster.local.", "A", "IN"),
     ("front.app.svc", "A", "CH"), ("cluster.local.", "AXFR", "IN"), ("cluster.local.", "IXFR", "IN")],
)
def test_foreign_zones_classes_and_transfers_are_refused(name: str, kind: str, cls: str) -> None:
    found = ask(name, kind, cls=cls)
    assert (dns.rcode.to_text(found.rcode()), found.answer, found.authority) == (REFUSED, [], [])


@pytest.mark.parametrize("name", ["front.app.svc", "none.app.svc", "svc", "1.0.96.10.in-addr.arpa."])
def test_until_it_is_synced_a_server_says_neither_yes_nor_no(name: str) -> None:
    found = ask(name, responder=made(synced=False))
    assert (dns.rcode.to_text(found.rcode()), found.answer, found.authority) == (SERVFAIL, [], [])


def test_foreign_zones_are_refused_before_the_sync_too() -> None:
    assert dns.rcode.to_text(ask("example.org.", responder=made(synced=False)).rcode()) == REFUSED


@pytest.mark.parametrize("name", ["FRONT.app.svc.cluster.LOCAL.", "fRoNt.ApP.sVc.ClUsTeR.lOcAl."])
def test_the_case_of_the_question_comes_back_in_question_and_answer(name: str) -> None:
    found = ask(name)
    assert str(found.question[0].name) == name == str(found.answer[0].name)
    assert rows(found.answer) == ["A 10.96.0.1"]


@pytest.mark.parametrize("zone_name", ["example.internal", "Example.Internal.", "k8s"])
def test_the_cluster_domain_is_what_was_set(zone_name: str) -> None:
    responder, domain = made(zone_name.lower().strip(".")), zone_name.lower().strip(".")
    assert Responder(Zone(), zone_name).origin == tuple(domain.split("."))
    assert rows(ask(f"front.app.svc.{domain}.", responder=responder).answer) == ["A 10.96.0.1"]
    assert rows(ask("1.0.96.10.in-addr.arpa.", "PTR", responder).answer) == [f"PTR front.app.svc.{domain}."]
    assert dns.rcode.to_text(ask("front.app.svc.cluster.local.", responder=responder).rcode()) == REFUSED


def test_srv_answers_carry_each_targets_addresses_once() -> None:
    found = ask("_http._tcp.peers.app.svc", "SRV")
    assert rows(found.answer) == ["SRV 0 100 80 10-244-0-2.peers.app.svc.cluster.local.",
                                  "SRV 0 100 80 p-0.peers.app.svc.cluster.local."]
    named = sorted(f"{s.name} {r}" for s in found.additional for r in s)
    assert named == ["10-244-0-2.peers.app.svc.cluster.local. 10.244.0.2", "p-0.peers.app.svc.cluster.local. 10.244.0.1",
                     "p-0.peers.app.svc.cluster.local. fd00:1::1"]


def test_a_cname_that_leads_nowhere_in_the_zone_is_given_alone() -> None:
    found = ask("inner.app.svc", "AAAA")
    assert rows(found.answer) == ["CNAME front.app.svc.cluster.local."]


def test_the_apex_has_a_soa_and_an_ns() -> None:
    assert rows(ask("cluster.local.", "SOA").answer)[0].startswith("SOA ns.dns.cluster.local.")
    assert rows(ask("cluster.local.", "NS").answer) == ["NS ns.dns.cluster.local."]


def test_ttls_are_five_seconds_and_the_versions_eight_hours() -> None:
    assert [s.ttl for s in ask("front.app.svc").answer] == [5]
    assert [s.ttl for s in ask("dns-version", "TXT").answer] == [28800]


def test_several_addresses_take_turns_at_the_front() -> None:
    first = {str(ask("peers.app.svc").answer[0][0]) for _ in range(8)}
    assert first == {"10.244.0.1", "10.244.0.2"}


def test_a_cluster_answers_large_sets_by_tcp_after_truncating_by_udp() -> None:
    responder = made()
    endpoints = [{"addresses": [f"10.245.{i // 250}.{i % 250}"]} for i in range(300)]
    tree = {"metadata": {"namespace": "app", "name": "big"}, "spec": {"clusterIP": "None"}}
    responder.zone.put(Key("app", "big"), tree, [{"addressType": "IPv4", "ports": [], "endpoints": endpoints}])
    query = dns.message.make_query("big.app.svc.cluster.local.", "A", use_edns=0, payload=4096).to_wire()
    by_udp, by_tcp = (respond(responder, query, limit) for limit in (None, 65535))
    assert len(by_udp) <= 1232 and dns.message.from_wire(by_udp).flags & dns.flags.TC
    assert len(dns.message.from_wire(by_tcp).answer[0]) == 300


def test_five_thousand_random_packets_harm_nothing() -> None:
    """Valid packets changed at random, and noise: no exception, no answer to an answer, every answer readable."""
    chooser = random.Random(11)
    names = [n if n.endswith(".") else f"{n}.cluster.local." for n, _, _ in FOUND + MISSING]
    for _ in range(5000):
        packet = bytearray(dns.message.make_query(
            chooser.choice(names), chooser.choice(["A", "SRV", "PTR", "ANY"]), use_edns=chooser.choice([-1, 0])).to_wire())
        for _ in range(chooser.randrange(5)):
            packet[chooser.randrange(len(packet))] = chooser.randrange(256)
        if chooser.random() < 0.2:
            packet = packet[: chooser.randrange(len(packet))]
        reply = respond(RESPONDER, bytes(packet), None)
        assert len(reply) <= 1232
        if len(packet) < 12 or packet[2] & 0x80:
            assert reply == b""
        else:
            assert reply[:2] == packet[:2] and reply[2] & 0x80
            dns.message.from_wire(reply)
