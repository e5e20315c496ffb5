"""How large bodies may be, through a real Envoy: said lengths, unknown lengths, what has no end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from proxied import Answer, Backend, Proxied, free_port, parsed, whole
from translated import host, http, rule, to

from seaway.envoy.translation import bodies, shards
from seaway.routing.ir import (
    Cluster,
    End,
    Endpoints,
    Forward,
    Match,
    PathMatch,
    Redirect,
    Respond,
    Rule,
    Session,
    Target,
)
from seaway.routing.policy import RoutePolicy

WEB, RAW = "shop/web/80", "shop/raw/80"
KIB = 1 << 10
SMALL = RoutePolicy(largest_body=64 * KIB)


class Raw:
    """A backend that says what it got, piece by piece: a WebSocket's, or the beginning of a body."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.server.accept()[0],), daemon=True).start()

    def _serve(self, s: socket.socket) -> None:
        with s, contextlib.suppress(OSError):
            found = b""
            while b"\r\n\r\n" not in found:
                found += s.recv(65536)
            head, _, rest = found.partition(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
                while part := s.recv(65536):
                    s.sendall(part)
                return
            if not rest:
                rest = s.recv(65536)
            s.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(rest), rest))

    def close(self) -> None:
        self.server.close()


RULES = (
    rule("/free", to(WEB)),
    rule("/small", to(WEB), policy=SMALL),
    rule("/none-at-all", to(WEB), policy=RoutePolicy(largest_body=1)),
    rule("/large", to(WEB), policy=RoutePolicy(largest_body=1 << 40)),
    rule("/stream", to(RAW), policy=SMALL),
    rule("/redirect", Redirect(host="x.example.com"), policy=SMALL),
    rule("/kept", Forward((Target(WEB), Target("shop/other/80")), session=Session("cookie", "sid")), policy=SMALL),
    Rule(Match(PathMatch("prefix", "/g.S"), grpc=True), to(RAW), rule("/g", to(RAW)).source, policy=SMALL),
)
BIG = host("big.example.com", *(rule(f"/s{i}", Respond(200)) for i in range(shards.MANY + 9)), rule("/", to(WEB), policy=SMALL))


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxied]:
    web, other, raw = Backend("web"), Backend("other"), Raw()
    port = free_port()
    wild = host("*.wild.example.com", rule("/", to(WEB), policy=SMALL))
    pieces = http(port, host("a.example.com", *RULES), BIG, wild, backends={"web": web, "other": other})
    pieces.clusters[RAW] = Cluster(RAW)
    pieces.endpoints[RAW] = Endpoints(RAW, (End("127.0.0.1", raw.port),))
    with Proxied(pieces) as proxy:
        yield proxy
    for backend in (web, other, raw):
        backend.close()


def sent(proxy: Proxied, text: bytes) -> Answer:
    """The answer to a request, as soon as it is there: what is refused may not be read to its end."""
    with socket.create_connection(("127.0.0.1", proxy.ports[0]), 20) as s:
        with contextlib.suppress(ConnectionError):
            s.sendall(text)
        found = b""
        with contextlib.suppress(ConnectionError):
            while not whole(found) and (part := s.recv(65536)):
                found += part
        return parsed(found)


def post(proxy: Proxied, path: str, size: int, name: str = "a.example.com") -> int:
    return sent(proxy, f"POST {path} HTTP/1.1\r\nHost: {name}\r\nContent-Length: {size}\r\n\r\n{'x' * size}".encode()).status


def chunked(proxy: Proxied, path: str, size: int, name: str = "a.example.com", *headers: str) -> int:
    head = "\r\n".join((f"POST {path} HTTP/1.1", f"Host: {name}", "Transfer-Encoding: chunked", *headers, "", ""))
    body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (b"x" * min(8 * KIB, size - at) for at in range(0, size, 8 * KIB)))
    return sent(proxy, head.encode() + body + b"0\r\n\r\n").status


@pytest.mark.parametrize("name", ["a.example.com", "A.Example.com", "x.wild.example.com", "big.example.com"])
def test_a_body_may_have_so_many_bytes_and_not_one_more(proxy: Proxied, name: str) -> None:
    found = [way(proxy, "/small", size, name) for way in (post, chunked) for size in (1, 64 * KIB, 64 * KIB + 1, 500 * KIB)]
    assert found == [200, 200, 413, 413] * 2


def test_other_rules_and_requests_without_a_body_have_nothing_to_do_with_it(proxy: Proxied) -> None:
    assert post(proxy, "/free", 500 * KIB) == 200
    assert proxy.get("a.example.com", "/small").status == proxy.get("a.example.com", "/none-at-all").status == 200
    assert post(proxy, "/none-at-all", 1) == 200 and post(proxy, "/none-at-all", 2) == 413
    assert proxy.get("a.example.com", "/redirect", "POST", body="x").status == 302
    assert post(proxy, "/kept", 5) == chunked(proxy, "/kept", 5) == 200
    assert post(proxy, "/kept", 99 * KIB) == chunked(proxy, "/kept", 99 * KIB) == 413


def test_what_says_its_length_is_streamed_and_what_does_not_is_held_up_to_a_bound(proxy: Proxied) -> None:
    with socket.create_connection(("127.0.0.1", proxy.ports[0]), 20) as s:
        s.sendall(b"POST /stream HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 60000\r\n\r\nfirst")
        assert parsed(s.recv(65536)).body == "first", "the backend has it before the rest is there"
    assert post(proxy, "/large", 300 * KIB) == chunked(proxy, "/large", 300 * KIB) == 200
    assert chunked(proxy, "/large", bodies.HELD + 9 * KIB) == 413
    refused = sent(proxy, b"POST /small HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 99999999\r\n\r\n")
    assert refused.status == 413, "at once, before anything is sent"


@pytest.mark.parametrize(
    "length", ["-1", "1, 99999999", "99999999999999999999999", "0x10", "", "1\r\nContent-Length: 99999999"]
)
def test_no_other_way_of_saying_a_length_passes_more(proxy: Proxied, length: str) -> None:
    head = f"POST /small HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    assert sent(proxy, head.encode() + b"x" * 99 * KIB).status in (400, 413)


def test_a_length_beside_chunks_and_an_upgrade_that_is_none_do_not_pass_more(proxy: Proxied) -> None:
    upgrade = ("Upgrade: websocket", "Connection: upgrade")
    for headers in (("Content-Length: 5",), upgrade[:1], upgrade):
        assert (headers, chunked(proxy, "/small", 99 * KIB, "a.example.com", *headers)) in ((headers, 400), (headers, 413))
    head = "GET /small HTTP/1.1\r\nHost: a.example.com\r\nTransfer-Encoding: chunked\r\n" + "\r\n".join(upgrade) + "\r\n\r\n"
    assert "xxx" not in str(sent(proxy, head.encode() + b"1000\r\n" + b"x" * 4096).body), "an upgrade has no body"


def test_a_websocket_opens_and_carries_more_than_a_body_may_have(proxy: Proxied) -> None:
    with socket.create_connection(("127.0.0.1", proxy.ports[0]), 20) as s:
        s.sendall(b"GET /stream HTTP/1.1\r\nHost: a.example.com\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 101")
        for _ in range(20):
            s.sendall(b"x" * 8 * KIB)
            left = 8 * KIB
            while left:
                left -= len(s.recv(left))


def test_a_call_of_grpc_is_streamed(proxy: Proxied) -> None:
    head = b"POST /g.S/M HTTP/1.1\r\nHost: a.example.com\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy.ports[0]), 20) as s:
        s.sendall(head + b"5\r\nfirst\r\n")
        assert b"first" in s.recv(65536), "a message is there before the call's end"
    grpc = [("content-type", "application/grpc")]
    refused = proxy.get("a.example.com", "/g.S/M", "POST", grpc, body="x" * 99 * KIB)
    assert (refused.status, refused.headers.get("grpc-status"), refused.headers.get("grpc-message")) == (200, "2", "Payload Too Large")


@pytest.mark.parametrize("more", [b"Content-Length: 99\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_host_that_nobody_has_is_not_found_before_its_body_comes(proxy: Proxied, more: bytes) -> None:
    for name in (b"nobody.example.org", b"Nobody.Example.org"):
        assert sent(proxy, b"POST / HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (name, more)).status == 404
    assert proxy.refused() == {}
