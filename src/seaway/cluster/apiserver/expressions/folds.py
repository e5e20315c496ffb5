"""Comprehensions as loops: the shapes that the macros expand to run as loops of their own, every other one step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from seaway.cluster.apiserver.expressions.syntax import Call, Const, Fold, Ident, ListOf, MapOf, Node
from seaway.cluster.apiserver.expressions.values import CostExceeded, EvaluationError, no_overload

if TYPE_CHECKING:
    from seaway.cluster.apiserver.expressions.closures import Compiler

Frame = list[Any]
Step = Callable[[Frame], Any]


def compile(compiler: Compiler, node: Fold) -> Step:
    over, init = compiler.compile(node.over), compiler.compile(node.init)
    accu = compiler.slot(node.accu)
    first = compiler.slot(node.variable)
    second = compiler.slot(node.second) if node.second else 0
    bind = _single(first) if not node.second else _double(first, second)
    loop = _shape(compiler, node, accu)
    if node.second:
        compiler.leave(node.second)
    compiler.leave(node.variable)
    result = compiler.compile(node.result)
    compiler.leave(node.accu)

    def run(f: Frame) -> Any:
        items = over(f)
        f[accu] = init(f)
        loop(f, bind(f, items))
        held = f[accu]
        if isinstance(held, EvaluationError):
            raise held
        return result(f)

    return run


Turns = Iterator[None]
Loop = Callable[[Frame, Turns], None]


def _single(slot: int) -> Callable[[Frame, Any], Turns]:
    """One variable: the items of a list, the keys of a map."""

    def turns(f: Frame, items: Any) -> Turns:
        if not isinstance(items, (list, dict)):
            raise no_overload()
        for item in items:
            f[slot] = item
            if f[0] > f[1]:
                raise CostExceeded
            yield

    return turns


def _double(first: int, second: int) -> Callable[[Frame, Any], Turns]:
    """Two variables: index and item of a list, key and value of a map."""

    def turns(f: Frame, items: Any) -> Turns:
        if isinstance(items, list):
            pairs: Any = enumerate(items)
        elif isinstance(items, dict):
            pairs = items.items()
        else:
            raise no_overload()
        for f[first], f[second] in pairs:
            if f[0] > f[1]:
                raise CostExceeded
            yield

    return turns


def _is(node: Node, name: str) -> bool:
    return isinstance(node, Ident) and node.name == name


def _shape(compiler: Compiler, node: Fold, accu: int) -> Loop:
    step, init = node.step, node.init
    if isinstance(step, Call):
        own = bool(step.args) and _is(step.args[0], node.accu)
        if step.function == "_&&_" and own and isinstance(init, Const) and init.value is True:
            return _deciding(compiler.compile(step.args[1]), accu, False, 2)
        if step.function == "_||_" and own and isinstance(init, Const) and init.value is False:
            return _deciding(compiler.compile(step.args[1]), accu, True, 3)
        if isinstance(init, ListOf) and not init.elements:
            found = _collecting(compiler, node, step, accu)
            if found is not None:
                return found
        if isinstance(init, MapOf) and not init.entries:
            found = _inserting(compiler, node, step, accu)
            if found is not None:
                return found
    return _general(compiler, node, accu)


def _deciding(predicate: Step, accu: int, decides: bool, condition: int) -> Loop:
    """all and exists: the first item that decides ends the loop, errors count only if none does."""

    def loop(f: Frame, turns: Turns) -> None:
        for _ in turns:
            f[0] += condition + 1
            try:
                value = predicate(f)
            except EvaluationError as e:
                if not isinstance(f[accu], EvaluationError):
                    f[accu] = e
                continue
            if value is decides:
                f[accu] = decides
                f[0] += condition
                return
            if value is not (not decides) and not isinstance(f[accu], EvaluationError):
                f[accu] = no_overload()

    return loop


def _appended(node: Node, accu: str) -> tuple[Node, bool] | None:
    """What a step adds to the list that it collects; whether it is an optional element."""
    if not isinstance(node, Call) or node.function != "_+_" or not _is(node.args[0], accu):
        return None
    added = node.args[1]
    if not isinstance(added, ListOf) or len(added.elements) != 1:
        return None
    return added.elements[0], bool(added.optional)


def _collecting(compiler: Compiler, node: Fold, step: Call, accu: int) -> Loop | None:
    """map and filter."""
    predicate: Step | None = None
    added = step
    if step.function == "_?_:_" and _is(step.args[2], node.accu) and isinstance(step.args[1], Call):
        added = step.args[1]
    what = _appended(added, node.accu)
    if what is None or what[1]:
        return None
    if added is not step:
        predicate = compiler.compile(step.args[0])
    value = compiler.compile(what[0])

    def loop(f: Frame, turns: Turns) -> None:
        found: list[Any] = []
        f[accu] = found
        for _ in turns:
            if predicate is not None:
                wanted = predicate(f)
                if wanted is False:
                    f[0] += 1
                    continue
                if wanted is not True:
                    raise no_overload()
            found.append(value(f))
            f[0] += 12  # the list so far, a list of one, and their sum

    return loop


def _inserting(compiler: Compiler, node: Fold, step: Call, accu: int) -> Loop | None:
    """transformMap and transformMapEntry."""
    predicate: Step | None = None
    added = step
    if step.function == "_?_:_" and _is(step.args[2], node.accu) and isinstance(step.args[1], Call):
        added = step.args[1]
    if added.function != "cel.@mapInsert" or not _is(added.args[0], node.accu):
        return None
    if added is not step:
        predicate = compiler.compile(step.args[0])
    parts = tuple(compiler.compile(a) for a in added.args[1:])

    def loop(f: Frame, turns: Turns) -> None:
        found: dict[Any, Any] = {}
        f[accu] = found
        for _ in turns:
            if predicate is not None:
                wanted = predicate(f)
                if wanted is False:
                    f[0] += 1
                    continue
                if wanted is not True:
                    raise no_overload()
            values = [p(f) for p in parts]
            f[0] += 2
            new = {values[0]: values[1]} if len(values) == 2 else values[0]
            for key, value in new.items():
                if key in found:
                    raise EvaluationError(f"insert failed: key {key} already exists")
                found[key] = value

    return loop


def _general(compiler: Compiler, node: Fold, accu: int) -> Loop:
    condition, step = compiler.compile(node.condition), compiler.compile(node.step)

    def loop(f: Frame, turns: Turns) -> None:
        for _ in turns:
            if condition(f) is False:
                return
            f[accu] = step(f)

    return loop
