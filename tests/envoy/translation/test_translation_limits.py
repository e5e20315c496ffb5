"""Limits on requests that a proxy counts for itself, through a real Envoy. Times are hours, so that nothing is refilled."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator

import pytest
from proxied import FLEET, Backend, Proxied, free_port, parsed, tree_of, whole
from translated import GATEWAY, TABLE, host, rule, to
from translated import http as plain

from seaway.envoy.translation import limits, shards
from seaway.envoy.translation.fleet import LIMITED, Translation
from seaway.envoy.xds.resources import LISTENER
from seaway.routing.ir import (
    Chain,
    Cors,
    Forward,
    Host,
    Pieces,
    Redirect,
    Respond,
    Rewrite,
    Rule,
    Session,
    Socket,
    Target,
)
from seaway.routing.policy import ClientPolicy, LimitKey, RateLimit, RoutePolicy

HOUR = 3600
CLIENT, USER = LimitKey("client"), LimitKey("header", "x-user")
GOLD = LimitKey("header", "x-plan", "gold")
WEB, OTHER = "shop/web/80", "shop/other/80"
OK = Respond(200, "ok")


def limited(*found: RateLimit) -> RoutePolicy:
    return RoutePolicy(limits=found)


def every(requests: int, *keys: LimitKey, burst: int = 0) -> RoutePolicy:
    return limited(RateLimit(requests, HOUR, burst, keys))


def named(path: str, policy: RoutePolicy, action: object = OK, **more: object) -> Rule:
    return rule(path, action, name=path.strip("/") or "root", policy=policy, **more)  # type: ignore[arg-type]


APART = (Target(WEB, rewrite=Rewrite(path_kind="full", path="/x")), Target(OTHER, rewrite=Rewrite(path_kind="full", path="/y")))
RULES = (
    named("/all", every(3)),
    named("/burst", every(2, burst=3)),
    named("/client", every(2, CLIENT)),
    named("/user", every(2, USER)),
    named("/gold", every(2, GOLD)),
    named("/both", every(2, CLIENT, USER)),
    named("/several", limited(RateLimit(4, HOUR, 0, (USER,)), RateLimit(6, HOUR))),
    named("/grpc", every(1)),
    named("/redirect", every(1), Redirect(host="x.example.com")),
    named("/shares", every(6), Forward(APART)),
    named("/kept", every(6), Forward((Target(WEB), Target(OTHER)), session=Session("cookie", "sid"))),
    named("/cors", every(4), to(WEB), method="POST", cors=Cors(("https://a.example.com",), ("POST",))),
    named("/same", every(3), method="GET"),
    named("/same", every(3), method="POST"),
    named("/edited", every(2)),
    named("/spared", limited(RateLimit(1, HOUR, exempt=("127.0.0.8/29", "::/0")), RateLimit(3, HOUR))),
    named("/spared-too", RoutePolicy(limits=(RateLimit(1, HOUR, exempt=("127.0.0.16/29",)),), deny=("127.0.0.10",))),
    named("/", RoutePolicy()),
)
MANY = shards.MANY + 44


def sharded(domain: str) -> Host:
    """Its last rule is in every shard."""
    return Host(domain, (*(rule(f"/s{i}", OK) for i in range(MANY)), named("/", every(7, CLIENT))))


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxied]:
    web, other = Backend("web"), Backend("other")
    pieces = plain(
        free_port(),
        host("a.example.com", *RULES),
        host("*.wild.example.com", named("/wild", every(3))),
        host("b.example.com", named("/hosts", every(3))),
        host("c.example.com", named("/hosts", every(3))),
        sharded("big.example.com"),
        backends={"web": web, "other": other},
    )
    behind = free_port()
    trusting = Chain("trusting", GATEWAY, table=TABLE, client=ClientPolicy(trusted_hops=1))
    pieces.sockets[f"tcp-{behind}"] = Socket(behind, "tcp", (trusting,))
    with Proxied(pieces) as proxy:
        proxy.ports = [p for p in proxy.ports if p != behind] + [behind]
        end = time.monotonic() + 30
        while "seaway.limits" not in proxy.admin("/config_dump?resource=ecds_filters"):
            assert time.monotonic() < end, "the limits do not come"
            time.sleep(0.02)
        yield proxy
    web.close()
    other.close()


def codes(proxy: Proxied, path: str, count: int, name: str = "a.example.com", **more: object) -> list[int]:
    return [proxy.get(name, path, **more).status for _ in range(count)]  # type: ignore[arg-type]


def from_address(proxy: Proxied, address: str, path: str, *headers: str, name: str = "a.example.com") -> int:
    with socket.create_connection(("127.0.0.1", proxy.ports[0]), 20, (address, 0)) as s:
        s.sendall("\r\n".join((f"GET {path} HTTP/1.1", f"Host: {name}", *headers, "", "")).encode())
        found = b""
        while not whole(found) and (part := s.recv(65536)):
            found += part
    return parsed(found).status


def test_a_limit_lets_so_many_through_and_says_when_there_will_be_more(proxy: Proxied) -> None:
    first = proxy.get("a.example.com", "/all")
    assert first.status == 200 and first.headers["x-ratelimit-limit"] == "3" and first.headers["x-ratelimit-remaining"] == "2"
    assert codes(proxy, "/all/below?x=1", 4) == [200, 200, 429, 429]
    refused = proxy.get("a.example.com", "/all")
    assert refused.headers["x-ratelimit-remaining"] == "0" and 1100 < int(refused.headers["x-ratelimit-reset"]) <= 1200
    assert codes(proxy, "/", 8) == [200] * 8, "other rules have nothing to do with it"
    assert "x-ratelimit-limit" not in proxy.get("a.example.com", "/").headers


def test_a_burst_is_so_many_more_at_once(proxy: Proxied) -> None:
    assert codes(proxy, "/burst", 7) == [200] * 5 + [429] * 2


def test_each_client_address_has_a_limit_of_its_own_whatever_it_says_who_it_is(proxy: Proxied) -> None:
    forged = ("X-Forwarded-For: 203.0.113.7", "X-Real-IP: 203.0.113.7", "Forwarded: for=203.0.113.7")
    for i in range(2, 10):
        found = [from_address(proxy, f"127.0.0.{i}", "/client") for _ in range(2)]
        found.append(from_address(proxy, f"127.0.0.{i}", "/client", forged[0].replace("7", str(i))))
        found.append(from_address(proxy, f"127.0.0.{i}", "/client", *forged))
        assert found == [200, 200, 429, 429]


def test_behind_a_trusted_proxy_it_is_that_one_who_says_who_the_client_is(proxy: Proxied) -> None:
    for i in range(1, 7):
        said = [f"192.0.2.{i}", f"203.0.113.9, 192.0.2.{i}", f"192.0.2.{i + 1}, 192.0.2.{i}"]
        found = [proxy.get("a.example.com", "/client", headers=[("x-forwarded-for", s)], port=proxy.ports[1]) for s in said]
        assert [answer.status for answer in found] == [200, 200, 429]


def test_each_of_many_values_of_a_header_has_a_limit_of_its_own(proxy: Proxied) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.ports[0], timeout=20)

    def ask(user: str) -> int:
        connection.request("GET", "/user", headers={"Host": "a.example.com", "X-User": user})
        response = connection.getresponse()
        response.read()
        return response.status

    users = [f"user-{i}" for i in range(300)]
    assert [[ask(user) for user in users] for _ in range(3)] == [[200] * 300, [200] * 300, [429] * 300]
    connection.close()
    assert codes(proxy, "/user", 4) == [200] * 4, "who has no such header is not counted"


def test_a_limit_may_be_for_one_value_alone(proxy: Proxied) -> None:
    gold, tin = [("x-plan", "gold")], [("x-plan", "tin")]
    assert codes(proxy, "/gold", 3, headers=gold) == [200, 200, 429]
    assert codes(proxy, "/gold", 4, headers=tin) == codes(proxy, "/gold", 4) == [200] * 4
    assert codes(proxy, "/gold", 1, headers=[("X-Plan", "gold")]) == [429]


def test_several_keys_are_counted_by_what_they_are_together(proxy: Proxied) -> None:
    for address in ("127.0.0.21", "127.0.0.22"):
        for user in ("x", "y"):
            found = [from_address(proxy, address, "/both", f"X-User: {user}") for _ in range(3)]
            assert found == [200, 200, 429]


def test_of_several_limits_each_may_refuse(proxy: Proxied) -> None:
    assert codes(proxy, "/several", 5, headers=[("x-user", "x")]) == [200] * 4 + [429]
    assert codes(proxy, "/several", 3, headers=[("x-user", "y")]) == [200, 200, 429]
    assert codes(proxy, "/several", 1) == [429]


def test_a_refused_call_of_grpc_has_exhausted_the_resource(proxy: Proxied) -> None:
    grpc = [("content-type", "application/grpc"), ("te", "trailers")]
    assert codes(proxy, "/grpc", 1, method="POST", headers=grpc) == [200]
    refused = proxy.get("a.example.com", "/grpc", "POST", grpc)
    assert (refused.status, refused.headers["grpc-status"]) == (200, "8")


def test_some_networks_are_not_counted_and_nobody_says_himself_that_he_is_of_them(proxy: Proxied) -> None:
    assert [from_address(proxy, "127.0.0.9", "/spared") for _ in range(2)] == [200, 200]
    assert [from_address(proxy, "127.0.0.2", "/spared", "X-Forwarded-For: 127.0.0.9") for _ in range(2)] == [200, 429]
    assert from_address(proxy, "127.0.0.9", "/spared") == 429, "a limit that spares nobody holds for all"
    # The same kind of limit with other networks, beside rules on addresses.
    assert [from_address(proxy, "127.0.0.17", "/spared-too") for _ in range(3)] == [200] * 3
    assert [from_address(proxy, "127.0.0.9", "/spared-too") for _ in range(2)] == [200, 429]
    assert from_address(proxy, "127.0.0.10", "/spared-too") == 403


def test_redirects_count_too(proxy: Proxied) -> None:
    assert codes(proxy, "/redirect", 3) == [302, 429, 429]


def test_a_rule_of_several_routes_matches_and_hosts_has_one_limit(proxy: Proxied) -> None:
    assert codes(proxy, "/shares", 12) == [200] * 6 + [429] * 6
    kept = proxy.get("a.example.com", "/kept").headers["set-cookie"]
    cookies = [("cookie", "; ".join(part.partition(";")[0] for part in kept.split(", ")))]
    assert codes(proxy, "/kept", 2, headers=cookies) + codes(proxy, "/kept", 2) == [200] * 4
    assert codes(proxy, "/kept", 2, headers=cookies) + codes(proxy, "/kept", 2) == [200, 429, 429, 429]
    assert codes(proxy, "/same", 2) + codes(proxy, "/same", 2, method="POST") == [200, 200, 200, 429]
    assert [codes(proxy, "/hosts", 1, f"{name}.example.com")[0] for name in "bcBcb"] == [200, 200, 200, 429, 429]


def test_preflights_are_not_counted(proxy: Proxied) -> None:
    asked = [("origin", "https://a.example.com"), ("access-control-request-method", "POST")]
    assert codes(proxy, "/cors", 8, method="OPTIONS", headers=asked) == [200] * 8
    assert codes(proxy, "/cors", 5, method="POST") == [200] * 4 + [429]


def test_limits_hold_for_wildcards_capitals_and_hosts_of_many_rules(proxy: Proxied) -> None:
    assert [codes(proxy, "/wild", 1, n)[0] for n in ("x.wild.example.com", "Y.Wild.Example.com", "z.wild.example.com", "x.wild.example.com")] == [
        200, 200, 200, 429,
    ]  # fmt: skip
    # Paths of different shards, and capitals: one rule.
    found = [codes(proxy, f"/other{i}", 1, "big.example.com" if i % 2 else "BIG.example.com")[0] for i in range(9)]
    assert found == [200] * 7 + [429] * 2
    assert codes(proxy, "/s7", 2, "big.example.com") == [200, 200]


def test_a_host_that_nobody_has_is_not_found(proxy: Proxied) -> None:
    assert codes(proxy, "/", 3, "nobody.example.org") + codes(proxy, "/", 3, "Nobody.Example.org") == [404] * 6


def test_an_edit_of_a_host_fills_no_bucket(proxy: Proxied) -> None:
    assert codes(proxy, "/edited", 3) == [200, 200, 429]
    proxy.apply(Pieces(hosts={"http-80": {"a.example.com": host("a.example.com", rule("/new", Respond(201, "new")), *RULES)}}))
    end = time.monotonic() + 30
    while proxy.get("a.example.com", "/new").status != 201:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert codes(proxy, "/edited", 1) == [429]
    assert proxy.refused() == {}


def test_limits_of_one_kind_share_a_description_and_no_listener_changes_with_them() -> None:
    translation = Translation(FLEET)

    def described(*rules: Rule) -> list[str]:
        change = translation.apply(Pieces(hosts={"http-80": {"a.example.com": host("a.example.com", *rules)}}))
        assert LISTENER not in {r.name.type for r in change.put}
        config = tree_of(translation.resources[LIMITED])["typed_config"]
        return [d["entries"][0]["key"] for d in config.get("descriptors", ())]

    translation.apply(plain(80))
    assert described(named("/a", every(2, CLIENT)), named("/b", every(2, CLIENT))) == ["2/3600s+0 client:"]
    version = translation.resources[LIMITED].version
    assert described(named("/b", every(2, CLIENT)), rule("/c", OK)) == ["2/3600s+0 client:"]
    assert translation.resources[LIMITED].version == version
    assert described(named("/b", every(3, GOLD))) == ["3/3600s+0 header:x-plan='gold'"]
    assert described(named("/b", limited(RateLimit(2, scope="global")))) == []
    spared = [named(f"/{i}", limited(RateLimit(2, exempt=(f"10.{i}.0.0/16",)))) for i in range(3)]
    assert described(*spared) == ["2/1s+0 !"], "of two with one name Envoy would have none"
    translation.apply(Pieces(sockets={"tcp-80": None}))
    assert LIMITED not in translation.resources


def test_what_cannot_be_counted_hurts_no_other_limit(proxy: Proxied) -> None:
    odd = limited(RateLimit(0), RateLimit(5, 0), RateLimit(-1, burst=9), RateLimit(1 << 70, HOUR, 1 << 70), RateLimit(1, HOUR))
    domain = "odd.example.com"
    proxy.apply(Pieces(hosts={TABLE: {domain: host(domain, rule("/", Respond(200, "odd"), name="odd", policy=odd))}}))
    end = time.monotonic() + 30
    while proxy.get(domain).status != 429:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert proxy.refused() == {}


def test_a_value_cannot_make_two_kinds_look_alike() -> None:
    def of(*keys: LimitKey) -> str:
        return limits.kind(RateLimit(1, keys=keys))

    assert of(LimitKey("header", "a", "1 b='2'")) != of(LimitKey("header", "a", "1"), LimitKey("header", "b", "2"))
    assert of(LimitKey("header", "a", "1' b='2")) != of(LimitKey("header", "a", "1"), LimitKey("header", "b", "2"))


def test_limits_that_differ_have_kinds_that_differ() -> None:
    """Of two alike Envoy would refuse all."""
    keys = ((), (CLIENT,), (LimitKey("header", "remote_address"),), (LimitKey("header", "x"),), (LimitKey("header", "x", "a"),), (CLIENT, CLIENT))
    found = [RateLimit(2, 60, burst, by, exempt=spared) for burst in (0, 1) for by in keys for spared in ((), ("some",))]
    assert len({limits.kind(limit) for limit in found}) == len(found)
