"""The worst case of an expression's cost, from the sizes that its schema allows (cel-go checker/cost.go).

Changes here decide which rules may be written: every number is upstream's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from seaway.cluster.apiserver.expressions import callestimates
from seaway.cluster.apiserver.expressions.callestimates import Estimate
from seaway.cluster.apiserver.expressions.declarations import Decl
from seaway.cluster.apiserver.expressions.estimates import MOST, ONE, UNKNOWN, ZERO, Range, fixed
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

Path = tuple[str, ...]
SCALAR = ("bool", "double", "duration", "int", "timestamp", "uint")
LIST_BASE, MAP_BASE, STRUCT_BASE = fixed(10), fixed(30), fixed(40)


class Entries(NamedTuple):
    """The sizes of what a list or map holds."""

    kind: str
    key: Range
    value: Range


@dataclass(slots=True)
class _Local:
    path: Path
    size: Range | None
    entries: Entries | None


def worst(checked: Checked, root: Decl | None) -> int:
    """The most that an expression may cost. `root` is the type of `self` and `oldSelf`; None where nothing is known."""
    return _Coster(checked, root).cost(checked.root).most


@dataclass(slots=True)
class _Coster:
    checked: Checked
    root: Decl | None
    paths: dict[int, Path] = field(default_factory=dict)
    sizes: dict[int, Range] = field(default_factory=dict)
    entry_sizes: dict[int, Entries] = field(default_factory=dict)
    locals: dict[str, list[_Local]] = field(default_factory=dict)

    def cost(self, node: Node) -> Range:
        match node:
            case Const():
                return ZERO
            case Ident():
                held = self._local(node.name)
                self.paths[node.id] = held.path if held is not None else (node.name,)
                return ONE
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Struct():
                total = STRUCT_BASE
                for part in node.fields:
                    total = total.plus(self.cost(part.value))
                return total
            case Fold():
                return self._bind(node) if _is_bind(node) else self._fold(node)

    def type(self, node: Node) -> Type:
        return self.checked.type_of(node)

    def _local(self, name: str) -> _Local | None:
        held = self.locals.get(name)
        return held[-1] if held else None

    def path(self, node: Node) -> Path:
        if isinstance(node, Ident):
            held = self._local(node.name)
            if held is not None:
                return held.path
        return self.paths.get(node.id, ())

    def _select(self, node: Select) -> Range:
        inner = self.cost(node.operand)
        if node.test:
            return inner  # presence tests are free (cel.PresenceTestHasCost(false))
        self.paths[node.id] = (*self.path(node.operand), node.field)
        if self.type(node.operand).kind in ("map", "message", "param"):
            return inner.plus(ONE)
        return inner

    def _list(self, node: ListOf) -> Range:
        total, items = LIST_BASE, Range(MOST if node.elements else 0, 0)
        for element in node.elements:
            total = total.plus(self.cost(element))
            items = items.union(self.size_or_unknown(element))
        self.entry_sizes[node.id] = Entries("list", ONE, items)
        return total

    def _map(self, node: MapOf) -> Range:
        least = MOST if node.entries else 0
        total, keys, values = MAP_BASE, Range(least, 0), Range(least, 0)
        for entry in node.entries:
            total = total.plus(self.cost(entry.key)).plus(self.cost(entry.value))
            keys = keys.union(self.size_or_unknown(entry.key))
            values = values.union(self.size_or_unknown(entry.value))
        self.entry_sizes[node.id] = Entries("map", keys, values)
        return total

    def _call(self, node: Call) -> Range:
        if node.function == "dyn" and node.args:
            cost = ONE.plus(self.cost(node.args[0]))
            self._copy(node, node.args[0])
            return cost
        costs = [self.cost(a) for a in node.args]
        reference = self.checked.references.get(node.id)
        overloads = reference.overloads if reference is not None else ()
        if not overloads:
            return ZERO
        total = self.cost(node.target) if node.target is not None else ZERO
        cost, size = Range(MOST, 0), None
        for overload in overloads:
            found = self._function(node, overload, costs)
            cost = cost.union(found.cost)
            if found.size is not None:
                size = found.size if size is None else size.union(found.size)
            if overload in ("index_list", "index_map") and node.args:
                held = self.entries(node.args[0])
                size = held.value if held is not None else None
                self.paths[node.id] = (*self.path(node.args[0]), "@items" if overload == "index_list" else "@values")
            if size is None:
                size = self.size(node)
        if size is not None:
            self.sizes[node.id] = size
        return total.plus(cost)

    def _function(self, node: Call, overload: str, costs: list[Range]) -> Estimate:
        arguments = ZERO
        for cost in costs:
            arguments = arguments.plus(cost)
        special = callestimates.kubernetes(self, node, overload)
        if special is not None:
            return Estimate(special.cost.plus(arguments), special.size)
        match overload:
            case "logical_and" | "logical_or":
                return Estimate(Range(costs[0].least, costs[0].plus(costs[1]).most))
            case "conditional":
                size = self.size_or_unknown(node.args[1]).union(self.size_or_unknown(node.args[2]))
                self._set_entries(node, _union(self.entries(node.args[1]), self.entries(node.args[2])))
                return Estimate(costs[0].plus(costs[1].union(costs[2])), size)
            case "add_string" | "add_bytes" | "add_list":
                size = self.size_or_unknown(node.args[0]).plus(self.size_or_unknown(node.args[1]))
                self._set_entries(node, _union(self.entries(node.args[0]), self.entries(node.args[1])))
                cost = ONE if overload == "add_list" else size.scaled(0.1)
                return Estimate(cost.plus(arguments), size)
        found = callestimates.standard(self, node, overload)
        return Estimate(found.cost.plus(arguments), found.size)

    def _fold(self, node: Fold) -> Range:
        total = self.cost(node.over).plus(self.cost(node.init))
        self._push(node.accu, self.path(node.init), self.size(node.init), self.entries(node.init))
        self._push_turns(node)
        loop = self.cost(node.condition)
        step = self.cost(node.step)
        self.locals[node.variable].pop()
        if node.second:
            self.locals[node.second].pop()
        total = total.plus(self.cost(node.result))
        self.locals[node.accu].pop()
        turns = self.size_or_unknown(node.over)
        total = total.plus(turns.times(step.plus(loop)))
        if isinstance(node.init, Const):
            size = self.size(node.init)
            if size is not None:
                self.sizes[node.id] = size
        elif isinstance(node.init, (ListOf, MapOf)):
            self.sizes[node.id] = turns
            self._set_entries(node, self.entries(node.step))
        return total

    def _push_turns(self, node: Fold) -> None:
        """The variables of a loop: where they lead to in the schema, and how large they are."""
        held, path = self.entries(node.over), self.path(node.over)
        kind = held.kind if held is not None else self.type(node.over).kind
        key, value = (held.key, held.value) if held is not None else (None, None)
        is_list = kind == "list"
        if node.second:
            self._push(node.variable, (*path, "@indices" if is_list else "@keys"), key, None)
            self._push(node.second, (*path, "@items" if is_list else "@values"), value, None)
        elif is_list:
            self._push(node.variable, (*path, "@items"), value, None)
        else:
            self._push(node.variable, (*path, "@keys"), key, None)

    def _push(self, name: str, path: Path, size: Range | None, entries: Entries | None) -> None:
        self.locals.setdefault(name, []).append(_Local(path, size, entries))

    def _bind(self, node: Fold) -> Range:
        total = self.cost(node.over).plus(self.cost(node.init))
        self._push(node.accu, self.path(node.init), self.size(node.init), self.entries(node.init))
        total = total.plus(self.cost(node.result))
        self.locals[node.accu].pop()
        self._copy(node, node.result)
        return total

    def _copy(self, to: Node, source: Node) -> None:
        size = self.size(source)
        if size is not None:
            self.sizes[to.id] = size
        self._set_entries(to, self.entries(source))

    def _set_entries(self, node: Node, entries: Entries | None) -> None:
        if entries is not None:
            self.entry_sizes[node.id] = entries

    def entries(self, node: Node) -> Entries | None:
        if node.id in self.entry_sizes:
            return self.entry_sizes[node.id]
        if isinstance(node, Ident):
            held = self._local(node.name)
            if held is not None:
                return held.entries
        return None

    def size(self, node: Node) -> Range | None:
        """The size of a node's value, if anything is known of it."""
        if node.id in self.sizes:
            return self.sizes[node.id]
        literal = _literal_size(node)
        if literal is not None:
            return literal
        found = self.declared(self.path(node))
        if found is not None:
            self.sizes[node.id] = found
            return found
        if _scalar(self.type(node)):
            return ONE
        if isinstance(node, Ident):
            held = self._local(node.name)
            if held is not None:
                return held.size
        return None

    def size_or_unknown(self, node: Node) -> Range:
        found = self.size(node)
        return UNKNOWN if found is None else found

    def declared(self, path: Path) -> Range | None:
        """The size that the schema gives at a path."""
        decl = self.root
        if not path or decl is None or path[0] in ("@result", "__result__"):
            return None
        for name in path[1:]:
            if name in ("@items", "@values"):
                inner = decl.element
            elif name == "@keys":
                inner = KEY if decl.kind == "map" else None
            else:
                inner = decl.properties.get(name)
            if inner is None:
                return None
            decl = inner
        return Range(0, decl.most)

    def items(self, node: Node) -> tuple[Type, Range] | None:
        """The type and size of a list's elements (library/cost.go listElementNode)."""
        params = self.type(node).params
        if not params:
            return None
        path = self.path(node)
        found = self.declared((*path, "@items")) if path else None
        return params[0], UNKNOWN if found is None else found


KEY = Decl("string", 2)


def _union(a: Entries | None, b: Entries | None) -> Entries | None:
    if a is None or b is None:
        return None
    return Entries(a.kind, a.key.union(b.key), a.value.union(b.value))


def _literal_size(node: Node) -> Range | None:
    match node:
        case Const():
            return fixed(len(node.value)) if isinstance(node.value, (str, bytes)) else ONE
        case ListOf():
            return fixed(len(node.elements))
        case MapOf():
            return fixed(len(node.entries))
    return None


def _scalar(type: Type) -> bool:
    if type.kind == "abstract" and type.name == "optional_type" and type.params:
        return _scalar(type.params[0])
    return type.kind in SCALAR


def _is_bind(node: Fold) -> bool:
    return (
        isinstance(node.over, ListOf)
        and not node.over.elements
        and isinstance(node.condition, Const)
        and node.condition.value is False
        and node.accu not in ("@result", "__result__")
    )
