"""Which host's rules a request gets, through a real Envoy: exact hosts, wildcards, the rest, many rules, forged scopes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest
from proxied import Proxied, free_port, parsed
from translated import GATEWAY, host, http, rule

from seaway.envoy.translation import shards
from seaway.routing.ir import Chain, Host, Match, PathMatch, Pieces, Respond, Rule, Socket, ValueMatch


def says(text: str) -> Respond:
    return Respond(200, text)


MANY = shards.MANY + 44
BIG = host(
    "big.example.org",
    rule("/s7/exact", says("exact"), "exact"),
    *(rule(f"/s{i}", says(f"s{i}")) for i in range(MANY)),
    rule("/.*[.]png", says("picture"), "regex"),
    rule("/", says("rest")),
)
# All under one first segment: split by the second.
DEEP = host("deep.example.org", *(rule(f"/api/s{i}", says(f"s{i}")) for i in range(MANY)), rule("/api", says("api")))
OTHER_TABLE = [
    *(host(f"*.t{i}.example.net", rule("/", says(f"t{i}"))) for i in range(3)),
    host("*", *(rule(f"/s{i}", says(f"any s{i}")) for i in range(MANY))),
]


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxied]:
    pieces = http(
        free_port(),
        host("a.example.com", rule("/", says("exact"))),
        host("x.example.org", rule("/x", says("x"))),
        host("*.example.com", rule("/", says("wildcard"))),
        host("*.b.example.com", rule("/", says("longer wildcard"))),
        host("*", rule("/", says("any"))),
        Host("gone.example.com", misdirected=True),
        BIG,
        DEEP,
    )
    other = free_port()
    pieces.sockets[f"tcp-{other}"] = Socket(other, "tcp", (Chain("http", GATEWAY, table="100%/other"),))
    pieces.hosts["100%/other"] = {h.domain: h for h in OTHER_TABLE}
    with Proxied(pieces) as proxy:
        proxy.ports = [p for p in proxy.ports if p != other] + [other]
        yield proxy


# host as sent -> what answers
HOSTS = {
    "a.example.com": "exact",
    "A.Example.COM": "exact",
    "a.example.com:8080": "exact",
    "a.example.com.": "exact",
    "A.example.com.:80": "exact",
    "b.example.com": "wildcard",
    "B.Example.com": "wildcard",
    "c.d.example.com": "wildcard",
    "c.b.example.com": "longer wildcard",
    "example.com": "any",
    "*.example.com": "wildcard",
    "*": "any",
    "elsewhere": "any",
    "[::1]": "any",
    "[::1]:80": "any",
    "192.0.2.1:80": "any",
    "": "any",
    "a.example.com,b": "any",
    "x" * 3000: "any",
    ".".join("x" * 120) + ".example.com": "wildcard",
}


@pytest.mark.parametrize("name", HOSTS)
def test_a_request_gets_the_rules_of_its_host(proxy: Proxied, name: str) -> None:
    assert proxy.get(name).body == HOSTS[name]


def test_what_a_host_has_no_rule_for_is_not_found(proxy: Proxied) -> None:
    assert proxy.get("x.example.org", "/x").body == "x"
    assert proxy.get("x.example.org", "/y").status == proxy.get("X.example.org", "/y").status == 404


def test_a_host_of_another_chain_is_misdirected(proxy: Proxied) -> None:
    assert proxy.get("gone.example.com").status == proxy.get("GONE.example.com").status == 421


def test_a_request_without_a_host_is_for_any(proxy: Proxied) -> None:
    assert parsed(proxy.raw(b"GET / HTTP/1.0\r\n\r\n")).body == "any"
    forged = b"GET / HTTP/1.0\r\nx-seaway-scope-host: a.example.com\r\n\r\n"
    assert parsed(proxy.raw(forged)).body == "any"


def test_a_full_uri_is_read_as_its_host(proxy: Proxied) -> None:
    assert parsed(proxy.raw(b"GET http://A.example.com:80/ HTTP/1.1\r\nHost: elsewhere\r\n\r\n")).body == "exact"


@pytest.mark.parametrize(
    "forged",
    [
        [("x-seaway-scope-host", "x.example.org")],
        [("X-Seaway-Scope-Host", "x.example.org"), ("x-seaway-scope-host", "x.example.org")],
        [("x-seaway-scope-table", "http-80*")],
        [("x-seaway-scope-host", "*"), ("x-seaway-scope-table", "http-80*")],
        [("x-seaway-scope-host", ""), ("x-seaway-scope-table", "")],
        [("connection", "x-seaway-scope-host")],
        [("connection", "x-seaway-scope-table, close")],
    ],
)
def test_a_client_cannot_choose_a_scope(proxy: Proxied, forged: list[tuple[str, str]]) -> None:
    assert proxy.get("a.example.com", "/x", headers=forged).body == "exact"
    assert proxy.get("B.example.com", "/x", headers=forged).body == "wildcard"


@pytest.mark.parametrize("name", ["big.example.org#0", "big.example.org/0", "deep.example.org#3"])
def test_a_shard_is_no_host(proxy: Proxied, name: str) -> None:
    assert proxy.get(name, "/s1").body in ("any", "Bad Request")


def test_a_host_with_many_rules_is_served_from_shards_in_its_order(proxy: Proxied) -> None:
    assert shards.plan([BIG]) is not None
    for path, expected in {
        **{f"/s{i}": f"s{i}" for i in range(0, MANY, 17)},
        "/s7/exact": "exact",
        "/s7/exact/": "s7",
        "/s7?x=/s8": "s7",
        "//s7//x": "s7",
        "/%737": "s7",
        "/s8/../s7/y": "s7",
        "/s9/a.png": "s9",
        "/a.png": "picture",
        "/nothing": "rest",
        "/": "rest",
        "/?q": "rest",
        "/\u00e9".encode().decode("latin-1").replace("\u00c3\u00a9", "%C3%A9"): "rest",
    }.items():
        assert (path, proxy.get("big.example.org", path).body) == (path, expected)
        assert (path, proxy.get("BIG.example.org", path).body) == (path, expected)


def test_rules_under_one_first_segment_are_split_by_the_next(proxy: Proxied) -> None:
    plan = shards.plan([DEEP])
    assert plan is not None and plan.depth == 2
    for path, expected in {"/api/s3": "s3", "/api/s44/x?y": "s44", "/api": "api", "/api/": "api", "/api/zz/s3": "api"}.items():
        assert (path, proxy.get("deep.example.org", path).body) == (path, expected)
    assert proxy.get("deep.example.org", "/other").status == 404


def test_wildcards_with_many_rules_are_served_from_shards(proxy: Proxied) -> None:
    port = proxy.ports[1]
    assert shards.plan(sorted(OTHER_TABLE, key=lambda h: h.domain)) is not None
    assert proxy.get("x.t1.example.net", "/s5", port=port).body == "t1"
    assert proxy.get("X.T2.example.net", "/", port=port).body == "t2"
    assert proxy.get("else.example.net", "/s5/x", port=port).body == "any s5"
    assert proxy.get("else.example.net", "/nothing", port=port).status == 404


def test_a_table_without_wildcards_finds_nothing_for_other_hosts(proxy: Proxied) -> None:
    pieces = Pieces(hosts={"100%/other": {h.domain: None for h in OTHER_TABLE}})
    proxy.apply(pieces)
    _soon(lambda: proxy.get("else.example.net", "/s5", port=proxy.ports[1]).status == 404)
    proxy.apply(Pieces(hosts={"100%/other": {h.domain: h for h in OTHER_TABLE}}))
    _soon(lambda: proxy.get("else.example.net", "/s5", port=proxy.ports[1]).body == "any s5")


def test_a_host_grows_into_shards_and_back(proxy: Proxied) -> None:
    few = host("grows.example.org", *BIG.rules[-40:])
    grown = msgspec.structs.replace(BIG, domain="grows.example.org")
    for step, path, expected in ((few, "/s299", "s299"), (grown, "/s3", "s3"), (few, "/s3", "rest")):
        proxy.apply(Pieces(hosts={"http-80": {step.domain: step}}))
        _soon(lambda path=path, expected=expected: proxy.get("grows.example.org", path).body == expected)
    proxy.apply(Pieces(hosts={"http-80": {"grows.example.org": None}}))
    _soon(lambda: proxy.get("grows.example.org", "/s3").body == "any")
    assert proxy.refused() == {}


def test_a_shard_holds_what_may_match_its_paths() -> None:
    rules = [
        Rule(Match(PathMatch("prefix", "/")), says("rest"), GATEWAY),
        Rule(Match(PathMatch("prefix", "/"), headers=(ValueMatch("x", "exact", "y"),)), says("x"), GATEWAY),
        *(rule(f"/p{i}/q", says(str(i))) for i in range(shards.MANY)),
    ]
    plan = shards.plan([Host("h", tuple(rules))])
    assert plan is not None and len(plan.shards) == shards.COUNT
    for i, part in enumerate(plan.shards):
        found = part[0].rules
        assert found[:2] == tuple(rules[:2])
        assert all(shards.shard_of(r.match.path.value, plan.depth) == i for r in found[2:])
        assert [r for r in rules if r in found] == list(found)  # the order stays
    assert sum(len(p[0].rules) - 2 for p in plan.shards) == shards.MANY


def test_rules_that_may_match_anything_are_not_split() -> None:
    assert shards.plan([Host("h", tuple(rule(f"/p{i}.*", says("x"), "regex") for i in range(1000)))]) is None


def _soon(what: object) -> None:
    end = time.monotonic() + 30
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.01)
