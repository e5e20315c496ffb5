"""JSONPath of printer columns and selectable fields."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver.custom import jsonpath

TREE: dict[str, Any] = {
    "metadata": {"labels": {"a.b/c": "x"}},
    "spec": {"n": 0, "list": [{"k": "a", "v": 1}, {"k": "b", "v": 2, "on": True}], "deep": {"v": 9}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.n", [0]),
        (".spec.missing", []),
        (".spec.n.below", []),
        (".", [TREE]),
        (".metadata.labels.a\\.b/c", ["x"]),
        (".metadata.labels['a.b/c']", ["x"]),
        (".spec.list[0].k", ["a"]),
        (".spec.list[-1].k", ["b"]),
        (".spec.list[7].k", []),
        (".spec.list[0:1].k", ["a"]),
        (".spec.list[1:].v", [2]),
        (".spec.list[*].v", [1, 2]),
        (".spec.list.*.v", [1, 2]),
        (".spec.list[0,1].k", ["a", "b"]),
        (".spec..v", [1, 2, 9]),
        (".status.conditions[?(@.type=='Ready')].status", ["True"]),
        ('.status.conditions[?(@.type=="Missing")].status', []),
        (".spec.list[?(@.v>1)].k", ["b"]),
        (".spec.list[?(@.on==true)].k", ["b"]),
        (".spec.list[?(@.on)].k", ["b"]),
        (".spec.list[?(@.k!='a')].v", [2]),
    ],
)
def test_a_path_finds_what_it_names(path: str, found: list[Any]) -> None:
    assert list(jsonpath.compiled(path)(TREE)) == found


@pytest.mark.parametrize("path", [".spec.list[0", ".a[?(@.b==]", ".a[?b]", ".a[x]", ".a b", ".a[1:2:0]"])
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(jsonpath.BadPath):
        list(jsonpath.compiled(path)(TREE))


@pytest.mark.parametrize("path", [".a" * 5_000, "[?(@" * 5_000 + ".a" + ")]" * 5_000])
def test_a_path_without_end_is_refused(path: str) -> None:
    with pytest.raises(jsonpath.BadPath):
        jsonpath.compiled(path)


def test_the_first_value_is_told_apart_from_none() -> None:
    assert jsonpath.first(".spec.n", TREE) == (0, True)
    assert jsonpath.first(".spec.missing", TREE) == (None, False)
