"""Matches and what is done with requests, through a real Envoy."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterator

import pytest
from proxied import Backend, Proxied, free_port
from translated import host, http, rule, to

from seaway.routing.ir import (
    Cors,
    Forward,
    HeaderEdits,
    Mirror,
    Redirect,
    Respond,
    Retry,
    Rewrite,
    Session,
    Target,
    ValueMatch,
)

HOST = "a.example.com"
WEB, OTHER = "shop/web/80", "shop/other/80"
REQUEST = HeaderEdits((("x-set", "rule"), ("x-percent", "100%d%%"), ("x-empty", "")), (("x-add", "rule"),), ("x-gone",))
RESPONSE = HeaderEdits((("x-set", "rule"),), (("x-add", "rule"),), ("x-backend",))
OWN = HeaderEdits((("x-set", "own"),), (("x-add", "own"),), ("x-percent",))


def says(text: str) -> Respond:
    return Respond(200, text)


def matched(*values: ValueMatch) -> tuple[ValueMatch, ...]:
    return values


RULES = [
    # Matches
    rule("/m/exact", says("exact"), "exact"),
    rule("/m/re/[0-9]{2,4}", says("regex"), "regex"),
    rule("/m/header", says("both headers"), headers=matched(ValueMatch("x-a", "exact", "1"), ValueMatch("x-b", "exact", "2"))),
    rule("/m/header", says("header regex"), headers=matched(ValueMatch("x-a", "regex", "[ab]+"))),
    rule("/m/header", says("header present"), headers=matched(ValueMatch("x-c", "present"))),
    rule("/m/header", says("header empty"), headers=matched(ValueMatch("x-d", "exact", ""))),
    rule("/m/header", says("header of the host"), headers=matched(ValueMatch("host", "exact", "a.example.com")), query=(ValueMatch("h", "present"),)),
    rule("/m/query", says("query"), query=matched(ValueMatch("q", "exact", "1"))),
    rule("/m/query", says("query regex"), query=matched(ValueMatch("q", "regex", "a+"))),
    rule("/m/query", says("query present"), query=matched(ValueMatch("flag", "present"))),
    rule("/m/method", says("POST"), method="POST"),
    rule("/m/grpc", says("gRPC"), grpc=True),
    rule("/m", says("prefix")),
    rule("/odd?prefix", says("never")),
    # Headers
    rule("/h/rule", to(WEB), request=REQUEST, response=RESPONSE),
    rule("/h/own", Forward((Target(WEB, request=OWN, response=OWN),)), request=REQUEST, response=RESPONSE),
    rule("/h/owns", Forward((Target(WEB, request=OWN, response=OWN), Target(OTHER))), request=REQUEST, response=RESPONSE),
    rule("/h/redirect", Redirect(host="new.example.com"), response=HeaderEdits((("x-set", "rule"),))),
    rule("/h/host", to(WEB), request=HeaderEdits((("Host", "set.example.com"),))),
    rule("/h/respond", Respond(418, "teapot", (("content-type", "text/html"), ("x-a", "b")))),
    rule("/h/large", Respond(200, "x" * 6000)),
    # Shares
    rule("/w/missing", to("")),
    rule("/w/none", Forward(())),
    rule("/w/zero", Forward((Target(WEB, 0), Target(OTHER, 0)))),
    rule("/w/one", Forward((Target(WEB, 0), Target(OTHER, 1)))),
    rule("/w/half", Forward((Target(WEB, 1), Target("", 1)))),
    rule("/w/redirects", Forward((Target(WEB, 1), Target("", 1, redirect=Redirect(host="new.example.com"), response=RESPONSE)))),
    rule(
        "/w/rewrites",
        Forward(
            (
                Target(WEB, 1, rewrite=Rewrite("own.example.com", "prefix", "/own")),
                Target(OTHER, 2, rewrite=Rewrite("other.example.com")),
                Target(OTHER, 1, rewrite=Rewrite("", "full", "/third")),
            ),
            rewrite=Rewrite("rule.example.com", "prefix", "/rule"),
        ),
    ),
    # Times and tries
    rule("/t/request", to(WEB, timeout=0.15)),
    rule("/t/try", to(WEB, try_timeout=0.15)),
    rule("/t/tries", to(WEB, timeout=5.0, try_timeout=0.15, retry=Retry(2, (500,), 0.001))),
    rule("/t/codes", to(WEB, retry=Retry(3, (503,), 0.001))),
    # Mirrors
    rule("/mirror/all", to(WEB, mirrors=(Mirror(OTHER), Mirror("")))),
    rule("/mirror/none", to(WEB, mirrors=(Mirror(OTHER, 0, 100),))),
    rule("/mirror/some", to(WEB, mirrors=(Mirror(OTHER, 1, 4),))),
    # Sessions
    rule("/s/cookie", to(WEB, session=Session("cookie", "sid"))),
    rule("/s/lasting", to(WEB, session=Session("cookie", "sid", 3600, "/s", True))),
    rule("/s/header", to(WEB, session=Session("header", "x-session"))),
    rule("/s/shares", Forward((Target(WEB), Target(OTHER)), session=Session("cookie", "sid"))),
    # CORS
    rule(
        "/c/some",
        to(WEB),
        cors=Cors(("https://www.foo.com", "https://*.bar.com"), ("GET", "PUT"), ("x-a", "x-b"), ("x-c", "x-d"), True, 3600),
    ),
    rule("/c/all", to(WEB), cors=Cors(("*",), ("*",), ("*",))),
    rule("/c/all-credentials", to(WEB), cors=Cors(("*",), ("*",), ("*",), (), True)),
    rule("/c/get", to(WEB), method="GET", cors=Cors(("https://www.foo.com",), ("GET",))),
    rule("/upgrade", to(WEB)),
]


@pytest.fixture(scope="module")
def backends() -> Iterator[dict[str, Backend]]:
    backends = {"web": Backend("web"), "other": Backend("other")}
    yield backends
    for backend in backends.values():
        backend.close()


@pytest.fixture(scope="module")
def proxy(backends: dict[str, Backend]) -> Iterator[Proxied]:
    with Proxied(http(free_port(), host(HOST, *RULES), backends=backends)) as proxy:
        yield proxy


def test_every_rule_is_taken_by_envoy(proxy: Proxied) -> None:
    assert proxy.refused() == {}


# path, method, headers -> what answers
MATCHES: list[tuple[str, str, list[tuple[str, str]], str]] = [
    ("/m/exact", "GET", [], "exact"),
    ("/m/exact?x", "GET", [], "exact"),
    ("/m/exact/", "GET", [], "prefix"),
    ("/m/re/123", "GET", [], "regex"),
    ("/m/re/12345", "GET", [], "prefix"),
    ("/m/re/123/x", "GET", [], "prefix"),
    ("/m/header", "GET", [("X-A", "1"), ("x-b", "2")], "both headers"),
    ("/m/header/below", "GET", [("x-a", "1"), ("x-b", "2")], "both headers"),
    ("/m/header", "GET", [("x-a", "1"), ("x-b", "3")], "prefix"),
    ("/m/header", "GET", [("x-a", "abba")], "header regex"),
    ("/m/header", "GET", [("x-a", "abc")], "prefix"),
    ("/m/header", "GET", [("x-c", "")], "header present"),
    ("/m/header", "GET", [("x-d", "")], "header empty"),
    ("/m/header", "GET", [("x-d", "1")], "prefix"),
    ("/m/header?h", "GET", [], "header of the host"),
    ("/m/query?q=1", "GET", [], "query"),
    ("/m/query?a=b&q=1&c", "GET", [], "query"),
    ("/m/query?q=1&q=2", "GET", [], "query"),
    ("/m/query?q=11", "GET", [], "prefix"),
    ("/m/query?Q=1", "GET", [], "prefix"),
    ("/m/query?q=aaa", "GET", [], "query regex"),
    ("/m/query?flag", "GET", [], "query present"),
    ("/m/query?flagged", "GET", [], "prefix"),
    ("/m/method", "POST", [], "POST"),
    ("/m/method", "GET", [], "prefix"),
    ("/m/grpc", "POST", [("content-type", "application/grpc")], "gRPC"),
    ("/m/grpc", "POST", [("content-type", "application/grpc+proto")], "gRPC"),
    ("/m/grpc", "POST", [("content-type", "application/grpcx")], "prefix"),
    ("/m/", "GET", [], "prefix"),
]


@pytest.mark.parametrize(("path", "method", "headers", "expected"), MATCHES)
def test_a_request_takes_the_first_rule_that_matches(
    proxy: Proxied, path: str, method: str, headers: list[tuple[str, str]], expected: str
) -> None:
    answer = proxy.get(HOST, path, method, headers)
    # An answer to gRPC is a status in headers (gRPC over HTTP/2, "Responses").
    assert answer.body == expected or answer.headers.get("grpc-message") == expected


def test_headers_of_a_rule_are_removed_set_and_added(proxy: Proxied) -> None:
    answer = proxy.get(HOST, "/h/rule", headers=[("x-gone", "1"), ("X-Set", "client"), ("x-add", "client")])
    seen = answer.body["headers"]
    assert (seen["x-set"], seen["x-add"], seen["x-percent"]) == (["rule"], ["client", "rule"], ["100%d%%"])
    assert seen["x-empty"] == [""] and "x-gone" not in seen
    assert (answer.headers["x-set"], answer.headers["x-add"]) == ("rule", "rule") and "x-backend" not in answer.headers


def test_headers_of_a_backend_come_after_its_rules(proxy: Proxied) -> None:
    answers = [proxy.get(HOST, "/h/own")]
    while {a.body["backend"] for a in answers[1:]} != {"web", "other"}:
        answers.append(proxy.get(HOST, "/h/owns"))
        assert len(answers) < 200
    for answer in answers:
        seen = answer.body["headers"]
        own = answer.body["backend"] == "web"
        assert seen["x-set"] == (["own"] if own else ["rule"])
        assert seen["x-add"] == (["rule", "own"] if own else ["rule"])
        assert ("x-percent" in seen) is not own
        assert answer.headers["x-add"] == ("rule, own" if own else "rule")


def test_answers_of_the_proxys_own(proxy: Proxied) -> None:
    answer = proxy.get(HOST, "/h/respond")
    assert (answer.status, answer.body, answer.headers["content-type"], answer.headers["x-a"]) == (418, "teapot", "text/html", "b")
    assert len(proxy.get(HOST, "/h/large").body) == 6000
    assert proxy.get(HOST, "/h/redirect").headers["x-set"] == "rule"
    assert proxy.get(HOST, "/h/host").body["headers"]["host"] == ["set.example.com"]


def test_requests_without_a_backend_fail_and_those_of_weight_zero_get_none(proxy: Proxied) -> None:
    for path in ("/w/missing", "/w/none", "/w/zero"):
        assert (path, proxy.get(HOST, path).status) == (path, 500)
    assert {proxy.get(HOST, "/w/one").body["backend"] for _ in range(20)} == {"other"}


def test_a_share_may_fail_be_redirected_or_rewritten_by_itself(proxy: Proxied) -> None:
    failed = collections.Counter(proxy.get(HOST, "/w/half").status for _ in range(400))
    assert set(failed) == {200, 500} and abs(failed[200] - 200) < 70
    redirected = [proxy.get(HOST, "/w/redirects") for _ in range(400)]
    counts = collections.Counter(a.status for a in redirected)
    assert set(counts) == {200, 302} and abs(counts[302] - 200) < 70
    assert all(a.headers["x-set"] == "rule" for a in redirected if a.status == 302)
    seen: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for _ in range(600):
        body = proxy.get(HOST, "/w/rewrites/x").body
        seen[body["backend"], body["headers"]["host"][0], body["path"]] += 1
    assert set(seen) == {
        ("web", "own.example.com", "/own/x"),
        ("other", "other.example.com", "/rule/x"),
        ("other", "rule.example.com", "/third"),
    }
    assert abs(seen["other", "other.example.com", "/rule/x"] - 300) < 75


def test_slow_backends_are_given_up_and_failing_ones_tried_again(proxy: Proxied, backends: dict[str, Backend]) -> None:
    for path, tries in (("/t/request?wait=1", 1), ("/t/try?wait=1", 1), ("/t/tries?wait=1", 3)):
        before = len(backends["web"].seen)
        assert (path, proxy.get(HOST, path).status) == (path, 504)
        end = time.monotonic() + 20
        while len(backends["web"].seen) - before < tries and time.monotonic() < end:
            time.sleep(0.01)  # a backend may hear of an attempt after it was given up
        assert (path, len(backends["web"].seen) - before) == (path, tries)
    assert proxy.get(HOST, "/t/codes?fail=3").status == 200
    assert proxy.get(HOST, "/t/codes/again?fail=4").status == 503
    before = len(backends["web"].seen)
    assert proxy.get(HOST, "/h/rule?status=503").status == 503
    assert len(backends["web"].seen) - before == 1  # nobody asked for a retry of what was answered


def test_copies_go_to_mirrors(proxy: Proxied, backends: dict[str, Backend]) -> None:
    backends["other"].seen.clear()
    for path in ("/mirror/all", "/mirror/none"):
        assert proxy.get(HOST, path).body["backend"] == "web"
    for _ in range(200):
        proxy.get(HOST, "/mirror/some")
    end = time.monotonic() + 5
    while "/mirror/all" not in backends["other"].seen and time.monotonic() < end:
        time.sleep(0.01)
    seen = collections.Counter(backends["other"].seen)
    assert seen["/mirror/all"] == 1 and seen["/mirror/none"] == 0 and 20 < seen["/mirror/some"] < 90


def test_sessions_are_kept_by_cookie_or_header(proxy: Proxied) -> None:
    cookie = proxy.get(HOST, "/s/cookie").headers["set-cookie"]
    assert cookie.startswith("sid=") and "Max-Age" not in cookie
    lasting = proxy.get(HOST, "/s/lasting").headers["set-cookie"]
    assert "Max-Age=3600" in lasting and "Path=/s" in lasting
    token = proxy.get(HOST, "/s/header").headers["x-session"]
    assert token and proxy.get(HOST, "/s/header", headers=[("x-session", token)]).status == 200
    assert "set-cookie" not in proxy.get(HOST, "/h/rule").headers


def test_a_session_stays_with_its_share(proxy: Proxied) -> None:
    """A cookie names one endpoint; of several backends the same one has to be chosen first."""
    chosen: collections.Counter[str] = collections.Counter()
    for _ in range(30):
        first = proxy.get(HOST, "/s/shares")
        cookies = [c.partition(";")[0] for c in first.headers["set-cookie"].split(", ") if "=" in c]
        assert {c.partition("=")[0] for c in cookies} == {"sid", "sid-share"}
        backends = {proxy.get(HOST, "/s/shares", headers=[("Cookie", "; ".join(cookies))]).body["backend"] for _ in range(6)}
        assert backends == {first.body["backend"]}
        chosen.update(backends)
    assert set(chosen) == {"web", "other"}


def _preflight(proxy: Proxied, path: str, origin: str, method: str = "GET", headers: str = "x-q") -> dict[str, str]:
    asked = [("Origin", origin), ("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", headers)]
    answer = proxy.get(HOST, path, "OPTIONS", asked)
    assert answer.status == 200 and answer.body == ""  # the backend is not asked
    return {k.removeprefix("access-control-"): v for k, v in answer.headers.items() if k.startswith("access-control-")}


def test_cors_answers_what_is_allowed_and_keeps_silent_otherwise(proxy: Proxied) -> None:
    for origin in ("https://www.foo.com", "https://x.bar.com", "https://x.y.bar.com"):
        assert _preflight(proxy, "/c/some", origin) == {
            "allow-origin": origin,
            "allow-credentials": "true",
            "allow-methods": "GET, PUT",
            "allow-headers": "x-a, x-b",
            "expose-headers": "x-c, x-d",
            "max-age": "3600",
        }
        simple = proxy.get(HOST, "/c/some", headers=[("Origin", origin)])
        assert simple.body["backend"] == "web" and simple.headers["access-control-allow-origin"] == origin
    for origin in ("https://bar.com", "http://www.foo.com", "https://www.foo.com.evil.com", "https://evilbar.com"):
        assert "allow-origin" not in _preflight(proxy, "/c/some", origin)
        assert "access-control-allow-origin" not in proxy.get(HOST, "/c/some", headers=[("Origin", origin)]).headers


def test_cors_with_wildcards_allows_what_is_asked_for(proxy: Proxied) -> None:
    anything = {"allow-origin": "https://any.example", "allow-methods": "PATCH", "allow-headers": "x-q", "max-age": "5"}
    assert _preflight(proxy, "/c/all", "https://any.example", "PATCH") == anything
    with_credentials = anything | {"allow-credentials": "true"}
    assert _preflight(proxy, "/c/all-credentials", "https://any.example", "PATCH") == with_credentials


def test_a_preflight_reaches_a_rule_for_another_method(proxy: Proxied) -> None:
    assert _preflight(proxy, "/c/get", "https://www.foo.com")["allow-origin"] == "https://www.foo.com"
    asked = [("Origin", "https://www.foo.com"), ("Access-Control-Request-Method", "DELETE")]
    assert proxy.get(HOST, "/c/get", "OPTIONS", asked).status == 404
