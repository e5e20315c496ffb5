"""Functions of lists and sets (apiserver/pkg/cel/library/lists.go, cel-go ext/lists.go and ext/sets.go)."""

from __future__ import annotations

import functools
import itertools
from typing import Any

from seaway.cluster.apiserver.expressions.functions.numbers import added
from seaway.cluster.apiserver.expressions.functions.overloads import Function, Overload, one
from seaway.cluster.apiserver.expressions.values import Duration, EvaluationError, Uint, compared, contains, equal

RANGE_LIMIT = 1_000_000


def _is_sorted(items: list[Any]) -> bool:
    return all(compared(a, b) <= 0 for a, b in itertools.pairwise(items))


def _sum(zero: Any) -> Function:
    """The sum of a list, where an empty one has the zero of its type."""
    return lambda items: functools.reduce(added, items) if items else zero


def _extreme(name: str, sign: int) -> Function:
    def pick(items: list[Any]) -> Any:
        if not items:
            raise EvaluationError(f"{name} called on empty list")
        best = items[0]
        for item in items[1:]:
            if compared(item, best) == sign:
                best = item
        return best

    return pick


def _index_of(items: list[Any], wanted: Any) -> int:
    return next((i for i, x in enumerate(items) if equal(x, wanted)), -1)


def _last_index_of(items: list[Any], wanted: Any) -> int:
    return next((i for i in range(len(items) - 1, -1, -1) if equal(items[i], wanted)), -1)


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(items):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return list(items[start:end])


def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    found: list[Any] = []
    for item in items:
        if isinstance(item, list) and depth > 0:
            found += _flatten(item, depth - 1)
        else:
            found.append(item)
    return found


def _range(count: int) -> list[int]:
    if count > RANGE_LIMIT:
        raise EvaluationError(f"lists.range: {count} is too many")
    return list(range(count))


def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not contains(found, item):
            found.append(item)
    return found


def _sort(items: list[Any]) -> list[Any]:
    return sorted(items, key=functools.cmp_to_key(compared))


def _sort_by(items: list[Any], keys: list[Any]) -> list[Any]:
    by = functools.cmp_to_key(compared)
    order = sorted(range(len(items)), key=lambda i: by(keys[i]))
    return [items[i] for i in order]


def _sets_contains(a: list[Any], b: list[Any]) -> bool:
    return all(contains(a, x) for x in b)


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "isSorted": one(_is_sorted, list),
    "sum": one(_sum(0), list),
    "max": one(_extreme("max", 1), list),
    "min": one(_extreme("min", -1), list),
    "indexOf": one(_index_of, list, None),
    "lastIndexOf": one(_last_index_of, list, None),
    "slice": one(_slice, list, int, int),
    "flatten": (Overload((list,), _flatten), Overload((list, int), _flatten)),
    "lists.range": one(_range, int),
    "reverse": one(lambda items: list(reversed(items)), list),
    "distinct": one(_distinct, list),
    "sort": one(_sort, list),
    "@sortByAssociatedKeys": one(_sort_by, list, list),
    "sets.contains": one(_sets_contains, list, list),
    "sets.equivalent": one(lambda a, b: _sets_contains(a, b) and _sets_contains(b, a), list, list),
    "sets.intersects": one(lambda a, b: any(contains(b, x) for x in a), list, list),
}
BY_OVERLOAD: dict[str, Function] = {
    "list_uint_sum_uint": _sum(Uint(0)),
    "list_double_sum_double": _sum(0.0),
    "list_duration_sum_duration": _sum(Duration(0)),
}
