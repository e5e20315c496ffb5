"""Questions over UDP. Each try has a socket of its own, at a port of the kernel's choice, connected to the server it asks, and an
id of its own: who wants to answer in a server's place has to guess both."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from seaway.cluster.relay import packets
from seaway.cluster.relay.upstreams import Address, Sockaddr, Upstreams

PENDING = 256  # questions on their way at once; above, a question fails at once
TRY = 1.0  # seconds until the next server is asked too
TRIES = 4
QUERY, ANSWER = 4096, 65535  # bytes at most
AT_ONCE = 32  # packets read in a row, so that nothing else waits long


class Question:
    """A client's question while it is on its way."""

    __slots__ = ("answer", "client", "due", "key", "left", "listener", "query", "sockets")

    def __init__(self, listener: socket.socket, client: Sockaddr, query: bytes, left: list[Address]) -> None:
        self.listener, self.client, self.query, self.left = listener, client, query, left
        self.key = (listener.fileno(), client, query)
        self.sockets: dict[int, tuple[socket.socket, Address, bytes]] = {}  # what was asked, with its id
        self.due = 0.0
        self.answer = b""  # a server's error, kept in case that no other knows


class Datagrams:
    """`watch` and `unwatch` say which descriptors the loop is to look at."""

    def __init__(self, upstreams: Upstreams, watch: Callable[[int], None], unwatch: Callable[[int], None]) -> None:
        self._upstreams, self._watch, self._unwatch = upstreams, watch, unwatch
        self._questions: dict[tuple[int, Sockaddr, bytes], Question] = {}
        self._by_socket: dict[int, Question] = {}

    def read(self, listener: socket.socket, now: float) -> None:
        """What clients have sent."""
        for _ in range(AT_ONCE):
            try:
                query, client = listener.recvfrom(QUERY)
            except OSError:
                return
            if not packets.is_query(query) or (listener.fileno(), client, query) in self._questions:
                continue  # what is asked again while it is on its way is not asked twice
            if len(self._questions) >= PENDING:
                _send(listener, packets.failure(query), client)
                continue
            order = self._upstreams.order(now)
            question = Question(listener, client, query, (order * TRIES)[: max(TRIES, len(order))])
            self._questions[question.key] = question
            self._ask(question, now)

    def _ask(self, question: Question, now: float) -> None:
        """Asks the next server; where none is left, whoever was asked has the rest of its time, and then the question ends."""
        while question.left:
            server = question.left.pop(0)
            sent = packets.with_id(question.query, os.urandom(2))
            try:
                sock = socket.socket(server[0], socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            except OSError:
                continue
            try:
                sock.connect(server[1])
                sock.send(sent)
            except OSError:
                sock.close()
                self._upstreams.failed(server, now)
                continue
            question.sockets[sock.fileno()] = (sock, server, sent)
            self._by_socket[sock.fileno()] = question
            self._watch(sock.fileno())
            question.due = now + TRY
            return
        if not question.sockets:
            self._end(question, question.answer or packets.failure(question.query))

    def owns(self, fd: int) -> bool:
        return fd in self._by_socket

    def answered(self, fd: int, now: float) -> None:
        """A server has answered, or its machine has said that nobody is there."""
        question = self._by_socket[fd]
        sock, server, sent = question.sockets[fd]
        for _ in range(AT_ONCE):
            try:
                packet = sock.recv(ANSWER)
            except BlockingIOError:
                return
            except OSError:  # refused
                self._upstreams.failed(server, now)
                self._drop(question, fd)
                question.left = [s for s in question.left if s != server]
                self._ask(question, now)
                return
            if packets.is_answer(sent, packet):
                break
        else:
            return
        self._upstreams.answered(server)
        packet = packets.with_id(packet, question.query[:2])
        question.left = [s for s in question.left if s != server]
        if packets.asks_another(packet) and (question.left or len(question.sockets) > 1):
            question.answer = packet
            self._drop(question, fd)
            self._ask(question, now)
            return
        self._end(question, packet)

    def expire(self, now: float) -> float | None:
        """Asks on where a try has had its time; seconds until this is due again, None: nothing is on its way."""
        for question in list(self._questions.values()):
            if question.due <= now:
                for _, server, _ in question.sockets.values():
                    self._upstreams.failed(server, now)
                if question.left:
                    self._ask(question, now)
                else:
                    self._end(question, question.answer or packets.failure(question.query))
        return max(min((q.due for q in self._questions.values()), default=now) - now, 0.0) if self._questions else None

    def _drop(self, question: Question, fd: int) -> None:
        sock, _, _ = question.sockets.pop(fd)
        del self._by_socket[fd]
        self._unwatch(fd)
        sock.close()

    def _end(self, question: Question, answer: bytes) -> None:
        for fd in list(question.sockets):
            self._drop(question, fd)
        self._questions.pop(question.key, None)
        _send(question.listener, answer, question.client)


def _send(listener: socket.socket, packet: bytes, client: Sockaddr) -> None:
    try:
        listener.sendto(packet, client)
    except OSError:
        pass  # the client asks again
