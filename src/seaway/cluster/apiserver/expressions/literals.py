"""What upstream's environment checks besides types: literals of one type, and durations, times and patterns that parse.

cel.HomogeneousAggregateLiterals and the AST validators of apiserver/pkg/cel/environment/base.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from seaway.cluster.apiserver.expressions.syntax import (
    Call,
    Checked,
    Const,
    Fold,
    ListOf,
    MapOf,
    Node,
    Select,
    Struct,
    Type,
)
from seaway.cluster.apiserver.expressions.values import FIRST, LAST, parse_duration, parse_timestamp
from seaway.re2 import syntax_error


def located(checked: Checked, node: Node, message: str) -> str:
    """An error as cel-go's Issues print it: where, what, the line, and a caret under the place."""
    offset = checked.position(node)
    before = checked.source[:offset]
    line, column = before.count("\n") + 1, offset - (before.rfind("\n") + 1)
    text = checked.source.split("\n")[line - 1]
    return f"ERROR: <input>:{line}:{column + 1}: {message}\n | {text}\n | {'.' * column}^"


def problems(checked: Checked) -> list[str]:
    found = []
    exempt: set[int] = set()  # what is formatted may be of any types (validator.go, exempt functions)
    for node in nodes(checked.root):
        if isinstance(node, Call) and node.function == "format":
            exempt |= {n.id for arg in node.args for n in _aggregates(arg)}
        if node.id in exempt:
            continue
        if isinstance(node, ListOf):
            found += _mixed(checked, [(e, i in node.optional) for i, e in enumerate(node.elements)])
        elif isinstance(node, MapOf):
            found += _mixed(checked, [(e.key, False) for e in node.entries])
            found += _mixed(checked, [(e.value, e.optional) for e in node.entries])
        elif isinstance(node, Call):
            found += _literal(checked, node)
    return found


def nodes(node: Node) -> Iterator[Node]:
    """A tree's nodes, each before its parts."""
    yield node
    for part in parts(node):
        yield from nodes(part)


def _aggregates(node: Node) -> Iterator[Node]:
    """A literal with the literals directly in it."""
    if isinstance(node, (ListOf, MapOf)):
        yield node
        for part in parts(node):
            yield from _aggregates(part)


def parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return (*((node.target,) if node.target is not None else ()), *node.args)
        case ListOf():
            return node.elements
        case MapOf():
            return tuple(x for e in node.entries for x in (e.key, e.value))
        case Struct():
            return tuple(f.value for f in node.fields)
        case Fold():
            return (node.over, node.init, node.condition, node.step, node.result)
    return ()


def shown(type: Type) -> str:
    match type.kind:
        case "list":
            return f"list({shown(type.params[0])})"
        case "map":
            return f"map({shown(type.params[0])}, {shown(type.params[1])})"
        case "null":
            return "null"
        case "abstract":
            inner = ", ".join(shown(p) for p in type.params)
            return f"{type.name}({inner})" if inner else type.name
        case "message" | "param":
            return type.name
        case "type":
            return f"type({shown(type.params[0])})"
    return type.kind


def _mixed(checked: Checked, elements: list[tuple[Node, bool]]) -> list[str]:
    """Elements of another type than those before them; dynamic ones go with all. Optional ones are what they hold."""
    expected: Type | None = None
    for element, optional in elements:
        type = checked.type_of(element)
        if optional and type.name == "optional_type":
            type = type.params[0]
        if type.kind in ("dyn", "error", "param") or "dyn" in (p.kind for p in type.params):
            continue
        if expected is None:
            expected = type
        elif expected != type:
            return [located(checked, element, f"expected type '{shown(expected)}' but found '{shown(type)}'")]
    return []


def _literal(checked: Checked, node: Call) -> list[str]:
    from seaway.cluster.apiserver.expressions import library

    if not node.args or not isinstance(node.args[-1], Const):
        return []
    text = node.args[-1].value
    if node.function == "timestamp" and isinstance(text, int) and not FIRST <= text <= LAST:
        return [located(checked, node.args[-1], "invalid timestamp argument")]
    if not isinstance(text, str):
        return []
    if node.function == "duration" and parse_duration(text) is None:
        return [located(checked, node.args[-1], "invalid duration argument")]
    if node.function == "timestamp" and parse_timestamp(text) is None:
        return [located(checked, node.args[-1], "invalid timestamp argument")]
    if node.function == "matches":
        try:
            library.matches("", text)
        except ValueError:
            return [located(checked, node.args[-1], "invalid matches argument")]
    return []


def bad_pattern(checked: Checked) -> str:
    """What is wrong with a constant pattern of find or findAll, which are compiled with the expression; "" if nothing is."""
    for node in nodes(checked.root):
        if isinstance(node, Call) and node.function in ("find", "findAll") and isinstance(node.args[0], Const):
            pattern = node.args[0].value
            told = syntax_error(pattern) if isinstance(pattern, str) else ""
            if told:
                return told.removeprefix("error parsing regexp: ")
    return ""
