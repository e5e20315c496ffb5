"""Rewritten and redirected paths, hosts and ports, through a real Envoy. The tables are Gateway API's (HTTPPathModifier) and the
corner cases between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proxied import Backend, Proxied, free_port
from translated import host, http, rule, to

from seaway.routing.ir import Forward, Redirect, Rewrite, Target, ValueMatch

# (prefix, replacement) -> path as sent -> path at the backend
PREFIXES = {
    ("/foo", "/xyz"): {
        "/foo": "/xyz",
        "/foo/": "/xyz/",
        "/foo/bar": "/xyz/bar",
        "/foo/bar?a=/foo": "/xyz/bar?a=/foo",
        "/foo?a": "/xyz?a",
        "/foo/foo": "/xyz/foo",
        "//foo//bar": "/xyz/bar",
    },
    ("/foo", "/xyz/"): {"/foo": "/xyz", "/foo/": "/xyz/", "/foo/bar": "/xyz/bar"},
    ("/foo", "/"): {"/foo": "/", "/foo/": "/", "/foo/bar": "/bar", "/foo?a": "/?a", "/foo/bar/?a": "/bar/?a"},
    ("/foo", ""): {"/foo": "/", "/foo/bar": "/bar"},
    ("/foo/bar", "/a/b/c"): {"/foo/bar": "/a/b/c", "/foo/bar/d": "/a/b/c/d"},
    ("/", "/xyz"): {"/": "/xyz/", "/bar": "/xyz/bar", "/bar?a": "/xyz/bar?a"},
    ("/", "/"): {"/": "/", "/bar": "/bar"},
    ("/f.o+(x)", "/"): {"/f.o+(x)": "/", "/f.o+(x)/bar": "/bar"},
    ("/foo", "/a\\1%41"): {"/foo/bar": "/a\\1%41/bar"},
}
# replacement -> path as sent -> path at the backend
WHOLE = {
    "/full": {"/": "/full", "/a/b": "/full", "/a?b=c": "/full?b=c"},
    "/full\\1": {"/a": "/full\\1"},
    "/": {"/a/b?c": "/?c"},
}
# (pattern, replacement) -> ...
REGEX = {("^/app(/|$)(.*)", "/\\2"): {"/app/x/y?z": "/x/y?z", "/app": "/"}}
# name -> (redirect, path as sent, Location); the host is r.example.com, the prefix /old.
REDIRECTS = {
    "host": (Redirect(host="new.example.com"), "/old/x?q=1", "http://new.example.com/old/x?q=1"),
    "scheme": (Redirect(scheme="https"), "/old", "https://r.example.com/old"),
    "port": (Redirect(port=8443), "/old", "http://r.example.com:8443/old"),
    "scheme and port": (Redirect(scheme="https", port=8443), "/old", "https://r.example.com:8443/old"),
    "all": (
        Redirect("https", "new.example.com", 9443, "prefix", "/new", 301),
        "/old/x?q",
        "https://new.example.com:9443/new/x?q",
    ),
    "prefix": (Redirect(path_kind="prefix", path="/new"), "/old/x", "http://r.example.com/new/x"),
    "prefix with a slash": (Redirect(path_kind="prefix", path="/new/"), "/old/x", "http://r.example.com/new/x"),
    "prefix alone": (Redirect(path_kind="prefix", path="/new"), "/old", "http://r.example.com/new"),
    "prefix away": (Redirect(path_kind="prefix", path="/"), "/old/x?q", "http://r.example.com/x?q"),
    "prefix away alone": (Redirect(path_kind="prefix", path="/"), "/old", "http://r.example.com/"),
    "full": (Redirect(path_kind="full", path="/new"), "/old/x?q", "http://r.example.com/new?q"),
    "full to the root": (Redirect(path_kind="full", path="/"), "/old/x", "http://r.example.com/"),
}
CODES = (301, 302, 303, 307, 308)
# Where many hosts are meant: redirect, Location for Host `any.wild.example.com:8080` and /old/x?q=1.
WILD = {
    "scheme": (Redirect(scheme="https", code=308), "https://any.wild.example.com/old/x?q=1"),
    "nothing": (Redirect(code=301), "http://any.wild.example.com/old/x?q=1"),
    "path": (Redirect(path_kind="prefix", path="/new"), "http://any.wild.example.com:80/new/x?q=1"),
    "scheme-and-path": (Redirect(scheme="https", path_kind="full", path="/new"), "https://any.wild.example.com:443/new?q=1"),
    "port": (Redirect(port=8443), "http://any.wild.example.com:8443/old/x?q=1"),
    "host": (Redirect(scheme="https", host="new.example.com"), "https://new.example.com/old/x?q=1"),
}


def _slug(text: object) -> str:
    return "".join(c if c.isalnum() else "-" for c in str(text)).strip("-").lower() or "x"


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxied]:
    web = Backend("web")

    def rewritten(kind: str, path: str, pattern: str = "") -> object:
        return to("shop/web/80", rewrite=Rewrite(path_kind=kind, path=path, path_pattern=pattern))

    hosts = [
        *(
            host(f"p{i}.example.com", rule(prefix, rewritten("prefix", replacement)))
            for i, (prefix, replacement) in enumerate(PREFIXES)
        ),
        *(host(f"f{i}.example.com", rule("/", rewritten("full", path))) for i, path in enumerate(WHOLE)),
        *(host(f"x{i}.example.com", rule("/", rewritten("regex", p, r))) for i, (r, p) in enumerate(REGEX)),
        *(
            host(f"r{i}.example.com", rule("/old", redirect))
            for i, (redirect, _, _) in enumerate(REDIRECTS.values())
        ),
        host(
            "codes.example.com",
            *(rule(f"/{code}", Redirect(host="new.example.com", code=code)) for code in CODES),
            rule("/exact", Redirect(path_kind="full", path="/new"), "exact"),
        ),
        host(
            "*.wild.example.com",
            *(rule("/old", r, headers=(ValueMatch("which", "exact", name),)) for name, (r, _) in WILD.items()),
            rule("/old", Forward((Target("", redirect=Redirect(scheme="https")), Target("", redirect=Redirect(port=8443))))),
        ),
        host("*", rule("/old", Redirect(scheme="https"))),
        host(
            "hosts.example.com",
            rule("/literal", to("shop/web/80", rewrite=Rewrite(host="inner.example.com"))),
            rule("/both", to("shop/web/80", rewrite=Rewrite("inner.example.com", "prefix", "/x"))),
        ),
    ]
    with Proxied(http(free_port(), *hosts, backends={"web": web})) as proxy:
        yield proxy
    web.close()


@pytest.mark.parametrize("at", range(len(PREFIXES)), ids=lambda i: _slug(list(PREFIXES)[i]))
def test_a_prefix_is_replaced_by_segments(proxy: Proxied, at: int) -> None:
    for sent, seen in list(PREFIXES.values())[at].items():
        assert (sent, proxy.get(f"p{at}.example.com", sent).body["path"]) == (sent, seen)


def test_a_whole_path_is_replaced_and_the_query_stays(proxy: Proxied) -> None:
    for i, table in enumerate(WHOLE.values()):
        for sent, seen in table.items():
            assert (sent, proxy.get(f"f{i}.example.com", sent).body["path"]) == (sent, seen)


def test_a_pattern_of_a_path_is_replaced(proxy: Proxied) -> None:
    for i, table in enumerate(REGEX.values()):
        for sent, seen in table.items():
            assert (sent, proxy.get(f"x{i}.example.com", sent).body["path"]) == (sent, seen)


@pytest.mark.parametrize("what", REDIRECTS, ids=_slug)
def test_a_redirect_changes_what_it_names_and_no_more(proxy: Proxied, what: str) -> None:
    at = list(REDIRECTS).index(what)
    redirect, sent, location = REDIRECTS[what]
    answer = proxy.get(f"r{at}.example.com", sent)
    assert (answer.status, answer.headers["location"]) == (redirect.code, location.replace("//r.", f"//r{at}."))


def test_a_redirect_has_the_status_that_it_asks_for(proxy: Proxied) -> None:
    for code in CODES:
        assert proxy.get("codes.example.com", f"/{code}").status == code
    assert proxy.get("codes.example.com", "/exact?a").headers["location"] == "http://codes.example.com/new?a"


def test_a_port_of_the_request_is_not_carried_into_a_redirect(proxy: Proxied) -> None:
    answer = proxy.get("codes.example.com:8080", "/exact")
    assert answer.headers["location"] == "http://codes.example.com/new"


def test_a_host_is_rewritten(proxy: Proxied) -> None:
    assert proxy.get("hosts.example.com", "/literal/x").body["headers"]["host"] == ["inner.example.com"]
    answer = proxy.get("hosts.example.com", "/both/y")
    assert (answer.body["headers"]["host"], answer.body["path"]) == (["inner.example.com"], "/x/y")
    assert proxy.refused() == {}


def test_a_backend_gets_the_host_as_it_came(proxy: Proxied) -> None:
    """RFC 9110 7.2: backends make links of it, and a client may reach the proxy by a port of its own."""
    assert proxy.get("f0.example.com:8080", "/").body["headers"]["host"] == ["f0.example.com:8080"]


def test_a_redirect_to_the_default_port_does_not_keep_the_hosts_port(proxy: Proxied) -> None:
    assert proxy.get("codes.example.com:8080", "/exact?a").headers["location"] == "http://codes.example.com/new?a"


@pytest.mark.parametrize("which", WILD)
def test_a_redirect_for_many_hosts_drops_the_port_that_the_client_wrote(proxy: Proxied, which: str) -> None:
    redirect, location = WILD[which]
    without = location.replace(":443/", "/").replace(":80/", "/")
    for sent, shown in (("any.wild.example.com:8080", location), ("any.wild.example.com", without)):
        answer = proxy.get(sent, "/old/x?q=1", headers=(("which", which),))
        assert (answer.status, answer.headers["location"]) == (redirect.code, shown)


def test_a_share_that_is_redirected_drops_the_port_too(proxy: Proxied) -> None:
    seen = {proxy.get("any.wild.example.com:8080", "/old").headers["location"] for _ in range(60)}
    assert seen == {"https://any.wild.example.com/old", "http://any.wild.example.com:8443/old"}


def test_an_address_of_ipv6_is_no_host_with_a_port(proxy: Proxied) -> None:
    assert proxy.get("[2001:db8::1]", "/old").headers["location"] == "https://[2001:db8::1]/old"
    assert proxy.get("[2001:db8::1]:8080", "/old").headers["location"] == "https://[2001:db8::1]/old"
    assert proxy.get("192.0.2.7:8080", "/old").headers["location"] == "https://192.0.2.7/old"
