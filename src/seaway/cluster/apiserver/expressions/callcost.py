"""What calls cost at run time (cel-go interpreter/runtimecost.go, apiserver/pkg/cel/library/cost.go CallCost)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from seaway.cluster.apiserver.expressions.values import size_of, traversal

Cost = Callable[[Sequence[Any], Any], int]
TRAVERSAL, REGEX_LENGTH = 0.1, 0.25
CHECK = 350_000  # an authorization check: two of them in an expression
NAME_REGEX = 128
SELECTOR_BASE, REQUIREMENT = 10, 50.0


def traversed(size: float, factor: float = TRAVERSAL) -> int:
    return math.ceil(size * factor)


def equality(a: Any, b: Any) -> int:
    if getattr(a, "unit_equality", False):
        return 1
    return traversed(min(size_of(a), size_of(b)))


def selector(length: int) -> int:
    """Parsing a selector: a list of requirements."""
    return SELECTOR_BASE + traversed(length) + math.ceil(math.ceil(length * 0.5) * REQUIREMENT)


def _smaller(args: Sequence[Any], result: Any) -> int:
    """Order: strings and bytes cost by the shorter one, everything else 1."""
    a, b = args
    if isinstance(a, (str, bytes)) and isinstance(b, (str, bytes)):
        return traversed(min(len(a), len(b)))
    return 1


def _sum(args: Sequence[Any], result: Any) -> int:
    a, b = args
    if isinstance(a, (str, bytes)) and isinstance(b, (str, bytes)):
        return traversed(len(a) + len(b))
    return 1


def _first(args: Sequence[Any], result: Any) -> int:
    return traversed(size_of(args[0]))


def _twice(args: Sequence[Any], result: Any) -> int:
    return traversed(size_of(args[0]) * 2)


def _walk(args: Sequence[Any], result: Any) -> int:
    return traversal(args[0])


def _pattern(args: Sequence[Any], result: Any) -> int:
    return traversed(1.0 + size_of(args[0])) * traversed(size_of(args[1]), REGEX_LENGTH)


def _contains(args: Sequence[Any], result: Any) -> int:
    return traversed(size_of(args[0])) * traversed(size_of(args[1]))


def _in(args: Sequence[Any], result: Any) -> int:
    return len(args[1]) if isinstance(args[1], list) else 1


def _joined(args: Sequence[Any], result: Any) -> int:
    return traversed(size_of(result) * 2)


def _selector(args: Sequence[Any], result: Any) -> int:
    return selector(size_of(args[1]))


def _contains_ip(args: Sequence[Any], result: Any) -> int:
    width = size_of_bytes(args[0])
    return traversed(width * 2) + (traversed(len(args[1])) if isinstance(args[1], str) else 0)


def _contains_cidr(args: Sequence[Any], result: Any) -> int:
    return _contains_ip(args, result) + traversed(size_of_bytes(args[0])) + 1


def size_of_bytes(value: Any) -> int:
    """The bytes of an address or a range."""
    return int(getattr(value, "width", 1))


def _validate(args: Sequence[Any], result: Any) -> int:
    return traversed(1.0 + size_of(args[1])) * traversed(args[0].longest, REGEX_LENGTH)


def _output(args: Sequence[Any], result: Any) -> int:
    return size_of(result) + 11


def _flattened(args: Sequence[Any], result: Any) -> int:
    return int(size_of(args[0]) * (args[1] if len(args) == 2 else 1)) + 11


def _self_compared(items: Any) -> int:
    size = size_of(items)
    factor = 2.0 + (TRAVERSAL if size and isinstance(items[0], (str, bytes)) else 0)
    return int(size * size * factor) + 11


def _sets(args: Sequence[Any], result: Any) -> int:
    return size_of(args[0]) * size_of(args[1]) + 1


def _equivalent(args: Sequence[Any], result: Any) -> int:
    return size_of(args[0]) * size_of(args[1]) * 2 + 1


def _conversion(args: Sequence[Any], result: Any) -> int:
    """string() of bytes and bytes() of a string walk them."""
    return traversed(len(args[0])) if isinstance(args[0], (str, bytes)) and type(args[0]) is not type(result) else 1


def _search(args: Sequence[Any], result: Any) -> int:
    return traversal(args[0])


COSTS: dict[str, Cost] = {
    "_<_": _smaller,
    "_<=_": _smaller,
    "_>_": _smaller,
    "_>=_": _smaller,
    "_+_": _sum,
    "@in": _in,
    "_in_": _in,
    "in": _in,
    "startsWith": _first,
    "endsWith": _first,
    "format": _first,
    "strings.quote": _first,
    "string": _conversion,
    "bytes": _conversion,
    "matches": _pattern,
    "find": _pattern,
    "findAll": _pattern,
    "contains": _contains,
    "isSorted": _walk,
    "sum": _walk,
    "max": _walk,
    "min": _walk,
    "indexOf": _search,
    "lastIndexOf": _search,
    "url": _first,
    "lowerAscii": _first,
    "upperAscii": _first,
    "substring": _first,
    "trim": _first,
    "jsonpatch.escapeKey": _first,
    "replace": _twice,
    "split": _twice,
    "join": _joined,
    "cidr": _first,
    "isIP": _first,
    "isCIDR": _first,
    "ip": _first,
    "ip.isCanonical": _twice,
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "quantity": _first,
    "isQuantity": _first,
    "semver": _first,
    "isSemver": _first,
    "validate": _validate,
    "check": lambda args, result: CHECK,
    "fieldSelector": _selector,
    "labelSelector": _selector,
    "slice": _output,
    "flatten": _flattened,
    "lists.range": _output,
    "reverse": _output,
    "distinct": lambda args, result: _self_compared(args[0]),
    "sort": lambda args, result: _self_compared(args[0]),
    "@sortByAssociatedKeys": lambda args, result: _self_compared(args[1]),
    "sets.contains": _sets,
    "sets.intersects": _sets,
    "sets.equivalent": _equivalent,
}


def runtime(function: str, overload: str) -> Cost | None:
    """How a call's cost is counted; None: 1."""
    if overload == "cidr_ip":
        return None
    return COSTS.get(function)
