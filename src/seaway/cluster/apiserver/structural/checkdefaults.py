"""Defaults of a schema must be valid and have no unknown fields (pkg/apiserver/schema/defaulting/validation.go); pure.

A default inside the metadata of a resource is judged by the whole resource that it would make.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seaway.cluster.apiserver import schema as decoding
from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes, embedded, faults, pruning
from seaway.cluster.apiserver.structural.correlation import same
from seaway.cluster.apiserver.structural.nodes import META_FIELDS, Node, Tree
from seaway.cluster.apiserver.structural.validators import Validator

Surround = Callable[[Any], Tree]


def _root(value: Any) -> Tree:
    made: Tree = value
    made.setdefault("kind", "Validation")
    made.setdefault("apiVersion", "validation/v1")
    return made


@dataclass(frozen=True, slots=True)
class Judge:
    """How defaults are judged. `pruned`: unknown fields are a problem; `rules` says what the rules of a schema say."""

    pruned: bool = True
    rules: Callable[[Tree, Any, str], list[Cause]] = lambda schema, value, path: []


def problems(schema: Tree, path: str, judge: Judge) -> list[Cause]:
    """What is wrong with the defaults of a whole schema."""
    root = {**schema, "x-kubernetes-embedded-resource": True}
    return _problems(path, root, root, _root, False, judge)


def _problems(path: str, schema: Tree, root: Tree, around: Surround, in_meta: bool, judge: Judge) -> list[Cause]:
    if schema.get("x-kubernetes-embedded-resource"):
        in_meta, around, root = False, _root, schema
    found: list[Cause] = []
    if schema.get("default") is not None:
        where = causes.child(path, "default")
        found += _in_meta(where, schema, root, around, judge) if in_meta else _plain(where, schema, judge)
    items = schema.get("items")
    if isinstance(items, dict):
        found += _problems(causes.child(path, "items"), items, root, _item(around), in_meta, judge)
    for name, child in sorted((schema.get("properties") or {}).items()):
        inside = in_meta or (bool(schema.get("x-kubernetes-embedded-resource")) and name in META_FIELDS)
        where = causes.key(causes.child(path, "properties"), name)
        found += _problems(where, child, root, _field(around, name), inside, judge)
    return found


def _item(around: Surround) -> Surround:
    return lambda value: around([value])


def _field(around: Surround, name: str) -> Surround:
    return lambda value: around({name: value})


def _plain(path: str, schema: Tree, judge: Judge) -> list[Cause]:
    value, node = schema["default"], Node(schema)
    found: list[Cause] = []
    if judge.pruned:
        kept = copy.deepcopy(value)
        pruning.prune(kept, node)
        if not same(kept, value):
            found.append(causes.invalid(path, value, "must not have unknown fields"))
    read = copy.deepcopy(value)
    try:
        embedded.coerce(read, node, path=path)
    except embedded.Malformed as e:
        return [*found, e.cause]
    wrong = embedded.problems(read, node, path)
    return found + (wrong or _value(path, schema, read, judge))


def _in_meta(path: str, schema: Tree, root: Tree, around: Surround, judge: Judge) -> list[Cause]:
    value, node = schema["default"], Node(root)
    made = around(copy.deepcopy(value))
    try:
        embedded.coerce(made, node)
    except embedded.Malformed as e:
        return [causes.invalid(path, value, f"must result in valid metadata: {e}")]
    except decoding.TypeMismatch as e:
        return [causes.invalid(path, value, f"must result in valid metadata: {e}")]
    wrong = list(dict.fromkeys(f"{c.field}: {c.message}" for c in embedded.problems(made, node)))
    if wrong:
        told = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
        return [causes.invalid(path, value, f"must result in valid metadata: {told}")]
    return _value(path, schema, value, judge)


def _value(path: str, schema: Tree, value: Any, judge: Judge) -> list[Cause]:
    found: list[faults.Fault] = []
    Validator(schema, stored=False).check(value, "", found)
    return faults.told(found, path) or judge.rules(schema, value, path)
