"""Ingresses with annotations of ingress-nginx through a real Envoy."""

from __future__ import annotations

import base64
import socket
import ssl
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ingressobjects import ANY, endpoints, fleet, ingress, secret, service, world
from proxied import Answer, Backend, Proxied, free_port, parsed
from routingworld import AUTHORITY, NOW

from seaway.api.tree import Tree
from seaway.routing.ingress.annotations import PREFIX
from seaway.routing.ir import Pieces

NAMES = "main other auth".split()
BACKENDS: dict[str, Backend] = {}


def annotated(name: str, said: dict[str, str], *rules: tuple[str, ...], **more: Any) -> Tree:
    return ingress(name, *rules, annotations={PREFIX + k: v for k, v in said.items()}, **more)


def objects() -> list[Tree]:
    authority = base64.b64encode(AUTHORITY.pair.certificate).decode()
    return [
        *(service(n, {"port": 80, "name": "web"}) for n in NAMES),
        *(endpoints(n, "127.0.0.1", port=b.port, name="web") for n, b in BACKENDS.items()),
        {"kind": "Secret", "metadata": {"name": "ca", "namespace": "default"}, "data": {"ca.crt": authority}},
        secret("edge", "peer.test,open.test"),
        annotated(
            "rewritten",
            {"rewrite-target": "/new/$2", "x-forwarded-prefix": "/old", "upstream-vhost": "inner.test"},
            ("rewrite.test", "/old(/|$)(.*)", "main", ANY),
        ),
        ingress("beside", ("rewrite.test", "/plain", "other")),
        annotated("app", {"app-root": "/start", "from-to-www-redirect": "true"}, ("app.test", "/", "main")),
        annotated("gone", {"permanent-redirect": "https://new.test/a%20b?c=d"}, ("gone.test", "/", "main")),
        annotated("moved", {"temporal-redirect": "http://new.test:8080$request_uri"}, ("moved.test", "/", "main")),
        ingress("whole", ("canary.test", "/", "main")),
        annotated(
            "canary",
            {"canary": "true", "canary-by-header": "X-Try", "canary-by-cookie": "try", "canary-weight": "50"},
            ("canary.test", "/", "other"),
        ),
        annotated("patient", {"proxy-read-timeout": "1"}, ("patient.test", "/", "main")),
        annotated(
            "again",
            {"proxy-next-upstream": "http_503", "proxy-next-upstream-tries": "2"},
            ("again.test", "/", "main"),
        ),
        annotated(
            "kept",
            {
                "affinity": "cookie",
                "session-cookie-name": "stay",
                "session-cookie-max-age": "60",
                "session-cookie-samesite": "Strict",
                "session-cookie-secure": "true",
            },
            ("kept.test", "/kept", "main"),
        ),
        annotated("copied", {"mirror-target": "http://other.default.svc$request_uri"}, ("copied.test", "/", "main")),
        {"kind": "ConfigMap", "metadata": {"name": "ask", "namespace": "default"}, "data": {"X-Team": "blue"}},
        annotated(
            "asked",
            {
                "auth-url": "http://auth.default.svc/check?a=b",
                "auth-response-headers": "X-Backend",
                "auth-proxy-set-headers": "ask",
            },
            ("asked.test", "/", "main"),
        ),
        annotated("closed", {"allowlist-source-range": "nowhere"}, ("closed.test", "/", "main")),
        annotated(
            "peer",
            {"auth-tls-secret": "default/ca", "auth-tls-pass-certificate-to-upstream": "true"},
            ("peer.test", "/", "main"),
            tls=[(("peer.test",), "edge")],
        ),
        annotated("open", {"ssl-redirect": "false"}, ("open.test", "/", "other"), tls=[(("open.test",), "edge")]),
    ]


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxied]:
    BACKENDS.update({name: Backend(name) for name in NAMES})
    held = fleet(world(*objects()))
    assert held is not None
    ports = {name: free_port() for name in held.sockets}
    pieces = Pieces(
        sockets={f"tcp-{ports[n]}": msgspec.structs.replace(s, port=ports[n]) for n, s in held.sockets.items()},
        hosts={table: dict(hosts) for table, hosts in held.hosts.items()},
        clusters=dict(held.clusters),
        endpoints=dict(held.endpoints),
        certificates=dict(held.certificates),
        trusts=dict(held.trusts),
    )
    with Proxied(pieces) as proxy:
        proxy.ports = [ports["tcp-80"], ports["tcp-443"]]
        yield proxy
        assert proxy.refused() == {}
    for backend in BACKENDS.values():
        backend.close()


@pytest.mark.parametrize(
    ("path", "backend", "becomes"),
    [
        ("/old/a/b?q=1", "main", "/new/a/b?q=1"),
        ("/OLD/A", "main", "/new/A"),
        ("/old", "main", "/new/"),
        ("/plainer", "other", "/plainer"),
    ],
)
def test_a_rewrite_reaches_the_backend(proxy: Proxied, path: str, backend: str, becomes: str) -> None:
    answer = proxy.get("rewrite.test", path)
    assert (answer.status, answer.body["backend"], answer.body["path"]) == (200, backend, becomes)
    if backend == "main":
        assert answer.body["headers"]["x-forwarded-prefix"] == ["/old"]
        assert answer.body["headers"]["host"] == ["inner.test"]


@pytest.mark.parametrize(
    ("host", "path", "code", "location"),
    [
        ("app.test", "/", 302, "http://app.test/start"),
        ("www.app.test", "/x?y=1", 308, "http://app.test/x?y=1"),
        ("gone.test", "/any?e=f", 301, "https://new.test/a%20b?c=d"),
        ("moved.test", "/any?e=f", 302, "http://new.test:8080/any?e=f"),
        ("peer.test", "/x", 308, "https://peer.test/x"),
    ],
)
def test_a_redirect_leads_there(proxy: Proxied, host: str, path: str, code: int, location: str) -> None:
    answer = proxy.get(host, path)
    assert (answer.status, answer.headers["location"]) == (code, location)


@pytest.mark.parametrize(
    ("headers", "backend"),
    [
        ({"X-Try": "always", "Cookie": "try=never"}, "other"),
        ({"X-Try": "never", "Cookie": "try=always"}, "main"),
        ({"Cookie": "a=b; try=always"}, "other"),
        ({"X-Try": "often", "Cookie": "try=never"}, "main"),
    ],
)
def test_a_canary_is_chosen(proxy: Proxied, headers: dict[str, str], backend: str) -> None:
    assert {proxy.get("canary.test", headers=headers.items()).body["backend"] for _ in range(8)} == {backend}


def test_a_canary_has_its_share(proxy: Proxied) -> None:
    found = Counter(proxy.get("canary.test").body["backend"] for _ in range(200))
    assert 60 <= found["other"] <= 140


def test_a_backend_that_says_nothing_for_too_long_is_504(proxy: Proxied) -> None:
    assert proxy.get("patient.test", "/?wait=2.5").status == 504
    assert proxy.get("patient.test", "/?wait=0.1").status == 200


def test_what_fails_is_tried_again_unless_it_may_have_been_done(proxy: Proxied) -> None:
    assert proxy.get("again.test", "/get?fail=1").status == 200
    assert proxy.get("again.test", "/post?fail=1", method="POST").status == 503
    assert proxy.get("again.test", "/twice?fail=2").status == 503


def test_a_session_is_a_cookie_as_annotations_want_it(proxy: Proxied) -> None:
    cookie = proxy.get("kept.test", "/kept/x").headers["set-cookie"]
    parts = [p.strip() for p in cookie.split(";")]
    assert parts[0].startswith("stay=")
    assert {"Max-Age=60", "Path=/kept", "HttpOnly", "SameSite=Strict", "Secure"} <= set(parts)


def test_a_copy_goes_to_the_mirror(proxy: Proxied) -> None:
    BACKENDS["other"].seen.clear()
    assert proxy.get("copied.test", "/copied?x").body["backend"] == "main"
    deadline = 100
    while "/copied?x" not in BACKENDS["other"].seen and deadline:
        deadline -= 1
        proxy.get("copied.test", "/again")
    assert "/copied?x" in BACKENDS["other"].seen


def test_who_is_asked_is_told_what_annotations_say(proxy: Proxied) -> None:
    answer = proxy.get("asked.test", "/x", headers=[("X-Backend", "forged"), ("X-Team", "forged")])
    assert (answer.status, answer.body["backend"], answer.body["headers"]["x-backend"]) == (200, "main", ["auth"])
    heard = BACKENDS["auth"].heard
    assert heard["x-team"] == ["blue"] and heard["x-original-url"] == ["http://asked.test/x"]
    assert BACKENDS["auth"].seen[-1] == "/check?a=b"


def test_what_cannot_be_carried_out_answers_nobody(proxy: Proxied) -> None:
    assert proxy.get("closed.test", "/any").status == 500
    assert proxy.get("Closed.Test", "/any").status == 500


def asked(proxy: Proxied, host: str, sni: str, certificate: bool, path: str = "/") -> Answer | None:
    """By TLS, with a client's certificate or without; None where there is no connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a refused certificate is then part of the handshake
    if certificate:
        pair = AUTHORITY.issue("ada", NOW, days=3650)
        with tempfile.TemporaryDirectory() as home:
            file = Path(home) / "pair.pem"
            file.write_bytes(pair.certificate + pair.key)
            context.load_cert_chain(file)
    try:
        with (
            socket.create_connection(("127.0.0.1", proxy.ports[1]), 5) as raw,
            context.wrap_socket(raw, server_hostname=sni) as secure,
        ):
            head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nssl-client-subject-dn: CN=root\r\n\r\n"
            secure.sendall(head.encode())
            return parsed(b"".join(iter(lambda: secure.recv(65536), b"")))
    except (ssl.SSLError, OSError):
        return None


def test_a_clients_certificate_is_asked_for_checked_and_told(proxy: Proxied) -> None:
    answer = asked(proxy, "peer.test", "peer.test", True)
    assert answer is not None and answer.status == 200
    headers = answer.body["headers"]
    assert headers["ssl-client-verify"] == ["SUCCESS"]
    assert headers["ssl-client-subject-dn"] == ["CN=ada"]
    assert headers["ssl-client-cert"][0].startswith("-----BEGIN%20CERTIFICATE")
    assert asked(proxy, "peer.test", "peer.test", False) is None


@pytest.mark.parametrize("host", ["peer.test", "PEER.test", "peer.test:443"])
def test_no_other_server_name_leads_to_a_host_that_asks_for_certificates(proxy: Proxied, host: str) -> None:
    answer = asked(proxy, host, "open.test", False)
    assert answer is not None and answer.status == 421
    answer = asked(proxy, "open.test", "peer.test", True)
    assert answer is not None and answer.status == 421
