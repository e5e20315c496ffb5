"""A worker's end of the link to the control process, as a transcript: what it says, and what it does with what it is told."""

from __future__ import annotations

import errno
from collections import deque

import pytest
from handclock import Clock

from seaway.dns import link
from seaway.dns.answer import Answer
from seaway.dns.serving.zonelink import AGAIN, PATIENCE, ZoneLink
from seaway.dns.settings import Kubernetes
from seaway.dns.zone.outline import Outline

WEB, DB = b"\x03web\x03red", b"\x02db\x03red"


class Sock:
    """The control process at its other end is the test."""

    def __init__(self) -> None:
        self.said: list[link.FromWorker] = []
        self.inbox: deque[bytes] = deque()
        self.error = 0

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def send(self, data: bytes) -> None:
        if self.error:
            raise OSError(self.error, "no")
        self.said.append(link.from_worker(data))

    def recv_into(self, room: memoryview) -> int:
        if not self.inbox:
            raise BlockingIOError
        data = self.inbox.popleft()
        room[: len(data)] = data
        return len(data)


class Loop(Clock):
    read: object = None

    def watch(self, sock: Sock, read: object, write: object = None) -> None:
        self.read = read

    def forget(self, sock: Sock) -> None:
        self.read = None


class Bench:
    def __init__(self) -> None:
        self.sock, self.loop, self.outline = Sock(), Loop(), Outline(Kubernetes())
        self.voided: list[list[bytes] | None] = []
        self.loops: list[tuple[str, int]] = []
        self.link = ZoneLink(
            self.sock, self.loop, self.outline, self.voided.append, lambda: [b"one", b"two"], lambda h, p: self.loops.append((h, p))  # type: ignore[arg-type]
        )  # fmt: skip

    def told(self, *messages: link.FromControl) -> None:
        self.sock.inbox += [link.encode(m) for m in messages]
        self.loop.read()  # type: ignore[operator]

    def said(self) -> list[link.FromWorker]:
        found, self.sock.said = self.sock.said, []
        return found

    def nonce(self) -> int:
        hello = self.said()[-1]
        assert isinstance(hello, link.Hello)
        return hello.nonce

    def whole(self) -> Bench:
        self.told(link.Names(self.nonce(), [WEB], [b"\x0a\x60\0\1"], 7, True, True))
        self.voided.clear()
        return self


def test_it_knows_the_names_when_all_parts_have_come() -> None:
    bench = Bench()
    nonce = bench.nonce()
    bench.told(link.Names(nonce, [WEB], [b"\x0a\x60\0\1"], 7, True, False))
    assert not bench.outline.synced
    bench.told(link.Names(nonce, [DB], [b""], 8, False, True))
    assert bench.outline.services == {WEB: b"\x0a\x60\0\1", DB: b""}
    assert (bench.outline.synced, bench.outline.serial, bench.voided) == (True, 8, [None])
    bench.loop.passed(10)
    assert bench.said() == [], "it asks no more"


def test_it_asks_again_until_they_come_and_takes_no_names_of_another() -> None:
    bench = Bench()
    first = bench.nonce()
    bench.loop.passed(AGAIN)
    second = bench.nonce()
    assert first != second
    bench.told(link.Names(first, [DB], [b""], 1, True, True))
    assert not bench.outline.synced, "those were for a worker that is no more"
    bench.told(link.Names(second, [WEB], [b""], 1, True, True))
    assert set(bench.outline.services) == {WEB}


def test_names_for_all_replace_what_was_known() -> None:
    bench = Bench().whole()
    bench.told(link.Names(0, [DB], [b""], 9, True, True))
    assert set(bench.outline.services) == {DB}
    assert bench.voided == [None]


def test_a_change_takes_names_and_answers_with_it() -> None:
    bench = Bench().whole()
    bench.told(link.Change([DB], [b"\x0a\x60\0\2"], [WEB], [WEB, DB], 8))
    assert bench.outline.services == {DB: b"\x0a\x60\0\2"}
    assert (bench.outline.serial, bench.voided) == (8, [[WEB, DB]])


def test_a_change_before_the_names_is_in_them() -> None:
    bench = Bench()
    bench.told(link.Change([DB], [b""], [], [DB], 8))
    assert not bench.outline.services
    assert not bench.outline.synced
    assert bench.voided == []


def test_a_question_is_asked_once_and_answered_to_all() -> None:
    bench = Bench().whole()
    told: list[Answer | None] = []
    for _ in range(3):
        bench.link.ask(b"\x01a\0", 1, told.append)
    bench.link.ask(b"\x01a\0", 28, told.append)
    assert bench.said() == [link.Ask(b"\x01a\0", 1), link.Ask(b"\x01a\0", 28)]
    bench.told(link.Told(b"\x01a\0", 1, True, 0x0400, (1, 0, 0), b"body", (0, 0, 0), (b"o",), b"t"))
    assert told == [Answer(0x0400, (1, 0, 0), b"body", (0, 0, 0), (b"o",), target=b"t")] * 3
    bench.told(link.Told(b"\x01a\0", 28, known=False), link.Told(b"\x01a\0", 28, known=False))
    assert told[3:] == [None]
    bench.loop.passed(60)
    assert len(told) == 4


def test_a_control_process_that_is_silent_is_given_up() -> None:
    bench = Bench().whole()
    told: list[Answer | None] = []
    bench.link.ask(b"\x01a\0", 1, told.append)
    bench.loop.passed(PATIENCE)
    assert told == [None]
    bench.link.ask(b"\x01a\0", 1, told.append)
    bench.told(link.Told(b"\x01a\0", 1, True, body=b"late, and good for who asks now"))
    assert len(told) == 2


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.EPIPE, errno.ECONNREFUSED, errno.ENOBUFS, errno.EMSGSIZE])
def test_a_link_that_takes_nothing_fails_the_question_and_no_more(error: int) -> None:
    bench = Bench().whole()
    bench.sock.error = error
    told: list[Answer | None] = []
    bench.link.ask(b"\x01a\0", 1, told.append)
    assert told == [None]
    bench.sock.error = 0
    bench.link.ask(b"\x01a\0", 1, told.append)
    assert bench.said() == [link.Ask(b"\x01a\0", 1)]


def test_counts_are_told_in_parts_and_loops_to_all() -> None:
    bench = Bench().whole()
    bench.told(link.Count(5))
    assert bench.said() == [link.Stats(5, b"one", False), link.Stats(5, b"two", True)]
    bench.link.tell_loop("192.0.2.1", 53)
    assert bench.said() == [link.Looped("192.0.2.1", 53)]
    bench.told(link.Looped("192.0.2.1", 53))
    assert bench.loops == [("192.0.2.1", 53)]


def test_the_end_of_the_link_is_the_end_of_it() -> None:
    bench = Bench().whole()
    bench.sock.inbox.append(b"")
    bench.loop.read()  # type: ignore[operator]
    assert bench.loop.read is None
