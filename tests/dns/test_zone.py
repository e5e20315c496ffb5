"""Records by name, kept Service by Service: what a change adds, what it takes away, which names exist above others."""

from __future__ import annotations

import random

import pytest

from seaway.api.tree import Key
from seaway.dns.zone import AAAA, CNAME, PTR, SRV, TXT, A, Record, Zone, dashed, records_of, reverse

WEB = ("web", "shop", "svc")


def service(name: str = "web", **spec: object) -> dict:
    return {"metadata": {"namespace": "shop", "name": name}, "spec": spec}


def piece(*endpoints: dict, family: str = "IPv4", ports: tuple = (("http", 8080, "TCP"),)) -> dict:
    return {"addressType": family, "endpoints": list(endpoints),
            "ports": [{"name": n, "port": p, "protocol": proto} for n, p, proto in ports]}


def put(zone: Zone, tree: dict | None, *slices: dict, name: str = "web") -> set:
    return zone.put(Key("shop", name), tree, list(slices))


@pytest.mark.parametrize(
    ("address", "label", "pointer"),
    [
        ("10.244.0.5", "10-244-0-5", "5.0.244.10.in-addr.arpa"),
        ("fd00::1", "fd00--1", "1." + "0." * 27 + "0.0.d.f.ip6.arpa"),
        ("5678:abcd::1", "5678-abcd--1", "1." + "0." * 23 + "d.c.b.a.8.7.6.5.ip6.arpa"),
    ],
)
def test_addresses_have_their_labels_and_pointer_names(address: str, label: str, pointer: str) -> None:
    assert dashed(address) == label and ".".join(reverse(address)) == pointer


def test_a_cluster_ip_has_addresses_services_and_pointers_of_both_families() -> None:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}, {"port": 9}]
    found, pointers = records_of(service(clusterIP="10.96.0.5", clusterIPs=["10.96.0.5", "fd00::5"], ports=ports), [])
    assert found == {
        WEB: [Record(A, "10.96.0.5"), Record(AAAA, "fd00::5")],
        ("_http", "_tcp", *WEB): [Record(SRV, (80, WEB))],
        ("_dns", "_udp", *WEB): [Record(SRV, (53, WEB))],
    }
    assert pointers == {reverse("10.96.0.5"): [Record(PTR, WEB)], reverse("fd00::5"): [Record(PTR, WEB)]}


def test_the_slices_of_a_cluster_ip_add_nothing() -> None:
    tree = service(clusterIP="10.96.0.5")
    assert records_of(tree, [piece({"addresses": ["10.244.0.1"]})]) == records_of(tree, [])


def test_headless_services_list_each_endpoint_port_by_port() -> None:
    two = piece({"addresses": ["10.244.0.1"], "hostname": "web-0"}, {"addresses": ["10.244.0.2"], "hostname": "web-1"},
                ports=(("http", 8080, "TCP"), ("admin", 9090, "TCP")))
    found, pointers = records_of(service(clusterIP="None"), [two])
    hosts = [("web-0", *WEB), ("web-1", *WEB)]
    assert found[WEB] == [Record(A, "10.244.0.1"), Record(A, "10.244.0.2")]
    assert found[("_http", "_tcp", *WEB)] == [Record(SRV, (8080, h)) for h in hosts]  # N x M records
    assert found[("_admin", "_tcp", *WEB)] == [Record(SRV, (9090, h)) for h in hosts]
    assert [found[h] for h in hosts] == [[Record(A, "10.244.0.1")], [Record(A, "10.244.0.2")]]
    assert pointers[reverse("10.244.0.2")] == [Record(PTR, hosts[1])]


def test_a_repeated_hostname_gives_all_its_addresses() -> None:
    both = piece({"addresses": ["10.244.0.1"], "hostname": "twin"}, {"addresses": ["10.244.0.2"], "hostname": "twin"})
    found, _ = records_of(service(clusterIP="None"), [both])
    assert found[("twin", *WEB)] == [Record(A, "10.244.0.1"), Record(A, "10.244.0.2")]
    assert found[("_http", "_tcp", *WEB)] == [Record(SRV, (8080, ("twin", *WEB)))]


@pytest.mark.parametrize(
    ("conditions", "publish", "listed"),
    [({}, False, True), ({"ready": True}, False, True), ({"ready": None}, False, True), ({"ready": False}, False, False),
     ({"ready": False, "serving": True, "terminating": True}, False, False), ({"ready": False}, True, True)],
)
def test_only_ready_endpoints_have_names_unless_unready_ones_are_published(
    conditions: dict, publish: bool, listed: bool
) -> None:
    tree = service(clusterIP="None", publishNotReadyAddresses=publish)
    found, pointers = records_of(tree, [piece({"addresses": ["10.244.0.1"], "conditions": conditions})])
    assert bool(found) == bool(pointers) == listed


def test_slices_of_host_names_are_not_addresses() -> None:
    assert records_of(service(clusterIP="None"), [piece({"addresses": ["example.org"]}, family="FQDN")]) == ({}, {})


def test_an_external_name_is_one_cname_and_nothing_else() -> None:
    tree = service(type="ExternalName", externalName="DB.Example.org.", ports=[{"name": "sql", "port": 5432}])
    found, pointers = records_of(tree, [piece({"addresses": ["10.244.0.1"]})])
    assert (found, pointers) == ({WEB: [Record(CNAME, ("db", "example", "org"))]}, {})


def test_names_above_existing_names_exist_and_others_do_not() -> None:
    zone = Zone()
    assert [zone.lookup(n) for n in ((), ("svc",), ("pod",))] == [[], [], []]
    assert zone.lookup(("shop", "svc")) is None
    put(zone, service(clusterIP="10.96.0.5", ports=[{"name": "http", "port": 80}]))
    assert zone.lookup(("shop", "svc")) == [] == zone.lookup(("_tcp", *WEB))
    assert zone.lookup(("other", "svc")) is None and zone.lookup(("_udp", *WEB)) is None
    put(zone, None)
    assert zone.lookup(("shop", "svc")) is None and zone.lookup(("_tcp", *WEB)) is None
    assert zone.lookup(("svc",)) == []


def test_the_version_of_the_specification_is_there_from_the_start() -> None:
    assert Zone().lookup(("dns-version",)) == [Record(TXT, "1.1.0", 28800)]


def test_put_says_which_names_changed_and_the_serial_moves_only_then() -> None:
    zone = Zone()
    one, two = {"addresses": ["10.244.0.1"], "hostname": "a"}, {"addresses": ["10.244.0.2"], "hostname": "b"}
    tree, ports = service(clusterIP="None"), ()
    assert put(zone, tree, piece(one, ports=ports)) == {WEB, ("a", *WEB)}
    serial = zone.serial
    assert put(zone, tree, piece(one, ports=ports)) == set() and zone.serial == serial
    assert put(zone, tree, piece(one, two, ports=ports)) == {WEB, ("b", *WEB)} and zone.serial == serial + 1
    assert put(zone, tree, piece(two, ports=ports)) == {WEB, ("a", *WEB)}
    assert put(zone, None) == {WEB, ("b", *WEB)} and zone.pointer(reverse("10.244.0.2")) is None


def test_two_services_may_own_one_address_and_leave_it_one_by_one() -> None:
    zone = Zone()
    entry = piece({"addresses": ["10.244.0.1"], "hostname": "db-0"})
    for name in ("db", "all"):
        put(zone, service(name, clusterIP="None"), entry, name=name)
    pointer = reverse("10.244.0.1")
    assert {r.data for r in zone.pointer(pointer) or ()} == {("db-0", n, "shop", "svc") for n in ("db", "all")}
    put(zone, None, name="db")
    assert [r.data for r in zone.pointer(pointer) or ()] == [("db-0", "all", "shop", "svc")]


@pytest.mark.parametrize("seed", range(10))
def test_a_zone_that_lived_is_equal_to_one_made_anew(seed: int) -> None:
    chooser, zone, last = random.Random(seed), Zone(), {}
    for _ in range(120):
        name = f"s{chooser.randrange(6)}"
        kind = chooser.choice(["gone", "cluster", "headless", "external"])
        slices = [piece(*({"addresses": [f"10.244.0.{chooser.randrange(9)}"]} for _ in range(chooser.randrange(4))))]
        last[name] = (None if kind == "gone" else service(name, **{
            "cluster": {"clusterIP": f"10.96.0.{chooser.randrange(3)}", "ports": [{"name": "p", "port": 1}]},
            "headless": {"clusterIP": "None"}, "external": {"type": "ExternalName", "externalName": "x.org"}}[kind]), slices)
        put(zone, last[name][0], *slices, name=name)
    fresh = Zone()
    for name, (tree, slices) in last.items():
        put(fresh, tree, *slices, name=name)
    names = set(fresh._records) | set(zone._records) | set(fresh._below) | set(zone._below)
    for name in names:
        old, new = zone.lookup(name), fresh.lookup(name)
        assert (old is None) == (new is None) and sorted(old or (), key=str) == sorted(new or (), key=str)
    assert {n: {r for rows in v.values() for r in rows} for n, v in zone._pointers.items()} == {
        n: {r for rows in v.values() for r in rows} for n, v in fresh._pointers.items()}
