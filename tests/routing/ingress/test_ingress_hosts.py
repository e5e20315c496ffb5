"""Which host's rules a request is for: exact, wildcard, none; and whose default backend."""

from __future__ import annotations

import pytest
from evaluate import evaluate
from ingressobjects import endpoints, events, fleet, ingress, service, world

HOSTS = ingress("hosts", ("foo.example.com", "/", "a"), ("*.example.com", "/", "b"), ("", "/", "c"))


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("foo.example.com", "a"),
        ("FOO.example.com:8080", "a"),
        ("bar.example.com", "b"),
        ("Bar.Example.com:80", "b"),
        ("one.two.example.com", "c"),  # a wildcard is one label
        ("x.foo.example.com", "c"),
        ("example.com", "c"),
        ("barexample.com", "c"),
        ("other.org", "c"),
        ("10.0.0.1", "c"),
    ],
)
def test_a_host_goes_to_the_rules_that_name_it_most_exactly(host: str, service: str) -> None:
    assert evaluate(fleet(world(HOSTS)), host).cluster == f"default/{service}/80"


def test_a_wildcards_unmatched_path_is_404_and_no_hostless_rules() -> None:
    found = world(ingress("it", ("*.example.com", "/b", "b"), ("", "/", "c")))
    assert evaluate(fleet(found), "x.example.com", "/other").code == 404
    assert evaluate(fleet(found), "y.x.example.com", "/other").cluster == "default/c/80"


def test_deeper_hosts_follow_hostless_rules_in_their_order_with_nested_wildcards() -> None:
    found = world(
        ingress("wild", ("*.example.com", "/", "a"), ("*.sub.example.com", "/", "b")),
        ingress("all", ("", "/", "c"), ("", "/long", "d")),
    )
    where = {
        "x.example.com": "a",
        "sub.example.com": "a",
        "x.sub.example.com": "b",
        "y.x.sub.example.com": "c",
        "y.x.example.com": "c",
    }
    assert {h: evaluate(fleet(found), h).cluster[8] for h in where} == where
    assert evaluate(fleet(found), "y.x.example.com", "/long/er").cluster == "default/d/80"
    found.delete("Ingress", "default", "wild").settle()
    assert set(fleet(found).hosts["http"]) == {"*"}  # type: ignore[union-attr]


def test_rules_of_many_ingresses_and_namespaces_meet_in_one_host() -> None:
    found = world(
        ingress("one", ("x.example.com", "/one", "a")),
        service("far", namespace="other"),
        endpoints("far", "10.0.1.1", namespace="other"),
        ingress("two", ("x.example.com", "/two", "far"), namespace="other"),
    )
    assert evaluate(fleet(found), "x.example.com", "/one").cluster == "default/a/80"
    assert evaluate(fleet(found), "x.example.com", "/two").cluster == "other/far/80"


def test_a_rule_without_paths_is_its_default_backends_or_404() -> None:
    found = world(
        ingress("with", ("x.example.com",), default="a"),
        ingress("without", ("y.example.com",)),
        ingress("all", default="b"),
    )
    assert evaluate(fleet(found), "x.example.com").cluster == "default/a/80"
    assert evaluate(fleet(found), "y.example.com").code == 404
    assert evaluate(fleet(found), "z.example.com").cluster == "default/b/80"


def test_a_default_backend_without_rules_has_all_hosts_that_nobody_names() -> None:
    found = world(ingress("all", default="a"), ingress("other", ("x.example.com", "/x", "b")))
    assert evaluate(fleet(found), "anything.org", "/any").cluster == "default/a/80"
    assert evaluate(fleet(found), "x.example.com", "/x").cluster == "default/b/80"


def test_a_default_backend_never_catches_paths_of_a_host_that_another_names() -> None:
    found = world(
        ingress("all", default="a"),
        ingress("own", ("y.example.com", "/y", "c"), default="d"),
        ingress("other", ("x.example.com", "/x", "b")),
    )
    assert evaluate(fleet(found), "x.example.com", "/rest").code == 404
    assert evaluate(fleet(found), "y.example.com", "/rest").cluster == "default/d/80"


def test_a_default_backend_with_rules_has_their_hosts_other_paths_behind_all_rules() -> None:
    found = world(
        ingress("one", ("x.example.com", "/x", "a"), ("*.w.org", "/w", "a"), default="b"),
        ingress("two", ("x.example.com", "/", "c")),
    )
    assert evaluate(fleet(found), "x.example.com", "/rest").cluster == "default/c/80"
    assert evaluate(fleet(found), "v.w.org", "/rest").cluster == "default/b/80"
    assert evaluate(fleet(found), "u.v.w.org", "/rest").code == 404


def test_of_two_default_backends_for_all_hosts_the_older_wins_and_the_younger_is_told() -> None:
    found = world(ingress("old", default="a"), ingress("young", default="b"))
    assert evaluate(fleet(found), "anything.org").cluster == "default/a/80"
    assert events(found, "young") == [
        "PathConflict: spec.defaultBackend: the default backend of all hosts is served as Ingress default/old, "
        "which is older, says"
    ]
