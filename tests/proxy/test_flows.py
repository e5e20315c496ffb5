"""Which UDP flows are forgotten: rows of (endpoints before, endpoints after, whose flows go)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from test_plan import ENDING, HERE, READY, UNREADY, at, service

from seaway.proxy import flows, plan
from seaway.proxy.flows import Flow
from seaway.proxy.table import ServiceTable, between
from seaway.services.resolve import Endpoint, Port

VIP, NODE, OTHER = ("10.96.0.1", 53), ("172.30.0.2", 30053), ("10.96.0.77", 53)


def table(*endpoints: Endpoint, protocol: str = "UDP", there: bool = True) -> ServiceTable:
    ports = (Port("dns", protocol, 53, 30053, endpoints),)
    parts = [plan.part(service(ports=ports, external_ips=(), load_balancer_ips=()), HERE)] if there else []
    return plan.table(4, parts, HERE)


def flow(began: tuple[str, int], by: str) -> Flow:
    return Flow(*began, (by, 8080) if by else began, b"")


ALL = [flow(began, by) for began in (VIP, NODE, OTHER) for by in ("a", "b", "")]
A, B = at("a"), at("b")
ROWS = [
    ("an endpoint is removed", (A, B), (A,), {"b", ""}),
    ("an endpoint ends and serves on", (A, B), (A, at("b", state=ENDING)), set()),
    ("an endpoint has ended", (A, at("b", state=ENDING)), (A,), {"b", ""}),
    ("an endpoint is unready", (A, B), (A, at("b", state=UNREADY)), {"b", ""}),
    ("scaled to zero", (A, B), (), {"a", "b", ""}),
    ("the first endpoint comes", (), (A,), {"b", ""}),
    ("one more endpoint", (A,), (A, B), set()),
    ("nothing changes", (A, B), (A, B), set()),
]


@pytest.mark.parametrize(("before", "after", "gone"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_flows_to_what_no_longer_serves_are_forgotten(before: tuple, after: tuple, gone: set) -> None:
    affected = flows.by_change(between(table(*before), table(*after)), frozenset({"172.30.0.2"}))
    found = flows.stale(ALL, affected)
    assert found == [f for f in ALL if (f.address, f.port) in (VIP, NODE) and (f.answers[0] if f.answers[1] == 8080 else "") in gone]


def test_a_deleted_services_flows_are_forgotten_and_tcp_is_left_alone() -> None:
    affected = flows.by_change(between(table(A, B), table(there=False)), frozenset({"172.30.0.2"}))
    assert flows.stale(ALL, affected) == ALL[:6]
    assert not flows.by_change(between(table(A, protocol="TCP"), table(there=False)), frozenset())


def test_at_the_start_flows_into_the_service_range_need_a_service() -> None:
    found = flows.stale(ALL, flows.by_start(table(A)))
    assert [((f.address, f.port), f.answers[0]) for f in found] == [
        (VIP, "b"), (VIP, "10.96.0.1"), (NODE, "b"), (NODE, "172.30.0.2"), (OTHER, "a"), (OTHER, "b")]
    assert READY


KERNEL = """
import socket, subprocess
from seaway.proxy.conntrack import KernelConntrack
from seaway.proxy.kernel import Nftables
subprocess.run(["ip", "-batch", "-"], input="link set lo up\\naddr add 10.1.0.1/32 dev lo\\naddr add fd00::1/128 dev lo\\n"
               "route add 10.9.9.0/24 dev lo\\nroute add fd99::/64 dev lo\\n", text=True, check=True)
kernel = Nftables()
for f, vip, pod in (("ip", "10.9.9.9", "10.1.0.1:5353"), ("ip6", "fd99::9", "[fd00::1]:5353")):
    kernel.nft(f"add table {f} t; add chain {f} t o {{ type nat hook output priority -100; }}; "
               f"add rule {f} t o {f} daddr {vip} udp dport 53 dnat to {pod}")
keep = []
for family, vip, pod in ((socket.AF_INET, "10.9.9.9", "10.1.0.1"), (socket.AF_INET6, "fd99::9", "fd00::1")):
    keep.append(socket.socket(family, socket.SOCK_DGRAM)); keep[-1].bind((pod, 5353))
    keep.append(socket.create_server((pod, 80), family=family)); keep.append(socket.create_connection((pod, 80)))
    for _ in range(3):
        keep.append(socket.socket(family, socket.SOCK_DGRAM)); keep[-1].sendto(b"x", (vip, 53))
table = KernelConntrack()
for family, vip, pod in ((4, "10.9.9.9", "10.1.0.1"), (6, "fd99::9", "fd00::1")):
    found = table.udp(family)
    assert [(f.address, f.port, f.answers) for f in found] == [(vip, 53, (pod, 5353))] * 3, found
    table.forget(family, found[:1])
    table.forget(family, found[:1])
    table.forget(family, [])
    assert table.udp(family) == [f for f in found if f != found[0]]
print("well")
"""


@pytest.mark.kernel
def test_the_kernels_flows_are_read_and_forgotten() -> None:
    flags = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    done = subprocess.run(["unshare", *flags, sys.executable, "-c", KERNEL], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.stdout.strip() == "well", done.stderr


def test_an_answer_that_was_on_the_way_begins_no_flow_that_stays() -> None:
    affected = flows.by_change(between(table(A, B), table(A)), frozenset({"172.30.0.2"}))
    late = [Flow("10.244.0.9", 40000, ("10.244.0.9", 40000), b"", source) for source in (VIP, NODE, OTHER, ("10.244.0.3", 53))]
    assert flows.late(late, affected) == late[:2] and flows.stale(late, affected) == []
