"""The closures of calls, with what each call costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seaway.cluster.apiserver.expressions import callcost, constants, functions, operators
from seaway.cluster.apiserver.expressions.syntax import Call, Const, Node
from seaway.cluster.apiserver.expressions.values import NONE, Optional, contains, each, equal, no_overload

if TYPE_CHECKING:
    from seaway.cluster.apiserver.expressions.closures import Compiler

Frame = list[Any]
Step = Callable[[Frame], Any]


def compile(compiler: Compiler, node: Call) -> Step:
    """The closure of a call: operators that decide what they evaluate here, every other function by its overloads."""
    name, args = node.function, node.args
    match name:
        case "_&&_":
            return operators.conjunction(*(compiler.compile(a) for a in args))
        case "_||_":
            return operators.disjunction(*(compiler.compile(a) for a in args))
        case "_?_:_":
            return operators.conditional(*(compiler.compile(a) for a in args))
        case "@not_strictly_false" | "__not_strictly_false__":
            return operators.not_strictly_false(compiler.compile(args[0]))
        case "_==_" | "_!=_":
            return _equality(compiler, name == "_==_", *args)
        case "_[_]":
            return _index(compiler, *args)
        case "_?._":
            return _optional_select(compiler, *args)
        case "_[?_]":
            return operators.optional_index(*(compiler.compile(a) for a in args))
        case "or" | "orValue" if node.target is not None:
            return operators.or_else(name, compiler.compile(node.target), compiler.compile(args[0]))
    return _plain_call(compiler, node)


def _plain_call(compiler: Compiler, node: Call) -> Step:
    name = node.function
    if name == "@in" and len(node.args) == 2:
        among = constants.value(compiler, node.args[1])
        if isinstance(among, list):  # a set membership, which the interpreter does not count
            item = compiler.compile(node.args[0])
            return lambda f: contains(among, item(f))
    steps = tuple(compiler.compile(a) for a in ((node.target, *node.args) if node.target is not None else node.args))
    reference = compiler.checked.references.get(node.id)
    overloads = reference.overloads if reference is not None else ()
    overload = overloads[0] if len(overloads) == 1 else ""
    function = functions.find(name, overload, len(steps))
    if function is None:
        return _unknown(steps)
    cost = callcost.runtime(name, overload)
    if len(steps) == 1:
        return _unary(steps[0], function, cost)
    if len(steps) == 2:
        return _binary(steps[0], steps[1], function, cost)

    def run(f: Frame) -> Any:
        values = [s(f) for s in steps]
        result = function(*values)
        f[0] += 1 if cost is None else cost(values, result)
        return result

    return run


def _equality(compiler: Compiler, wanted: bool, left: Node, right: Node) -> Step:
    a, b = compiler.compile(left), compiler.compile(right)
    deep_a, deep_b = _deep(compiler, left), _deep(compiler, right)
    if deep_a is not None or deep_b is not None:
        inner_a, inner_b = a, b
        a = inner_a if deep_a is None else (lambda f: deep_a(inner_a(f)))
        b = inner_b if deep_b is None else (lambda f: deep_b(inner_b(f)))
    kinds = (compiler.checked.type_of(left).kind, compiler.checked.type_of(right).kind)
    if kinds[0] == kinds[1] and kinds[0] in ("int", "bool"):

        def simple(f: Frame) -> bool:
            x, y = a(f), b(f)
            f[0] += 1
            return (x == y) is wanted

        return simple

    def run(f: Frame) -> bool:
        x, y = a(f), b(f)
        f[0] += callcost.equality(x, y)
        return equal(x, y) is wanted

    return run


def _deep(compiler: Compiler, node: Node) -> Callable[[Any], Any] | None:
    """What whole objects must pass for equality: where their lists compare as sets and times as times."""
    typed = compiler.checked.type_of(node)
    decl = compiler.decl(typed)
    if decl is not None:
        return decl.deep
    inner = compiler.decl(typed.params[-1]) if typed.kind in ("list", "map") else None
    if inner is None or inner.deep is None:
        return None
    one = inner.deep

    def view(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: one(v) for k, v in value.items()}
        return each(value, one) if isinstance(value, list) else value

    return view


def _index(compiler: Compiler, operand: Node, index: Node) -> Step:
    a, b = compiler.compile(operand), compiler.compile(index)

    def run(f: Frame) -> Any:
        value, at = a(f), b(f)
        f[0] += 1
        return operators.index(value, at)

    return run


def _optional_select(compiler: Compiler, operand: Node, field: Node) -> Step:
    assert isinstance(field, Const)
    inner = compiler.compile(operand)
    key, view = compiler.field(operand, field.value)
    declared = compiler.decl(compiler.checked.type_of(operand)) is not None

    def run(f: Frame) -> Any:
        value = inner(f)
        f[0] += 1
        found = operators.optional_select(value, key)
        if declared and found.value is None:
            return NONE
        if view is not None and found.present:
            return Optional(view(found.value))
        return found

    return run


def _unknown(steps: tuple[Step, ...]) -> Step:
    def run(f: Frame) -> Any:
        for step in steps:
            step(f)
        raise no_overload()

    return run


def _unary(step: Step, function: Callable[..., Any], cost: callcost.Cost | None) -> Step:
    if cost is None:

        def plain(f: Frame) -> Any:
            value = step(f)
            f[0] += 1
            return function(value)

        return plain

    def run(f: Frame) -> Any:
        value = step(f)
        result = function(value)
        f[0] += cost((value,), result)
        return result

    return run


def _binary(left: Step, right: Step, function: Callable[..., Any], cost: callcost.Cost | None) -> Step:
    if cost is None:

        def plain(f: Frame) -> Any:
            a, b = left(f), right(f)
            f[0] += 1
            return function(a, b)

        return plain

    def run(f: Frame) -> Any:
        a, b = left(f), right(f)
        result = function(a, b)
        f[0] += cost((a, b), result)
        return result

    return run
