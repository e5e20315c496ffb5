"""Connections and datagrams of clients that may not pass, by their address, through a real Envoy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from proxied import Proxied, free_port
from translated import GATEWAY, source

from seaway.routing.ir import Chain, Cluster, End, Endpoints, Pieces, Socket, Stream, Target

# (allow, deny) -> whether 127.0.0.1 passes
POLICIES: dict[str, tuple[tuple[str, ...], tuple[str, ...], bool]] = {
    "none": ((), (), True),
    "allowed": (("127.0.0.0/8", "10.0.0.0/8"), (), True),
    "not allowed": (("10.0.0.0/8", "2001:db8::/32"), (), False),
    "denied": ((), ("127.0.0.1/32",), False),
    "not denied": ((), ("10.0.0.0/8",), True),
    "both": (("127.0.0.0/8",), ("127.0.0.0/30",), False),
    "allowed and another denied": (("127.0.0.0/8",), ("127.0.0.2/32",), True),
}


def echo(kind: int) -> tuple[int, Callable[[], None]]:
    server = socket.socket(socket.AF_INET, kind)
    server.bind(("127.0.0.1", 0))

    def stream() -> None:
        server.listen()
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(connection.recv(100))

    def datagrams() -> None:
        while True:
            try:
                data, client = server.recvfrom(100)
                if client is None:
                    return
                server.sendto(data, client)
            except OSError:
                return

    threading.Thread(target=stream if kind == socket.SOCK_STREAM else datagrams, daemon=True).start()

    def close() -> None:
        try:
            server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        server.close()

    return int(server.getsockname()[1]), close


@pytest.fixture(scope="module")
def played() -> Iterator[dict[tuple[str, str], int]]:
    ports: dict[tuple[str, str], int] = {}
    pieces = Pieces()
    kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    closing: list[Any] = []
    for transport, kind in kinds.items():
        behind, close = echo(kind)
        closing.append(close)
        name = f"shop/{transport}/1"
        pieces.clusters[name] = Cluster(name, transport)
        pieces.endpoints[name] = Endpoints(name, (End("127.0.0.1", behind),))
        for policy, (allow, deny, _) in POLICIES.items():
            port = ports[transport, policy] = free_port(kind)
            stream = Stream((Target(name),), source("stream"), allow, deny)
            pieces.sockets[f"{transport}-{port}"] = Socket(port, transport, (Chain("stream", GATEWAY, stream=stream),))
    with Proxied(pieces) as proxy:
        yield ports
        assert proxy.refused() == {}, proxy.logged()
    for close in closing:
        close()


@pytest.mark.parametrize("policy", POLICIES)
def test_connections_pass_by_the_clients_address(played: dict[tuple[str, str], int], policy: str) -> None:
    with socket.create_connection(("127.0.0.1", played["tcp", policy]), 10) as s:
        try:
            s.sendall(b"hello")
            got = s.recv(100)
        except ConnectionResetError:
            got = b""
    assert got == (b"hello" if POLICIES[policy][2] else b"")


def test_datagrams_pass_by_the_clients_address(played: dict[tuple[str, str], int]) -> None:
    asking = {policy: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for policy in POLICIES}
    for policy, s in asking.items():
        s.connect(("127.0.0.1", played["udp", policy]))
        s.settimeout(10)
        s.send(b"hello")
    for policy, s in asking.items():
        if POLICIES[policy][2]:
            assert s.recv(100) == b"hello"
    for s in asking.values():  # each answer that was to come has come
        s.setblocking(False)
        with pytest.raises(BlockingIOError):
            s.recv(100)
        s.close()
