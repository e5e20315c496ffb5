"""What is asked of clients and granted to them, through a real Envoy: who they are, what they may, how long it may take."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from collections.abc import Iterator

import pytest
from endpoints import Endpoint
from proxied import Answer, Proxied, free_port, parsed
from test_translation_backends import until
from test_translation_tls import CA, NOW, certificate, plain_client
from translated import GATEWAY, host, rule, source, to

from seaway.routing.ir import (
    Chain,
    Cluster,
    End,
    Endpoints,
    Pieces,
    ServerTls,
    Socket,
    Stream,
    Target,
)
from seaway.routing.policy import BackendPolicy, ClientPolicy

HOST = "a.example.com"
WEB, RAW = "shop/web/80", "shop/raw/80/tcp"
# Where plain HTTP is asked for, by name.
PLAIN = {
    "none": None,
    "proxied": ClientPolicy(proxy_protocol=True),
    "one-hop": ClientPolicy(trusted_hops=1),
    "two-hops": ClientPolicy(trusted_hops=2),
    "forwarders": ClientPolicy(trusted_addresses=("127.0.2.0/24", "10.9.9.9/32", "fd00::/8")),
    "proxied-forwarders": ClientPolicy(proxy_protocol=True, trusted_addresses=("10.9.9.9/32",)),
    "headers": ClientPolicy(headers_kib=1),
    "large-headers": ClientPolicy(headers_kib=200),
    "idle": ClientPolicy(idle_timeout=0.1),
    "request": ClientPolicy(request_timeout=0.2),
    "limit": ClientPolicy(connections=2),
}
SECURED = {
    "streams": ClientPolicy(streams=7),
    "ciphers": ClientPolicy(ciphers=("ECDHE-ECDSA-AES256-GCM-SHA384", "NO-SUCH-CIPHER"), maximum_tls="1.2"),
    "new": ClientPolicy(minimum_tls="1.3"),
}
LIMITED = "limited"  # a socket of bytes


class World:
    def __init__(self) -> None:
        self.backend, self.raw = Endpoint("web", proxied=True), Endpoint("raw")
        self.port = {n: free_port() for n in (*PLAIN, *SECURED, LIMITED, "mixed")}
        self.asked = 0
        self.proxy = Proxied(self._pieces(), moving=())

    def _pieces(self) -> Pieces:
        tls = ServerTls(("shop/a",))
        chains = {n: (Chain("http", GATEWAY, table="http", client=p),) for n, p in PLAIN.items()}
        chains |= {n: (Chain("https", GATEWAY, tls=tls, table="http", client=p),) for n, p in SECURED.items()}
        stream = Stream((Target(RAW),), source("raw"))
        chains[LIMITED] = (Chain("raw", GATEWAY, stream=stream, client=ClientPolicy(connections=1, idle_timeout=0.2)),)
        chains["mixed"] = (
            Chain("a", GATEWAY, (HOST,), tls, "http", client=ClientPolicy(proxy_protocol=True)),
            Chain("b", GATEWAY, ("b.example.com",), tls, "http"),
        )
        ends = {WEB: self.backend, RAW: self.raw}
        return Pieces(
            sockets={f"tcp-{self.port[n]}": Socket(self.port[n], "tcp", c) for n, c in chains.items()},
            hosts={"http": {"*": host("*", rule("/", to(WEB)))}},
            clusters={
                WEB: Cluster(WEB, policy=BackendPolicy(proxy_protocol=2)),
                RAW: Cluster(RAW, "tcp"),
            },
            endpoints={n: Endpoints(n, (End("127.0.0.1", e.port),)) for n, e in ends.items()},
            certificates={"shop/a": certificate("shop/a", CA.issue("a", NOW, hosts=(HOST, "b.example.com"), server=True))},
        )

    def ask(self, port: str, forwarded: str = "", by: str = "", before: bytes = b"", **headers: str) -> Answer:
        self.asked += 1
        fields = [(k.replace("_", "-"), v) for k, v in headers.items()]
        fields += [("x-forwarded-for", forwarded)] if forwarded else []
        return self.proxy.get(HOST, f"/{self.asked}", headers=fields, port=self.port[port], by=by, before=before)

    def who(self, port: str, forwarded: str = "", by: str = "", before: bytes = b"") -> str:
        """Who the client is held to be: what the access log says."""
        assert self.ask(port, forwarded, by, before).status == 200
        path = f'"path":"/{self.asked}"'
        line = until(lambda: next((li for li in (self.proxy.home / "envoy.log").read_text().splitlines() if path in li), None))
        return str(json.loads(line)["client"].rpartition(":")[0])

    def secured(self, port: str, context: ssl.SSLContext, name: str = HOST, before: bytes = b"") -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.port[port]), 10)
        raw.sendall(before)
        return context.wrap_socket(raw, server_hostname=name)

    def close(self) -> None:
        self.backend.close()
        self.raw.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    with world.proxy:
        yield world
    world.close()


def v1(client: str) -> bytes:
    return f"PROXY TCP4 {client} 127.0.0.1 1000 80\r\n".encode()


def v2(client: str) -> bytes:
    addresses = socket.inet_aton(client) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 1000, 80)
    return b"\r\n\r\n\x00\r\nQUIT\n\x21\x11" + struct.pack("!H", len(addresses)) + addresses


def test_all_of_it_is_taken_by_envoy_and_none_of_it_is_to_be_dropped(world: World) -> None:
    assert world.proxy.refused() == {}
    assert [line for line in world.proxy.logged().splitlines() if "eprecated" in line] == []


def test_nobody_is_believed_by_default(world: World) -> None:
    assert world.who("none", by="127.0.1.1") == world.who("none", "6.6.6.6", "127.0.1.1") == "127.0.1.1"
    answer = world.ask("none", "6.6.6.6", "127.0.1.1")
    assert answer.body["headers"]["x-forwarded-for"] == "6.6.6.6,127.0.1.1"


def test_a_proxy_header_says_who_the_client_is_and_without_one_there_is_no_connection(world: World) -> None:
    for header in (v1, v2):
        assert world.who("proxied", before=header("7.7.7.7")) == "7.7.7.7"
        assert world.who("proxied", "6.6.6.6", before=header("7.7.7.8")) == "7.7.7.8"
    assert world.ask("proxied").status == 0
    assert world.ask("none", before=v1("7.7.7.7")).status == 400


def test_where_one_chain_of_a_socket_wants_proxy_headers_all_connections_must_have_one(world: World) -> None:
    for name in (HOST, "b.example.com"):
        with world.secured("mixed", plain_client(), name, v1("7.7.7.7")) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert parsed(s.recv(65536)).body["proxied"] == "v2 7.7.7.7"
        with pytest.raises(OSError):
            world.secured("mixed", plain_client(), name)


@pytest.mark.parametrize(
    ("port", "forwarded", "client"),
    [
        ("one-hop", "", "127.0.1.1"),
        ("one-hop", "1.1.1.1", "1.1.1.1"),
        ("one-hop", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("two-hops", "6.6.6.6, 1.1.1.1, 2.2.2.2", "1.1.1.1"),
        ("two-hops", "2.2.2.2", "127.0.1.1"),
        ("two-hops", "", "127.0.1.1"),
    ],
)
def test_by_hops_the_client_is_whom_the_first_trusted_one_saw(world: World, port: str, forwarded: str, client: str) -> None:
    assert world.who(port, forwarded, "127.0.1.1") == client


@pytest.mark.parametrize(
    ("by", "forwarded", "client"),
    [
        ("127.0.2.1", "", "127.0.2.1"),
        ("127.0.2.1", "1.1.1.1", "1.1.1.1"),
        ("127.0.2.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("127.0.2.1", "6.6.6.6, 1.1.1.1, 10.9.9.9, 127.0.2.7", "1.1.1.1"),
        ("127.0.2.1", "6.6.6.6, 1.1.1.1, fd00::1", "1.1.1.1"),
        ("127.0.1.1", "1.1.1.1", "127.0.1.1"),
        ("127.0.1.1", "1.1.1.1, 127.0.2.1", "127.0.1.1"),
    ],
)
def test_by_addresses_the_client_is_the_last_who_is_no_forwarder(world: World, by: str, forwarded: str, client: str) -> None:
    assert world.who("forwarders", forwarded, by) == client


def test_what_forwarders_say_of_the_scheme_counts_and_what_others_say_does_not(world: World) -> None:
    def told(by: str, name: str = "x-forwarded-proto") -> str:
        answer = world.ask("forwarders", "1.1.1.1", by, x_forwarded_proto="https", x_forwarded_port="443")
        return str(answer.body["headers"][name])

    assert told("127.0.2.1") == "https" and told("127.0.1.1") == "http"
    assert told("127.0.1.1", "x-forwarded-port") == str(world.port["forwarders"])
    assert told("127.0.1.1", "x-forwarded-for") == "1.1.1.1,127.0.1.1"
    assert told("127.0.2.1", "x-forwarded-for") == "1.1.1.1,127.0.2.1"


@pytest.mark.parametrize("by", ["127.0.1.1", "127.0.2.1"])
def test_nobody_speaks_to_the_proxy_itself_forwarders_neither(world: World, by: str) -> None:
    answer = world.ask("forwarders", "1.1.1.1", by, x_envoy_internal="true", x_envoy_max_retries="9", x_envoy_original_path="/x")
    assert [h for h in answer.body["headers"] if h.startswith("x-envoy") and h != "x-envoy-external-address"] == []


def test_a_forwarder_may_be_told_by_a_proxy_header(world: World) -> None:
    assert world.who("proxied-forwarders", "1.1.1.1", before=v1("10.9.9.9")) == "1.1.1.1"
    assert world.who("proxied-forwarders", "1.1.1.1", before=v1("10.9.9.8")) == "10.9.9.8"


def test_headers_may_be_as_large_as_it_says(world: World) -> None:
    def large(port: str, kib: int) -> int:
        return world.ask(port, x_large="x" * (kib * 1024)).status

    assert (large("none", 50), large("none", 70), large("headers", 2), large("large-headers", 150)) == (200, 431, 431, 200)


def test_connections_that_nobody_uses_are_closed(world: World) -> None:
    for port in ("idle", LIMITED):
        with socket.create_connection(("127.0.0.1", world.port[port]), 10) as s:
            assert s.recv(1) == b""


def test_a_request_that_does_not_come_to_its_end_is_ended(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.port["request"]), 10) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
        assert s.recv(65536).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(("port", "most"), {"limit": 2}.items())
def test_of_more_connections_than_there_may_be_the_last_is_closed(world: World, port: str, most: int) -> None:
    def begun() -> socket.socket:
        return socket.create_connection(("127.0.0.1", world.port[port]), 10)

    def served(s: socket.socket) -> bool:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            return s.recv(65536).startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False

    held = [begun() for _ in range(most)]
    assert all(served(s) for s in held)
    with begun() as s:
        assert not served(s)
    held.pop().close()

    def again() -> bool:
        with begun() as s:
            return served(s)

    until(again)
    for s in held:
        s.close()


def test_http2_clients_are_told_how_many_streams_they_may_have(world: World) -> None:
    context = plain_client()
    context.set_alpn_protocols(["h2"])
    with world.secured("streams", context) as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        found = b""
        while len(found) < 9 or len(found) < 9 + int.from_bytes(found[:3], "big"):
            found += s.recv(65536)
    assert found[3] == 4  # SETTINGS
    body = found[9 : 9 + int.from_bytes(found[:3], "big")]
    settings = dict(struct.unpack("!HI", body[i : i + 6]) for i in range(0, len(body), 6))
    assert settings[3] == 7  # MAX_CONCURRENT_STREAMS


def test_ciphers_and_versions_of_tls_are_as_asked_for(world: World) -> None:
    context = plain_client()
    with world.secured("ciphers", context) as s:
        assert s.version() == "TLSv1.2" and (s.cipher() or ("",))[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises(OSError):
        world.secured("ciphers", context)
    with world.secured("new", plain_client()) as s:
        assert s.version() == "TLSv1.3"
    context = plain_client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError):
        world.secured("new", context)
