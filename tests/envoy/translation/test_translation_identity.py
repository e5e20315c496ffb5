"""Who somebody is, told in headers, decides nothing more in the proxy; and what credentials may cost it. Through a real Envoy."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator

import pytest
from proxied import Backend, Proxied, free_port
from translated import host, http, rule, to

from seaway.routing.ir import ValueMatch
from seaway.routing.policy import ApiKeys, BasicAuth, External, RoutePolicy


def sha(password: str) -> str:
    return "{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()


def basic(user: str, password: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


APR1 = "$apr1$x1y2z3a4$" + "a" * 22
OURS = f"ann:{sha('rosebud')}\nb.example.com:{sha('rosebud')}\n"


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxied]:
    web, other = Backend("web"), Backend("other")
    team = (ValueMatch("x-user", "exact", "ann"),)
    theirs = RoutePolicy(basic=BasicAuth(f"root:{sha('secret')}\n"))
    rules = (
        rule("/team", to("shop/other/80"), headers=team, policy=theirs),
        rule("/team", to("shop/web/80"), policy=RoutePolicy(basic=BasicAuth(OURS, "", "x-user"))),
        rule("/hop", to("shop/web/80"), policy=RoutePolicy(basic=BasicAuth(OURS, "", "x-seaway-scope-host"))),
        rule("/slow", to("shop/web/80"), policy=RoutePolicy(basic=BasicAuth(f"ann:{APR1}\n"))),
        rule("/keys", to("shop/web/80"), policy=RoutePolicy(api_keys=ApiKeys((("app", "k"),), (("cookie", "key"),)))),
    )
    framed = ("content-length", "transfer-encoding", "x-tenant")
    asked = RoutePolicy(external=External("shop/other/80", "http", headers_in=framed, headers_out=("x-backend",)))
    rules = (*rules, rule("/ask", to("shop/web/80"), policy=asked))
    hosts = (host("a.example.com", *rules), host("b.example.com", rule("/", to("shop/other/80"), policy=theirs)))
    with Proxied(http(free_port(), *hosts, backends={"web": web, "other": other})) as found:
        yield found
        assert found.refused() == {}, found.logged()
    web.close()
    other.close()


def test_who_it_was_chooses_no_other_route(proxy: Proxied) -> None:
    for path, user in (("/team", "ann"), ("/hop", "b.example.com")):
        answer = proxy.get("a.example.com", path, "GET", [basic(user, "rosebud")])
        assert (answer.status, answer.body["backend"]) == (200, "web"), path
    assert proxy.get("a.example.com", "/team", "GET", [basic("ann", "rosebud"), ("x-user", "ann")]).status == 401


def test_what_an_unknown_client_sends_is_read_in_no_time(proxy: Proxied) -> None:
    begun = time.monotonic()
    assert proxy.get("a.example.com", "/keys", "GET", [("Cookie", "a;" + " " * 3000 + "b")]).status == 401
    assert proxy.get("a.example.com", "/keys", "GET", [("Cookie", f"a{' ' * 50_000}b; key = k ")]).status == 200
    assert proxy.get("a.example.com", "/slow", "GET", [basic("ann", "x" * 30_000)]).status == 401
    assert time.monotonic() - begun < 2


def test_who_is_asked_about_a_request_is_told_of_no_body_that_does_not_come(proxy: Proxied) -> None:
    for _ in range(3):  # on one connection
        answer = proxy.get("a.example.com", "/ask", "POST", [("x-tenant", "shop")], body="hello")
        assert (answer.status, answer.body["body"], answer.body["headers"]["x-backend"]) == (200, "hello", ["other"])
