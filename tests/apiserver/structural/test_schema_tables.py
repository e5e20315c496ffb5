"""Tables of schemas, objects and what Kubernetes says of them, word for word."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from seaway import re2
from seaway.cluster.apiserver import structural
from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import quick, stringformats

Tree = dict[str, Any]
HERE = Path(__file__).parent
# What the patterns of patterns.yaml are held against.
SUBJECTS = ("", "a", "b", "ab", "abc", "a\n", "A", "k", "\u212a", "é", "λ", "1", "_", " ", "a b", "aaaa", "zz", "a-b")


def rows(name: str) -> list[Any]:
    found: list[Any] = yaml.load((HERE / name).read_text(), Loader=yaml.CSafeLoader)
    return found


def named(name: str) -> Any:
    """The rows of a table, each a test of its own."""
    return pytest.mark.parametrize("row", [pytest.param(r, id=r["about"].replace(" ", "-")) for r in rows(name)])


def told(causes: list[Cause]) -> list[str]:
    return [f"{c.field} {c.reason} {c.message}" for c in causes]


def of(**properties: Tree) -> structural.Structural:
    return structural.compiled({"type": "object", "properties": properties})


def thing(**parts: Any) -> Tree:
    return {"apiVersion": "o.test/v1", "kind": "Thing", "metadata": {"name": "a"}, **copy.deepcopy(parts)}


def read(schema: structural.Structural, tree: Tree) -> Tree:
    schema.prune(tree)
    schema.default(tree)
    return tree


@named("values.yaml")
def test_what_is_said_of_a_value(row: Tree) -> None:
    schema = of(spec={"type": "object", "properties": {"x": row["schema"]}})
    for case in row["cases"]:
        tree = read(schema, thing(spec={"x": case["value"]}))
        assert told(schema.validate(tree)) == case.get("causes", []), case


@named("values.yaml")
def test_the_quick_answer_is_that_of_the_full_one(row: Tree) -> None:
    schema = of(spec={"type": "object", "properties": {"x": row["schema"]}})
    checks = quick.table(schema.validator)
    for case in row["cases"]:
        found: list[Any] = []
        tree = thing(spec={"x": case["value"]})
        schema.validator.check(tree, "", found)
        assert quick.is_valid(checks, tree) == (not found), case


@named("updates.yaml")
def test_what_is_said_of_a_change(row: Tree) -> None:
    schema = of(spec=row["schema"])
    new, old = read(schema, thing(spec=row["new"])), read(schema, thing(spec=row["old"]))
    assert told(schema.validate_update(new, old)[0]) == row.get("causes", [])


@named("status.yaml")
def test_what_is_said_of_a_status(row: Tree) -> None:
    schema = of(status=row["schema"])
    new, old = read(schema, thing(status=row["new"])), read(schema, thing(status=row["old"]))
    assert told(schema.validate_status(new, old)[0]) == row.get("causes", [])


@named("objects.yaml")
def test_what_is_kept_filled_in_and_told_as_unknown(row: Tree) -> None:
    schema = of(spec=row["schema"])
    tree = thing(spec=row["given"])
    assert schema.prune(tree) == row.get("unknown", [])
    schema.default(tree)
    assert tree["spec"] == row["kept"]
    again = copy.deepcopy(tree)
    assert schema.prune(again) == []
    schema.default(again)
    assert again == tree


@named("malformed.yaml")
def test_embedded_resources_that_can_not_be_read(row: Tree) -> None:
    schema = of(spec=row["schema"])
    with pytest.raises(structural.Malformed, match=re.escape(row["error"])):
        schema.prune(thing(spec=row["given"]))
    schema.prune(thing(spec=row["given"]), lenient=True)  # of what is stored, what can not be read is dropped


@named("schemas.yaml")
def test_what_is_wrong_with_a_schema(row: Tree) -> None:
    given = copy.deepcopy(row["schema"])
    assert told(structural.problems(given, "schema", row.get("status", False))) == row.get("causes", [])
    assert given == row["schema"]


@pytest.mark.parametrize("name", rows("formats.yaml"))
def test_what_passes_for_a_format(name: str) -> None:
    check = stringformats.check(name)
    assert check is not None
    table: Any = rows("formats.yaml")
    assert [t for t in table[name]["valid"] if not check(t)] == []
    assert [t for t in table[name]["invalid"] if check(t)] == []


def test_what_patterns_match_and_why_they_do_not_parse() -> None:
    for row in rows("patterns.yaml"):
        assert re2.syntax_error(row["pattern"]) == row.get("error", ""), row
        if "error" not in row:
            assert [s for s in SUBJECTS if re2.compiled(row["pattern"]).matches(s)] == row["matches"], row
