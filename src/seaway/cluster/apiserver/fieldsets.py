"""Sets of field paths in the form of FieldsV1 (KEP-555), and what can be done with them; pure.

A set is a tree: each key is a step (`f:name`, `k:{"name":"x"}`, `v:"x"`), `.` says that the path itself is in the set where
steps follow, and an empty tree below a key is a path that ends there. Sets are never changed: operations share subtrees.
The operations are those of sigs.k8s.io/structured-merge-diff/fieldpath.Set.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import msgspec

Fields = dict[str, Any]
SELF = "."
LEAF: Fields = {}


def _open(node: Fields) -> Fields:
    """A node with its own membership written out."""
    return node or {SELF: LEAF}


def _closed(node: Fields) -> Fields:
    """The same in the stored form: a path without steps below is an empty tree."""
    return LEAF if len(node) == 1 and SELF in node else node


def union(a: Fields, b: Fields) -> Fields:
    """What is in either."""
    if not a or not b:
        return a or b
    result = dict(a)
    for step, theirs in b.items():
        ours = result.get(step)
        if ours is None:
            result[step] = theirs
        elif step != SELF and ours is not theirs:
            result[step] = _closed(union(_open(ours), _open(theirs)))
    return result


def difference(a: Fields, b: Fields) -> Fields:
    """What is in `a` and not in `b`; paths below those of `b` stay."""
    if not a or not b:
        return a
    result: Fields = {}
    for step, ours in a.items():
        theirs = b.get(step)
        if theirs is None:
            result[step] = ours
        elif step != SELF:
            rest = difference(_open(ours), _open(theirs))
            if rest:
                result[step] = _closed(rest)
    return result


def without(a: Fields, b: Fields) -> Fields:
    """What is in `a` and neither in `b` nor below a path of `b`."""
    if not a or not b:
        return a
    result: Fields = {}
    for step, ours in a.items():
        theirs = b.get(step)
        if theirs is None:
            result[step] = ours
        elif step != SELF and SELF not in _open(theirs):
            rest = without(_open(ours), theirs)
            if rest:
                result[step] = _closed(rest)
    return result


def intersection(a: Fields, b: Fields) -> Fields:
    """What is in both."""
    result: Fields = {}
    for step, ours in a.items():
        theirs = b.get(step)
        if theirs is None:
            continue
        if step == SELF:
            result[step] = LEAF
            continue
        both = intersection(_open(ours), _open(theirs))
        if both:
            result[step] = _closed(both)
    return result


def has(fields: Fields, *steps: str) -> bool:
    """Whether a path is in a set."""
    node: Fields | None = fields
    for step in steps:
        node = node.get(step) if node else None
        if node is None:
            return False
    return node is not None and SELF in _open(node)


def of(*steps: str) -> Fields:
    """The set of one path."""
    node = LEAF
    for step in reversed(steps):
        node = {step: node}
    return node


def _order(step: str) -> tuple[int, str]:
    return ("f:", "k:", "v:", "i:").index(step[:2]) if step[:2] in ("f:", "k:", "v:", "i:") else -1, step


def paths(fields: Fields, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path of a set, in order."""
    for step in sorted(fields, key=_order):
        if step == SELF:
            yield before
            continue
        yield from paths(_open(fields[step]), (*before, step))


def shown(path: tuple[str, ...]) -> str:
    """A path as messages show it: `.spec.ports[port=80,protocol="TCP"].nodePort`."""
    return "".join(map(_shown_step, path))


def _shown_step(step: str) -> str:
    kind, rest = step[:2], step[2:]
    if kind == "f:":
        return f".{rest}"
    if kind == "k:":
        keys = msgspec.json.decode(rest)
        return "[" + ",".join(f"{k}={msgspec.json.encode(v).decode()}" for k, v in sorted(keys.items())) + "]"
    return f"[={rest}]" if kind == "v:" else f"[{rest}]"


def key_step(keys: dict[str, Any]) -> str:
    """The step to an element of a keyed list."""
    return "k:" + msgspec.json.encode(dict(sorted(keys.items()))).decode()


def value_step(value: Any) -> str:
    """The step to an element of a set."""
    return "v:" + msgspec.json.encode(value).decode()


def ordered(fields: Fields) -> Fields:
    """The set with its steps in order, as it is stored."""
    return {step: ordered(fields[step]) if fields[step] else LEAF for step in sorted(fields, key=_order)}


def is_valid(fields: Any) -> bool:
    """Whether a tree that a client sent is a set of fields."""
    if not isinstance(fields, dict):
        return False
    return all(value == {} if step == SELF else _is_step(step) and is_valid(value) for step, value in fields.items())


@functools.lru_cache(8192)
def _is_step(step: str) -> bool:
    kind, rest = step[:2], step[2:]
    if kind == "f:":
        return True
    if kind not in ("k:", "v:", "i:"):
        return False
    try:
        found = msgspec.json.decode(rest)
    except (msgspec.DecodeError, UnicodeError):
        return False
    return isinstance(found, dict) if kind == "k:" else isinstance(found, int) if kind == "i:" else True
