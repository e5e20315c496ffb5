"""DNS answers, read by an independent library; cases as data, from the specification (DNS-Based Service Discovery 1.1)."""

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

ZONE = "cluster.local"
NOERROR, NXDOMAIN, REFUSED, SERVFAIL = dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.REFUSED, dns.rcode.SERVFAIL


def service(name: str, ns: str = "shop", **spec: object) -> dict:
    return {"metadata": {"namespace": ns, "name": name}, "spec": spec}


def piece(*endpoints: dict, family: str = "IPv4", ports: tuple = (("http", 8080),)) -> dict:
    return {"addressType": family, "endpoints": list(endpoints), "ports": [{"name": n, "port": p, "protocol": "TCP"} for n, p in ports]}


@pytest.fixture(scope="module")
def responder() -> Responder:
    found = Responder(Zone(), ZONE)
    http = [{"name": "http", "port": 80, "protocol": "TCP"}, {"port": 81}]
    put = found.zone.put
    put(Key("shop", "web"), service("web", clusterIP="10.96.0.5", clusterIPs=["10.96.0.5"], ports=http), [])
    put(Key("shop", "dual"), service("dual", clusterIP="10.96.0.6", clusterIPs=["10.96.0.6", "fd00::6"], ports=http), [])
    put(Key("shop", "db"), service("db", clusterIP="None"), [
        piece({"addresses": ["10.244.0.7"], "hostname": "db-0", "conditions": {"ready": True}},
              {"addresses": ["10.244.0.8"]}, {"addresses": ["10.244.0.9"], "conditions": {"ready": False}}),
        piece({"addresses": ["fd00:1::7"]}, family="IPv6")])
    put(Key("shop", "empty"), service("empty", clusterIP="None"), [piece()])
    put(Key("shop", "early"), service("early", clusterIP="None", publishNotReadyAddresses=True), [piece({"addresses": ["10.244.0.10"], "conditions": {"ready": False}})])
    put(Key("shop", "ext"), service("ext", type="ExternalName", externalName="Example.COM"), [])
    put(Key("shop", "alias"), service("alias", type="ExternalName", externalName=f"web.shop.svc.{ZONE}"), [])
    put(Key("many", "big"), service("big", "many", clusterIP="None"), [piece(*({"addresses": [f"10.245.{i // 250}.{i % 250 + 1}"]} for i in range(400)))])
    found.synced = True
    return found


def ask(responder: Responder, name: str, kind: str, limit: int | None = 65535, **options: object) -> dns.message.Message:
    query = dns.message.make_query(name if name.endswith(".") else f"{name}.svc.{ZONE}.", kind, **options)
    return dns.message.from_wire(respond(responder, query.to_wire(), limit))


def data(answer: dns.message.Message) -> list[str]:
    return sorted(str(r) for rrset in answer.answer for r in rrset)


CASES = [
    ("web.shop", "A", NOERROR, ["10.96.0.5"]),
    ("WEB.Shop", "A", NOERROR, ["10.96.0.5"]),
    ("web.shop", "AAAA", NOERROR, []),
    ("dual.shop", "A", NOERROR, ["10.96.0.6"]),
    ("dual.shop", "AAAA", NOERROR, ["fd00::6"]),
    ("none.shop", "A", NXDOMAIN, []),
    ("web.none", "A", NXDOMAIN, []),
    ("x.web.shop", "A", NXDOMAIN, []),
    ("shop", "A", NOERROR, []),
    ("_http._tcp.web.shop", "SRV", NOERROR, ["0 100 80 web.shop.svc.cluster.local."]),
    ("_tcp.web.shop", "SRV", NOERROR, []),
    ("_http._udp.web.shop", "SRV", NXDOMAIN, []),
    ("_none._tcp.web.shop", "SRV", NXDOMAIN, []),
    ("db.shop", "A", NOERROR, ["10.244.0.7", "10.244.0.8"]),
    ("db.shop", "AAAA", NOERROR, ["fd00:1::7"]),
    ("db-0.db.shop", "A", NOERROR, ["10.244.0.7"]),
    ("10-244-0-8.db.shop", "A", NOERROR, ["10.244.0.8"]),
    ("fd00-1--7.db.shop", "AAAA", NOERROR, ["fd00:1::7"]),
    ("10-244-0-9.db.shop", "A", NXDOMAIN, []),
    ("_http._tcp.db.shop", "SRV", NOERROR, ["0 100 8080 10-244-0-8.db.shop.svc.cluster.local.", "0 100 8080 db-0.db.shop.svc.cluster.local.",
                                            "0 100 8080 fd00-1--7.db.shop.svc.cluster.local."]),
    ("empty.shop", "A", NXDOMAIN, []),
    ("early.shop", "A", NOERROR, ["10.244.0.10"]),
    ("ext.shop", "A", NOERROR, ["example.com."]),
    ("ext.shop", "CNAME", NOERROR, ["example.com."]),
    ("below.ext.shop", "A", NXDOMAIN, []),
    ("alias.shop", "A", NOERROR, ["10.96.0.5", "web.shop.svc.cluster.local."]),
    (f"dns-version.{ZONE}.", "TXT", NOERROR, ['"1.1.0"']),
    (f"svc.{ZONE}.", "A", NOERROR, []),
    (f"pod.{ZONE}.", "A", NOERROR, []),
    (f"10-244-0-7.shop.pod.{ZONE}.", "A", NOERROR, ["10.244.0.7"]),
    ("5.0.96.10.in-addr.arpa.", "PTR", NOERROR, ["web.shop.svc.cluster.local."]),
    ("7.0.244.10.in-addr.arpa.", "PTR", NOERROR, ["db-0.db.shop.svc.cluster.local."]),
    ("1.2.3.4.in-addr.arpa.", "PTR", NXDOMAIN, []),
    ("example.org.", "A", REFUSED, []),
]


@pytest.mark.parametrize(("name", "kind", "code", "want"), CASES)
def test_names_have_the_records_of_the_specification(responder: Responder, name: str, kind: str, code: int, want: list[str]) -> None:
    answer = ask(responder, name, kind)
    assert (answer.rcode(), data(answer)) == (code, sorted(want))
    assert bool(answer.flags & dns.flags.AA)
    if code == NXDOMAIN or (code == NOERROR and not want):
        assert answer.authority[0].rdtype == dns.rdatatype.SOA, "negative answers say how long they hold"


def test_the_askers_case_is_echoed(responder: Responder) -> None:
    answer = ask(responder, "WeB.sHoP", "A")
    assert str(answer.question[0].name) == f"WeB.sHoP.svc.{ZONE}."


def test_srv_targets_bring_their_addresses(responder: Responder) -> None:
    answer = ask(responder, "_http._tcp.web.shop", "SRV")
    assert [str(r) for rrset in answer.additional for r in rrset] == ["10.96.0.5"]


@pytest.mark.parametrize(("payload", "limit"), [(None, 512), (800, 800), (4096, 1232)])
def test_a_large_answer_is_truncated_by_udp_and_whole_by_tcp(responder: Responder, payload: int | None, limit: int) -> None:
    options = {"use_edns": 0, "payload": payload} if payload else {"use_edns": -1}
    query = dns.message.make_query(f"big.many.svc.{ZONE}.", "A", **options)
    wire = respond(responder, query.to_wire(), None)
    assert len(wire) <= limit
    answer = dns.message.from_wire(wire)
    assert answer.flags & dns.flags.TC and (answer.edns == 0) == bool(payload)
    assert len(data(ask(responder, "big.many", "A"))) == 400


def test_before_the_first_sync_nobody_is_told_that_a_name_is_not_there() -> None:
    assert ask(Responder(Zone(), ZONE), "web.shop", "A").rcode() == SERVFAIL


def test_a_change_touches_its_own_names_only() -> None:
    zone = Zone()
    zone.put(Key("shop", "a"), service("a", clusterIP="10.96.0.1"), [])
    zone.put(Key("shop", "b"), service("b", clusterIP="10.96.0.2"), [])
    assert zone.put(Key("shop", "a"), service("a", clusterIP="10.96.0.1"), []) == set()
    assert zone.put(Key("shop", "a"), service("a", clusterIP="10.96.0.9"), []) == {("a", "shop", "svc")}
    zone.put(Key("shop", "a"), None, [])
    zone.put(Key("shop", "b"), None, [])
    assert zone.lookup(("a", "shop", "svc")) is None and zone.lookup(("shop", "svc")) is None


def test_any_packet_is_survived_and_no_answer_is_answered(responder: Responder) -> None:
    chooser = random.Random(5)
    whole = dns.message.make_query(f"web.shop.svc.{ZONE}.", "A", use_edns=0).to_wire()
    for _ in range(5000):
        packet = bytearray(whole)
        for _ in range(chooser.randrange(1, 8)):
            packet[chooser.randrange(len(packet))] = chooser.randrange(256)
        packet = packet[: chooser.randrange(len(packet) + 1)]
        reply = respond(responder, bytes(packet), None)
        assert len(reply) <= 1232
        if len(packet) > 2 and packet[2] & 0x80:
            assert reply == b""
