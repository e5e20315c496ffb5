"""Reads tests/routing/policies/fields: a case for each field of the policies, and what is refused.

A file has `cases` (`field`: the leaf of the schema; `says`: fields of the spec; `bad`: a value that is refused where the leaf stands,
for `told`, at `at` if another field is blamed) and `rules` (`says` is refused, for `told` at `at`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from seaway.api.policies.definitions import definitions
from seaway.api.tree import copied

FOLDER = Path(__file__).parent / "policies" / "fields"
Tree = dict[str, Any]
GROUP = "policy.seaway.dev"


class Bad(NamedTuple):
    """A policy that is refused: at a field, with words."""

    policy: Tree
    at: str
    told: str


class Fields(NamedTuple):
    """`good`: leaf of the schema -> a policy that says it."""

    kind: str
    good: dict[str, Tree]
    bad: dict[str, Bad]
    rules: tuple[Bad, ...]


def policy(kind: str, to: Tree, says: Tree) -> Tree:
    spec = {"targetRefs": [to], **says}
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "metadata": {"name": "one", "namespace": "default"}, "spec": spec}


def first(leaf: str) -> str:
    """A leaf of a schema as a field of an object: of lists the first entry."""
    return leaf.replace("[]", "[0]")


def placed(tree: Tree, leaf: str, value: Any) -> Tree:
    """The tree with another value where a leaf stands, in the first entry of each list."""
    tree = copied(tree)
    holder: Any = {"": tree}
    key: Any = ""
    for step in leaf.split("."):
        holder, key = holder[key], step.rstrip("[]")
        for _ in range(step.count("[]")):
            holder, key = holder[key], 0
    holder[key] = value
    return tree


def read(path: Path) -> Fields:
    tree = yaml.safe_load(path.read_text())
    good, bad = {}, {}
    for case in tree["cases"]:
        assert not case.keys() - {"field", "says", "bad", "at", "told"} and case["field"] not in good, case
        good[case["field"]] = made = policy(tree["kind"], tree["to"], case["says"])
        bad[case["field"]] = Bad(placed(made, case["field"], case["bad"]), case.get("at", first(case["field"])), case["told"])
    rules = tuple(Bad(policy(tree["kind"], tree["to"], r["says"]), r["at"], r["told"]) for r in tree["rules"])
    return Fields(tree["kind"], good, bad, rules)


ALL = {path.stem: read(path) for path in sorted(FOLDER.glob("*policy.yaml"))}


def schemas() -> dict[str, Tree]:
    """kind -> the schema of its spec."""
    return {
        d["spec"]["names"]["kind"]: d["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        for d in definitions()
    }


def leaves(node: Tree, path: str = "spec") -> Iterator[str]:
    if node["type"] == "object":
        for name, child in node["properties"].items():
            yield from leaves(child, f"{path}.{name}")
    elif node["type"] == "array":
        yield from leaves(node["items"], f"{path}[]")
    else:
        yield path


def rules(node: Tree) -> Iterator[str]:
    """The messages of all rules in a schema."""
    yield from (r["message"] for r in node.get("x-kubernetes-validations", ()))
    for child in (*node.get("properties", {}).values(), *filter(None, [node.get("items")])):
        yield from rules(child)
