"""Annotations as values: what each says, and what becomes of a value that cannot be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from seaway.routing.ingress import problems
from seaway.routing.ingress.annotations import NONE, PREFIX, Annotations, read
from seaway.routing.ingress.annotations.access import Asked, Clients, Users
from seaway.routing.ingress.annotations.canary import Canary
from seaway.routing.ingress.annotations.names import CLOSING, IGNORED, REFUSED, SUPPORTED
from seaway.routing.ingress.annotations.timeouts import Timeouts
from seaway.routing.ingress.annotations.values import Url
from seaway.routing.ir import Redirect, Respond, Retry, Session, ValueMatch
from seaway.routing.policy import LimitKey, RateLimit

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "ingress.md").read_text()


def said(text: str) -> Annotations:
    """Of `name: value; name: value`, in namespace `default`."""
    pairs = [p.partition(": ") for p in text.split("; ")] if text else []
    return read({PREFIX + name: value for name, _, value in pairs}, "default")


def field(annotations: Annotations, path: str) -> Any:
    found: Any = annotations
    for word in path.split("."):
        found = found[word] if isinstance(found, dict) else getattr(found, word)
    return found


CLIENT = (LimitKey("client"),)
COOKIE = Session("cookie", "INGRESSCOOKIE", 0, "")
BASIC = "auth-type: basic; auth-secret: users"
URL = "auth-url: http://auth.default.svc:8080/check?x=1"
CHECK = Url("http", "auth.default.svc", 8080, "/check?x=1")
GOOD: list[tuple[str, str, Any]] = [
    ("affinity: cookie", "session", COOKIE),
    ("affinity: cookie; affinity-mode: persistent; affinity-canary-behavior: sticky", "session", COOKIE),
    ("session-cookie-name: a", "session", None),
    (
        "affinity: cookie; session-cookie-name: stay; session-cookie-path: /a; session-cookie-max-age: 60",
        "session",
        Session("cookie", "stay", 60, "/a", True),
    ),
    ("affinity: cookie; session-cookie-expires: 90", "session.seconds", 90),
    ("affinity: cookie; session-cookie-expires: 90; session-cookie-max-age: 60", "session.seconds", 60),
    ("affinity: cookie; session-cookie-max-age: 0", "session.permanent", False),
    (
        "affinity: cookie; session-cookie-samesite: lax; session-cookie-secure: true; session-cookie-domain: example.com",
        "session.attributes",
        (("Domain", "example.com"), ("SameSite", "Lax"), ("Secure", "")),
    ),
    ("affinity: cookie; session-cookie-change-on-failure: true", "session", COOKIE),
    ("load-balance: round_robin", "balancing", {"algorithm": "RoundRobin"}),
    ("load-balance: ewma", "balancing", {"algorithm": "LeastRequest"}),
    (
        "upstream-hash-by: $remote_addr",
        "balancing",
        {"algorithm": "RingHash", "hashOn": [{"type": "ClientIP"}]},
    ),
    (
        "upstream-hash-by: ${http_x_user}-$arg_id$cookie_c$request_uri; load-balance: ewma",
        "balancing.hashOn",
        [
            {"type": "Header", "name": "x-user"},
            {"type": "QueryParam", "name": "id"},
            {"type": "Cookie", "name": "c"},
            {"type": "Header", "name": ":path"},
        ],
    ),
    ("upstream-vhost: Other.example.com:8080", "backends.host", "other.example.com:8080"),
    ("backend-protocol: GRPCS", "backends.protocol", "GRPCS"),
    ("backend-protocol: https", "backends.protocol", "HTTPS"),
    ("backend-protocol: AUTO_HTTP", "backends.protocol", "AUTO_HTTP"),
    ("service-upstream: true", "backends.by_service", True),
    ("proxy-ssl-secret: default/ca; proxy-ssl-verify: on", "backends.secret", "ca"),
    ("proxy-ssl-verify: on", "backends.verify", True),
    ("proxy-ssl-verify: off", "backends.verify", False),
    ("proxy-ssl-name: Backend.internal; proxy-ssl-server-name: on", "backends.name", "backend.internal"),
    ("proxy-http-version: 1.1", "backends.protocol", ""),
    (
        "mirror-target: http://copies.default.svc$request_uri",
        "backends.mirror",
        Url("http", "copies.default.svc", 0, ""),
    ),
    ("default-backend: spare", "backends.default", "spare"),
    ("rewrite-target: /$2", "rewriting.target", "/$2"),
    ("rewrite-target: new", "rewriting.target", "/new"),
    ("use-regex: true", "rewriting.use_regex", True),
    ("app-root: /start", "rewriting.app_root", "/start"),
    ("x-forwarded-prefix: /api", "rewriting.prefix", "/api"),
    ("server-alias: A.example.com, *.b.example.com", "rewriting.aliases", ("a.example.com", "*.b.example.com")),
    ("from-to-www-redirect: true", "redirects.www", True),
    (
        "permanent-redirect: https://new.example.com/x?y=1",
        "redirects.elsewhere",
        Respond(301, headers=(("location", "https://new.example.com/x?y=1"),)),
    ),
    ("permanent-redirect: https://n.example.com; permanent-redirect-code: 308", "redirects.elsewhere.code", 308),
    (
        "permanent-redirect: https://n.example.com$request_uri",
        "redirects.elsewhere",
        Redirect("https", "n.example.com", code=301),
    ),
    (
        "temporal-redirect: http://n.example.com; permanent-redirect: http://m.example.com",
        "redirects.elsewhere.code",
        302,
    ),
    ("temporal-redirect: http://n.example.com; temporal-redirect-code: 307", "redirects.elsewhere.code", 307),
    ("ssl-redirect: false", "redirects.ssl", False),
    ("force-ssl-redirect: true", "redirects.force_ssl", True),
    ("ssl-passthrough: true", "passthrough", True),
    ("proxy-body-size: 8m", "largest_body", 8 << 20),
    ("proxy-body-size: 512K", "largest_body", 512 << 10),
    ("proxy-body-size: 0", "largest_body", 0),
    ("proxy-connect-timeout: 3", "timeouts", Timeouts(3, 0)),
    ("proxy-read-timeout: 5", "timeouts", Timeouts(0, 5)),
    ("proxy-read-timeout: 5; proxy-send-timeout: 7", "timeouts.read", 7),
    ("proxy-send-timeout: 7", "timeouts.read", 60),
    ("proxy-next-upstream: off", "retry.attempts", 0),
    (
        "proxy-next-upstream: error timeout http_502 http_503 non_idempotent",
        "retry",
        Retry(2, (502, 503), connect=True, idempotent=False),
    ),
    (
        "proxy-next-upstream: http_500; proxy-next-upstream-tries: 2",
        "retry",
        Retry(1, (500,), connect=False, idempotent=True),
    ),
    ("proxy-next-upstream-tries: 1", "retry.attempts", 0),
    ("limit-rps: 10", "limits", (RateLimit(10, 1, 50, CLIENT),)),
    ("limit-rpm: 30; limit-burst-multiplier: 2", "limits", (RateLimit(30, 60, 60, CLIENT),)),
    (
        "limit-rps: 1; limit-whitelist: 10.0.0.0/8, 192.0.2.1",
        "limits",
        (RateLimit(1, 1, 5, CLIENT, exempt=("10.0.0.0/8", "192.0.2.1/32")),),
    ),
    (
        "limit-rps: 1; limit-allowlist: 10.0.0.0/8; limit-whitelist: 11.0.0.0/8",
        "limits",
        (RateLimit(1, 1, 5, CLIENT, exempt=("10.0.0.0/8",)),),
    ),
    ("limit-rps: 0", "limits", ()),
    ("whitelist-source-range: 10.0.0.1, 2001:db8::/32", "access.allow", ("10.0.0.1/32", "2001:db8::/32")),
    ("allowlist-source-range: 10.1.0.0/16; whitelist-source-range: 0.0.0.0/0", "access.allow", ("10.1.0.0/16",)),
    ("denylist-source-range: 192.0.2.77/24", "access.deny", ("192.0.2.0/24",)),
    (BASIC, "access.users", Users("users")),
    (
        f"{BASIC}; auth-secret-type: auth-map; auth-realm: Who are you",
        "access.users",
        Users("users", "auth-map", "Who are you"),
    ),
    (URL, "access.asked", Asked(CHECK)),
    (
        f"{URL}; auth-method: POST; auth-response-headers: X-User, X-Groups",
        "access.asked",
        Asked(CHECK, "POST", ("x-user", "x-groups")),
    ),
    (
        f"{URL}; auth-signin: https://in.example.com/start?a=1",
        "access.asked.signin",
        "https://in.example.com/start?a=1",
    ),
    (f"{URL}; auth-signin: https://$host/oauth2/start?rd=$escaped_request_uri", "access.asked.signin", "/oauth2/start"),
    (
        f"{URL}; auth-signin: https://in.example.com/; auth-signin-redirect-param: rd",
        "access.asked.signin",
        "https://in.example.com/",
    ),
    (f"{URL}; auth-proxy-set-headers: default/ask", "access.asked.config", "ask"),
    ("auth-tls-secret: default/ca", "access.clients", Clients("ca")),
    ("auth-tls-secret: default/ca; auth-tls-verify-client: off", "access.clients", None),
    (
        "auth-tls-secret: ca; auth-tls-verify-client: optional; auth-tls-pass-certificate-to-upstream: true",
        "access.clients",
        Clients("ca", "optional", True),
    ),
    ("cors-allow-origin: https://a.example.com", "cors", None),
    ("enable-cors: true", "cors.allowOrigins", ["*"]),
    ("enable-cors: true", "cors.allowMethods", ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]),
    ("enable-cors: true", "cors.allowCredentials", False),
    ("enable-cors: true", "cors.maxAge", 1728000),
    (
        "enable-cors: true; cors-allow-origin: https://a.example.com, https://*.b.example.com:8443",
        "cors.allowOrigins",
        ["https://a.example.com", "https://*.b.example.com:8443"],
    ),
    ("enable-cors: true; cors-allow-origin: https://a.example.com", "cors.allowCredentials", True),
    (
        "enable-cors: true; cors-allow-origin: https://a.example.com; cors-allow-credentials: false",
        "cors.allowCredentials",
        False,
    ),
    ("enable-cors: true; cors-allow-methods: get, PUT; cors-max-age: 600", "cors.allowMethods", ["GET", "PUT"]),
    ("enable-cors: true; cors-allow-headers: X-A, X-B; cors-expose-headers: X-C", "cors.allowHeaders", ["X-A", "X-B"]),
    ("canary: true; canary-weight: 30", "canary", Canary(weight=30)),
    ("canary: true; canary-weight: 30; canary-weight-total: 1000", "canary.total", 1000),
    ("canary: true; canary-by-header: X-Canary; canary-by-cookie: try", "canary", Canary("x-canary", cookie="try")),
    (
        "canary: true; canary-by-header: X; canary-by-header-value: yes; canary-by-header-pattern: a.*",
        "canary",
        Canary("x", "yes", "a.*"),
    ),
    ("canary: false", "canary", None),
]


@pytest.mark.parametrize(("text", "path", "value"), GOOD, ids=[f"{text} {path}" for text, path, _ in GOOD])
def test_an_annotation_says(text: str, path: str, value: Any) -> None:
    found = said(text)
    assert field(found, path) == value
    assert not found.problems and not found.closed


# text; the path whose value stays as without it (empty: not looked at); what the event says
BAD: list[tuple[str, str, str]] = [
    ("affinity: ip", "session", "must be one of cookie"),
    ("affinity-mode: often", "", "must be one of balanced, persistent"),
    ("affinity-canary-behavior: never", "", "must be one of sticky, legacy"),
    ("session-cookie-name: a b", "", "must be a name"),
    ("session-cookie-name: a;b", "", "must be a name"),
    ("session-cookie-path: a", "", "must be a path"),
    ("session-cookie-path: /a; Secure", "", "UnknownAnnotation"),
    ("session-cookie-domain: a b", "", "must be a host name"),
    ("session-cookie-max-age: -1", "", "must be a whole number"),
    ("session-cookie-expires: soon", "", "must be a whole number"),
    ("session-cookie-samesite: some", "", "must be one of None, Lax, Strict"),
    ("session-cookie-secure: perhaps", "", "must be true or false"),
    ("session-cookie-change-on-failure: no", "", "must be true or false"),
    ("load-balance: ip_hash", "balancing", "must be one of round_robin, ewma"),
    ("upstream-hash-by: me", "balancing", "must have a variable"),
    ("upstream-hash-by: $geoip_city", "balancing", "$geoip_city is not known"),
    ("upstream-vhost: a b", "backends", "must be a host name"),
    ("upstream-vhost: $host", "backends", "must be a host name"),
    ("backend-protocol: SPDY", "backends", "must be one of HTTP, HTTPS"),
    ("service-upstream: 2", "backends", "must be true or false"),
    ("proxy-ssl-name: $host", "backends", "must be a host name"),
    ("proxy-ssl-server-name: yes", "backends", 'must be "on" or "off"'),
    ("proxy-http-version: 2", "backends", "must be one of 1.0, 1.1"),
    ("mirror-target: copies", "backends", "must be a URL"),
    ("mirror-target: http://copies.default.svc/path$request_uri", "backends", "only $request_uri may follow the host"),
    ("default-backend: a/b", "backends", "must be a host name"),
    ("rewrite-target: /$host", "rewriting", "must be a path"),
    ("rewrite-target: /a b", "rewriting", "must be a path"),
    ("use-regex: maybe", "rewriting", "must be true or false"),
    ("app-root: start", "rewriting", "must be a path"),
    ("app-root: /a?b\r\nX: y", "rewriting", "must be a path"),
    ("x-forwarded-prefix: /\u00e4", "rewriting", "must be printable ASCII"),
    ("server-alias: ~^www[0-9]+", "rewriting", "hosts by regex are not served"),
    ("from-to-www-redirect: si", "redirects", "must be true or false"),
    ("permanent-redirect: ftp://a", "redirects", "must be a URL"),
    ("permanent-redirect: https://$host/x", "redirects", "variables of nginx are not known"),
    ("permanent-redirect-code: 404", "redirects", "must be a whole number between 300 and 308"),
    ("temporal-redirect: /a", "redirects", "must be a URL"),
    ("temporal-redirect-code: 308", "redirects", "must be a whole number between 300 and 307"),
    ("ssl-redirect: nein", "redirects", "must be true or false; true is taken"),
    ("force-ssl-redirect: nein", "redirects", "must be true or false; false is taken"),
    ("ssl-passthrough: nein", "passthrough", "must be true or false"),
    ("proxy-body-size: 8 MiB", "largest_body", "must be bytes"),
    ("proxy-connect-timeout: 5s", "timeouts", "must be a whole number"),
    ("proxy-read-timeout: 0", "timeouts", "must be a whole number between 1"),
    ("proxy-send-timeout: x", "timeouts", "must be a whole number"),
    ("proxy-next-upstream: error; rm", "", "UnknownAnnotation"),
    ("proxy-next-upstream: http_999", "retry", "http_999 is not one of"),
    ("proxy-next-upstream-tries: -1", "retry", "must be a whole number"),
    ("limit-rps: many", "limits", "must be a whole number"),
    ("limit-rpm: -5", "limits", "must be a whole number"),
    ("limit-burst-multiplier: 0", "limits", "must be a whole number between 1"),
    ("limit-allowlist: home", "limits", "neither an address nor a network"),
    ("limit-whitelist: 10.0.0.0/99", "limits", "neither an address nor a network"),
    ('auth-realm: a"b', "", "must be printable, without quotes"),
    ("auth-signin: sign in", "", "must be a URL"),
    ("auth-signin-redirect-param: back", "", "the parameter is always rd"),
    ("auth-tls-verify-client: sometimes", "", "must be one of on, off, optional"),
    ("auth-tls-pass-certificate-to-upstream: x", "", "must be true or false"),
    ("enable-cors: x", "cors", "must be true or false"),
    ("cors-allow-origin: example.com", "cors", "is no origin as https://example.com"),
    ("cors-allow-methods: GET/PUT", "cors", "must be methods"),
    ("cors-allow-headers: a b", "cors", "must be a name"),
    ("cors-allow-credentials: x", "cors", "must be true or false"),
    ("cors-expose-headers: a(b", "cors", "must be a name"),
    ("cors-max-age: long", "cors", "must be a whole number"),
    ("canary: x", "canary", "must be true or false"),
    ("canary-weight: 30", "canary", "the Ingress is no canary"),
    ("canary-by-header: a b", "canary", "must be a name"),
    ("canary-by-header-value: \u00e9", "canary", "must be printable ASCII"),
    ("canary-by-header-pattern: (a", "canary", "missing closing )"),
    ("canary-by-cookie: a=b", "canary", "must be a name"),
    ("canary-weight-total: 0", "canary", "must be a whole number between 1"),
]
# These keep requests away: what cannot be read lets none pass.
CLOSED: list[tuple[str, str]] = [
    ("allowlist-source-range: ", "must not be empty"),
    ("allowlist-source-range: home", "must be addresses and networks"),
    ("whitelist-source-range: home, office", "must be addresses and networks"),
    ("denylist-source-range: 10.0.0.0/8, home", "neither an address nor a network"),
    ("auth-type: digest; auth-secret: users", "digest authentication is not served"),
    ("auth-type: Bearer", "must be one of basic, digest"),
    ("auth-type: basic", "Required value: with auth-type"),
    ("auth-type: basic; auth-secret: other/users", "a Secret of another namespace may not be used"),
    (f"{BASIC}; auth-secret-type: auth-list", "must be one of auth-file, auth-map"),
    ("auth-url: auth.default.svc", "must be a URL"),
    ("auth-url: https://$host/auth", "variables of nginx are not known"),
    ("auth-url: http://user@auth.default.svc/", "must be a URL"),
    (f"{URL}; auth-method: get it", "must be a method"),
    (f"{URL}; auth-response-headers: X-User, Host", "host is the proxy's own header"),
    (f"{URL}; auth-proxy-set-headers: other/ask", "a ConfigMap of another namespace may not be used"),
    ("auth-tls-secret: other/ca", "a Secret of another namespace may not be used"),
    ("auth-tls-match-cn: CN=x", "certificates cannot be told apart by their common name"),
    ("proxy-ssl-secret: other/ca", "a Secret of another namespace may not be used"),
    ("proxy-ssl-verify: perhaps", 'must be "on" or "off"'),
]


@pytest.mark.parametrize(("text", "path", "event"), BAD, ids=[text for text, _, _ in BAD])
def test_a_value_that_cannot_be_read_is_told_and_counts_as_not_given(text: str, path: str, event: str) -> None:
    found = said(text)
    assert any(event in f"{p.reason}: {p.message}" for p in found.problems), found.problems
    assert all(p.message.startswith(f"metadata.annotations[{PREFIX}") for p in found.problems)
    assert not found.closed
    if path:
        assert field(found, path) == field(NONE, path)


@pytest.mark.parametrize(("text", "why"), CLOSED, ids=[text for text, _ in CLOSED])
def test_what_keeps_requests_away_and_cannot_be_read_lets_none_pass(text: str, why: str) -> None:
    found = said(text)
    assert why in found.closed
    assert problems.CLOSED in [p.reason for p in found.problems]


def test_a_network_that_is_left_out_of_those_that_may_pass_is_told_and_closes_nothing() -> None:
    found = said("allowlist-source-range: 10.0.0.0/8, home")
    assert found.access.allow == ("10.0.0.0/8",) and not found.closed
    assert [p.reason for p in found.problems] == [problems.ANNOTATION]


@pytest.mark.parametrize("name", sorted({**IGNORED, **REFUSED, **CLOSING}))
def test_annotations_that_are_not_carried_out_are_named_with_the_reason(name: str) -> None:
    (problem,) = read({PREFIX + name: "proxy_pass http://evil;"}, "default").problems
    reasons = {**IGNORED, **REFUSED, **CLOSING}
    assert problem.message.startswith(f"metadata.annotations[{PREFIX}{name}]: ") and reasons[name] in problem.message
    assert "evil" not in problem.message
    assert problem.reason == (
        problems.REFUSED_ANNOTATION
        if name in REFUSED
        else problems.CLOSED
        if name in CLOSING
        else problems.IGNORED_ANNOTATION
    )


def test_an_annotation_that_ingress_nginx_has_not_is_unknown_and_a_near_one_is_named() -> None:
    (problem,) = read({PREFIX + "enable-corss": "true", "example.com/other": "x"}, "default").problems
    assert problem.reason == problems.UNKNOWN_ANNOTATION
    assert problem.message.endswith(f"ingress-nginx has no such annotation; {PREFIX}enable-cors is one")


def test_what_is_carried_out_only_in_part_is_told_as_ignored() -> None:
    for text in (
        "affinity-canary-behavior: legacy",
        "session-cookie-change-on-failure: false",
        "proxy-http-version: 1.0",
        "proxy-ssl-server-name: off",
    ):
        (problem,) = said(text).problems
        assert problem.reason == problems.IGNORED_ANNOTATION, text


def test_every_annotation_has_a_value_that_is_read_and_one_that_is_not() -> None:
    names = {part.partition(": ")[0] for text, _, _ in GOOD for part in text.split("; ")}
    assert names == set(SUPPORTED)
    bad = {text.partition(": ")[0] for text, _, _ in BAD} | {
        p.partition(": ")[0] for t, _ in CLOSED for p in t.split("; ")
    }
    assert set(SUPPORTED) <= bad, set(SUPPORTED) - bad
    assert not set(SUPPORTED) & ({*IGNORED} | {*REFUSED} | {*CLOSING})


def test_without_annotations_of_ours_nothing_is_said() -> None:
    assert read({"kubernetes.io/ingress.class": "x"}, "default") == NONE


def test_header_comes_before_cookie_among_the_ways_to_a_canary() -> None:
    ways = Canary("x-try", cookie="try").ways()
    assert [(match.name, there) for match, there in ways] == [
        ("x-try", True),
        ("x-try", False),
        ("cookie", True),
        ("cookie", False),
    ]
    assert Canary("x-try", "yes").ways() == [(ValueMatch("x-try", "exact", "yes"), True)]
    always = ways[2][0].value
    assert re.fullmatch(always, "a=b; try=always; c=d") and not re.fullmatch(always, "retry=always")


def test_the_page_has_every_annotation_with_what_becomes_of_it() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", PAGE, re.M))
    assert rows == {**SUPPORTED, **IGNORED}
    section = PAGE.split("\nRefused: ")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", section)) == {*REFUSED, *CLOSING}


def test_a_secret_that_nobody_is_asked_for_is_told() -> None:
    found = said("auth-secret: users")
    assert (found.closed, found.access.users) == ("", None)
    assert [p.message.partition(": ")[2] for p in found.problems] == [
        'Invalid value: "users": nobody is asked for a password without auth-type: basic'
    ]
