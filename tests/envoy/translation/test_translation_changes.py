"""A change gives the resources that differ, in bytes that follow from their values alone; suspects and bans."""

from __future__ import annotations

import random
import subprocess
import sys

import msgspec
import pytest
from proxied import FLEET, tree_of
from test_translation_golden import CASES, WEB
from translated import TABLE, host, http, rule, source, to

from seaway.envoy import messages
from seaway.envoy.translation import shards
from seaway.envoy.translation.fleet import Ban, Change, Translation
from seaway.envoy.translation.parts import parts, sources
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, LISTENER, SCOPES, Name
from seaway.routing.ir import (
    Cluster,
    End,
    Endpoints,
    Forward,
    Host,
    Mirror,
    Pieces,
    Redirect,
    Respond,
    Source,
    Target,
    ValueMatch,
)
from seaway.routing.policy import JwtProvider, RoutePolicy


def hosts(*found: Host, table: str = TABLE) -> Pieces:
    return Pieces(hosts={table: {h.domain: h for h in found}})


def titles(change: Change) -> list[str]:
    return [r.name.name for r in change.put] + [f"-{n.name}" for n in change.gone]


A, B = host("a.example.com", rule("/", to(WEB))), host("b.example.com", rule("/", to(WEB)))
WILD = host("*.example.com", rule("/", to(WEB)))
MANY = tuple(rule(f"/s{i}/x", to(f"shop/web/{i % 7}")) for i in range(shards.MANY + 1))


@pytest.mark.parametrize("case", CASES)
def test_what_is_the_same_is_not_sent_again(case: str) -> None:
    translation = Translation(FLEET)
    assert translation.apply(CASES[case]()).put
    assert translation.apply(CASES[case]()) == Change()


def test_a_host_that_changes_changes_one_resource() -> None:
    translation = Translation(FLEET)
    translation.apply(http(80, A, B, WILD))
    changed = host("a.example.com", rule("/", to("shop/other/80")))
    change = translation.apply(hosts(changed))
    assert titles(change) == ["http-80/a.example.com"]
    assert change.put[0].needs == {Name(CLUSTER, "shop/other/80")}
    assert titles(translation.apply(Pieces(hosts={TABLE: {"a.example.com": None}}))) == ["-http-80/a.example.com"]


def test_wildcards_share_the_fallback_of_their_table() -> None:
    translation = Translation(FLEET)
    assert titles(translation.apply(hosts(A, WILD, host("*", rule("/", to(WEB)))))) == ["http-80/*", "http-80/a.example.com"]
    assert titles(translation.apply(Pieces(hosts={TABLE: {"*": None}}))) == ["http-80/*"]
    assert titles(translation.apply(Pieces(hosts={TABLE: {"*.example.com": None}}))) == ["-http-80/*"]


def test_no_route_certificate_or_endpoint_touches_a_listener() -> None:
    translation = Translation(FLEET)
    translation.apply(CASES["listeners"]())
    for case in ("routes", "clusters"):
        pieces = CASES[case]()
        pieces.sockets = {}
        assert LISTENER not in {r.name.type for r in translation.apply(pieces).put}


def test_a_rule_of_many_changes_its_shard_alone() -> None:
    translation = Translation(FLEET)
    first = translation.apply(hosts(Host("a.example.com", MANY)))
    assert len(first.put) == shards.COUNT + 1
    parent = translation.resources[Name(SCOPES, "http-80/a.example.com")]
    # It leads to its shards, which come before it and go after it.
    assert parent.needs == {r.name for r in first.put} - {parent.name}
    changed = list(MANY)
    changed[100] = rule("/s100/x", to("shop/new/80"))
    change = translation.apply(hosts(Host("a.example.com", tuple(changed))))
    assert titles(change) == [f"http-80/a.example.com#1.{shards.shard_of('/s100/x', 1)}"]
    assert Name(CLUSTER, "shop/new/80") in change.put[0].needs


def test_what_is_kept_gives_what_a_fresh_start_gives() -> None:
    chance = random.Random(7)
    translation = Translation(FLEET)
    held: dict[str, Host] = {}
    domains = ["a.example.com", "b.example.com", "*.example.com", "*", "big.example.com"]
    for _ in range(60):
        domain = chance.choice(domains)
        rules = MANY if domain == "big.example.com" and chance.random() < 0.7 else MANY[:5]
        picked = tuple(r for r in rules if chance.random() < 0.98)
        if chance.random() < 0.2:
            held.pop(domain, None)
            translation.apply(Pieces(hosts={TABLE: {domain: None}}))
        else:
            held[domain] = Host(domain, picked)
            translation.apply(hosts(held[domain]))
        fresh = Translation(FLEET)
        fresh.apply(hosts(*held.values()))
        assert fresh.resources == translation.resources


def test_bytes_follow_from_values_in_every_process() -> None:
    """Versions are hashes of contents: a restarted controller must not send everything again."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_translation_golden import CASES, FLEET, Translation\n"
        "for case in CASES.values():\n"
        "    for r in Translation(FLEET).apply(case()).put: print(r.name.title, r.version)\n"
    )
    folder = __file__.rpartition("/")[0]
    texts = {
        subprocess.run(
            [sys.executable, "-c", code, folder], env={"PYTHONHASHSEED": seed, "PATH": ""}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1 and "Listener" in texts.pop()


def test_needs_are_what_must_be_there_before() -> None:
    translation = Translation(FLEET)
    for case in ("listeners", "routes", "clusters"):
        translation.apply(CASES[case]())
    found = {n.title: {x.title for x in r.needs} for n, r in translation.resources.items()}
    assert found["Listener tcp-443"] == {
        "Secret shop/a",
        "Secret shop/b",
        "Secret ConfigMap/shop/clients",
        "Cluster shop/raw/443",
        "TypedExtensionConfig seaway.limits",
        "TypedExtensionConfig seaway.tokens",
    }
    assert found["Cluster shop/tls/443"] == {
        "ClusterLoadAssignment shop/tls/443",
        "Secret shop/client",
        "Secret ConfigMap/shop/ca",
    }
    assert found["Cluster shop/outside/443"] == set()
    assert found["ScopedRouteConfiguration http-80/a.example.com"] == {f"Cluster shop/{n}/80" for n in ("web", "copy", "grpc")}


def test_nobodys_issuers_wait_for_where_somebody_elses_keys_are() -> None:
    """All issuers are one resource, which new proxies' listeners wait for."""
    translation = Translation(FLEET)
    translation.apply(CASES["listeners"]())
    far = RoutePolicy(jwt=(JwtProvider("far", "https://issuer.test", cluster="shop/keys/80", uri="/keys"),))
    translation.apply(hosts(host("a.example.com", rule("/", to(WEB), policy=far))))
    found = {n.title: {x.title for x in r.needs} for n, r in translation.resources.items()}
    assert found["TypedExtensionConfig seaway.tokens"] == set()
    assert found["ScopedRouteConfiguration http-80/a.example.com"] == {
        "Cluster shop/keys/80",
        "Cluster shop/web/80",
        "TypedExtensionConfig seaway.tokens",
    }


def test_shares_that_get_nothing_need_nothing() -> None:
    action = Forward(
        (Target(WEB, 0), Target("", 1), Target("shop/away/80", 1, redirect=Redirect(host="x")), Target("shop/live/80")),
        (Mirror("shop/never/80", 0),),
    )
    change = Translation(FLEET).apply(hosts(host("a.example.com", rule("/", action))))
    assert change.put[0].needs == {Name(CLUSTER, "shop/live/80")}


def test_the_parts_of_a_scope_and_of_a_listener_tell_where_they_come_from() -> None:
    rules = [rule(path, to(WEB), name=name) for path, name in (("/a", "one"), ("/b", "two"), ("/c", "two"))]
    translation = Translation(FLEET)
    accepted = translation.apply(hosts(host("a.example.com", *rules))).put[0]
    assert sources(parts(accepted)) == (source("one"), source("two"))
    assert [part.source for part in parts(accepted)] == [source("one"), source("two"), source("two"), None], "the last: no rule"
    other = translation.apply(hosts(host("a.example.com", rule("/b2", to(WEB), name="two"), *rules[2:], rules[0]))).put[0]
    held = {part.body for part in parts(accepted)}
    assert sources(p for p in parts(other) if p.body not in held) == (source("two"),), "what is as it was is known again"
    for case in CASES.values():
        translation.apply(case())
    found = {n.title: sources(parts(r)) for n, r in translation.resources.items() if n.type == LISTENER}
    assert found["Listener tcp-443"] == found["Listener udp-53"] == (Source("Gateway", "shop", "edge", "http"),)
    assert parts(translation.resources[Name(CLUSTER, "shop/raw/443/tcp")]) == ()


def test_a_banned_rule_fails_or_is_left_out_and_comes_back() -> None:
    translation = Translation(FLEET)
    good, bad = rule("/good", to(WEB), name="good"), rule("/bad", to(WEB), name="bad")
    translation.apply(hosts(host("a.example.com", bad, good), B))
    name = Name(SCOPES, "http-80/a.example.com")
    whole = translation.resources[name]

    def routes() -> list[tuple[str, int]]:
        tree = tree_of(translation.resources[name])
        found = tree["route_configuration"]["virtual_hosts"][0]["routes"]
        return [(r["name"].split("/")[2] if "/" in r["name"] else r["name"], r.get("direct_response", {}).get("status", 0)) for r in found]

    assert titles(translation.ban({source("bad"): Ban.ACTION})) == ["http-80/a.example.com"]
    assert routes() == [("bad", 500), ("good", 0), ("no-rule", 404)]
    translation.ban({source("bad"): Ban.RULE})
    assert routes() == [("good", 0), ("no-rule", 404)]
    # The ban outlives other changes of the host, and ends when it is lifted.
    translation.apply(hosts(host("a.example.com", bad, good, rule("/more", Respond(200), name="more"))))
    assert routes() == [("good", 0), ("more", 200), ("no-rule", 404)]
    translation.apply(hosts(host("a.example.com", bad, good)))
    assert translation.ban({}).put == (whole,)


def test_a_rule_that_may_be_banned_is_found_in_its_shards() -> None:
    translation = Translation(FLEET)
    translation.apply(hosts(Host("a.example.com", (*MANY, rule("/", to(WEB), name="everywhere")))))
    change = translation.ban({source("everywhere"): Ban.ACTION})
    assert len(change.put) >= shards.COUNT


def test_endpoints_that_drain_stand_behind_the_others() -> None:
    def priorities(*ends: End) -> list[tuple[int, str]]:
        translation = Translation(FLEET)
        change = translation.apply(Pieces(endpoints={WEB: Endpoints(WEB, ends)}))
        assert change.put[0].name == Name(ENDPOINT, WEB)
        return [
            (group.get("priority", 0), one["endpoint"]["address"]["socket_address"]["address"])
            for group in tree_of(change.put[0]).get("endpoints", ())
            for one in group["lb_endpoints"]
        ]

    assert priorities(End("10.0.0.1", 1), End("10.0.0.2", 1, "", True)) == [(0, "10.0.0.1"), (1, "10.0.0.2")]
    assert priorities(End("10.0.0.2", 1, "", True)) == [(0, "10.0.0.2")]
    assert priorities() == []


def test_a_protocol_that_changes_changes_the_cluster() -> None:
    translation = Translation(FLEET)
    translation.apply(Pieces(clusters={WEB: Cluster(WEB)}))
    assert titles(translation.apply(Pieces(clusters={WEB: Cluster(WEB, "h2")}))) == [WEB]
    assert titles(translation.apply(Pieces(clusters={WEB: None}))) == [f"-{WEB}"]
    assert titles(translation.apply(Pieces(clusters={WEB: None}))) == []


def test_a_new_chain_leaves_the_bytes_of_the_others() -> None:
    translation = Translation(FLEET)
    pieces = CASES["listeners"]()
    translation.apply(pieces)
    socket = pieces.sockets["tcp-443"]
    assert socket is not None
    before = tree_of(translation.resources[Name(LISTENER, "tcp-443")])
    more = msgspec.structs.replace(socket.chains[0], name="b", names=("b.example.com",), table="https-b")
    chains = (socket.chains[0], more, socket.chains[1])
    translation.apply(Pieces(sockets={"tcp-443": msgspec.structs.replace(socket, chains=chains)}))
    after = tree_of(translation.resources[Name(LISTENER, "tcp-443")])
    assert [c for c in after["filter_chains"] if c["name"] != "b"] == before["filter_chains"]
    assert {k: v for k, v in after.items() if k != "filter_chains"} == {k: v for k, v in before.items() if k != "filter_chains"}


@pytest.mark.parametrize(
    ("path", "kind", "method", "begins"),
    [
        ("/admin", "prefix", "", ("/admin", "")),
        ("/admin/x", "exact", "GET", ("", "/admin/x")),
        ("/admin/[a-z]+", "regex", "", ("/admin", "")),
        ("^/a/b[0-9]/.*", "regex", "", ("/a", "")),
        ("(?i)/admin/.*", "regex", "", ("/", "")),
        ("/", "prefix", "", ("/", "")),
    ],
)
def test_a_rule_that_says_who_may_pass_is_shut_where_it_is_left_out(path: str, kind: str, method: str, begins: tuple[str, str]) -> None:
    """What it would have taken falls to no other rule."""
    bad = rule(path, to(WEB), kind, "bad", method=method, headers=(ValueMatch("x", "regex", "["),), policy=RoutePolicy(deny=("10.0.0.0/8",)))
    open_one = rule("/", to(WEB), name="open")
    translation = Translation(FLEET)
    translation.apply(http(80, host("a.example.com", bad, open_one)))
    change = translation.ban({bad.source: Ban.RULE, open_one.source: Ban.RULE})
    scope = messages.ScopedRouteConfiguration.FromString(change.put[0].body)
    found = scope.route_configuration.virtual_hosts[0].routes
    assert [r.direct_response.status for r in found] == [500, 404], "the open rule is left out"
    match = found[0].match
    assert (match.path_separated_prefix or match.prefix, match.path) == begins
    assert [h.name for h in match.headers] == ([":method"] if method else [])
    assert not found[0].HasField("metadata"), "it comes from no object: nobody is blamed for it"
