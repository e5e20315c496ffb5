"""Upstreams by UDP: who forges an answer must hit socket, id and every letter of the question; sockets come and go."""

from __future__ import annotations

import errno
import socket
from collections import deque
from types import SimpleNamespace

import pytest
from handclock import Clock
from packets import name

from seaway.dns.settings import Upstream
from seaway.dns.upstreams import datagrams
from seaway.dns.upstreams.datagrams import PENDING, PORTS, USES, Ids, UdpWay
from seaway.dns.wire import HEADER, IN, PAIR, QR, RD

QUESTION = name("www.test") + PAIR.pack(1, IN)
MESSAGE = HEADER.pack(0, RD, 1, 0, 0, 0)[2:] + QUESTION


class Sock:
    """A connected UDP socket whose other end is the test."""

    opened: list[Sock] = []
    numbers = iter(range(1000, 1_000_000))

    def __init__(self, family: int, kind: int) -> None:
        self.family, self.number, self.closed = family, next(self.numbers), False
        self.sent: list[bytes] = []
        self.inbox: deque[bytes | OSError] = deque()
        self.bound = self.peer = None
        Sock.opened.append(self)

    def bind(self, address: object) -> None:
        self.bound = address

    def connect(self, address: object) -> None:
        self.peer = address

    def send(self, data: bytes) -> None:
        if self.peer == ("192.0.2.99", 53):
            raise OSError(errno.ENETUNREACH, "no way there")
        self.sent.append(data)

    def recv(self, size: int) -> bytes:
        if not self.inbox:
            raise BlockingIOError
        found = self.inbox.popleft()
        if isinstance(found, OSError):
            raise found
        return found[:size]

    def fileno(self) -> int:
        return -1 if self.closed else self.number

    def close(self) -> None:
        self.closed = True


class Loop(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.reads: dict[int, object] = {}

    def watch(self, sock: Sock, read: object, write: object = None) -> None:
        self.reads[sock.fileno()] = read

    def forget(self, sock: Sock) -> None:
        del self.reads[sock.fileno()]

    def arrives(self, sock: Sock, *messages: bytes | OSError) -> None:
        sock.inbox += messages
        self.reads[sock.fileno()]()  # type: ignore[operator]


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    Sock.opened = []
    real = {n: getattr(socket, n) for n in ("AF_INET", "AF_INET6", "SOCK_DGRAM", "SOCK_NONBLOCK")}
    monkeypatch.setattr(datagrams, "socket", SimpleNamespace(socket=Sock, **real))
    return Loop()


def way(loop: Loop, host: str = "192.0.2.53", source: str = "") -> UdpWay:
    return UdpWay(Upstream(host), loop, Ids(), source)  # type: ignore[arg-type]


def asked(one: UdpWay, told: list[bytes | None]) -> tuple[object, Sock, bytes]:
    """A question: its ticket, the socket that it went out by, its id."""
    before = {sock.number: len(sock.sent) for sock in Sock.opened}
    ticket = one.ask(MESSAGE, QUESTION, told.append)
    sock = next(s for s in Sock.opened if len(s.sent) > before.get(s.number, 0))
    assert sock.sent[-1][2:] == MESSAGE
    return ticket, sock, sock.sent[-1][:2]


def reply(ident: bytes, question: bytes = QUESTION, flags: int = QR) -> bytes:
    return ident + HEADER.pack(0, flags, 1, 0, 0, 0)[2:] + question


def test_only_the_answer_to_the_question_is_taken(loop: Loop) -> None:
    told: list[bytes | None] = []
    _, sock, ident = asked(way(loop), told)
    other = bytes((ident[0], ident[1] ^ 1))
    loop.arrives(
        sock,
        b"",
        ident,
        reply(other),
        reply(ident, flags=RD),  # a query
        reply(ident, name("wwW.test") + PAIR.pack(1, IN)),
        reply(ident, name("www.best") + PAIR.pack(1, IN)),
        reply(ident, name("www.test") + PAIR.pack(28, IN)),
        reply(ident)[:-1],
    )
    assert told == []
    loop.arrives(sock, reply(ident), reply(ident))
    assert told == [reply(ident)], "once"


def test_what_comes_by_another_socket_is_no_answer(loop: Loop) -> None:
    one, told = way(loop), list[bytes | None]()
    sockets: dict[int, tuple[Sock, bytes]] = {}
    while len(sockets) < 2:
        _, sock, ident = asked(one, told)
        sockets[sock.number] = sock, ident
    (first, ident), (second, _) = sockets.values()
    if ident not in [data[:2] for data in second.sent]:
        loop.arrives(second, reply(ident))
        assert told == []
    loop.arrives(first, reply(ident))
    assert told == [reply(ident)]


def test_a_question_that_nobody_waits_for_is_forgotten(loop: Loop) -> None:
    one, told = way(loop), list[bytes | None]()
    ticket, sock, ident = asked(one, told)
    one.drop(ticket)
    loop.arrives(sock, reply(ident))
    assert told == []
    one.drop(ticket)
    one.drop(None)


def test_ids_and_sockets_are_many_and_change(loop: Loop) -> None:
    one, told = way(loop), list[bytes | None]()
    idents = set()
    for _ in range(PORTS * USES * 2):
        ticket = one.ask(MESSAGE, QUESTION, told.append)
        _, ident = ticket  # type: ignore[misc]
        idents.add(ident)
        one.drop(ticket)
    assert len(idents) > 5000
    assert len(Sock.opened) > PORTS, "a socket is used for a while"
    assert sum(not sock.closed for sock in Sock.opened) <= PORTS, "and closed"
    assert len(loop.reads) <= PORTS
    assert all(len(sock.sent) <= USES for sock in Sock.opened)


def test_no_two_questions_on_their_way_have_one_id(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "USES", 1 << 30)
    one, told = way(loop), list[bytes | None]()
    for _ in range(12_000):
        one.ask(MESSAGE, QUESTION, told.append)
    for sock in Sock.opened:
        idents = [data[:2] for data in sock.sent]
        assert len(idents) == len(set(idents))
        assert len(idents) <= PENDING


def test_a_socket_that_is_out_of_use_waits_for_its_last_answer(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "USES", 1)
    monkeypatch.setattr(datagrams, "PORTS", 1)
    one, told = way(loop), list[bytes | None]()
    one._ports = [None]
    _, first, ident = asked(one, told)
    _, second, _ = asked(one, told)
    assert first is not second
    assert not first.closed
    loop.arrives(first, reply(ident))
    assert told == [reply(ident)]
    assert first.closed
    assert list(loop.reads) == [second.number]


def test_an_address_that_refuses_tells_all_who_wait(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    one, told = way(loop), list[bytes | None]()
    one._ports = [None]
    monkeypatch.setattr(datagrams, "PORTS", 1)
    for _ in range(3):
        _, sock, _ = asked(one, told)
    loop.arrives(sock, ConnectionRefusedError(errno.ECONNREFUSED, "nobody there"))
    assert told == [None] * 3
    _, again, ident = asked(one, told)
    assert again is sock, "it may be there again at once"
    loop.arrives(sock, reply(ident))
    assert told[3] == reply(ident)


def test_no_way_there_is_told_later_and_never_within_the_call(loop: Loop) -> None:
    told: list[bytes | None] = []
    one = way(loop, "192.0.2.99")
    ticket = one.ask(MESSAGE, QUESTION, told.append)
    assert (ticket, told) == (None, [])
    loop.passed(0)
    assert told == [None]


def test_too_many_questions_on_their_way_are_refused(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "PENDING", 10)
    monkeypatch.setattr(datagrams, "PORTS", 1)
    one, told = way(loop), list[bytes | None]()
    for _ in range(15):
        one.ask(MESSAGE, QUESTION, told.append)
    loop.passed(0)
    assert told == [None] * 5


@pytest.mark.parametrize(("host", "family"), [("192.0.2.53", socket.AF_INET), ("2001:db8::53", socket.AF_INET6)])
def test_a_socket_is_of_the_upstreams_family_and_from_the_address_that_was_said(loop: Loop, host: str, family: int) -> None:
    _, sock, _ = asked(way(loop, host, "192.0.2.7"), [])
    assert (sock.family, sock.peer, sock.bound) == (family, (host, 53), ("192.0.2.7", 0))


def test_random_numbers_are_not_used_twice() -> None:
    ids = Ids()
    found = [ids.next() for _ in range(5000)]
    assert all(len(one) == 3 for one in found)
    assert len(set(found)) > 4990
