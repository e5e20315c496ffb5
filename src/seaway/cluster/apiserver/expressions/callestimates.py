"""What calls may cost at most (cel-go checker/cost.go functionCost, apiserver/pkg/cel/library/cost.go EstimateCallCost)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from seaway.cluster.apiserver.expressions.estimates import MOST, ONE, Range, capped, fixed
from seaway.cluster.apiserver.expressions.syntax import Call, Const, Node

if TYPE_CHECKING:
    from seaway.cluster.apiserver.expressions.cost import _Coster

TRAVERSAL, REGEX_LENGTH = 0.1, 0.25
NOMINAL = frozenset(
    "serviceAccount path group resource subresource namespace name allowed reason error errored masked prefixLength "
    "family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast isGlobalUnicast format.named sign asInteger "
    "isInteger asApproximateFloat isGreaterThan isLessThan compareTo add sub major minor patch getScheme getHostname "
    "getHost getPort getEscapedPath getQuery".split()
)
UNIT_TYPES = frozenset(
    (
        "net.IP",
        "net.CIDR",
        "kubernetes.Quantity",
        "kubernetes.Semver",
        "kubernetes.authorization.Authorizer",
        "kubernetes.authorization.PathCheck",
        "kubernetes.authorization.GroupCheck",
        "kubernetes.authorization.ResourceCheck",
        "kubernetes.authorization.Decision",
    )
)
ADDRESS = Range(4, 16)


class Estimate(NamedTuple):
    cost: Range
    size: Range | None = None


def kubernetes(coster: _Coster, node: Call, overload: str) -> Estimate | None:
    """Functions of Kubernetes' libraries; None for every other one."""
    name, target, args = node.function, node.target, node.args
    if name in NOMINAL:
        return Estimate(ONE)
    match name:
        case "check":
            return Estimate(fixed(350_000))
        case "fieldSelector" | "labelSelector" if len(args) == 1:
            return Estimate(_selector(coster.size_or_unknown(args[0])))
        case "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" if target is not None:
            return _list_walk(coster, target)
        case "url" | "jsonpatch.escapeKey" if len(args) == 1:
            size = coster.size_or_unknown(args[0])
            return Estimate(size.scaled(TRAVERSAL), size)
        case "lowerAscii" | "upperAscii" | "substring" | "trim" if target is not None:
            size = coster.size_or_unknown(target)
            return Estimate(size.scaled(TRAVERSAL), size)
        case "replace" if target is not None and len(args) >= 2:
            size = coster.size_or_unknown(target)
            result = _replaced(size, coster.size_or_unknown(args[0]), coster.size_or_unknown(args[1]))
            return Estimate(size.scaled(2 * TRAVERSAL), result)
        case "split" if target is not None:
            size, most = coster.size_or_unknown(target), coster.size_or_unknown(target).most
            if len(args) > 1 and isinstance(args[1], Const) and isinstance(args[1].value, int):
                most = args[1].value if args[1].value >= 0 else MOST
            return Estimate(size.scaled(2 * TRAVERSAL), Range(0, most))
        case "join" if target is not None:
            return _joined(coster, target, args)
        case "find" | "findAll" if target is not None and args:
            size = coster.size_or_unknown(target)
            cost = size.plus(ONE).scaled(TRAVERSAL).times(coster.size_or_unknown(args[0]).scaled(REGEX_LENGTH))
            return Estimate(cost, Range(0, size.most))
        case "ip" if overload == "cidr_ip":
            return Estimate(ONE)
        case "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" if args:
            return Estimate(coster.size_or_unknown(args[0]).scaled(TRAVERSAL))
        case "ip.isCanonical" if args:
            return Estimate(coster.size_or_unknown(args[0]).scaled(2 * TRAVERSAL))
        case "containsIP" | "containsCIDR" if args:
            return _contained(coster, name, overload, args)
        case "validate" if args:
            return Estimate(coster.size_or_unknown(args[0]).scaled(TRAVERSAL).scaled(128 * REGEX_LENGTH))
        case "_==_" if len(args) == 2:
            return _equality(coster, args)
    return _extension(coster, node)


def _selector(length: Range) -> Range:
    return fixed(10).plus(length.scaled(TRAVERSAL)).plus(length.scaled(0.5).scaled(50.0))


def _list_walk(coster: _Coster, target: Node) -> Estimate:
    """Each element is compared once; strings and bytes are walked for it."""
    size = coster.size_or_unknown(target)
    items = coster.items(target)
    if items is None:
        return Estimate(size.scaled(TRAVERSAL))
    kind, item = items
    each = ONE.plus(item.scaled(TRAVERSAL)) if kind.kind in ("string", "bytes") else ONE
    return Estimate(size.times(each))


def _replaced(size: Range, old: Range, new: Range) -> Range:
    """The size of a string with parts replaced."""
    most_count = most_kept = least_count = least_kept = 0
    if old.least == 0:
        most_count, most_kept = capped(size.most + 1), size.most
    elif new.most <= old.least:
        most_kept = size.most
    else:
        most_count = math.ceil(size.most / old.least)
    if old.most == 0:
        least_count, least_kept = capped(size.least + 1), size.least
    elif old.most <= new.least:
        least_kept = size.least
    else:
        least_count = math.ceil(size.least / old.most)
    return Range(capped(least_count), capped(most_count)).times(new).plus(Range(least_kept, most_kept))


def _joined(coster: _Coster, target: Node, args: tuple[Node, ...]) -> Estimate:
    count, items = coster.size_or_unknown(target), coster.items(target)
    size = count.times(items[1]) if items is not None else fixed(0)
    if args:
        between = Range(max(count.least - 1, 0), max(count.most - 1, 0))
        size = size.plus(coster.size_or_unknown(args[0]).times(between))
    return Estimate(size.scaled(TRAVERSAL), size)


def _contained(coster: _Coster, name: str, overload: str, args: tuple[Node, ...]) -> Estimate:
    cost = ADDRESS.plus(ADDRESS).scaled(TRAVERSAL)
    if name == "containsCIDR":
        cost = cost.plus(ADDRESS.scaled(TRAVERSAL)).plus(ONE)
    if overload in ("cidr_contains_ip_string", "cidr_contains_cidr_string"):
        cost = cost.plus(coster.size_or_unknown(args[0]).scaled(TRAVERSAL))
    return Estimate(cost)


def _equality(coster: _Coster, args: tuple[Node, ...]) -> Estimate | None:
    left, right = coster.type(args[0]), coster.type(args[1])
    if left != right or left.kind != "abstract":
        return None
    if left.name in UNIT_TYPES:
        return Estimate(ONE)
    if left.name == "kubernetes.NamedFormat":
        return Estimate(Range(1, 64).scaled(TRAVERSAL))
    if left.name == "kubernetes.URL":
        size = coster.size(args[1])
        return Estimate(Range(1, size.most if size is not None else 1).scaled(TRAVERSAL))
    return None


def _extension(coster: _Coster, node: Call) -> Estimate | None:
    """Lists and sets of cel-go's extensions (ext/lists.go version 3, ext/sets.go)."""
    target, args = node.target, node.args
    if node.function.startswith("sets.") and len(args) == 2:
        product = coster.size_or_unknown(args[0]).times(coster.size_or_unknown(args[1]))
        return Estimate(product.scaled(2 if node.function == "sets.equivalent" else 1).plus(ONE))
    if node.function == "lists.range" and args:
        return _allocated(fixed(_number(args[0], MOST)), 1)
    if target is None:
        return None
    size = coster.size_or_unknown(target)
    match node.function:
        case "slice" if len(args) == 2:
            return _allocated(fixed(max(_number(args[1], size.most) - _number(args[0], 0), 0)), 1)
        case "reverse":
            return _allocated(size, 1)
        case "flatten":
            return _allocated(size, float(_number(args[0], MOST)) if args else 1)
        case "distinct":
            return Estimate(_allocated(size.times(size), 2).cost, size)
        case "sort" | "@sortByAssociatedKeys":
            by = coster.size_or_unknown(args[0]) if args else size
            return Estimate(_allocated(by.times(by), 2.1).cost, size)
    return None


def _allocated(size: Range, factor: float) -> Estimate:
    return Estimate(size.scaled(factor).plus(fixed(11)), size)


def _number(node: Node, otherwise: int) -> int:
    if isinstance(node, Const) and isinstance(node.value, int) and node.value >= 0:
        return node.value
    return otherwise


def standard(coster: _Coster, node: Call, overload: str) -> Estimate:
    """Functions of CEL's standard library, by overload; what is not listed costs 1."""
    target, args = node.target, node.args
    match overload:
        case "string_format" if target is not None:
            return Estimate(coster.size_or_unknown(target).scaled(TRAVERSAL))
        case "string_to_bytes" if len(args) == 1:
            size = coster.size_or_unknown(args[0])
            return Estimate(size.scaled(TRAVERSAL), Range(size.least, capped(size.most * 4)))
        case "bytes_to_string" if len(args) == 1:
            size = coster.size_or_unknown(args[0])
            return Estimate(size.scaled(TRAVERSAL), Range(size.least // 4, size.most))
        case "strings_quote" if len(args) == 1:
            size = coster.size_or_unknown(args[0])
            return Estimate(size.scaled(TRAVERSAL), Range(size.least + 2, capped(size.most * 2 + 2)))
        case "starts_with_string" | "ends_with_string" if len(args) == 1:
            return Estimate(coster.size_or_unknown(args[0]).scaled(TRAVERSAL))
        case "in_list" if len(args) == 2:
            return Estimate(coster.size_or_unknown(args[1]))
        case "matches_string" | "matches" if target is not None and len(args) == 1:
            cost = coster.size_or_unknown(target).plus(ONE).scaled(TRAVERSAL)
            return Estimate(cost.times(coster.size_or_unknown(args[0]).scaled(REGEX_LENGTH)))
        case "contains_string" if target is not None and len(args) == 1:
            cost = coster.size_or_unknown(target).scaled(TRAVERSAL)
            return Estimate(cost.times(coster.size_or_unknown(args[0]).scaled(TRAVERSAL)))
        case (
            "less_string"
            | "greater_string"
            | "less_equals_string"
            | "greater_equals_string"
            | "less_bytes"
            | "greater_bytes"
            | "less_equals_bytes"
            | "greater_equals_bytes"
            | "equals"
            | "not_equals"
        ):
            smallest = min(coster.size_or_unknown(args[0]).most, coster.size_or_unknown(args[1]).most)
            return Estimate(Range(1 if smallest > 0 else 0, smallest).scaled(TRAVERSAL))
    return Estimate(ONE)
