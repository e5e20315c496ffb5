"""The closures of a checked expression: names, fields, literals; calls are in `calls`, comprehensions in `folds`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seaway.cluster.apiserver.expressions import calls, constants, folds, operators
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
from seaway.cluster.apiserver.expressions.values import EvaluationError, Optional, TypeValue, Uint

Frame = list[Any]
Step = Callable[[Frame], Any]
Builder = Callable[[dict[str, Any]], Any]
COST, LIMIT, VARIABLES, SLOTS = 0, 1, 2, 3  # the places of a frame; closures write them as numbers, which is faster
LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40
TYPE_NAMES = {"null": "null_type", "timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}


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
                return calls.compile(self, node)
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Struct():
                return self._struct(node)
            case Fold():
                return folds.compile(self, node)

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

    def decl(self, typed: Type) -> Decl | None:
        return self.messages.get(typed.name) if typed.kind == "message" else None

    def field(self, operand: Node, field: str) -> tuple[str, Callable[[Any], Any] | None]:
        """The property behind an identifier and how its value is seen."""
        typed = self.checked.type_of(operand)
        if typed.kind == "abstract" and typed.params:
            typed = typed.params[0]
        decl = self.decl(typed)
        if decl is None or field not in decl.properties:
            return field, None
        return decl.names.get(field, field), decl.properties[field].view

    def _select(self, node: Select) -> Step:
        reference = self.checked.references.get(node.id)
        typed = self.checked.type_of(node)
        if reference is not None and reference.name:  # a name with dots in it
            return self._type_value(typed) if typed.kind == "type" else self._variable(reference.name)
        operand = self.compile(node.operand)
        key, view = self.field(node.operand, node.field)
        declared = self.decl(self.checked.type_of(node.operand)) is not None
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
