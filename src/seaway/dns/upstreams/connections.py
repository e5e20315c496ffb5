"""Upstreams by TCP and TLS: a connection that is kept and carries many questions at once (RFC 7766 6.2.1, RFC 7858)."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable

from seaway.dns import relayed
from seaway.dns.settings import Tls, Upstream
from seaway.dns.upstreams.datagrams import Ids, Loop, Then, UdpWay

log = logging.getLogger("dns")
PENDING = 1000  # on their way by one connection
UNSENT = 1 << 20  # bytes that wait for a slow upstream
PATIENCE = 3.0  # seconds for a connection to come about
TRIES = 8  # connections that one question may go by
SILENCE = 0.03  # seconds, at least, before another connection is opened beside a silent one
MOST_SILENCE = 0.2  # the most that the time of earlier answers makes of it
MOST_PATIENCE = 0.5  # the most that answers which take their time make of it
HANDSHAKE = 10  # times as long with TLS
BESIDE = 8  # silent connections that may stay beside the one in use


class Connection:
    """A socket, what is to be sent, what it waits for: id -> (question, then, message)."""

    def __init__(
        self,
        upstream: Upstream,
        loop: Loop,
        tls: ssl.SSLContext | None,
        name: str,
        source: str,
        tell: Callable[[str], None],
    ) -> None:
        self._loop, self._tell = loop, tell
        self.pending: dict[bytes, tuple[bytes, Then, bytes]] = {}
        self.used = self.heard = loop.now
        self.closed = False
        self._in, self._out = bytearray(), bytearray()
        family = socket.AF_INET6 if ":" in upstream.host else socket.AF_INET
        plain = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if source:
                plain.bind((source, 0))
            plain.connect((upstream.host, upstream.port))
        except BlockingIOError:
            pass
        except OSError:
            plain.close()
            raise
        self.sock = plain
        self._tls = tls
        self._name = name
        self.ready = self._connected = False
        loop.watch(plain, self._turn, self._turn)
        loop.later(PATIENCE, self._impatient)

    def send(self, ident: bytes, message: bytes, question: bytes, then: Then) -> None:
        if not self.pending:
            self.heard = self._loop.now
        self.pending[ident] = (question, then, message)
        self.used = self._loop.now
        self._out += (len(message) + 2).to_bytes(2, "big") + ident + message
        if self.ready:
            self._flush()

    def _impatient(self) -> None:
        if not self.ready and not self.closed:
            self.close()

    def _turn(self) -> None:
        """The socket can do something: come about, shake hands, send, receive."""
        try:
            if not self._connected:
                if error := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(error, "connect")
                self.sock.getpeername()
                self._connected = True
                if self._tls is not None:
                    self._loop.forget(self.sock)
                    self.sock = self._tls.wrap_socket(
                        self.sock, do_handshake_on_connect=False, server_hostname=self._name or None
                    )
                    self._loop.watch(self.sock, self._turn, self._turn)
            if not self.ready:
                if isinstance(self.sock, ssl.SSLSocket):
                    self.sock.do_handshake()
                self.ready = True
            self._flush()
            self._receive()
        except ssl.SSLWantReadError:
            self._loop.watch(self.sock, self._turn)
        except (ssl.SSLWantWriteError, BlockingIOError):
            self._loop.watch(self.sock, self._turn, self._turn)
        except ssl.SSLError as e:
            if not self.ready:
                self._tell(getattr(e, "verify_message", "") or e.reason or str(e))
            self.close()
        except OSError:
            self.close()

    def _flush(self) -> None:
        if self.closed:
            return
        try:
            while self._out:
                sent = self.sock.send(self._out[:65536])
                del self._out[:sent]
            self._loop.watch(self.sock, self._turn)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._loop.watch(self.sock, self._turn, self._turn)
        except OSError:
            self.close()

    def _receive(self) -> None:
        if self.closed:
            return
        try:
            while True:
                data = self.sock.recv(65536)
                if not data:
                    self.close()
                    return
                self._in += data
                self._messages()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return

    def _messages(self) -> None:
        while len(self._in) >= 2:
            size = int.from_bytes(self._in[:2], "big")
            if len(self._in) < 2 + size:
                return
            message = bytes(self._in[2 : 2 + size])
            del self._in[: 2 + size]
            found = self.pending.get(message[:2])
            if found is not None and relayed.answers(message, found[0]):
                del self.pending[message[:2]]
                self.used = self.heard = self._loop.now
                found[1](message)

    @property
    def silence(self) -> float:
        """Seconds that something has been waited for, and nothing heard."""
        return self._loop.now - self.heard if self.pending else 0.0

    @property
    def unsent(self) -> int:
        return len(self._out)

    def close(self) -> None:
        """Ends it; who waited is told."""
        if self.closed:
            return
        self.closed = True
        self._loop.forget(self.sock)
        self.sock.close()
        pending, self.pending = list(self.pending.values()), {}
        for _, then, _ in pending:
            then(None)


class Errand:
    """A question on its way. `places`: the connections that it went by, and its id on each; the first answer counts."""

    __slots__ = ("done", "message", "places", "question", "sent", "then", "tries")

    def __init__(self, message: bytes, question: bytes, then: Then, now: float) -> None:
        self.message, self.question, self.then, self.sent = message, question, then, now
        self.places: list[tuple[Connection, bytes]] = []
        self.tries = 0
        self.done = False

    def end(self) -> None:
        self.done = True
        for connection, ident in self.places:
            connection.pending.pop(ident, None)


class StreamWay:
    """To one upstream, by TCP or TLS. `expire`: seconds after which an idle connection is not used again.

    The address may be a Service's: each connection leads to one of its pods, and that one may go. What a connection took along
    when it ended is asked by another at once. One that is silent for longer than answers take, or does not come about, is left
    as it is: another is opened beside it, and what waits is asked there too.
    """

    def __init__(self, upstream: Upstream, loop: Loop, ids: Ids, tls: Tls | None, expire: float, source: str = "") -> None:
        self._upstream, self._loop, self._ids, self._expire, self._source = upstream, loop, ids, expire, source
        self._context = context_of(tls or Tls()) if upstream.tls else None
        self._name = (upstream.server_name or (tls.server_name if tls else "") or upstream.host) if upstream.tls else ""
        self._connection: Connection | None = None
        self._silent: list[Connection] = []
        self._errands: dict[Errand, None] = {}
        self._took = 0.0  # seconds that an answer takes, smoothed
        self._strikes = 0  # connections in a row that came about and fell silent
        self._watching = False
        self._reason = ""

    def _tell(self, reason: str) -> None:
        """Why TLS does not come about; once, until it is another reason."""
        if reason != self._reason:
            self._reason = reason
            host, port = self._upstream.host, self._upstream.port
            log.error("upstream %s, port %d: no TLS with it as %s: %s", host, port, self._name, reason)

    def ask(self, message: bytes, question: bytes, then: Then) -> object:
        errand = Errand(message, question, then, self._loop.now)
        self._send(errand)
        if not self._watching and not errand.done:
            self._watching = True
            self._loop.later(self._least / 2, self._watch)
        return errand

    def drop(self, ticket: object) -> None:
        if isinstance(ticket, Errand):
            ticket.end()
            self._errands.pop(ticket, None)

    def _send(self, errand: Errand) -> None:
        while True:
            errand.tries += 1
            try:
                connection = self._usable()
                break
            except OSError:
                if errand.tries >= TRIES:
                    self._give_up(errand)
                    return
        if len(connection.pending) >= PENDING or connection.unsent > UNSENT:  # too many on their way
            self._give_up(errand)
            return
        ident = self._ids.next()[:2]
        while ident in connection.pending:
            ident = self._ids.next()[:2]
        errand.places.append((connection, ident))
        self._errands[errand] = None
        connection.send(ident, errand.message, errand.question, lambda reply: self._told(errand, connection, reply))

    def _give_up(self, errand: Errand) -> None:
        self.drop(errand)
        self._loop.later(0, lambda: errand.then(None))

    def _told(self, errand: Errand, connection: Connection, reply: bytes | None) -> None:
        if errand.done:
            return
        if reply is not None:
            took = self._loop.now - errand.sent
            self._took += (took - self._took) / 8 if self._took else took
            self._strikes = 0
            self.drop(errand)
            errand.then(reply)
            return
        errand.places = [(c, i) for c, i in errand.places if c is not connection and not c.closed]
        if errand.places:
            return
        if errand.tries < TRIES:
            self._send(errand)
        else:
            self._give_up(errand)

    def _usable(self) -> Connection:
        found = self._connection
        if found is not None and not found.closed:
            if found.pending or self._loop.now - found.used < self._expire:
                return found
            found.close()
        return self._another()

    def _another(self) -> Connection:
        self._connection = None
        self._connection = Connection(self._upstream, self._loop, self._context, self._name, self._source, self._tell)
        return self._connection

    # what is silent

    @property
    def _least(self) -> float:
        return SILENCE * (HANDSHAKE if self._context else 1)

    def _patience(self, connection: Connection) -> float:
        """Seconds of silence before another is tried: longer each time where connections do come about, since then it is the
        answer that takes its time."""
        found = max(self._least, min(4 * self._took, MOST_SILENCE))
        return min(found * 3**self._strikes, MOST_PATIENCE) if connection.ready else found

    def _watch(self) -> None:
        """Looks at the connection in use while somebody waits."""
        for one in self._silent:
            if not one.pending:  # answered by others
                one.close()
        self._silent = [c for c in self._silent if not c.closed]
        if not self._errands:
            self._watching = False
            return
        self._loop.later(self._least / 2, self._watch)
        found = self._connection
        if found is None or found.closed or found.silence < self._patience(found):
            return
        self._silent.append(found)
        try:
            self._another()
        except OSError:
            return
        self._strikes += found.ready
        for errand in [e for e in self._errands if e.tries < TRIES]:
            self._send(errand)
        while len(self._silent) > BESIDE:
            self._silent.pop(0).close()


class BothWays:
    """By UDP; what comes truncated is asked again by TCP. For askers that came by TCP themselves."""

    def __init__(self, first: UdpWay, second: StreamWay) -> None:
        self._first, self._second = first, second

    def ask(self, message: bytes, question: bytes, then: Then) -> object:
        tickets: list[tuple[Callable[[object], None], object]] = []

        def whole(reply: bytes | None) -> None:
            if reply is not None and relayed.truncated(reply):
                tickets.append((self._second.drop, self._second.ask(message, question, then)))
            else:
                then(reply)

        tickets.append((self._first.drop, self._first.ask(message, question, whole)))
        return tickets

    def drop(self, ticket: object) -> None:
        if isinstance(ticket, list):
            for drop, one in ticket:
                drop(one)


def context_of(tls: Tls) -> ssl.SSLContext:
    """For upstreams: certificates are checked against `authority` or the system's."""
    context = ssl.create_default_context(cafile=tls.authority or None)
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return context
