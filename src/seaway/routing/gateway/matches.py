"""Matches of HTTPRoute and GRPCRoute rules as values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.re2 import syntax_error
from seaway.routing.ir import Match, PathMatch, ValueMatch

Tree = dict[str, Any]
KINDS = {"Exact": "exact", "PathPrefix": "prefix", "RegularExpression": "regex"}


class Unsupported(ValueError):
    """A value that a rule cannot be made of; the text names the field."""


def _regex(pattern: str, field: str) -> str:
    problem = syntax_error(pattern)
    if problem:
        raise Unsupported(f"{field}: {problem}")
    return pattern


def _values(entries: Any, field: str, lower: bool) -> tuple[ValueMatch, ...]:
    """Of entries with one name only the first counts (HTTPRouteMatch.headers)."""
    found: dict[str, ValueMatch] = {}
    for i, entry in enumerate(entries or ()):
        name = str(entry["name"]).lower() if lower else str(entry["name"])
        kind = KINDS.get(str(entry.get("type") or "Exact"))
        if kind not in ("exact", "regex"):
            raise Unsupported(f"{field}[{i}].type: {entry.get('type')} is not supported")
        value = str(entry.get("value") or "")
        if kind == "regex":
            _regex(value, f"{field}[{i}].value")
        found.setdefault(name, ValueMatch(name, kind, value))
    return tuple(found.values())


def _path(tree: Tree, field: str) -> PathMatch:
    kind = KINDS.get(str(tree.get("type") or "PathPrefix"))
    value = str(tree.get("value") or "/")
    if kind is None:
        raise Unsupported(f"{field}.type: {tree.get('type')} is not supported")
    if kind == "regex":
        return PathMatch(kind, _regex(value, f"{field}.value"))
    # Prefixes go by segments: a slash at the end says nothing.
    return PathMatch(kind, value if kind == "exact" else value.rstrip("/") or "/")


def http_matches(rule: Tree, field: str) -> Iterable[Match]:
    """The matches of an HTTPRoute rule, one of which must hold; without any: every request."""
    for i, match in enumerate(rule.get("matches") or ({},)):
        here = f"{field}.matches[{i}]"
        yield Match(
            _path(match.get("path") or {}, f"{here}.path"),
            str(match.get("method") or ""),
            _values(match.get("headers"), f"{here}.headers", True),
            _values(match.get("queryParams"), f"{here}.queryParams", False),
        )


def grpc_matches(rule: Tree, field: str) -> Iterable[Match]:
    """The matches of a GRPCRoute rule: a gRPC method is the path /SERVICE/METHOD."""
    for i, match in enumerate(rule.get("matches") or ({},)):
        here = f"{field}.matches[{i}]"
        method = match.get("method") or {}
        yield Match(
            _method(method, f"{here}.method"),
            "",
            _values(match.get("headers"), f"{here}.headers", True),
            (),
            True,
            (len(str(method.get("service") or "")), len(str(method.get("method") or ""))),
        )


def _method(tree: Tree, field: str) -> PathMatch:
    service, method = str(tree.get("service") or ""), str(tree.get("method") or "")
    if tree.get("type", "Exact") == "RegularExpression":
        if service:
            _regex(service, f"{field}.service")
        if method:
            _regex(method, f"{field}.method")
        return PathMatch("regex", f"/(?:{service or '[^/]+'})/(?:{method or '[^/]+'})")
    if service and method:
        return PathMatch("exact", f"/{service}/{method}")
    if service:
        return PathMatch("prefix", f"/{service}")
    if method:
        return PathMatch("regex", f"/[^/]+/{_escaped(method)}")
    return PathMatch("prefix", "/")


def _escaped(text: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else f"\\{c}" for c in text)
