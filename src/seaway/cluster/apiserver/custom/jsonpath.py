"""JSONPath as printer columns and selectable fields use it (k8s.io/client-go/util/jsonpath, keys may be missing); pure.

`.spec.a`, `['a.b']`, `.a\\.b`, `[0]`, `[-1]`, `[0:2]`, `[*]`, `.*`, `..name` and filters such as `[?(@.type=="Ready")]`.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

Step = Callable[[Any], Iterator[Any]]
NAME = re.compile(r"(?:\\.|[^.\[\]\s(){}'\"\\,?@*$|&=<>!])+")
MOST_STEPS = 200  # no object is deeper
FILTER = re.compile(r"\s*(.*?)\s*(==|!=|<=|>=|<|>)\s*(.*?)\s*\Z", re.S)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class BadPath(ValueError):
    """A path that cannot be read."""


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descendants(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]
        for child in _all(value):
            yield from step(child)

    return step


def _slice(text: str) -> Step:
    parts = [p.strip() for p in text.split(":")]
    try:
        numbers = [int(p) if p else None for p in parts]
    except ValueError:
        raise BadPath(f"invalid array index {text}") from None
    if len(numbers) > 3 or numbers[2:] == [0]:
        raise BadPath(f"invalid array index {text}")

    def step(value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            return
        if len(numbers) == 1:
            index = numbers[0] or 0
            if -len(value) <= index < len(value):
                yield value[index]
            return
        yield from value[slice(*numbers)]

    return step


def _union(steps: list[Step]) -> Step:
    def step(value: Any) -> Iterator[Any]:
        for one in steps:
            yield from one(value)

    return step


def _literal(text: str) -> Any:
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise BadPath(f"unrecognized character in action: {text}") from None


def _operand(text: str) -> Callable[[Any], list[Any]]:
    if text.startswith("@"):
        path = compiled(text[1:] or ".")
        return lambda value: list(path(value))
    constant = _literal(text)
    return lambda value: [constant]


def _filter(text: str) -> Step:
    found = FILTER.match(text)
    if found is None:
        there = _operand(text.strip())

        def exists(value: Any) -> Iterator[Any]:
            for item in _all(value) if isinstance(value, list) else ():
                if there(item):
                    yield item

        return exists
    left, compare, right = _operand(found[1]), COMPARE[found[2]], _operand(found[3])

    def step(value: Any) -> Iterator[Any]:
        for item in value if isinstance(value, list) else ():
            a, b = left(item), right(item)
            if not a or not b:
                continue
            try:
                if compare(a[0], b[0]) and (isinstance(a[0], bool) is isinstance(b[0], bool)):
                    yield item
            except TypeError:
                continue

    return step


def _closing(text: str, start: int) -> int:
    """Where the bracket that was opened before `start` closes, quotes and brackets inside left alone."""
    depth, quote, at = 1, "", start
    while at < len(text):
        c = text[at]
        if quote:
            if c == "\\":
                at += 1
            elif c == quote:
                quote = ""
        elif c in "'\"":
            quote = c
        elif c == "[":
            depth += 1
        elif c == "]":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise BadPath("unterminated array")


def _bracket(inside: str) -> Step:
    inside = inside.strip()
    if inside.startswith("?"):
        body = inside[1:].strip()
        if not (body.startswith("(") and body.endswith(")")):
            raise BadPath(f"invalid filter {inside}")
        return _filter(body[1:-1])
    if inside == "*":
        return _all
    parts = [p.strip() for p in inside.split(",")] if inside[:1] not in "'\"" or "," in inside else [inside]
    steps = [
        _field(p[1:-1].replace("\\'", "'")) if len(p) > 1 and p[0] in "'\"" and p[-1] == p[0] else _slice(p)
        for p in parts
    ]
    return steps[0] if len(steps) == 1 else _union(steps)


def _steps(text: str) -> list[Step]:
    steps: list[Step] = []
    at = 1 if text.startswith("$") else 0
    while at < len(text):
        if text[at] == "[":
            end = _closing(text, at + 1)
            steps.append(_bracket(text[at + 1 : end]))
            at = end + 1
            continue
        deep = text.startswith("..", at)
        if text[at] == ".":
            at += 2 if deep else 1
        if at >= len(text) or text[at] == "[":
            continue
        if text[at] == "*":
            steps.append(_all)
            at += 1
            continue
        found = NAME.match(text, at)
        if found is None:
            raise BadPath(f"unrecognized character in action: {text[at:]}")
        name = re.sub(r"\\(.)", r"\1", found[0])
        steps.append(_descendants(name) if deep else _field(name))
        at = found.end()
    return steps


@functools.lru_cache(4096)
def compiled(text: str) -> Step:
    """What a path finds in a tree; BadPath where it is none."""
    try:
        steps = _steps(text)
    except RecursionError:
        raise BadPath("filters are nested too deep") from None
    if len(steps) > MOST_STEPS:
        raise BadPath(f"more than {MOST_STEPS} steps")

    def find(tree: Any) -> Iterator[Any]:
        values: Iterator[Any] = iter((tree,))
        for step in steps:
            values = _each(values, step)
        return values

    return find


def _each(values: Iterator[Any], step: Step) -> Iterator[Any]:
    for value in values:
        yield from step(value)


def first(text: str, tree: Any) -> tuple[Any, bool]:
    """(the first value that a path finds, whether there is one)."""
    for value in compiled(text)(tree):
        return value, True
    return None, False
