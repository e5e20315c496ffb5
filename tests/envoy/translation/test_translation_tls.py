"""TLS, bytes and datagrams through a real Envoy: certificates by server name, certificates of clients and backends, passthrough."""

from __future__ import annotations

import collections
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxied import Answer, Backend, Proxied, free_port, parsed
from translated import GATEWAY, host, rule, source, to

from seaway.pki.authority import Authority, Pair
from seaway.routing.ir import (
    BackendTls,
    Certificate,
    Chain,
    ClientCheck,
    Cluster,
    End,
    Endpoints,
    Pieces,
    Respond,
    ServerTls,
    Socket,
    Stream,
    Target,
    Trust,
)

NOW = time.time()
CA, CLIENTS, STRANGERS = (Authority.new(name, NOW) for name in ("backends", "clients", "strangers"))
PASSED = "pass.example.com"


def certificate(name: str, pair: Pair) -> Certificate:
    return Certificate(name, pair.certificate, pair.key)


def context_of(pair: Pair, server: bool, trusted: Authority | None = None) -> ssl.SSLContext:
    """A context that shows `pair`, and as a server asks for certificates of `trusted`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        Path(file.name).write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(file.name)
    if not server:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif trusted is not None:
        context.load_verify_locations(cadata=trusted.pair.certificate.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def plain_client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Lines:
    """Answers each connection with its name, and each datagram with its name and what it said."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", self.port))
        for serve in (self._accept, self._receive):
            threading.Thread(target=serve, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    connection.sendall(self.name)
        except OSError:
            pass

    def _receive(self) -> None:
        try:
            while True:
                data, peer = self.datagrams.recvfrom(65536)
                self.datagrams.sendto(self.name + b":" + data, peer)
        except OSError:
            pass

    def close(self) -> None:
        self.listener.close()
        self.datagrams.close()


class Upgrading:
    """Switches to another protocol and says everything back; wraps nothing in frames."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            asked = b"upgrade: websocket" in head.lower()
            answer = b"101 Switching Protocols\r\nUpgrade: websocket" if asked else b"426 Upgrade Required\r\nContent-Length: 0"
            connection.sendall(b"HTTP/1.1 " + answer + b"\r\nConnection: Upgrade\r\n\r\n")
            while asked and (data := connection.recv(65536)):
                connection.sendall(data)

    def close(self) -> None:
        self.listener.close()


class World:
    """Ports by what is on them, over one Envoy."""

    def __init__(self) -> None:
        secret = CA.issue("backend", NOW, hosts=("backend.example.com",), uris=("spiffe://shop/web",), server=True)
        tls = context_of(secret, True, CLIENTS)
        self.backends = {"secret": Backend("secret", tls), "plain": Backend("plain")}
        self.lines = {"one": Lines("one"), "two": Lines("two")}
        self.upgrading = Upgrading()
        self.port = {name: free_port() for name in ("https", "checked", "lenient", "tcp", "closed", "tls")}
        self.port["udp"] = free_port(socket.SOCK_DGRAM)
        self.proxy = Proxied(self._pieces())

    def _pieces(self) -> Pieces:
        names = {n: f"shop/{n}" for n in ("a", "wild", "any", "client")}
        certificates = {
            names[n]: certificate(names[n], CA.issue(n, NOW, hosts=hosts, server=True))
            for n, hosts in {"a": ("a.example.com",), "wild": ("*.example.com",), "any": ("any",)}.items()
        }
        certificates[names["client"]] = certificate(names["client"], CLIENTS.issue("proxy", NOW))

        def https(chain: str, server_names: tuple[str, ...], client: ClientCheck | None = None, **more: str) -> Chain:
            return Chain(chain, GATEWAY, server_names, ServerTls((names[chain],), client, **more), table="https")  # type: ignore[arg-type]

        def stream(chain: str, *targets: Target, server_names: tuple[str, ...] = (), tls: ServerTls | None = None) -> Chain:
            return Chain(chain, GATEWAY, server_names, tls, stream=Stream(targets, source("stream")))

        both = (Target("shop/one/80", 1), Target("shop/two/80", 3))
        trust = "ConfigMap/shop/clients"
        chains = {
            "https": (
                https("a", ("a.example.com",)),
                https("any", (), minimum="1.3"),
                stream("pass", Target("shop/raw/443"), server_names=(PASSED,)),
                https("wild", ("*.example.com",), maximum="1.2"),
            ),
            "checked": (https("a", (), ClientCheck(trust)),),
            "lenient": (https("a", (), ClientCheck(trust, False)),),
            "tcp": (stream("tcp", *both, Target("shop/one/80", 0)),),
            "closed": (stream("closed"),),
            "tls": (stream("tls", Target("shop/one/80"), tls=ServerTls((names["a"],))),),
            "udp": (stream("udp", *both),),
        }
        secured = {
            "right": BackendTls("backend.example.com", "ConfigMap/shop/ca", certificate=names["client"]),
            "uri": BackendTls("backend.example.com", "ConfigMap/shop/ca", names=(("uri", "spiffe://shop/web"),)),
            "othername": BackendTls("other.example.com", "ConfigMap/shop/ca"),
            "stranger": BackendTls("backend.example.com", "ConfigMap/shop/strangers"),
            "system": BackendTls("backend.example.com", system=True),
            "unchecked": BackendTls("whatever"),
        }
        clusters = {f"shop/{n}/443": Cluster(f"shop/{n}/443", tls=t) for n, t in secured.items()}
        clusters["shop/auto/443"] = Cluster("shop/auto/443", "auto", secured["unchecked"])
        clusters["shop/outside/80"] = Cluster("shop/outside/80", external="localhost", port=self.backends["plain"].port)
        clusters["shop/socket/80"] = Cluster("shop/socket/80")
        clusters["shop/raw/443"] = Cluster("shop/raw/443", "tcp")
        for name in self.lines:
            clusters[f"shop/{name}/80"] = Cluster(f"shop/{name}/80", "tcp")
        ends = {n: Endpoints(n, (End("127.0.0.1", self.backends["secret"].port),)) for n in clusters if n.endswith("/443")}
        for name, lines in self.lines.items():
            ends[f"shop/{name}/80"] = Endpoints(f"shop/{name}/80", (End("127.0.0.1", lines.port, "zone-a"),))
        ends["shop/socket/80"] = Endpoints("shop/socket/80", (End("127.0.0.1", self.upgrading.port),))
        rules = [rule(f"/{n.split('/')[1]}", to(n)) for n in clusters if n.endswith("/443") or "outside" in n or "socket" in n]
        return Pieces(
            sockets={
                f"{'udp' if n == 'udp' else 'tcp'}-{self.port[n]}": Socket(self.port[n], "udp" if n == "udp" else "tcp", c)
                for n, c in chains.items()
            },
            hosts={"https": {h.domain: h for h in (host("a.example.com", *rules, rule("/", Respond(200, "served"))), host("*", *rules, rule("/", Respond(200, "served"))))}},
            clusters=clusters,  # type: ignore[arg-type]
            endpoints=ends,  # type: ignore[arg-type]
            certificates=certificates,  # type: ignore[arg-type]
            trusts={
                name: Trust(name, authority.pair.certificate)
                for name, authority in {trust: CLIENTS, "ConfigMap/shop/ca": CA, "ConfigMap/shop/strangers": STRANGERS}.items()
            },
        )

    def https(
        self, port: str, server_name: str, path: str = "/", context: ssl.SSLContext | None = None, extra: str = ""
    ) -> tuple[bytes, Answer]:
        """The certificate that was shown, and the answer."""
        context = context or plain_client()
        with (
            socket.create_connection(("127.0.0.1", self.port[port]), 20) as raw,
            context.wrap_socket(raw, server_hostname=server_name or None) as s,
        ):
            shown = s.getpeercert(True) or b""
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: {server_name}\r\nConnection: close\r\n{extra}\r\n".encode())
            found = b""
            while part := s.recv(65536):
                found += part
            return shown, parsed(found)

    def close(self) -> None:
        for one in (*self.backends.values(), *self.lines.values(), self.upgrading):
            one.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    with world.proxy:
        yield world
    world.close()


def _name(shown: bytes) -> str:
    pem = ssl.DER_cert_to_PEM_cert(shown)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        tree = ssl._ssl._test_decode_cert(file.name)  # type: ignore[attr-defined]
    return str(dict(pair[0] for pair in tree["subject"])["commonName"])


def test_all_of_it_is_taken_by_envoy(world: World) -> None:
    assert world.proxy.refused() == {}


@pytest.mark.parametrize(
    ("asked", "shown"),
    {"a.example.com": "a", "A.Example.com": "a", "b.example.com": "wild", "c.b.example.com": "wild", "example.com": "any"}.items(),
)
def test_the_certificate_is_the_one_of_the_server_name(world: World, asked: str, shown: str) -> None:
    found, answer = world.https("https", asked)
    assert (_name(found), answer.body) == (shown, "served")


def test_versions_of_tls_are_as_asked_for(world: World) -> None:
    old = plain_client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert world.https("https", "b.example.com", context=old)[1].status == 200
    with pytest.raises(ssl.SSLError):
        world.https("https", "else.org", context=old)
    new = plain_client()
    new.minimum_version = ssl.TLSVersion.TLSv1_3
    with pytest.raises(ssl.SSLError):
        world.https("https", "b.example.com", context=new)


def test_http2_is_offered(world: World) -> None:
    context = plain_client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", world.port["https"]), 20) as raw,
        context.wrap_socket(raw, server_hostname="a.example.com") as s,
    ):
        assert s.selected_alpn_protocol() == "h2"


def test_plaintext_on_a_tls_port_is_closed(world: World) -> None:
    assert world.proxy.raw(b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", world.port["https"]) == b""


def test_passed_through_connections_are_the_backends(world: World) -> None:
    shown, answer = world.https("https", PASSED, "/x")
    assert (_name(shown), answer.body["backend"]) == ("backend", "secret")


def test_clients_are_checked_where_it_is_asked_for(world: World) -> None:
    known = context_of(CLIENTS.issue("alice", NOW), False)
    stranger = context_of(STRANGERS.issue("mallory", NOW), False)
    forged = "x-forwarded-client-cert: Subject=admin\r\n"
    answer = world.https("checked", "a.example.com", "/unchecked", known, forged)[1]
    assert answer.body["headers"]["x-forwarded-client-cert"][0].count('Subject="CN=alice"') == 1
    assert "admin" not in str(answer.body["headers"])
    for context in (stranger, plain_client()):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            world.https("checked", "a.example.com", context=context)
    for context in (known, stranger, plain_client()):
        answer = world.https("lenient", "a.example.com", "/unchecked", context, forged)[1]
        assert answer.status == 200 and "x-forwarded-client-cert" not in answer.body["headers"]


def test_backends_are_checked_by_authority_and_name(world: World) -> None:
    statuses = {
        path: world.https("https", "a.example.com", f"/{path}")[1].status
        for path in ("right", "uri", "othername", "stranger", "system", "unchecked", "auto", "outside")
    }
    good = dict.fromkeys(("right", "uri", "unchecked", "auto", "outside"), 200)
    assert statuses == good | dict.fromkeys(("othername", "stranger", "system"), 503)
    assert world.https("https", "a.example.com", "/right")[1].body["headers"]["tls-client"] == ["proxy"]
    assert "tls-client" not in world.https("https", "a.example.com", "/uri")[1].body["headers"]
    end = time.monotonic() + 30
    while "CERTIFICATE_VERIFY_FAILED" not in (world.proxy.home / "envoy.log").read_text():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_bytes_go_by_weight_and_nowhere_without_a_backend(world: World) -> None:
    counts = collections.Counter(world.proxy.raw(b"", world.port["tcp"]) for _ in range(200))
    assert set(counts) == {b"one", b"two"} and abs(counts[b"two"] - 150) < 35
    assert world.proxy.raw(b"", world.port["closed"]) == b""


def test_tls_is_ended_before_bytes_are_passed_on(world: World) -> None:
    with (
        socket.create_connection(("127.0.0.1", world.port["tls"]), 20) as raw,
        plain_client().wrap_socket(raw, server_hostname="a.example.com") as s,
    ):
        assert s.recv(10) == b"one"


def test_datagrams_go_by_weight_and_a_client_stays_where_it_is(world: World) -> None:
    counts: collections.Counter[bytes] = collections.Counter()
    for _ in range(200):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.connect(("127.0.0.1", world.port["udp"]))
            answers = set()
            for word in (b"a", b"b"):
                s.send(word)
                name, _, said = s.recv(100).partition(b":")
                assert said == word
                answers.add(name)
            assert len(answers) == 1
            counts.update(answers)
    assert set(counts) == {b"one", b"two"} and abs(counts[b"two"] - 150) < 35


@pytest.mark.parametrize("name", ["a.example.com", "A.example.com", "elsewhere.example.com"])
def test_web_sockets_pass_whatever_chose_the_route(world: World, name: str) -> None:
    with (
        socket.create_connection(("127.0.0.1", world.port["https"]), 20) as raw,
        plain_client().wrap_socket(raw, server_hostname=name) as s,
    ):
        head = f"GET /socket HTTP/1.1\r\nHost: {name}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        s.sendall(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += s.recv(65536)
        assert answer.startswith(b"HTTP/1.1 101 ")
        for word in (b"one", b"two"):
            s.sendall(word)
            assert s.recv(10) == word


def test_a_renewed_certificate_leaves_the_listener_as_it_is(world: World) -> None:
    renewed = certificate("shop/a", CA.issue("renewed", NOW, hosts=("a.example.com",), server=True))
    change = world.proxy.translation.apply(Pieces(certificates={"shop/a": renewed}))
    assert [r.name.title for r in change.put] == ["Secret shop/a"] and not change.gone
    world.proxy.apply(Pieces())
    end = time.monotonic() + 30
    while _name(world.https("https", "a.example.com")[0]) != "renewed":
        assert time.monotonic() < end
        time.sleep(0.02)


def test_nothing_that_envoy_means_to_drop_is_used(world: World) -> None:
    text = (world.proxy.home / "envoy.log").read_text()
    assert [line[60:400] for line in text.splitlines() if "eprecated" in line] == []
