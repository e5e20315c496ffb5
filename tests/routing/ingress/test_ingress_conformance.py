"""The scenarios of ingress-controller-conformance in our own words: objects, requests, who answers. tests/e2e plays them through
real proxies."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from evaluate import evaluate
from ingressobjects import EXACT, PREFIX, endpoints, fleet, ingress, service, world

from seaway.api.tree import Tree
from seaway.routing.ir import End


class Scenario(NamedTuple):
    """`requests`: (host, path, the Service that answers, or a code)."""

    claim: str
    objects: tuple[Tree, ...]
    requests: tuple[tuple[str, str, str | int], ...]


def paths(*entries: tuple[str, str, str]) -> tuple[Tree, ...]:
    """An Ingress with paths (kind, path, Service) of one host."""
    return (ingress("it", *(("p.example.com", path, to, kind) for kind, path, to in entries)),)


def at(*requests: tuple[str, str | int]) -> tuple[tuple[str, str, str | int], ...]:
    return tuple(("p.example.com", path, answer) for path, answer in requests)


ONE_HOST = (ingress("it", ("foo.example.com", "/", "a"), ("*.wild.example.com", "/", "b")),)
SCENARIOS = [
    # default backend
    Scenario(
        "without rules every request goes to the default backend",
        (ingress("it", default="a"),),
        (("any.example.com", "/", "a"), ("other.org", "/sometimes/deep", "a"), ("192.0.2.1", "/x", "a")),
    ),
    # host rules
    Scenario("an exact host is served", ONE_HOST, (("foo.example.com", "/", "a"),)),
    Scenario("a host that nobody names is 404", ONE_HOST, (("bar.example.com", "/", 404), ("example.com", "/", 404))),
    Scenario("a host below an exact one is 404", ONE_HOST, (("x.foo.example.com", "/", 404),)),
    Scenario("a wildcard serves one label", ONE_HOST, (("bar.wild.example.com", "/", "b"),)),
    Scenario("a wildcard does not serve two labels", ONE_HOST, (("baz.bar.wild.example.com", "/", 404),)),
    Scenario("a wildcard does not serve its own domain", ONE_HOST, (("wild.example.com", "/", 404),)),
    Scenario(
        "an exact host comes before a wildcard",
        (ingress("it", ("*.h.example.com", "/", "a"), ("x.h.example.com", "/", "b")),),
        (("x.h.example.com", "/", "b"), ("y.h.example.com", "/", "a")),
    ),
    # ingress class
    Scenario(
        "a class that is not there serves nothing",
        (ingress("it", ("foo.example.com", "/", "a"), cls="some-invalid-class-name"),),
        (("foo.example.com", "/", -1),),
    ),
    # path rules: exact
    Scenario("an exact path is served", paths((EXACT, "/foo", "a")), at(("/foo", "a"))),
    Scenario("an exact path with a slash at its end is another", paths((EXACT, "/foo", "a")), at(("/foo/", 404))),
    Scenario("an exact path goes by case", paths((EXACT, "/foo", "a")), at(("/FOO", 404))),
    Scenario("an exact path is no prefix", paths((EXACT, "/foo", "a")), at(("/foo/bar", 404), ("/foobar", 404))),
    Scenario("an exact path that ends in a slash needs it", paths((EXACT, "/foo/", "a")), at(("/foo/", "a"), ("/foo", 404))),
    Scenario("a path that nobody names is 404", paths((EXACT, "/foo", "a")), at(("/bar", 404), ("/", 404))),
    # path rules: prefix
    Scenario("the prefix / has every path", paths((PREFIX, "/", "a")), at(("/", "a"), ("/foo", "a"), ("/foo/bar/", "a"))),
    Scenario("a prefix has itself and what lies below", paths((PREFIX, "/foo", "a")), at(("/foo", "a"), ("/foo/bar", "a"))),
    Scenario("a slash behind a prefix is below it", paths((PREFIX, "/foo", "a")), at(("/foo/", "a"))),
    Scenario("a prefix that ends in a slash has the path without", paths((PREFIX, "/foo/", "a")), at(("/foo", "a"), ("/foo/", "a"))),
    Scenario("a prefix goes by whole segments", paths((PREFIX, "/aaa/bb", "a")), at(("/aaa/bbb", 404), ("/aaa/bb/b", "a"))),
    Scenario("a prefix goes by case", paths((PREFIX, "/foo", "a")), at(("/FOO", 404))),
    Scenario(
        "the longest prefix wins",
        paths((PREFIX, "/", "a"), (PREFIX, "/aaa", "b"), (PREFIX, "/aaa/bbb", "c")),
        at(("/ccc", "a"), ("/aaa/ccc", "b"), ("/aaa/bbb/ccc", "c"), ("/aaa/bbbccc", "b")),
    ),
    Scenario(
        "exact comes before prefix",
        paths((PREFIX, "/foo", "a"), (EXACT, "/foo", "b")),
        at(("/foo", "b"), ("/foo/", "a"), ("/foo/bar", "a")),
    ),
    Scenario(
        "a longer exact path comes before a prefix of it",
        paths((PREFIX, "/foo/", "a"), (EXACT, "/foo/bar", "b")),
        at(("/foo/bar", "b"), ("/foo/bar/", "a"), ("/foo", "a")),
    ),
]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.claim)
def test_a_scenario_of_the_conformance_suite(scenario: Scenario) -> None:
    found = fleet(world(*scenario.objects))
    for host, path, expected in scenario.requests:
        answer = evaluate(found, host, path)
        assert (answer.cluster or answer.code) == (
            f"default/{expected}/80" if isinstance(expected, str) else expected
        ), (host, path)


def test_requests_are_spread_over_all_endpoints_of_a_service() -> None:
    """The suite's 25th, load balancing: pure as it is here, that every endpoint is known to the proxies."""
    found = world(
        service("s"), endpoints("s", *(f"10.9.0.{i}" for i in range(10))), ingress("it", ("p.example.com", "/", "s"))
    )
    cluster = evaluate(fleet(found), "p.example.com").cluster
    assert fleet(found).endpoints[cluster].ends == tuple(End(f"10.9.0.{i}", 8080) for i in range(10))  # type: ignore[union-attr]
