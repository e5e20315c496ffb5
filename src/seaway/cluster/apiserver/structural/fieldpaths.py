"""Paths into a schema, of selectable fields and rules (pkg/apiserver/schema/cel/validation.go ValidFieldPath); pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes
from seaway.cluster.apiserver.structural.gotext import json_text
from seaway.cluster.apiserver.structural.nodes import Tree

LIMIT = 8
TOKEN = re.compile(r"[.\[\]]|'(?:[^']|(?<=\\)')*?(?<!\\)'|[^.\[\]]+", re.DOTALL)
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}
NO_FIELD = "does not refer to a valid field"


class BadPath(ValueError):
    """A path that leads nowhere; the text says why."""


class Found(NamedTuple):
    """A path as field.Path writes it, the name that it begins with, and the schema that it leads to."""

    path: str
    root: str
    schema: Tree


def find(path: str, schema: Tree, arrays: bool = True) -> Found:
    """Follows `.spec.a` or `['a.b']` through properties and values of maps; raises BadPath."""
    tokens = _tokens(path)
    told = root = ""
    for token in tokens:
        if token == ".":
            name = _next(tokens)
        elif token == "[":
            if not arrays:
                raise BadPath("array notation is not allowed")
            name = _name(_next(tokens))
        else:
            raise BadPath(f"expected [ or . but got: {token}")
        properties, additional = schema.get("properties"), schema.get("additionalProperties")
        if properties:
            told = causes.child(told, name)
            schema = properties.get(name)
        elif additional is not None:
            told = causes.key(told, name)
            schema = additional if isinstance(additional, dict) else {}
        else:
            raise BadPath(NO_FIELD)
        if schema is None:
            raise BadPath(NO_FIELD)
        root = root or name
        if token == "[" and (end := _next(tokens)) != "]":
            raise BadPath(f"expected ] but got {end}")
    return Found(told, root, schema)


def _tokens(path: str) -> Iterator[str]:
    at = 0
    while at < len(path):
        match = TOKEN.match(path, at)
        token = match[0] if match is not None else path[at:]
        yield token
        at += len(token)


def _next(tokens: Iterator[str]) -> str:
    token = next(tokens, None)
    if token is None:
        raise BadPath("unexpected end of JSON path")
    return token


def _name(token: str) -> str:
    if len(token) < 2 or token[0] != "'" or token[-1] != "'":
        raise BadPath(f"expected single quoted string but got {token}")
    inside = token[1:-1]
    bad = re.search(r"\\(?![abfnrtv'\\])", inside)
    if bad is not None:
        raise BadPath(f"invalid string literal: invalid escape at offset {bad.start()}")
    return re.sub(r"\\(.)", lambda m: ESCAPES[m[1]], inside)


def selectable_problems(fields: list[Tree], schema: Tree, path: str, over_limit: bool = False) -> list[Cause]:
    """What is wrong with the selectableFields of a version; `over_limit`: as many as are stored already are let through."""
    found: list[Cause] = []
    seen: set[str] = set()
    for i, field in enumerate(fields):
        where, text = causes.child(causes.index(path, i), "jsonPath"), field.get("jsonPath") or ""
        if not text:
            found.append(causes.required(where))
            continue
        try:
            read = find(text, schema, arrays=False)
        except BadPath as e:
            found.append(causes.invalid(where, text, f"is an invalid path: {e}"))
            continue
        if read.root == "metadata":
            found.append(causes.invalid(where, text, "must not point to fields in metadata"))
        if read.schema.get("type") not in ("string", "boolean", "integer"):
            why = (
                "must point to a field of type string, boolean or integer. "
                "Enum string fields and strings with formats are allowed."
            )
            found.append(causes.invalid(where, text, why))
        if read.path in seen:
            found.append(causes.duplicate(where, text))
        seen.add(read.path)
    if len(seen) > LIMIT and not over_limit:
        found.append(causes.too_many(path, len(seen), LIMIT))
    return found


def scale_problems(scale: Any, path: str) -> list[Cause]:
    """What is wrong with the paths of a scale subresource; `path` is that of the subresources."""
    found: list[Cause] = []
    if not isinstance(scale, dict):
        return found
    for name, roots in (("specReplicasPath", ("spec",)), ("statusReplicasPath", ("status",))):
        where, text = f"{path}.scale.{name}", scale.get(name) or ""
        found += _simple(where, text, roots) if text else [causes.required(where)]
    if scale.get("labelSelectorPath"):
        found += _simple(f"{path}.scale.labelSelectorPath", scale["labelSelectorPath"], ("spec", "status"))
    return found


def _simple(where: str, text: str, roots: tuple[str, ...]) -> list[Cause]:
    if not text.startswith("."):
        return [causes.invalid(where, text, "must be a simple json path starting with .")]
    if text.startswith(tuple(f".{r}." for r in roots)):
        return []
    if len(roots) == 1:
        return [causes.invalid(where, text, f"should be a json path under .{roots[0]}")]
    why = "should be a json path under either " + " or ".join(f".{r}" for r in roots)
    return [causes.invalid_as(where, json_text(text), why)]  # a pointer, which is shown as JSON
