"""Requests that try to pass by a route, through a real Envoy: /admin is refused, /public and two more are served."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from proxied import Backend, Proxied, free_port, parsed
from translated import host, http, rule, to

from seaway.gateway.infrastructure.bootstrap import REGEX_SIZE
from seaway.routing.ir import Pieces, Respond

HOST = "a.example.com"


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxied]:
    web = Backend("web")
    served = host(
        HOST,
        rule("/admin", Respond(403)),
        rule("/public", to("shop/web/80")),
        rule("/exact", to("shop/web/80"), "exact"),
        rule("/re/[a-z]+", to("shop/web/80"), "regex"),
        rule("/slow", to("shop/web/80", timeout=5.0)),
    )
    with Proxied(http(free_port(), served, backends={"web": web})) as proxy:
        yield proxy
    web.close()


# path as sent -> status, and what the backend saw or where the client was sent
PATHS = {
    "/public/../admin": (403, ""),
    "/public/%2e%2e/admin": (403, ""),
    "/public/.%2e/admin": (403, ""),
    "/public/%2E%2e/admin": (403, ""),
    "/public/..\\admin": (403, ""),
    "/public;/../admin": (403, ""),
    "//admin": (403, ""),
    "///admin//": (403, ""),
    "/./admin": (403, ""),
    "/%61dmin": (403, ""),
    "http://a.example.com/../admin": (403, ""),
    # A slash that is written otherwise: the client has to say what it means, and is asked again.
    "/public/..%2fadmin": (307, "/admin"),
    "/public%2f..%2Fadmin": (307, "/admin"),
    "/public/..%5cadmin": (307, "/admin"),
    "/public%2fx": (307, "/public/x"),
    "/admin%00": (400, ""),
    "/public%00/../admin": (400, ""),
    "/public/\x01": (400, ""),
    "/public/#/../admin": (400, ""),
    "/public/\xfc": (400, ""),
    "admin": (400, ""),
    "*": (400, ""),
    "/Admin": (404, ""),
    "/publicx": (404, ""),
    "/public;x=y": (404, ""),
    "/exact/": (404, ""),
    "/re/abc/def": (404, ""),
    "/re/ABC": (404, ""),
    "/..": (404, ""),
    "/public///x": (200, "/public/x"),
    "/public/%2e": (200, "/public/"),
    "/public/%252e%252e/admin": (200, "/public/%252e%252e/admin"),
    "/public?x=../admin": (200, "/public?x=../admin"),
    "/exact?x=%2fadmin": (200, "/exact?x=%2fadmin"),
    "/a/../../../public": (200, "/public"),
    "/re/abc?d": (200, "/re/abc?d"),
}


@pytest.mark.parametrize("path", PATHS)
def test_another_spelling_of_a_path_passes_no_match(proxy: Proxied, path: str) -> None:
    answer = parsed(proxy.raw(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode("latin-1")))
    status, where = PATHS[path]
    seen = answer.headers.get("location", "") if status == 307 else answer.body["path"] if status == 200 else ""
    assert (answer.status, seen) == (status, where)


START = b"POST /public HTTP/1.1\r\nHost: a.example.com\r\n"
# What is wrong with a request -> its bytes, and the statuses that refuse it.
MALFORMED = {
    "length and chunks": (START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
    "two lengths": (START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", (400,)),
    "one length twice": (START + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345", (400,)),
    "a list of lengths": (START + b"Content-Length: 5, 6\r\n\r\n12345", (400,)),
    "a negative length": (START + b"Content-Length: -1\r\n\r\n", (400,)),
    "a signed length": (START + b"Content-Length: +5\r\n\r\n12345", (400,)),
    "an unknown coding": (START + b"Transfer-Encoding: xchunked\r\n\r\n", (501,)),
    "two codings": (START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", (501,)),
    "a huge header": (START + b"X: " + b"a" * 70000 + b"\r\n\r\n", (431,)),
    "many headers": (START + b"".join(b"X%d: a\r\n" % i for i in range(150)) + b"\r\n", (431,)),
    "a huge path": (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: a.example.com\r\n\r\n", (414, 431)),
    "NUL in a header": (START + b"X: a\0b\r\n\r\n", (400,)),
    "a space before the colon": (START + b"X : a\r\n\r\n", (400,)),
    "no host": (b"GET /public HTTP/1.1\r\n\r\n", (400,)),
    "a path in the host": (b"GET /public HTTP/1.1\r\nHost: a.example.com/public\r\n\r\n", (400,)),
    "an unknown method": (b"FOO /public HTTP/1.1\r\nHost: a.example.com\r\n\r\n", (400,)),
    "a tunnel": (b"CONNECT a.example.com:80 HTTP/1.1\r\nHost: a.example.com\r\n\r\n", (404,)),
    "two hosts": (b"GET /public HTTP/1.1\r\nHost: a.example.com\r\nHost: b.example.com\r\n\r\n", (400, 404)),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_request_is_refused(proxy: Proxied, what: str) -> None:
    text, statuses = MALFORMED[what]
    assert parsed(proxy.raw(text)).status in statuses


def test_headers_of_the_proxys_own_are_not_taken_from_clients(proxy: Proxied) -> None:
    forged = [
        ("x-envoy-upstream-rq-timeout-ms", "10"),
        ("x-envoy-original-path", "/admin"),
        ("x-envoy-internal", "true"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-client-cert", "Subject=admin"),
        ("x-seaway-scope-host", "b.example.com"),
        ("x_user", "forged"),
        ("x-user", "said"),
    ]
    answer = proxy.get(HOST, "/slow?wait=0.1", headers=forged)
    assert answer.status == 200, answer
    seen = answer.body["headers"]
    assert seen["x-forwarded-proto"] == ["http"] and seen["x-forwarded-port"] != ["1"]
    assert seen["x-user"] == ["said"]
    assert not {"x-forwarded-client-cert", "x-envoy-original-path", "x-envoy-internal", "x_user"} & seen.keys()
    assert not [name for name in seen if name.startswith("x-seaway")]
    assert not [name for name in answer.headers if name.startswith(("x-envoy", "x-seaway"))]


def test_nothing_was_refused_as_configuration(proxy: Proxied) -> None:
    assert proxy.refused() == {}


def test_a_regex_is_bounded_in_size_and_in_time(proxy: Proxied) -> None:
    """RE2 never goes back: what makes other engines take years is over at once."""
    uuid = "/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/" + "x" * 150
    served = host("regex.example.com", rule(uuid, Respond(200, "uuid"), "regex"), rule("/(a+)+(a+)+(a+)+b", Respond(200), "regex"))
    proxy.apply(Pieces(hosts={"http-80": {served.domain: served}}))
    end = time.monotonic() + 30
    while proxy.get(served.domain, "/01234567-89ab-cdef-0123-456789abcdef/" + "x" * 150).body != "uuid":
        assert time.monotonic() < end
        time.sleep(0.02)
    assert proxy.get(served.domain, "/" + "a" * 50000).status == 404
    too_large = host("regex.example.com", rule(f"/a{{1000}}b{{1000}}{'c' * (REGEX_SIZE - 2000)}", Respond(200), "regex"))
    proxy.apply(Pieces(hosts={"http-80": {too_large.domain: too_large}}))
    end = time.monotonic() + 30
    log = proxy.home / "envoy.log"
    while not (proxy.refused() and "RE2 program size" in log.read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert proxy.get("a.example.com", "/public").status == 200  # what was there before goes on
