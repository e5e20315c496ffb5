"""Printer columns of custom resources."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver.custom.columns import columns

NOW = 1_000_000.0
TREE: dict[str, Any] = {
    "metadata": {"name": "x", "creationTimestamp": "1970-01-12T13:46:35Z"},
    "spec": {"s": "text", "n": 3, "f": 2.5, "whole": 4.0, "b": False, "o": {"b": 1, "a": [1]}, "no": None, "when": "soon"},
}


def cell(kind: str, path: str) -> Any:
    return columns([{"name": "C", "type": kind, "jsonPath": path}])[1].cell(TREE, NOW)


@pytest.mark.parametrize(
    ("kind", "path", "shown"),
    [
        ("string", ".spec.s", "text"),
        ("string", ".spec.n", "3"),
        ("string", ".spec.whole", "4"),
        ("string", ".spec.b", "false"),
        ("string", ".spec.o", '{"a":[1],"b":1}'),
        ("string", ".spec.missing", None),
        ("integer", ".spec.n", 3),
        ("integer", ".spec.f", 2),
        ("integer", ".spec.s", None),
        ("integer", ".spec.b", None),
        ("number", ".spec.f", 2.5),
        ("boolean", ".spec.b", False),
        ("boolean", ".spec.n", None),
        ("date", ".metadata.creationTimestamp", "5s"),
        ("date", ".spec.when", "<invalid>"),
        ("date", ".spec.n", None),
    ],
)
def test_a_cell_has_the_type_of_its_column(kind: str, path: str, shown: Any) -> None:
    assert cell(kind, path) == shown


def test_without_columns_the_age_is_shown() -> None:
    found = columns([])
    assert [c.name for c in found] == ["Name", "Age"]
    assert [c.cell(TREE, NOW) for c in found] == ["x", "5s"]


def test_a_path_that_cannot_be_read_ends_the_columns() -> None:
    told = [{"name": "A", "type": "string", "jsonPath": ".spec.s"}, {"name": "B", "type": "string", "jsonPath": ".x["}]
    assert [c.name for c in columns(told)] == ["Name", "A"]


def test_a_column_says_where_its_value_is_from_unless_it_is_described() -> None:
    plain, told = columns(
        [
            {"name": "A", "type": "string", "jsonPath": ".a"},
            {"name": "B", "type": "string", "jsonPath": ".b", "description": "b's", "priority": 1, "format": "byte"},
        ]
    )[1:]
    assert plain.description == "Custom resource definition column (in JSONPath format): .a"
    assert (told.description, told.priority, told.format) == ("b's", 1, "byte")
