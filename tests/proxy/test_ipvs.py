"""The IPVS mode's decisions: virtual servers, sets and the few rules. Real connections: tests/proxy/flows in User-mode Linux."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
import uml
from test_plan import HERE, at, service

from seaway.proxy import plan
from seaway.proxy.iptables.tool import read
from seaway.proxy.ipvs import rules, servers, sets
from seaway.proxy.ipvs.plane import IpvsPlane
from seaway.proxy.ipvs.servers import Address, Server
from seaway.proxy.table import Facts, ServiceTable, between
from seaway.services.resolve import Port

X, Y = at("10.244.0.1"), at("10.244.1.1", "there")
ENDS = (("10.244.0.1", 8080), ("10.244.1.1", 8080))


def table(*endpoints: object, **change: object) -> ServiceTable:
    return plan.table(4, [plan.part(service(*endpoints, **change), HERE)], HERE)  # type: ignore[arg-type]


def test_each_way_in_is_a_virtual_server_and_policy_local_leaves_those_here() -> None:
    found = servers.of_table(table(X, Y), "rr")
    assert found == {
        Address(a, "tcp", p): Server("rr", 0, ENDS)
        for a, p in (("10.96.0.1", 80), ("192.0.2.1", 80), ("172.30.255.1", 80), ("172.30.0.2", 30080))}
    local = servers.of_table(table(X, Y, external_local=True, affinity=60), "lc")
    assert local[Address("172.30.0.2", "tcp", 30080)] == Server("lc", 60, ENDS[:1])
    assert local[Address("10.96.0.1", "tcp", 80)] == Server("lc", 60, ENDS)
    assert Address("172.30.0.2", "tcp", 30080) not in servers.of_table(table(Y, external_local=True), "rr")


def test_open_connections_keep_the_virtual_server_of_a_service_without_endpoints() -> None:
    found = servers.of_table(table(ports=(Port("http", "TCP", 80, 30080, ()),)), "rr")
    assert found[Address("10.96.0.1", "tcp", 80)] == found[Address("172.30.0.2", "tcp", 30080)] == Server("rr", 0, ())


def test_a_service_asks_for_its_own_scheduler_and_an_unknown_one_is_the_default() -> None:
    assert {s.scheduler for s in servers.of_table(table(X, scheduler="sed"), "rr").values()} == {"sed"}
    assert {s.scheduler for s in servers.of_table(table(X, scheduler="nonsense"), "wlc").values()} == {"wlc"}


def members(found: ServiceTable) -> dict[str, set[str]]:
    by: dict[str, set[str]] = {}
    for key, way in (*found.vips.items(), *found.node_ports.items()):
        for base, text in sets.of_way(key, way, found.facts):
            by.setdefault(base, set()).add(text)
    return by


def test_sets_say_who_is_masqueraded_kept_out_and_refused() -> None:
    cluster, external, balancer, node = "10.96.0.1,tcp:80", "192.0.2.1,tcp:80", "172.30.255.1,tcp:80", "172.30.0.2,tcp:30080"
    found = members(table(X, Y, source_ranges=("10.0.0.0/8",)))
    assert found == {
        sets.SERVED: {cluster, external, balancer, node}, sets.CLUSTER_IP: {cluster}, sets.EXTERNAL: {external},
        sets.LOAD_BALANCER: {balancer}, sets.NODE_PORTS: {node}, sets.RESTRICTED: {balancer}, sets.ALLOWED: {balancer + ",10.0.0.0/8"},
        sets.HELD: {"10.96.0.1", "192.0.2.1", "172.30.255.1"}}
    local = members(table(X, Y, external_local=True))
    assert not {sets.EXTERNAL, sets.LOAD_BALANCER, sets.NODE_PORTS} & set(local), "policy Local keeps the source"
    assert members(table(Y, external_local=True))[sets.DROPPED] == {external, balancer, node}
    assert members(table(ports=(Port("http", "TCP", 80, 30080, ()),)))[sets.REJECTED] == {cluster, external, balancer, node}


def test_an_address_that_the_node_has_itself_is_not_held_again() -> None:
    assert members(table(X, external_ips=("172.30.0.2",)))[sets.HELD] == {"10.96.0.1", "172.30.255.1"}


def test_names_are_kube_proxys_and_fit_the_kernel() -> None:
    assert sets.name(6, sets.CLUSTER_IP) == "KUBE-6-CLUSTER-IP" and sets.name(4, sets.LOOP_BACK) == "KUBE-LOOP-BACK"
    names = [sets.name(f, base) for f in (4, 6) for base in sets.TYPES]
    assert len(set(names)) == len(names) and max(map(len, names)) <= 31


def test_what_ipset_lists_is_read_back() -> None:
    wanted = {(sets.CLUSTER_IP, "10.96.0.1,tcp:80"), (sets.HELD, "10.96.0.1")}
    text = "\n".join([*sets.created(4), *sets.changed(4, set(), wanted)]) + "\n"
    assert sets.held(4, sets.read(text)) == wanted and sets.held(6, sets.read(text)) == set()


@pytest.mark.parametrize("family", [4, 6])
def test_the_rules_are_few_and_the_same_for_any_services(family: int) -> None:
    facts = Facts(family, frozenset(), ("10.244.0.0/16",) if family == 4 else ("fd00::/56",), ("10.96.0.0/16",) if family == 4 else ("fd96::/112",))
    text = rules.text(facts)
    assert text.count("\n-A ") == 18
    held = read(text)
    assert rules.hooks(held).count("-I ") == len(rules.HOOKS)
    hooked = read(text + "*nat\n-A PREROUTING -j KUBE-SERVICES\nCOMMIT\n")
    assert rules.hooks(hooked).count("-I ") == len(rules.HOOKS) - 1
    removed = rules.cleanup(hooked)
    assert removed.count("-X ") == 7 and "-D PREROUTING -j KUBE-SERVICES" in removed


class FakeKernel:
    """IPVS, ipset, the device and the iptables tool in one, as values; `log` has what was done in order."""

    backend = "legacy"

    def __init__(self) -> None:
        self.there: dict[Address, dict] = {}
        self.sets: set[str] = set()
        self.addresses: set[str] = set()
        self.log: list[str] = []
        self.connections: dict[tuple, int] = {}

    def put(self, place, scheduler, seconds, new):
        assert new == (place not in self.there)
        self.there.setdefault(place, {})
        self.log.append(f"{'new' if new else 'set'} {place.address}")

    def remove(self, where):
        if isinstance(where, list):
            self.addresses -= set(where)
            self.log += [f"remove {address}" for address in where]
        else:
            del self.there[where]
            self.log.append(f"remove {where.address}")

    def put_destination(self, place, end, weight, new):
        assert new == (end not in self.there[place])
        self.there[place][end] = weight
        self.log.append(f"weight {weight} {end[0]}")

    def remove_destination(self, place, end):
        del self.there[place][end]
        self.log.append(f"gone {end[0]}")

    def servers(self, family):
        return {p: ("rr", 0) for p in self.there}

    def destinations(self, family, place):
        from seaway.proxy.ipvs.netlink import Destination
        return [Destination(e, w, self.connections.get((place, e), 0)) for e, w in self.there[place].items()]

    def apply(self, lines):
        self.sets ^= {line.split(" ", 1)[1] for line in lines if not line.startswith("create")}

    def held(self, family=0):
        return set(self.addresses) if family else {}

    def open(self):
        pass

    def set_timeouts(self, seconds):
        self.log += [f"timeouts {seconds}"] if any(seconds) else []

    def add(self, addresses):
        self.addresses |= set(addresses)
        self.log += [f"add {address}" for address in addresses]

    def save(self, family):
        return {}

    def restore(self, family, text):
        pass


def test_an_endpoint_that_is_gone_keeps_its_connections_until_they_end() -> None:
    kernel = FakeKernel()
    plane = IpvsPlane(kernel, kernel, kernel, kernel)  # type: ignore[arg-type]
    steps = [table(X, Y), table(X), table(X), table(X, Y)]
    plane.whole(steps[0])
    place = Address("10.96.0.1", "tcp", 80)
    assert kernel.addresses == {"10.96.0.1", "192.0.2.1", "172.30.255.1"} and kernel.there[place] == {e: 1 for e in ENDS}
    kernel.connections = {(p, ENDS[1]): 1 for p in kernel.there}
    for old, new in pairwise(steps[:3]):
        plane.change(4, between(old, new))
    assert kernel.there[place] == {ENDS[0]: 1, ENDS[1]: 0}, "no new connections, the old ones stay"
    plane.change(4, between(steps[2], steps[3]))
    assert kernel.there[place] == {ENDS[0]: 1, ENDS[1]: 1}, "back before its last connection has ended"
    plane.change(4, between(steps[3], steps[1]))
    kernel.connections = {}
    plane._sweep(4)
    assert kernel.there[place] == {ENDS[0]: 1}
    plane.change(4, between(steps[1], ServiceTable(steps[1].facts)))
    assert kernel.there == {} and kernel.addresses == set()
    assert kernel.log.index("add 10.96.0.1") < kernel.log.index("new 10.96.0.1")


def test_addresses_that_a_killed_proxy_has_left_or_not_yet_given_are_made_good() -> None:
    kernel = FakeKernel()
    noted = {f"{sets.HELD} {a}" for a in ("10.96.0.1", "192.0.2.1", "172.30.255.1", "10.96.5.5")}
    kernel.sets, kernel.addresses = set(noted), {"10.96.9.9", "10.96.0.1", "10.96.5.5"}
    kernel.held = lambda family=0: set(kernel.addresses) if family else {sets.HELD: {n.split(" ")[1] for n in noted}}  # type: ignore[method-assign]
    plane = IpvsPlane(kernel, kernel, kernel, kernel)  # type: ignore[arg-type]
    plane.whole(table(X))
    assert kernel.addresses == {"10.96.0.1", "192.0.2.1", "172.30.255.1"}


def test_virtual_servers_in_excluded_ranges_are_somebody_elses() -> None:
    theirs, old = Address("172.16.0.1", "tcp", 80), Address("10.96.7.7", "tcp", 80)
    kernel = FakeKernel()
    kernel.there = {theirs: {("10.0.0.1", 80): 1}, old: {}}
    plane = IpvsPlane(kernel, kernel, kernel, kernel, excluded=("172.16.0.0/12",), timeouts=(900, 0, 60))  # type: ignore[arg-type]
    plane.whole(table(X))
    assert kernel.there[theirs] == {("10.0.0.1", 80): 1} and old not in kernel.there and "timeouts (900, 0, 60)" in kernel.log
    ours = plane._servers[4]  # some of them in the range
    assert plane._there(4, ours) == ours, "nor does the audit take them for a difference"


SETTINGS = """
from pathlib import Path
from seaway.proxy.ipvs.device import NAME, STRICT_ARP, Device
from seaway.proxy.ipvs.netlink import Ipvs
kernel, device = Ipvs(), Device(strict_arp=True)
device.open()
before = kernel.timeouts()
kernel.set_timeouts((0, 0, 0))
assert kernel.timeouts() == before, before
kernel.set_timeouts((901, 0, 61))
assert kernel.timeouts() == (901, before[1], 61), kernel.timeouts()
assert all(Path("/proc/sys", path).read_text().strip() == value for path, value in STRICT_ARP.items())
device.add(["10.96.0.1", "10.96.0.2", "fd00::1"])
device.add(["10.96.0.1"])
assert device.held(4) == {"10.96.0.1", "10.96.0.2"} and device.held(6) == {"fd00::1"}
device.remove(["10.96.0.2", "10.96.0.3"])
assert device.held(4) == {"10.96.0.1"}
device.close()
device.close()
print("well")
"""


@pytest.mark.kernel
def test_times_and_the_device_are_what_the_kernel_was_told() -> None:
    """In User-mode Linux: this kernel may have no IPVS."""
    assert uml.missing() == ""
    ended = uml.run([sys.executable, "-c", SETTINGS], timeout=60, modules=("ip_vs",))
    assert ended.out.strip() == "well", ended.err + ended.console
