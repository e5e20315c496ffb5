"""A small HTTP/1.1 server for the built-in programs: one function from a request to an answer. Not for production."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl

    from seaway.cluster.node.programs.http2 import Connection2

LIMIT, BODY_LIMIT = 1 << 16, 64 << 20
PRI = b"PRI * HTTP/2"  # how a client of HTTP/2 begins (RFC 9113 3.4)
REASONS = {
    101: "Switching Protocols",
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    301: "Moved Permanently",
    302: "Found",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Payload Too Large",
    418: "I'm a teapot",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def canonical(name: str) -> str:
    """A header's name as Go's net/http shows it (textproto.CanonicalMIMEHeaderKey)."""
    return "-".join(p[:1].upper() + p[1:].lower() for p in name.split("-"))


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    peer: tuple[str, int]
    tls: ssl.SSLSocket | None = None

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
    headers: tuple[tuple[str, str], ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()  # HTTP/2 only
    after: Callable[[bytes], tuple[bytes, bool]] | None = None  # of a 101: bytes in, bytes out and whether that is all
    reset: bool = False  # no answer: the connection is torn down


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that takes its time: `run` is called in a thread of its own."""

    run: Callable[[], Answer]


Handler = Callable[[Request], Answer | Later]
Echo = Callable[[bytes, tuple[str, int]], bytes]


class Listener(NamedTuple):
    """A port. `h2`: HTTP/2 is spoken to whom begins with its preface. `speaks`: something else than HTTP is."""

    port: int
    tls: ssl.SSLContext | None = None
    h2: bool = False
    speaks: Callable[[socket.socket, tuple[str, int]], Connection] | None = None


def _chunked(data: bytes) -> tuple[bytes, bytes] | None:
    """A chunked body and what follows it; None while it is not whole. RFC 9112 7.1; ValueError where it is none."""
    body = b""
    while True:
        line, found, rest = data.partition(b"\r\n")
        if not found:
            return None
        size = int(line.split(b";")[0], 16)
        if size == 0:
            trailer, ended, after = rest.partition(b"\r\n")
            while trailer and ended:
                trailer, ended, after = after.partition(b"\r\n")
            return (body, after) if ended else None
        if len(rest) < size + 2:
            return None
        body, data = body + rest[:size], rest[size + 2 :]


class Connection:
    """One client: bytes in, answers out, in order."""

    __slots__ = ("after", "asked", "close", "data", "ending", "later", "out", "peer", "reset", "sock")

    def __init__(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        self.sock, self.peer, self.data, self.out, self.close = sock, peer, b"", b"", False
        self.later: list[tuple[Later, int]] = []  # the answer that is waited for; those behind it wait too
        self.ending = (False, False)  # of that one: whether the connection closes then, and whether it has no body
        self.after: Callable[[bytes], tuple[bytes, bool]] | None = None
        self.asked = self.reset = False

    def feed(self, handler: Handler) -> None:
        """Answers every whole request that has arrived."""
        while not self.close and not self.later:
            if self.after is not None:
                out, self.close = self.after(self.data)
                self.out, self.data = self.out + out, b""
                return
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
            if int(length) > BODY_LIMIT or len(rest) > BODY_LIMIT:
                self.answer(Answer(413, b"too long for a test server\n"), True)
                return
            if any(k.lower() == "transfer-encoding" and v.lower() == "chunked" for k, v in headers):
                try:
                    whole = _chunked(rest)
                except ValueError:
                    self.answer(Answer(400, b"bad request\n"), True)
                    return
            else:
                whole = (rest[: int(length)], rest[int(length) :]) if len(rest) >= int(length) else None
            if whole is None:
                if not self.asked and any(k.lower() == "expect" and v.lower() == "100-continue" for k, v in headers):
                    self.out += b"HTTP/1.1 100 Continue\r\n\r\n"
                    self.asked = True
                return
            body, self.data = whole
            self.asked = False
            tls = self.sock if hasattr(self.sock, "cipher") else None
            request = Request(parts[0], parts[1], parts[2], headers, body, self.peer, tls)  # type: ignore[arg-type]
            close = request.header("Connection").lower() == "close" or request.version == "HTTP/1.0"
            answer = handler(request)
            if isinstance(answer, Later):
                self.later, self.ending = [(answer, 0)], (close, request.method == "HEAD")
            else:
                self.answer(answer, close, request.method == "HEAD")

    def finish(self, number: int, answer: Answer) -> None:
        """The answer that was waited for is there."""
        self.later = []
        self.answer(answer, *self.ending)

    def answer(self, answer: Answer, close: bool, head_only: bool = False) -> None:
        if answer.reset:
            self.reset = self.close = True
            return
        lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}"]
        bare = answer.status < 200 or answer.status in (204, 304)
        if not bare:
            lines += [f"Content-Type: {answer.kind}", f"Content-Length: {len(answer.body)}"]
        lines += [f"{k}: {v}" for k, v in answer.headers]
        if close:
            lines.append("Connection: close")
        self.out += ("\r\n".join(lines) + "\r\n\r\n").encode() + (b"" if head_only or bare else answer.body)
        self.close, self.after = self.close or close, answer.after


class _Server:
    """One epoll loop. Without asyncio: fifty of these run beside each other, and each page touched is memory."""

    def __init__(
        self,
        handler: Handler,
        listeners: list[tuple[socket.socket, Listener]],
        udp: socket.socket | None,
        echo: Echo | None,
    ) -> None:
        self._handler, self._udp, self._echo = handler, udp, echo
        self._listeners = {sock.fileno(): (sock, listener) for sock, listener in listeners}
        self._poll = select.epoll()
        self._connections: dict[int, Connection | Connection2] = {}
        self._h2: set[int] = set()  # connections that may yet turn out to speak HTTP/2
        self._done: list[tuple[Connection | Connection2, int, Answer]] = []
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ended = False
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        for fd in (self._wake, *self._listeners, *([udp.fileno()] if udp else [])):
            self._poll.register(fd, select.EPOLLIN)

    def _end(self, *_: object) -> None:
        self._ended = True

    def run(self) -> None:
        while True:
            for fd, events in self._poll.poll():
                if fd == self._wake:
                    os.read(self._wake, 4096)
                    if self._ended:
                        return
                    self._finish()
                elif fd in self._listeners:
                    self._accept(*self._listeners[fd])
                elif self._udp is not None and fd == self._udp.fileno():
                    self._datagram()
                elif fd in self._connections:
                    self._serve(self._connections[fd], events)

    def _accept(self, sock: socket.socket, listener: Listener) -> None:
        for _ in range(64):
            try:
                client, peer = sock.accept()
                if listener.tls:
                    client = listener.tls.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
            except OSError:
                return
            client.setblocking(False)
            connection = (listener.speaks or Connection)(client, (peer[0].removeprefix("::ffff:"), peer[1]))
            self._connections[client.fileno()] = connection
            if listener.h2:
                self._h2.add(client.fileno())
            self._poll.register(client.fileno(), select.EPOLLIN | (select.EPOLLOUT if connection.out else 0))

    def _serve(self, connection: Connection | Connection2, events: int) -> None:
        try:
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                data = connection.sock.recv(65536)
                while pending := getattr(
                    connection.sock, "pending", int
                )():  # TLS holds what the kernel no longer shows
                    data += connection.sock.recv(pending)
                if not data:
                    self._drop(connection)
                    return
                connection.data += data
                connection = self._version(connection)
                self._answer(connection)
            self._send(connection)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as e:
            if type(e).__name__ not in ("SSLWantReadError", "SSLWantWriteError"):
                self._drop(connection)
                return
        self._settle(connection)

    def _version(self, connection: Connection | Connection2) -> Connection | Connection2:
        """The same connection, as one of HTTP/2 where that is what it begins with."""
        number = connection.sock.fileno()
        if number not in self._h2:
            return connection
        if len(connection.data) >= len(PRI) or not PRI.startswith(connection.data):
            self._h2.discard(number)
        if connection.data.startswith(PRI):
            from seaway.cluster.node.programs.http2 import Connection2

            connection = self._connections[number] = Connection2(connection.sock, connection.peer, connection.data)
        return connection

    def _answer(self, connection: Connection | Connection2) -> None:
        before = {number for _, number in connection.later}
        connection.feed(self._handler)
        for later, number in connection.later:
            if number not in before:
                import threading

                threading.Thread(target=self._run_later, args=(connection, number, later), daemon=True).start()

    def _run_later(self, connection: Connection | Connection2, number: int, later: Later) -> None:
        try:
            answer = later.run()
        except Exception as e:
            answer = Answer(500, f"{e}\n".encode())
        self._done.append((connection, number, answer))
        os.write(self._waker, b"\0")

    def _finish(self) -> None:
        while self._done:
            connection, number, answer = self._done.pop(0)
            if not connection.later or self._connections.get(connection.sock.fileno()) is not connection:
                continue
            connection.finish(number, answer)
            self._answer(connection)  # requests that waited behind it
            try:
                self._send(connection)
            except OSError as e:
                if not isinstance(e, BlockingIOError) and not type(e).__name__.startswith("SSLWant"):
                    self._drop(connection)
                    continue
            self._settle(connection)

    def _send(self, connection: Connection | Connection2) -> None:
        if connection.out:
            connection.out = connection.out[connection.sock.send(connection.out) :]

    def _settle(self, connection: Connection | Connection2) -> None:
        if connection.close and not connection.out and not connection.later:
            self._drop(connection)
            return
        self._poll.modify(connection.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if connection.out else 0))

    def _drop(self, connection: Connection | Connection2) -> None:
        self._poll.unregister(connection.sock.fileno())
        del self._connections[connection.sock.fileno()]
        self._h2.discard(connection.sock.fileno())
        if isinstance(connection, Connection) and connection.reset:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
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


def tls_context(certificate: str, key: str, clients: str = "", protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A server's TLS; with `clients`, certificates of theirs are asked for and checked. `protocols`: what ALPN offers."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def serve(
    handler: Handler,
    port: int,
    host: str | None = None,
    udp: tuple[int, Echo] | None = None,
    tls: ssl.SSLContext | None = None,
    more: tuple[Listener, ...] = (),
) -> int:
    """Serves until SIGTERM or SIGINT: on `port`, with TLS where a context is given, and on the ports of `more`."""
    return listen(handler, (Listener(port, tls), *more), host, udp)


def listen(
    handler: Handler, listeners: tuple[Listener, ...], host: str | None = None, udp: tuple[int, Echo] | None = None
) -> int:
    opened = []
    port = 0
    try:
        for listener in listeners:
            port = listener.port
            sock = _bound(socket.SOCK_STREAM, host, port)
            sock.listen(1024)
            opened.append((sock, listener))
        port = udp[0] if udp else port
        datagrams = _bound(socket.SOCK_DGRAM, host, udp[0]) if udp else None
    except OSError as e:
        print(f"cannot listen on port {port}: {e}", file=sys.stderr)
        return 1
    _Server(handler, opened, datagrams, udp[1] if udp else None).run()
    return 0
