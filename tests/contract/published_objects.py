"""Reads the objects under published/: a base of each kind, and what each case changes in it (README.md there)."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parent / "published"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "reference"
FILES = {
    "standard": SHARED / "gateway-api-v1.6.1" / "standard.yaml",
    "experimental": SHARED / "gateway-api-v1.6.1" / "experimental.yaml",
    "cert-manager": SHARED / "cert-manager" / "crds.yaml",
}
PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
Tree = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """An object and what a server has to say to it; `breaks` is empty where it is to be taken."""

    channel: str
    cluster: bool
    tree: Tree
    why: str = ""
    breaks: str = ""
    field: str = ""
    at: str = ""
    says: str = ""
    warns: str = ""

    @property
    def gvk(self) -> tuple[str, str]:
        return self.tree["apiVersion"], self.tree["kind"]

    def __str__(self) -> str:
        return f"{self.tree['kind']}: {self.why or f'{self.breaks} of {self.field} ({self.says})'}"


def steps(path: str) -> list[str | int]:
    """`spec.rules[0].name` as its parts."""
    return [int(n) if n else key for key, n in PART.findall(path)]


def grown(value: Any) -> Any:
    """A value with what stands for something long: a text repeated, a list of many, a key made of a text."""
    if isinstance(value, list):
        return [grown(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "$text" in value:
        return value["$text"] * value["times"] + grown(value.get("end", ""))
    if "$list" in value:
        return [_numbered(grown(value["of"]), n) for n in range(value["$list"])]
    if "$key" in value:
        return {grown(value["$key"]): grown(value["value"])}
    return {k: grown(v) for k, v in value.items()}


def _numbered(value: Any, number: int) -> Any:
    if isinstance(value, dict):
        return {k: _numbered(v, number) for k, v in value.items()}
    return value.replace("%d", str(number)) if isinstance(value, str) else copy.deepcopy(value)


def put(tree: Tree, path: str, value: Any) -> None:
    *way, last = steps(path)
    for step in way:
        tree = tree[step] if isinstance(step, int) else tree.setdefault(step, {})
    tree[last] = value  # type: ignore[index]


def drop(tree: Tree, path: str) -> None:
    *way, last = steps(path)
    for step in way:
        tree = tree[step]  # type: ignore[index]
    del tree[last]  # type: ignore[arg-type]


def cases() -> Iterator[Case]:
    """Every object of every file."""
    number = 0
    for file in sorted(FOLDER.glob("*.yaml")):
        document = yaml.safe_load(file.read_text())
        for kind in document.get("kinds", ()):
            for group, entries in (("valid", kind["valid"]), ("invalid", kind["invalid"])):
                for entry in entries:
                    number += 1
                    version = f"{kind['group']}/{entry.get('version', kind['version'])}"
                    tree: Tree = {"apiVersion": version, "kind": kind["kind"], "metadata": {"name": f"judged-{number}"}}
                    tree["spec"] = copy.deepcopy(kind["spec"])
                    for path, value in entry.get("set", {}).items():
                        put(tree, path, grown(value))
                    for path in entry.get("drop", ()):
                        drop(tree, path)
                    told = {k: entry[k] for k in ("why", "breaks", "field", "at", "says", "warns") if k in entry}
                    assert bool(told.get("breaks")) == (group == "invalid"), (file, entry)
                    yield Case(document["channel"], kind.get("cluster", False), tree, **told)


def changes() -> Tree:
    """What changes.yaml holds."""
    found: Tree = yaml.safe_load((FOLDER / "changes.yaml").read_text())
    return found


def definitions(channel: str) -> list[Tree]:
    """The documents of a bundle."""
    if not FILES[channel].exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{FILES[channel]} is not here")
        pytest.skip(f"{FILES[channel]} is not here")
    return [d for d in yaml.load_all(FILES[channel].read_text(), yaml.CSafeLoader) if d]


def served(channel: str) -> dict[tuple[str, str], Tree]:
    """(apiVersion, kind) -> schema, of every version that a bundle serves."""
    found = {}
    for crd in definitions(channel):
        if crd["kind"] == "CustomResourceDefinition":
            spec = crd["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    found[key] = version["schema"]["openAPIV3Schema"]
    return found


def schema_at(schema: Tree, path: str) -> Tree | None:
    """The schema of the values at a path."""
    for step in steps(path):
        if isinstance(step, int):
            schema = schema.get("items") or {}
            continue
        extra = schema.get("additionalProperties")
        found = (schema.get("properties") or {}).get(step, extra if isinstance(extra, dict) else None)
        if found is None:
            return None
        schema = found
    return schema


def breaks_a_rule_of(case: Case, schema: Tree) -> str:
    """What is wrong with the claim of an invalid case about its CRD; empty when it is true."""
    if case.breaks in ("name", "labels"):
        return ""
    path = case.at or case.field
    here = schema_at(schema, path)
    if case.breaks == "required":
        *way, last = steps(path)
        parent = schema_at(schema, path.rpartition(".")[0]) if way else schema
        return "" if parent is not None and last in parent.get("required", ()) else f"{path} is not required"
    if case.breaks == "duplicate":
        parent = schema_at(schema, path.rpartition("[")[0])
        kind = (parent or {}).get("x-kubernetes-list-type")
        return "" if kind in ("set", "map") else f"{path} is in a list of type {kind}"
    if here is None:
        return f"nothing at {path}"
    if case.breaks == "rule":
        told = [r.get("message", "") for r in here.get("x-kubernetes-validations", ())]
        return "" if any(case.says in m for m in told) else f"{path} has no rule that says {case.says!r}, only {json.dumps(told)}"
    return "" if case.breaks in here else f"{path} has no {case.breaks}"


def rules(schema: Any) -> Iterator[str]:
    """The messages of all rules of a schema."""
    if isinstance(schema, dict):
        for rule in schema.get("x-kubernetes-validations", ()):
            if isinstance(rule, dict) and isinstance(rule.get("message"), str):
                yield rule["message"]
        for value in schema.values():
            yield from rules(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from rules(value)


def holds(found: Any, wanted: Any) -> bool:
    """Whether an answer has what is wanted: of objects the keys named, all else equal; null means absent."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(holds(found.get(k), v) if v is not None else k not in found for k, v in wanted.items())
    return bool(found == wanted)
