"""Questions over TCP, which is where a client goes with an answer that was truncated: a connection of the client's is joined with
one to a server, byte for byte."""

from __future__ import annotations

import socket
from collections.abc import Callable

from seaway.cluster.relay.upstreams import Address, Upstreams

CONNECTIONS = 64
CONNECTING, IDLE = 1.0, 10.0  # seconds
BUFFER = 1 << 16
READ, WRITE, BROKEN = 0x1, 0x4, 0x8 | 0x10  # select.EPOLLIN, EPOLLOUT, EPOLLERR | EPOLLHUP


class Joined:
    """A client and a server, and what each is still to be given."""

    __slots__ = (
        "client",
        "client_done",
        "connected",
        "due",
        "left",
        "server",
        "server_address",
        "server_done",
        "to_client",
        "to_server",
    )

    def __init__(self, client: socket.socket, left: list[Address]) -> None:
        self.client = client
        self.left = left
        self.server: socket.socket | None = None
        self.server_address: Address | None = None
        self.connected = self.client_done = self.server_done = False
        self.due = 0.0
        self.to_client, self.to_server = b"", b""


class Streams:
    """`watch(fd, events)` says what the loop is to look for."""

    def __init__(self, upstreams: Upstreams, watch: Callable[[int, int], None], unwatch: Callable[[int], None]) -> None:
        self._upstreams, self._watch, self._unwatch = upstreams, watch, unwatch
        self._by_socket: dict[int, Joined] = {}
        self._joined: list[Joined] = []

    def accept(self, listener: socket.socket, now: float) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        if len(self._joined) >= CONNECTIONS:
            client.close()
            return
        client.setblocking(False)
        joined = Joined(client, self._upstreams.order(now))
        self._joined.append(joined)
        self._by_socket[client.fileno()] = joined
        self._connect(joined, now)

    def _connect(self, joined: Joined, now: float) -> None:
        while joined.left:
            joined.server_address = joined.left.pop(0)
            family, address = joined.server_address
            server = None
            try:
                server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
                server.connect(address)
            except BlockingIOError:
                pass
            except OSError:
                if server is not None:
                    server.close()
                self._upstreams.failed(joined.server_address, now)
                continue
            assert server
            joined.server, joined.connected, joined.due = server, False, now + CONNECTING
            self._by_socket[server.fileno()] = joined
            self._look(joined)
            return
        self._end(joined)

    def owns(self, fd: int) -> bool:
        return fd in self._by_socket

    def _look(self, joined: Joined) -> None:
        """What is to be waited for; who sends faster than the other takes is not read meanwhile."""
        assert joined.server
        reads = READ if len(joined.to_server) < BUFFER and not joined.client_done else 0
        self._want(joined.client, reads | (WRITE if joined.to_client else 0))
        reads = READ if joined.connected and len(joined.to_client) < BUFFER and not joined.server_done else 0
        self._want(joined.server, reads | (WRITE if joined.to_server or not joined.connected else 0))

    def _want(self, sock: socket.socket, events: int) -> None:
        if events:
            self._watch(sock.fileno(), events)
        else:  # an end that has hung up would be told of again and again
            self._unwatch(sock.fileno())

    def ready(self, fd: int, events: int, now: float) -> None:
        joined = self._by_socket[fd]
        assert joined.server
        is_server = fd == joined.server.fileno()
        if is_server and not joined.connected:
            if joined.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._elsewhere(joined, now)
                return
            joined.connected = True
        elif events & BROKEN and not events & READ and not (is_server and joined.to_client):
            self._end(joined)
            return
        try:
            if events & READ and is_server:
                data = _received(joined.server)
                joined.to_client += data or b""
                joined.server_done = data == b""
            elif events & READ:
                data = _received(joined.client)
                joined.to_server += data or b""
                joined.client_done = data == b""
            joined.to_client = joined.to_client[_sent(joined.client, joined.to_client) :]
            if joined.connected:
                self._give(joined.server, joined)
        except OSError:
            self._end(joined)
            return
        if joined.server_done and not joined.to_client:
            self._end(joined)
            return
        joined.due = now + (IDLE if joined.connected else CONNECTING)
        self._look(joined)

    def _give(self, server: socket.socket, joined: Joined) -> None:
        try:
            joined.to_server = joined.to_server[_sent(server, joined.to_server) :]
            if joined.client_done and not joined.to_server:
                server.shutdown(socket.SHUT_WR)  # it still answers what it was asked
        except OSError:  # it takes no more; what it has said is still the client's
            joined.to_server, joined.client_done = b"", True

    def expire(self, now: float) -> float | None:
        """Ends what has been silent; seconds until this is due again."""
        for joined in list(self._joined):
            if joined.due <= now:
                if joined.connected:
                    self._end(joined)
                else:
                    self._elsewhere(joined, now)
        return max(min(j.due for j in self._joined) - now, 0.0) if self._joined else None

    def _elsewhere(self, joined: Joined, now: float) -> None:
        assert joined.server and joined.server_address
        self._upstreams.failed(joined.server_address, now)
        self._close(joined.server)
        joined.server = None
        self._connect(joined, now)

    def _close(self, sock: socket.socket) -> None:
        if self._by_socket.pop(sock.fileno(), None):
            self._unwatch(sock.fileno())
        sock.close()

    def _end(self, joined: Joined) -> None:
        self._close(joined.client)
        if joined.server:
            self._close(joined.server)
        self._joined.remove(joined)


def _received(sock: socket.socket) -> bytes | None:
    """Empty: the other end has said all. None: nothing yet."""
    try:
        return sock.recv(BUFFER)
    except BlockingIOError:
        return None


def _sent(sock: socket.socket, data: bytes) -> int:
    try:
        return sock.send(data) if data else 0
    except BlockingIOError:
        return 0
