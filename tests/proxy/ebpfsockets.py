"""Run by test_ebpf.py in a network namespace of its own: `ebpfsockets.py CGROUP`. Endpoints, Services and clients are all here;
says `well` at the end."""

from __future__ import annotations

import asyncio
import collections
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from seaway.proxy import plan
from seaway.proxy.ebpf import kernel, layout, sockets
from seaway.proxy.ebpf.plane import EbpfPlane
from seaway.proxy.kernel import Nftables
from seaway.proxy.nftables.plane import NftablesPlane
from seaway.proxy.plan import Place
from seaway.proxy.table import ServiceTable, between
from seaway.services.resolve import Endpoint, Port, Resolved

PLACE = Place("here", "", ("172.30.0.2",), ("10.1.0.0/16", "fd01::/64"), ("10.96.0.0/16",))
PODS = {4: ("10.1.0.1", "10.1.0.2"), 6: ("fd01::1", "fd01::2")}
VIP = {4: "10.96.0.1", 6: "fd96::1"}
NETWORK = """link set lo up
addr add 10.1.0.1/32 dev lo
addr add 10.1.0.2/32 dev lo
addr add fd01::1/128 dev lo
addr add fd01::2/128 dev lo
route add 10.96.0.0/16 dev lo
route add fd96::/64 dev lo
"""
Inet = {4: socket.AF_INET, 6: socket.AF_INET6}


def table(family: int, *pods: str, affinity: int = 0) -> ServiceTable:
    ends = tuple(Endpoint(a, 8080, True, True, False, "here", "", (), ()) for a in pods)
    ports = (Port("http", "TCP", 80, 0, ends), Port("dns", "UDP", 53, 0, ends))
    service = Resolved("shop", "s", family, "ClusterIP", VIP[family], (), (), (), affinity, False, False, 0, ports)
    return plan.table(family, [plan.part(service, PLACE)], PLACE)


def serve(address: str) -> None:
    family = Inet[6 if ":" in address else 4]
    streams = socket.create_server((address, 8080), family=family)
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    datagrams.bind((address, 8080))

    def answer_streams() -> None:
        while True:
            there, _ = streams.accept()
            there.sendall(address.encode())
            there.close()

    def answer_datagrams() -> None:
        while True:
            _, peer = datagrams.recvfrom(100)
            datagrams.sendto(address.encode(), peer)

    for each in (answer_streams, answer_datagrams):
        threading.Thread(target=each, daemon=True).start()


def ask(vip: str) -> tuple[str, str]:
    """(who answers, whom the socket thinks it is connected to)."""
    with socket.create_connection((vip, 80), timeout=5) as there:
        return there.recv(99).decode(), there.getpeername()[0]


def datagrams(family: int) -> socket.socket:
    found = socket.socket(Inet[family], socket.SOCK_DGRAM)
    found.settimeout(5)
    return found


def connected(family: int) -> tuple[str, socket.socket]:
    found = datagrams(family)
    found.connect((VIP[family], 53))
    found.send(b"x")
    return found.recv(99).decode(), found


def until(true, what: str) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def fails(found: socket.socket) -> bool:
    try:
        found.send(b"x")
        found.recv(99)
    except OSError:
        return True
    return False


def play(plane: EbpfPlane, family: int) -> None:
    first, second = PODS[family]
    vip = VIP[family]
    both, one, none = table(family, first, second), table(family, first), table(family)
    answers = collections.Counter(ask(vip) for _ in range(60))
    assert set(answers) == {(first, vip), (second, vip)}, answers
    free = datagrams(family)
    heard = set()
    for _ in range(5):
        free.sendto(b"x", (vip, 53))
        data, peer = free.recvfrom(99)
        heard.add((data.decode(), peer[0], peer[1]))
    assert len(heard) == 1 and heard <= {(first, vip, 53), (second, vip, 53)}, heard
    held = [connected(family) for _ in range(16)]
    assert {a for a, _ in held} == {first, second} and held[0][1].getpeername()[:2] == (vip, 53)
    plane.change(family, between(both, one))
    until(lambda: all(fails(s) for a, s in held if a == second), "sockets to the endpoint that is gone are ended")
    for answer, found in held:
        if answer == first:
            found.send(b"x")
            assert found.recv(99).decode() == first
    assert connected(family)[0] == first, "the client's next socket is right"
    free.sendto(b"x", (vip, 53))
    assert free.recvfrom(99)[0].decode() == first, "an unconnected socket moves at once"
    assert {ask(vip)[0] for _ in range(20)} == {first}
    plane.change(family, between(one, none))
    try:
        ask(vip)
        raise AssertionError("a Service without endpoints took a connection")
    except ConnectionRefusedError:
        pass
    plane.change(family, between(none, table(family, first, second, affinity=60)))
    stays = {ask(vip)[0] for _ in range(20)}
    assert len(stays) == 1
    # A new process finds what sockets have noted: clients stay, flows are still named by their Service.
    quiet = datagrams(family)
    quiet.sendto(b"x", (vip, 53))
    EbpfPlane(GROUP, NftablesPlane(Nftables())).whole(table(family, first, second, affinity=60))
    assert quiet.recvfrom(99)[1][0] == vip
    assert {ask(vip)[0] for _ in range(20)} == stays


def refused(family: int) -> None:
    """Sockets in namespaces that the proxy cannot enter: what they send to an endpoint that has gone is refused."""
    first, second = PODS[family]
    both, one = table(family, first, second), table(family, first)
    plane = EbpfPlane(GROUP, NftablesPlane(Nftables()))
    plane.whole(both)
    egress = [s for s in kernel.ATTACH_TYPES if s.startswith(kernel.EGRESS)]

    def watched() -> set[str]:
        return {s for s in egress if plane._present(s)}

    plane.detach()
    plane = EbpfPlane(GROUP, NftablesPlane(Nftables()))
    plane.whole(both)
    assert not watched(), "nothing has gone: no packet is looked at"
    held = [connected(family) for _ in range(16)]
    assert {a for a, _ in held} == {first, second}
    straight = datagrams(family)  # by no Service
    straight.connect((second, 8080))
    before = sockets.namespaces
    sockets.namespaces = lambda cgroup: []
    try:
        plane.change(family, between(both, one))
        assert watched() == {f"{kernel.EGRESS}{family}"}
        for answer, found in held:
            try:
                found.send(b"x")
                assert answer == first and found.recv(99).decode() == first
            except PermissionError:
                assert answer == second
                found.connect((VIP[family], 53))
                found.send(b"x")
                assert found.recv(99).decode() == first, "the same socket is right once it is connected anew"
        straight.send(b"x")
        assert straight.recv(99).decode() == second
        # The endpoint serves again: whoever is connected to it goes on.
        found = next(s for a, s in held if a == first)
        plane.change(family, between(one, table(family, second)))
        assert fails(found)
        plane.change(family, between(table(family, second), both))
        found.send(b"x")
        assert found.recv(99).decode() == first
        # A new process does not trust what the last one knew of members.
        plane.change(family, between(both, table(family)))
        assert fails(found)
        plane = EbpfPlane(GROUP, NftablesPlane(Nftables()))
        plane.whole(both)
        assert watched() == {f"{kernel.EGRESS}{family}"}, "endpoints may have gone while nobody looked"
        found.send(b"x")
        assert found.recv(99).decode() == first
        plane._watched[family] = 0.0
        plane._watch_no_more(family)
        assert not watched()
    finally:
        sockets.namespaces = before


def mended(family: int) -> None:
    """What is taken out of the maps, put into them or changed is made good by the next look."""
    both, vip = table(family, *PODS[family], affinity=60), layout.vip(VIP[family], "tcp", 80)
    plane = EbpfPlane(GROUP, NftablesPlane(Nftables()))
    plane.whole(both)

    def look() -> str:
        return asyncio.run(plane.audit(family, lambda: both, lambda: True))

    assert look() == "", "nobody has touched it"
    services, backends, members = (plane._maps[name] for name in ("services", "backends", "members"))
    before = [m.all() for m in (services, backends, members)]
    assert before[0] and set(services.keys()) == set(before[0]) and len(before[1]) == 4 and len(before[2]) == 4
    services.remove([vip])
    assert look() == "entries of the map services differed" and services.all() == before[0]
    services.put(vip[:-6] + bytes([9]) + vip[-5:], next(iter(before[0].values())))
    backends.put(next(iter(before[1])), bytes(20))
    members.remove(before[2])
    assert look() and [m.all() for m in (services, backends, members)] == before and look() == ""
    assert asyncio.run(plane.audit(family, lambda: both, lambda: False)) == ""
    assert {ask(VIP[family])[1] for _ in range(3)} == {VIP[family]}


GROUP = sys.argv[1]
Path(GROUP, "cgroup.procs").write_text("0")
try:
    subprocess.run(["ip", "-batch", "-"], input=NETWORK, text=True, check=True)
    for pod in (*PODS[4], *PODS[6]):
        serve(pod)
    plane = EbpfPlane(GROUP, NftablesPlane(Nftables()))
    for family in (4, 6):
        plane.whole(table(family, *PODS[family]))
    assert {ask("::ffff:10.96.0.1") for _ in range(40)} == {(p, "::ffff:10.96.0.1") for p in PODS[4]}, "IPv4 by a socket of IPv6"
    for family in (4, 6):
        play(plane, family)
    for family in (4, 6):
        refused(family)
        mended(family)
    plane = EbpfPlane(GROUP, NftablesPlane(Nftables()))
    assert plane.detach() and not plane.detach()
    plane.cleanup()
    assert not any(kernel.attached(plane._cgroup, section) for section in kernel.ATTACH_TYPES)
    print("well")
finally:
    Path(GROUP).parent.joinpath("cgroup.procs").write_text("0")
