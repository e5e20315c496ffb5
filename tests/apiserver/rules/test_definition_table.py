"""What is said of CustomResourceDefinitions, word for word as Kubernetes says it: the table of definitions.yaml."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from seaway.cluster.apiserver.rules.definitions import DEFINITIONS
from seaway.cluster.apiserver.status import Cause

Tree = dict[str, Any]
ROWS: list[Tree] = yaml.load(Path(__file__).with_name("definitions.yaml").read_text(), Loader=yaml.CSafeLoader)
PARTS: dict[str, Tree] = {
    "spec": {"type": "object", "properties": {"a": {"type": "string"}, "n": {"type": "integer"}}},
    "status": {"type": "object", "properties": {"n": {"type": "integer"}}},
}
VERSION: Tree = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": {"openAPIV3Schema": {"type": "object", "properties": PARTS}},
}
PLAIN: Tree = {
    "group": "o.test",
    "scope": "Namespaced",
    "names": {"plural": "things", "kind": "Thing"},
    "versions": [VERSION],
}


def definition(*changes: Tree) -> Tree:
    spec = copy.deepcopy(PLAIN)
    for change in changes:
        spec.update(copy.deepcopy(change))
    tree: Tree = {"metadata": {"name": "things.o.test"}, "spec": spec}
    DEFINITIONS.default(tree)
    return tree


def told(causes: list[Cause]) -> list[str]:
    return [f"{c.field} {c.reason} {c.message}" for c in causes if c.field != "metadata.name"]


@pytest.mark.parametrize("row", [pytest.param(r, id=r["about"].replace(" ", "-")) for r in ROWS])
def test_what_is_said_of_a_definition(row: Tree) -> None:
    if "old" not in row:
        tree = definition(row["spec"])
        DEFINITIONS.begin(tree)
        assert told(DEFINITIONS.validate(tree)) == row.get("causes", [])
        assert DEFINITIONS.warnings(tree, None) == row.get("warnings", [])
        return
    old, new = definition(row["old"]), definition(row["old"], row["spec"])
    DEFINITIONS.begin(old)
    if row["established"]:
        old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    new["status"] = copy.deepcopy(old["status"])
    DEFINITIONS.prepare(new, old)
    assert told(DEFINITIONS.revalidate(new, old)) == row.get("causes", [])
