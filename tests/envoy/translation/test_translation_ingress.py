"""Ingresses through a real Envoy: wildcards of one label, what lies deeper, TLS by server name, the redirect to https."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import msgspec
import pytest
from ingressobjects import endpoints, fleet, ingress, secret, service, world
from proxied import Backend, Proxied, free_port, parsed

from seaway.pki.pem import server_names
from seaway.routing.ir import Pieces

NAMES = "exact wild deep all".split()
BACKENDS: dict[str, Backend] = {}


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxied]:
    BACKENDS.update({name: Backend(name) for name in NAMES})
    found = world(
        *(service(n, {"port": 80, "name": "web"}) for n in NAMES),
        *(endpoints(n, "127.0.0.1", port=b.port, name="web") for n, b in BACKENDS.items()),
        secret("exact", "x.example.com"),
        secret("wild", "*.example.com"),
        ingress("exact", ("x.example.com", "/", "exact:web"), tls=[(("x.example.com",), "exact")]),
        ingress("wild", ("*.example.com", "/w", "wild"), ("*.sub.example.com", "/", "deep"), tls=[(("*.example.com",), "wild")]),
        ingress("all", ("", "/", "all")),
    )
    held = fleet(found)
    assert held is not None
    ports = {name: free_port() for name in held.sockets}
    pieces = Pieces(
        sockets={f"tcp-{ports[n]}": msgspec.structs.replace(s, port=ports[n]) for n, s in held.sockets.items()},
        hosts={table: dict(hosts) for table, hosts in held.hosts.items()},
        clusters=dict(held.clusters),
        endpoints=dict(held.endpoints),
        certificates=dict(held.certificates),
    )
    with Proxied(pieces) as proxy:
        proxy.ports = [ports["tcp-80"], ports["tcp-443"]]
        yield proxy
        assert proxy.refused() == {}
    for backend in BACKENDS.values():
        backend.close()


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("Y.sub.example.com:80", "/", "deep"),
        ("z.y.sub.example.com", "/", "all"),
        ("a.b.example.com", "/w", "all"),
        ("example.com", "/", "all"),
        ("other.org", "/any", "all"),
        ("x.example.com", "/p?q=1", 308),
        ("y.example.com", "/w", 308),
        ("y.example.com", "/other", 404),
    ],
)
def test_a_host_and_path_of_plain_http(proxy: Proxied, host: str, path: str, expected: str | int) -> None:
    answer = proxy.get(host, path)
    if isinstance(expected, str):
        assert (answer.status, answer.headers.get("x-backend")) == (200, expected)
    else:
        assert answer.status == expected
        assert answer.headers.get("location") == (f"https://{host}{path}" if expected == 308 else None)


@pytest.mark.parametrize(
    ("name", "certificate", "expected"),
    [("x.example.com", "x.example.com", "exact"), ("y.example.com", "*.example.com", "wild"), ("other.org", "", "")],
)
def test_a_server_name_chooses_the_certificate_and_one_that_nobody_has_gets_none(
    proxy: Proxied, name: str, certificate: str, expected: str
) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", proxy.ports[1]), 5) as raw:
        try:
            with context.wrap_socket(raw, server_hostname=name) as secure:
                shown = ssl.DER_cert_to_PEM_cert(secure.getpeercert(True) or b"")
                secure.sendall(f"GET /w HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                found = b"".join(iter(lambda: secure.recv(65536), b""))
        except (ssl.SSLError, OSError):
            assert not certificate
            return
    assert certificate and server_names(shown.encode())[0] == certificate
    assert parsed(found).headers["x-backend"] == expected

