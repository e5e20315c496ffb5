"""The userspace mode: whom a relay chooses, what the kernel is told, and real bytes through real sockets."""

from __future__ import annotations

import gc
import socket
import threading
import time
import weakref
from collections.abc import Iterator

import pytest
from test_nftables import everything, service, table

from seaway.proxy.table import Facts, Refusal, Split, Target, between
from seaway.proxy.userspace import translate
from seaway.proxy.userspace.choice import Chooser, inside
from seaway.proxy.userspace.relay import Relays
from seaway.proxy.userspace.translate import Ends, RelayKey

FACTS = Facts(4, frozenset({"172.30.0.2"}), ("10.244.0.0/16",))
A, B, C = ("10.244.0.1", 80), ("10.244.0.2", 80), ("10.244.1.1", 80)
POD, OUTSIDE = "10.244.0.9", "192.0.2.9"


def test_clients_are_served_round_robin() -> None:
    chooser, ends = Chooser(), Ends((A, B, C), (A, B, C), 0)
    assert [chooser.order(ends, FACTS, POD, 0)[0] for _ in range(6)] == [A, B, C, A, B, C]
    assert chooser.order(ends, FACTS, POD, 0) == [A, B, C], "the others are tried after it"


def test_a_client_stays_while_its_time_runs_and_its_endpoint_is_there() -> None:
    chooser, ends = Chooser(), Ends((A, B), (A, B), 60)
    assert [chooser.order(ends, FACTS, POD, t)[0] for t in (0, 59, 118)] == [A, A, A], "each connection begins the time anew"
    assert chooser.order(ends, FACTS, OUTSIDE, 0)[0] == B
    assert chooser.order(ends, FACTS, POD, 178)[0] != A or chooser.turn == 3
    assert chooser.order(Ends((B, C), (B, C), 60), FACTS, POD, 179)[0] in (B, C)


def test_outsiders_get_what_policy_local_leaves_them() -> None:
    chooser, ends = Chooser(), Ends((A, C), (A,), 0)
    assert {chooser.order(ends, FACTS, OUTSIDE, 0)[0] for _ in range(4)} == {A}
    assert {chooser.order(ends, FACTS, POD, 0)[0] for _ in range(4)} == {A, C}
    assert chooser.order(Ends((C,), (), 0), FACTS, OUTSIDE, 0) == []


@pytest.mark.parametrize(("client", "want"), [(POD, True), ("172.30.0.2", True), ("127.0.0.1", True), (OUTSIDE, False)])
def test_pods_and_the_node_are_insiders(client: str, want: bool) -> None:
    assert inside(FACTS, client) is want


@pytest.mark.parametrize("family", [4, 6])
def test_the_kernel_is_told_of_relays_instead_of_endpoints(family: int) -> None:
    plain = table(family, *everything(family))
    relays, at = {}, "172.30.0.2" if family == 4 else "fd00:172:30::2"
    for key, way in (*plain.vips.items(), *plain.node_ports.items()):
        found = translate.relay_of(key, way)
        if found is not None:
            relays.setdefault(found[0], (at, 40000 + len(relays)))
    assert not any(k.protocol == "sctp" for k in relays)
    for key, way in (*plain.vips.items(), *plain.node_ports.items()):
        new = translate.way(key, way, relays)
        assert new is not None and new.kind == way.kind and new.sources == way.sources
        if isinstance(way.answer, Refusal):
            assert new == way
        elif isinstance(new.answer, Target):
            assert new.answer.backends[0] in relays.values() and not new.answer.masquerade
        elif isinstance(new.answer, Split):
            assert bool(new.answer.local) == bool(way.answer.local)  # type: ignore[union-attr]


def test_most_changes_of_endpoints_change_nothing_in_the_kernel() -> None:
    old, new = table(4, service(4, 1, 2)), table(4, service(4, 1, 3))
    places = {RelayKey("shop/s1:http", "tcp", True): ("172.30.0.2", 40000)}
    assert not translate.delta(between(old, new), places, places)


class Echo(threading.Thread):
    """Answers over TCP after the client's end of its direction, over UDP at once, with its own name in front."""

    def __init__(self, name: bytes) -> None:
        super().__init__(daemon=True)
        self.said = name
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.at = self.tcp.getsockname()[:2]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(self.at)
        threading.Thread(target=self._datagrams, daemon=True).start()
        self.start()

    def run(self) -> None:
        while True:
            try:
                there, _ = self.tcp.accept()
            except OSError:
                return
            with there:
                data = b""
                while piece := there.recv(1 << 16):
                    data += piece
                there.sendall(self.said + data)

    def _datagrams(self) -> None:
        while True:
            try:
                data, peer = self.udp.recvfrom(2048)
                self.udp.sendto(self.said + data, peer)
            except OSError:
                return

    def close(self) -> None:
        self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()
        self.udp.close()


@pytest.fixture
def relays() -> Iterator[Relays]:
    found = Relays()
    yield found
    found.end()


def ask(at: tuple[str, int], data: bytes) -> bytes:
    with socket.create_connection(at, timeout=10) as there:
        there.sendall(data)
        there.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := there.recv(1 << 16):
            answer += piece
        return answer


def test_connections_are_carried_whole_in_turn_and_past_an_endpoint_that_is_gone(relays: Relays) -> None:
    first, second = Echo(b"1"), Echo(b"2")
    key = RelayKey("shop/web:http", "tcp", True)
    relays.open(key, "127.0.0.1")
    relays.set(key, Ends((first.at, second.at), (), 0), FACTS)
    at = relays.places()[key]
    big = b"x" * 3_000_000
    assert sorted(ask(at, big)[:1] for _ in range(4)) == [b"1", b"1", b"2", b"2"]
    assert ask(at, big)[1:] == big
    second.close()
    assert {ask(at, b"y") for _ in range(4)} == {b"1y"}
    relays.set(key, Ends((), (), 0), FACTS)
    with pytest.raises(OSError):
        assert not ask(at, b"y")
        raise OSError("closed without an answer")
    first.close()


def test_datagrams_come_back_from_the_endpoint_that_was_chosen_and_move_when_it_is_gone(relays: Relays) -> None:
    first, second = Echo(b"1"), Echo(b"2")
    key = RelayKey("shop/dns:dns", "udp", True)
    relays.open(key, "127.0.0.1")
    relays.set(key, Ends((first.at, second.at), (), 0), FACTS)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(relays.places()[key])

        def said() -> bytes:
            client.send(b"q")
            return client.recv(2048)

        assert {said() for _ in range(5)} == {b"1q"}, "one client's datagrams go one way"
        relays.set(key, Ends((second.at,), (), 0), FACTS)
        assert said() == b"2q"
    first.close()
    second.close()


def test_a_relay_that_is_closed_lets_its_connections_end(relays: Relays) -> None:
    echo = Echo(b"1")
    key = RelayKey("shop/web:http", "tcp", True)
    relays.open(key, "127.0.0.1")
    relays.set(key, Ends((echo.at,), (echo.at,), 0), FACTS)
    at = relays.places()[key]
    with socket.create_connection(at, timeout=10) as there:
        there.sendall(b"before ")
        end = time.monotonic() + 10
        while not relays.connections() and time.monotonic() < end:
            time.sleep(0.01)
        relays.close(key)
        while time.monotonic() < end:
            try:
                socket.create_connection(at, timeout=1).close()
            except TimeoutError:
                continue  # a busy machine
            except ConnectionError:
                break
        there.sendall(b"after")
        there.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := there.recv(2048):
            answer += piece
        assert answer == b"1before after"
    while relays.connections() and time.monotonic() < end:
        time.sleep(0.01)
    assert relays.connections() == 0
    echo.close()


def test_a_relay_that_is_closed_and_carries_nothing_is_forgotten(relays: Relays) -> None:
    key = RelayKey("shop/web", "tcp", True)
    relays.open(key, "127.0.0.1")
    closed = weakref.ref(relays._open[key])
    relays.close(key)
    deadline = time.monotonic() + 5
    while closed() is not None:
        assert time.monotonic() < deadline, "a Service that comes and goes must not cost memory for ever"
        gc.collect()
        time.sleep(0.01)
