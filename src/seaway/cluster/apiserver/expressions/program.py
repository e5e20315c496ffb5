"""Checked expressions as Python closures, which count what upstream's interpreter counts (cel-go interpreter/runtimecost.go).

A closure takes the frame, a list: the cost so far, the limit, the variables, and a slot for each variable of a comprehension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seaway.cluster.apiserver.expressions import callcost, constants, functions, operators
from seaway.cluster.apiserver.expressions.declarations import Decl
from seaway.cluster.apiserver.expressions.syntax import (
    Call,
    Checked,
    Const,
    Fold,
    Ident,
    ListOf,
    MapOf,
    Node,
    Select,
    Struct,
    Type,
)
from seaway.cluster.apiserver.expressions.values import (
    NONE,
    CostExceeded,
    EvaluationError,
    Optional,
    TypeValue,
    Uint,
    contains,
    each,
    equal,
    no_overload,
)

Frame = list[Any]
Step = Callable[[Frame], Any]
Builder = Callable[[dict[str, Any]], Any]
PER_CALL = 1_000_000
COST, LIMIT, VARIABLES, SLOTS = 0, 1, 2, 3
LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40
TYPE_NAMES = {"null": "null_type", "timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation came to: a value, or an error; and what it cost."""

    value: Any
    error: str
    cost: int
    exceeded: bool = False


class Program:
    """An expression ready to run; `builders` make the values of messages that are not a schema's."""

    __slots__ = ("checked", "slots", "step")

    def __init__(
        self,
        checked: Checked,
        messages: Mapping[str, Decl] | None = None,
        builders: Mapping[str, Builder] | None = None,
    ) -> None:
        builder = Compiler(checked, messages or {}, builders or {})
        self.checked = checked
        self.step = builder.compile(checked.root)
        self.slots = builder.most

    def run(self, variables: Mapping[str, Any], limit: int = PER_CALL) -> Outcome:
        frame: Frame = [0, limit, variables, *([None] * self.slots)]
        try:
            value = self.step(frame)
            if frame[COST] > limit:
                raise CostExceeded
        except EvaluationError as e:
            if frame[COST] > limit:
                return Outcome(None, str(CostExceeded()), frame[COST], True)
            return Outcome(None, str(e), frame[COST])
        except CostExceeded as e:
            return Outcome(None, str(e), frame[COST], True)
        except RecursionError:
            return Outcome(None, "expression nests too deeply", frame[COST])
        return Outcome(value, "", frame[COST])


class Compiler:
    """Makes the closures of one expression."""

    def __init__(self, checked: Checked, messages: Mapping[str, Decl], builders: Mapping[str, Builder]) -> None:
        self.checked, self.messages, self.builders = checked, messages, builders
        self.scopes: dict[str, list[int]] = {}
        self.used = self.most = 0

    def compile(self, node: Node) -> Step:
        folded = constants.value(self, node)
        if folded is not constants.VARIES:
            return lambda f: folded
        match node:
            case Const():
                value = Uint(node.value) if node.kind == "uint" else node.value
                return lambda f: value
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Struct():
                return self._struct(node)
            case Fold():
                return self._fold(node)

    def _ident(self, node: Ident) -> Step:
        name = node.name
        if self.scopes.get(name):
            slot = self.scopes[name][-1]

            def local(f: Frame) -> Any:
                f[0] += 1
                return f[slot]

            return local
        typed = self.checked.type_of(node)
        if typed.kind == "type":
            return self._type_value(typed)
        return self._variable(name)

    def _variable(self, name: str) -> Step:
        def variable(f: Frame) -> Any:
            f[0] += 1
            try:
                return f[2][name]
            except KeyError:
                raise EvaluationError(f"no such attribute(s): {name}") from None

        return variable

    def _type_value(self, typed: Type) -> Step:
        inner = typed.params[0] if typed.params else Type("type")
        value = TypeValue(inner.name or TYPE_NAMES.get(inner.kind, inner.kind))

        def run(f: Frame) -> Any:
            f[0] += 1
            return value

        return run

    def _decl(self, typed: Type) -> Decl | None:
        return self.messages.get(typed.name) if typed.kind == "message" else None

    def _field(self, operand: Node, field: str) -> tuple[str, Callable[[Any], Any] | None]:
        """The property behind an identifier and how its value is seen."""
        typed = self.checked.type_of(operand)
        if typed.kind == "abstract" and typed.params:
            typed = typed.params[0]
        decl = self._decl(typed)
        if decl is None or field not in decl.properties:
            return field, None
        return decl.names[field], decl.properties[field].view

    def _select(self, node: Select) -> Step:
        reference = self.checked.references.get(node.id)
        typed = self.checked.type_of(node)
        if reference is not None and reference.name:  # a name with dots in it
            return self._type_value(typed) if typed.kind == "type" else self._variable(reference.name)
        operand = self.compile(node.operand)
        key, view = self._field(node.operand, node.field)
        declared = self._decl(self.checked.type_of(node.operand)) is not None
        if node.test:

            def test(f: Frame) -> bool:
                return operators.has(operand(f), key)

            def test_field(f: Frame) -> bool:
                value = operand(f)
                return value.get(key) is not None if isinstance(value, dict) else operators.has(value, key)

            return test_field if declared else test
        if declared:
            return _field(operand, key, view)
        if view is None:

            def select(f: Frame) -> Any:
                value = operand(f)
                f[0] += 1
                if type(value) is dict:
                    try:
                        return value[key]
                    except KeyError:
                        raise EvaluationError(f"no such key: {key}") from None
                return operators.select(value, key)

            return select

        seen = view

        def select_view(f: Frame) -> Any:
            value = operand(f)
            f[0] += 1
            found = operators.select(value, key)
            if isinstance(found, Optional):
                return Optional(seen(found.value)) if found.present else found
            return seen(found)

        return select_view

    def _list(self, node: ListOf) -> Step:
        steps = tuple(self.compile(e) for e in node.elements)
        optional = node.optional
        if not optional:

            def plain(f: Frame) -> list[Any]:
                found = [s(f) for s in steps]
                f[0] += LIST_COST
                return found

            return plain

        def build(f: Frame) -> list[Any]:
            found = []
            for i, step in enumerate(steps):
                value = step(f)
                if i not in optional:
                    found.append(value)
                elif not isinstance(value, Optional):
                    raise EvaluationError(f"cannot initialize optional list element from non-optional value {value}")
                elif value.present:
                    found.append(value.value)
            f[0] += LIST_COST
            return found

        return build

    def _map(self, node: MapOf) -> Step:
        entries = tuple((self.compile(e.key), self.compile(e.value), e.optional) for e in node.entries)

        def build(f: Frame) -> dict[Any, Any]:
            found = _entries(((key(f), value(f), optional) for key, value, optional in entries))
            f[0] += MAP_COST
            return found

        return build

    def _struct(self, node: Struct) -> Step:
        fields = tuple((f.name, self.compile(f.value), f.optional) for f in node.fields)
        decl = self.messages.get(node.name)
        make = self.builders.get(node.name)
        name = node.name

        def build(f: Frame) -> Any:
            found = _entries(((key, value(f), optional) for key, value, optional in fields))
            f[0] += STRUCT_COST
            if make is not None:
                return make(found)
            if decl is None:
                raise EvaluationError(f"unknown type '{name}'")
            return {decl.names.get(k, k): v for k, v in found.items()}

        return build

    def _call(self, node: Call) -> Step:
        name, args = node.function, node.args
        match name:
            case "_&&_":
                return operators.conjunction(*(self.compile(a) for a in args))
            case "_||_":
                return operators.disjunction(*(self.compile(a) for a in args))
            case "_?_:_":
                return operators.conditional(*(self.compile(a) for a in args))
            case "@not_strictly_false" | "__not_strictly_false__":
                return operators.not_strictly_false(self.compile(args[0]))
            case "_==_" | "_!=_":
                return self._equality(name == "_==_", *args)
            case "_[_]":
                return self._index(*args)
            case "_?._":
                return self._optional_select(*args)
            case "_[?_]":
                return operators.optional_index(*(self.compile(a) for a in args))
            case "or" | "orValue" if node.target is not None:
                return operators.or_else(name, self.compile(node.target), self.compile(args[0]))
        return self._plain_call(node)

    def _plain_call(self, node: Call) -> Step:
        name = node.function
        if name == "@in" and len(node.args) == 2:
            among = constants.value(self, node.args[1])
            if isinstance(among, list):  # a set membership, which the interpreter does not count
                item = self.compile(node.args[0])
                return lambda f: contains(among, item(f))
        steps = tuple(self.compile(a) for a in ((node.target, *node.args) if node.target is not None else node.args))
        reference = self.checked.references.get(node.id)
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

    def _equality(self, wanted: bool, left: Node, right: Node) -> Step:
        a, b = self.compile(left), self.compile(right)
        deep_a, deep_b = self._deep(left), self._deep(right)
        if deep_a is not None or deep_b is not None:
            inner_a, inner_b = a, b
            a = inner_a if deep_a is None else (lambda f: deep_a(inner_a(f)))
            b = inner_b if deep_b is None else (lambda f: deep_b(inner_b(f)))
        kinds = (self.checked.type_of(left).kind, self.checked.type_of(right).kind)
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

    def _deep(self, node: Node) -> Callable[[Any], Any] | None:
        """What whole objects must pass for equality: where their lists compare as sets and times as times."""
        typed = self.checked.type_of(node)
        decl = self._decl(typed)
        if decl is not None:
            return decl.deep
        inner = self._decl(typed.params[-1]) if typed.kind in ("list", "map") else None
        if inner is None or inner.deep is None:
            return None
        one = inner.deep

        def view(value: Any) -> Any:
            if isinstance(value, dict):
                return {k: one(v) for k, v in value.items()}
            return each(value, one) if isinstance(value, list) else value

        return view

    def _index(self, operand: Node, index: Node) -> Step:
        a, b = self.compile(operand), self.compile(index)

        def run(f: Frame) -> Any:
            value, at = a(f), b(f)
            f[0] += 1
            return operators.index(value, at)

        return run

    def _optional_select(self, operand: Node, field: Node) -> Step:
        assert isinstance(field, Const)
        inner = self.compile(operand)
        key, view = self._field(operand, field.value)
        declared = self._decl(self.checked.type_of(operand)) is not None

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

    def slot(self, name: str) -> int:
        """A slot for a variable that comes into scope."""
        slot = SLOTS + self.used
        self.used += 1
        self.most = max(self.most, self.used)
        self.scopes.setdefault(name, []).append(slot)
        return slot

    def leave(self, name: str) -> None:
        self.scopes[name].pop()
        self.used -= 1

    def _fold(self, node: Fold) -> Step:
        from seaway.cluster.apiserver.expressions import folds

        return folds.compile(self, node)


def _field(operand: Step, key: str, view: Callable[[Any], Any] | None) -> Step:
    """A field of an object of a schema: one that is null is not there."""

    def select(f: Frame) -> Any:
        value = operand(f)
        f[0] += 1
        found = value.get(key) if type(value) is dict else operators.select(value, key)
        if found is None:
            raise EvaluationError(f"no such key: {key}")
        return found if view is None else view(found)

    return select


def _entries(entries: Any) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value, optional in entries:
        if optional:
            if not isinstance(value, Optional):
                raise EvaluationError(f"cannot initialize optional entry '{key}' from non-optional value {value}")
            if not value.present:
                continue
            value = value.value
        found[key] = value
    return found


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
