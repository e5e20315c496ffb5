"""Which path of a host a request is for: the API's own table, and precedence."""

from __future__ import annotations

import pytest
from evaluate import evaluate
from ingressobjects import ANY, EXACT, PREFIX, events, fleet, ingress, world

# kubernetes.io/docs/concepts/services-networking/ingress, "Examples" of path types: kind, paths, request, the path that serves it.
TABLE = [
    (PREFIX, ["/"], "/", "/"),
    (PREFIX, ["/"], "/any/thing", "/"),
    (EXACT, ["/foo"], "/foo", "/foo"),
    (EXACT, ["/foo"], "/bar", ""),
    (EXACT, ["/foo"], "/foo/", ""),
    (EXACT, ["/foo/"], "/foo", ""),
    (EXACT, ["/foo/"], "/foo/", "/foo/"),
    (EXACT, ["/foo"], "/FOO", ""),
    (PREFIX, ["/foo"], "/foo", "/foo"),
    (PREFIX, ["/foo"], "/foo/", "/foo"),
    (PREFIX, ["/foo/"], "/foo", "/foo/"),
    (PREFIX, ["/foo/"], "/foo/", "/foo/"),
    (PREFIX, ["/foo"], "/FOO", ""),
    (PREFIX, ["/aaa/bb"], "/aaa/bbb", ""),
    (PREFIX, ["/aaa/bbb"], "/aaa/bbb", "/aaa/bbb"),
    (PREFIX, ["/aaa/bbb/"], "/aaa/bbb", "/aaa/bbb/"),
    (PREFIX, ["/aaa/bbb"], "/aaa/bbb/", "/aaa/bbb"),
    (PREFIX, ["/aaa/bbb"], "/aaa/bbb/ccc", "/aaa/bbb"),
    (PREFIX, ["/aaa/bbb"], "/aaa/bbbxyz", ""),
    (PREFIX, ["/", "/aaa"], "/aaa/ccc", "/aaa"),
    (PREFIX, ["/", "/aaa", "/aaa/bbb"], "/aaa/bbb", "/aaa/bbb"),
    (PREFIX, ["/", "/aaa", "/aaa/bbb"], "/ccc", "/"),
    (PREFIX, ["/aaa"], "/ccc", ""),
    (ANY, ["/foo"], "/foo/bar", "/foo"),
    (ANY, ["/foo"], "/foobar", ""),
    (ANY, ["/"], "/foo", "/"),
    (ANY, [""], "/foo", ""),
]


@pytest.mark.parametrize(("kind", "paths", "request_path", "served_by"), TABLE)
def test_a_request_is_served_by_the_path_of_the_apis_table(
    kind: str, paths: list[str], request_path: str, served_by: str
) -> None:
    backends = dict(zip(paths, "abcd", strict=False))
    found = world(ingress("it", *(("x.example.com", p, backends[p], kind) for p in paths)))
    answer = evaluate(fleet(found), "x.example.com", request_path)
    if served_by in backends:
        assert answer.cluster == f"default/{backends[served_by]}/80"
    else:
        assert answer.code == 404


def test_exact_comes_before_prefix_of_the_same_path() -> None:
    found = world(ingress("it", ("x.example.com", "/foo", "a"), ("x.example.com", "/foo", "b", EXACT)))
    assert evaluate(fleet(found), "x.example.com", "/foo").cluster == "default/b/80"
    assert evaluate(fleet(found), "x.example.com", "/foo/bar").cluster == "default/a/80"


def test_the_longest_prefix_wins_whatever_its_kind_and_its_ingress() -> None:
    found = world(
        ingress("one", ("x.example.com", "/", "a"), ("x.example.com", "/deep/er", "b", ANY)),
        ingress("two", ("x.example.com", "/deep", "c")),
    )
    assert [evaluate(fleet(found), "x.example.com", p).cluster[8] for p in ("/x", "/deep", "/deep/er/x")] == list("acb")


def test_of_two_ingresses_with_the_same_path_the_older_serves_and_the_younger_is_told() -> None:
    young = ingress("young", ("x.example.com", "/foo", "b"), ("x.example.com", "/own", "c"), namespace="default")
    old = ingress("old", ("x.example.com", "/foo/", "a"), created="2020-01-01T00:00:00Z")
    found = world(young, old)
    assert evaluate(fleet(found), "x.example.com", "/foo").cluster == "default/a/80"
    assert evaluate(fleet(found), "x.example.com", "/own").cluster == "default/c/80"
    assert events(found, "old") == []
    assert events(found, "young") == [
        "PathConflict: spec.rules[0].http.paths[0]: /foo of x.example.com is served as Ingress default/old, which is older, says"
    ]
    found.delete("Ingress", "default", "old").settle()
    assert evaluate(fleet(found), "x.example.com", "/foo").cluster == "default/b/80"
    assert events(found, "young") == []
