"""Upstreams by TCP, where an address may be a Service's: a connection that ends, or is silent, takes no question along."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace

import pytest
from handclock import Clock
from packets import name

from seaway.dns.settings import Tls, Upstream
from seaway.dns.upstreams import connections
from seaway.dns.upstreams.connections import BESIDE, MOST_SILENCE, PATIENCE, SILENCE, TRIES, Connection, StreamWay
from seaway.dns.upstreams.datagrams import Ids
from seaway.dns.wire import HEADER, IN, PAIR, QR, RD

QUESTION = name("www.test") + PAIR.pack(1, IN)
MESSAGE = HEADER.pack(0, RD, 1, 0, 0, 0)[2:] + QUESTION


class Sock:
    """A TCP socket whose other end is the test."""

    opened: list[Sock] = []
    numbers = iter(range(1000, 1_000_000))
    unreachable = False

    def __init__(self, family: int, kind: int) -> None:
        self.number, self.closed, self.error, self.up = next(self.numbers), False, 0, False
        self.sent, self.inbox = b"", b""
        Sock.opened.append(self)

    def setsockopt(self, *words: object) -> None:
        pass

    def bind(self, address: object) -> None:
        pass

    def connect(self, address: object) -> None:
        if Sock.unreachable:
            raise OSError(errno.ENETUNREACH, "no way there")
        raise BlockingIOError

    def getsockopt(self, *words: object) -> int:
        return self.error

    def getpeername(self) -> tuple[str, int]:
        if not self.up:
            raise OSError(errno.ENOTCONN, "not yet")
        return ("10.96.0.11", 53)

    def send(self, data: bytes) -> int:
        self.sent += bytes(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        if not self.inbox and not self.error:
            raise BlockingIOError
        found, self.inbox = self.inbox, b""
        return found

    def fileno(self) -> int:
        return -1 if self.closed else self.number

    def close(self) -> None:
        self.closed = True

    @property
    def questions(self) -> list[bytes]:
        """The ids of what was sent."""
        found, rest = [], self.sent
        while rest:
            size = int.from_bytes(rest[:2], "big")
            found.append(rest[2:4])
            assert rest[4 : 2 + size] == MESSAGE
            rest = rest[2 + size :]
        return found


class Loop(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.turns: dict[int, Callable[[], None]] = {}

    def watch(self, sock: Sock, read: Callable[[], None], write: Callable[[], None] | None = None) -> None:
        self.turns[sock.number] = read

    def forget(self, sock: Sock) -> None:
        self.turns.pop(sock.number, None)

    def comes_about(self, sock: Sock) -> None:
        sock.up = True
        self.turns[sock.number]()

    def refuses(self, sock: Sock) -> None:
        sock.error = errno.ECONNREFUSED
        self.turns[sock.number]()

    def ends(self, sock: Sock) -> None:
        sock.error = 1  # nothing more to read
        self.turns[sock.number]()

    def replies(self, sock: Sock, ident: bytes) -> bytes:
        reply = ident + HEADER.pack(0, QR | RD, 1, 0, 0, 0)[2:] + QUESTION
        sock.inbox += len(reply).to_bytes(2, "big") + reply
        self.turns[sock.number]()
        return reply


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    Sock.opened, Sock.unreachable = [], False
    words = "AF_INET AF_INET6 SOCK_STREAM SOCK_NONBLOCK IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_ERROR".split()
    monkeypatch.setattr(connections, "socket", SimpleNamespace(socket=Sock, **{w: getattr(socket, w) for w in words}))
    return Loop()


def way(loop: Loop, expire: float = 10.0) -> StreamWay:
    return StreamWay(Upstream("10.96.0.11"), loop, Ids(), Tls(), expire)  # type: ignore[arg-type]


def asked(over: StreamWay) -> tuple[list[bytes | None], object]:
    told: list[bytes | None] = []
    return told, over.ask(MESSAGE, QUESTION, told.append)


def test_questions_share_a_connection_that_is_kept(loop: Loop) -> None:
    over = way(loop)
    first, _ = asked(over)
    second, _ = asked(over)
    (sock,) = Sock.opened
    loop.comes_about(sock)
    idents = sock.questions
    replies = [loop.replies(sock, ident) for ident in reversed(idents)]
    assert (first, second) == ([replies[1]], [replies[0]])
    loop.passed(5)
    asked(over)
    assert len(Sock.opened) == 1 and len(sock.questions) == 3
    loop.passed(0)
    loop.replies(sock, sock.questions[-1])
    loop.passed(11)
    asked(over)
    assert len(Sock.opened) == 2 and sock.closed, "an idle one is not used again"


def test_what_a_connection_took_along_is_asked_by_the_next_at_once(loop: Loop) -> None:
    over = way(loop)
    both = [asked(over)[0], asked(over)[0]]
    first = Sock.opened[0]
    loop.comes_about(first)
    loop.ends(first)
    assert len(Sock.opened) == 2 and both == [[], []]
    loop.refuses(Sock.opened[1])
    third = Sock.opened[2]
    loop.comes_about(third)
    for ident in third.questions:
        loop.replies(third, ident)
    assert all(len(told) == 1 and told[0] for told in both)


def test_who_refuses_every_time_is_given_up(loop: Loop) -> None:
    over = way(loop)
    told, _ = asked(over)
    while not loop.passed(0) and not told:  # type: ignore[func-returns-value]
        loop.refuses(Sock.opened[-1])
    assert told == [None] and len(Sock.opened) == TRIES
    Sock.unreachable = True
    told, _ = asked(way(loop))
    assert told == [], "the caller is never called from its own call"
    loop.passed(0)
    assert told == [None]


def test_beside_one_that_does_not_come_about_others_are_tried_and_the_first_answer_counts(loop: Loop) -> None:
    over = way(loop)
    told, _ = asked(over)
    loop.passed(SILENCE * 3.5)
    assert len(Sock.opened) >= 3 and not any(s.closed for s in Sock.opened)
    loop.comes_about(Sock.opened[1])  # an earlier one, late
    (ident,) = Sock.opened[1].questions
    reply = loop.replies(Sock.opened[1], ident)
    assert told == [reply]
    loop.passed(SILENCE * 2)
    assert [s.closed for s in Sock.opened[:-1]] == [True] * (len(Sock.opened) - 1), "nobody waits for those beside the last"
    loop.passed(PATIENCE)
    assert told == [reply] and loop.waiting == 0, "nothing is looked after when nobody waits"


def test_a_silent_connection_is_asked_nothing_more(loop: Loop) -> None:
    over = way(loop)
    loop_first, _ = asked(over)
    first = Sock.opened[0]
    loop.comes_about(first)
    loop.replies(first, first.questions[0])
    told, _ = asked(over)  # its pod has gone since
    loop.passed(SILENCE * 1.6)
    second = Sock.opened[1]
    loop.comes_about(second)
    later, _ = asked(over)
    assert len(first.questions) == 2 and len(second.questions) == 2
    for ident in second.questions:
        loop.replies(second, ident)
    assert loop_first and len(told) == len(later) == 1


def test_who_comes_about_and_takes_its_time_is_not_asked_ever_faster(loop: Loop) -> None:
    """A name server that has to ask others first: each further question waits three times as long, up to half a second."""
    over = way(loop)
    asked(over)
    loop.comes_about(Sock.opened[0])
    times = []
    for _ in range(60):
        loop.passed(SILENCE / 2)
        for sock in Sock.opened[len(times) + 1 :]:
            times.append(loop.now - 1000)
            loop.comes_about(sock)
    gaps = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    assert 2 <= len(times) <= 4 and all(b > 2 * a for a, b in pairwise(gaps)), times


def test_silent_connections_are_few(loop: Loop) -> None:
    over = way(loop)
    for _ in range(40):
        asked(over)
        loop.passed(SILENCE)
    assert sum(not s.closed for s in Sock.opened) <= BESIDE + 1
    assert len(Sock.opened) > BESIDE + 1, "there is always another try"


def test_what_is_dropped_is_not_told_and_not_asked_again(loop: Loop) -> None:
    over = way(loop)
    told, ticket = asked(over)
    over.drop(ticket)
    loop.comes_about(Sock.opened[0])
    loop.ends(Sock.opened[0])
    loop.passed(PATIENCE)
    assert told == [] and len(Sock.opened) == 1


def test_patience_follows_the_time_of_answers(loop: Loop) -> None:
    over = way(loop)
    for _ in range(30):
        asked(over)
        if not Sock.opened[-1].up:
            loop.comes_about(Sock.opened[-1])
        loop.passed(SILENCE * 0.8)
        loop.replies(Sock.opened[-1], Sock.opened[-1].questions[-1])
    assert len(Sock.opened) == 1
    asked(over)
    loop.passed(SILENCE * 3)
    assert len(Sock.opened) == 1, "answers take nearly as long"
    loop.passed(MOST_SILENCE)
    assert len(Sock.opened) >= 2


def test_a_connection_that_never_comes_about_ends(loop: Loop) -> None:
    told: list[bytes | None] = []
    connection = Connection(Upstream("10.96.0.11"), loop, None, "", "", lambda reason: None)  # type: ignore[arg-type]
    connection.send(b"ab", MESSAGE, QUESTION, told.append)
    loop.passed(PATIENCE)
    assert told == [None] and connection.closed
