"""A small HTTP/1.1 server for the built-in programs: one function from a request to an answer. Not for production."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

LIMIT = 1 << 16
REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    peer: tuple[str, int]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def query(self, name: str, default: str = "") -> str:
        return (parse_qs(urlsplit(self.target).query, keep_blank_values=True).get(name) or [default])[0]

    def header(self, name: str) -> str:
        return next((v for k, v in self.headers if k.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


Handler = Callable[[Request], Answer]
Echo = Callable[[bytes, tuple[str, int]], bytes]


class _Connection:
    """One client: bytes in, answers out, in order."""

    __slots__ = ("close", "data", "out", "peer", "sock")

    def __init__(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        self.sock, self.peer, self.data, self.out, self.close = sock, peer, b"", b"", False

    def feed(self, handler: Handler) -> None:
        """Answers every whole request that has arrived."""
        while not self.close:
            head, found, rest = self.data.partition(b"\r\n\r\n")
            if not found:
                self.close = len(head) > LIMIT
                return
            lines = head.decode("latin-1").split("\r\n")
            parts = lines[0].split(" ")
            headers = tuple((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:]))
            length = next((v for k, v in headers if k.lower() == "content-length"), "0")
            if len(parts) != 3 or not length.isdigit():
                self.answer(Answer(400, b"bad request\n"), True)
                return
            if len(rest) < int(length):
                return
            self.data = rest[int(length) :]
            request = Request(parts[0], parts[1], parts[2], headers, rest[: int(length)], self.peer)
            close = request.header("Connection").lower() == "close" or request.version == "HTTP/1.0"
            self.answer(handler(request), close, request.method == "HEAD")

    def answer(self, answer: Answer, close: bool, head_only: bool = False) -> None:
        lines = [
            f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}",
            f"Content-Type: {answer.kind}",
            f"Content-Length: {len(answer.body)}",
        ]
        if close:
            lines.append("Connection: close")
        self.out += ("\r\n".join(lines) + "\r\n\r\n").encode() + (b"" if head_only else answer.body)
        self.close = self.close or close


class _Server:
    """One epoll loop. Without asyncio: fifty of these run beside each other, and each page touched is memory."""

    def __init__(self, handler: Handler, listener: socket.socket, udp: socket.socket | None, echo: Echo | None) -> None:
        self._handler, self._listener, self._udp, self._echo = handler, listener, udp, echo
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._wake, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        for fd in (self._wake, listener.fileno(), *([udp.fileno()] if udp else [])):
            self._poll.register(fd, select.EPOLLIN)

    def run(self) -> None:
        while True:
            for fd, events in self._poll.poll():
                if fd == self._wake:
                    return
                if fd == self._listener.fileno():
                    self._accept()
                elif self._udp is not None and fd == self._udp.fileno():
                    self._datagram()
                else:
                    self._serve(self._connections[fd], events)

    def _accept(self) -> None:
        for _ in range(64):
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            self._connections[sock.fileno()] = _Connection(sock, (peer[0].removeprefix("::ffff:"), peer[1]))
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def _serve(self, connection: _Connection, events: int) -> None:
        try:
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                data = connection.sock.recv(65536)
                if not data:
                    self._drop(connection)
                    return
                connection.data += data
                connection.feed(self._handler)
            if connection.out:
                connection.out = connection.out[connection.sock.send(connection.out) :]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)
            return
        if connection.close and not connection.out:
            self._drop(connection)
            return
        self._poll.modify(connection.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if connection.out else 0))

    def _drop(self, connection: _Connection) -> None:
        self._poll.unregister(connection.sock.fileno())
        del self._connections[connection.sock.fileno()]
        connection.sock.close()

    def _datagram(self) -> None:
        assert self._udp and self._echo
        data, peer = self._udp.recvfrom(65536)
        reply = self._echo(data, (peer[0].removeprefix("::ffff:"), peer[1]))
        try:
            self._udp.sendto(reply, peer)
        except OSError:
            pass


def _bound(kind: socket.SocketKind, host: str | None, port: int) -> socket.socket:
    """A socket on both families where there are two, on IPv4 alone where not."""
    for family, address in ((socket.AF_INET6, host or "::"), (socket.AF_INET, host or "0.0.0.0")):
        try:
            sock = socket.socket(family, kind)
        except OSError:
            continue
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind((address, port))
            sock.setblocking(False)
            return sock
        except OSError:
            sock.close()
            if family == socket.AF_INET:
                raise
    raise OSError("no address family is there")


def serve(handler: Handler, port: int, host: str | None = None, udp: tuple[int, Echo] | None = None) -> int:
    """Serves until SIGTERM or SIGINT."""
    try:
        listener = _bound(socket.SOCK_STREAM, host, port)
        listener.listen(1024)
        datagrams = _bound(socket.SOCK_DGRAM, host, udp[0]) if udp else None
    except OSError as e:
        print(f"cannot listen on port {port}: {e}", file=sys.stderr)
        return 1
    _Server(handler, listener, datagrams, udp[1] if udp else None).run()
    return 0
