"""The tree of a checked expression, read from the library's serialized `cel.expr.CheckedExpr` (cel/expr/checked.proto)."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from seaway.protowire import read


class Type(NamedTuple):
    """A CEL type: `kind` is the field of checked.proto's Type, `name` that of a message, an abstract type or a parameter."""

    kind: str
    params: tuple[Type, ...] = ()
    name: str = ""


DYN = Type("dyn")
PRIMITIVES = ("dyn", "bool", "int", "uint", "double", "string", "bytes")
WELL_KNOWN = ("dyn", "dyn", "timestamp", "duration")


class Null:
    """CEL's null where None means that there is no constant."""


@dataclass(frozen=True, slots=True)
class Const:
    id: int
    value: Any
    kind: str


@dataclass(frozen=True, slots=True)
class Ident:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    id: int
    operand: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    id: int
    function: str
    target: Node | None
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    id: int
    elements: tuple[Node, ...]
    optional: frozenset[int]


@dataclass(frozen=True, slots=True)
class Entry:
    key: Node
    value: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class MapOf:
    id: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    value: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class Struct:
    id: int
    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """A comprehension; `second` is the second variable of those that have two."""

    id: int
    variable: str
    second: str
    over: Node
    accu: str
    init: Node
    condition: Node
    step: Node
    result: Node


Node = Const | Ident | Select | Call | ListOf | MapOf | Struct | Fold


class Reference(NamedTuple):
    name: str
    overloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """An expression that the checker took."""

    source: str
    root: Node
    types: dict[int, Type]
    references: dict[int, Reference]
    info: bytes = b""  # cel.expr.SourceInfo, which only errors are read for

    @property
    def type(self) -> Type:
        return self.type_of(self.root)

    def position(self, node: Node) -> int:
        """Where a node begins in the source, in code points."""
        for number, value in wire(self.info):
            if number == 4:
                entry = dict(wire(value))
                if signed(entry.get(1, 0)) == node.id:
                    return int(entry.get(2, 0))
        return 0

    def type_of(self, node: Node) -> Type:
        return self.types.get(node.id, DYN)


def wire(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message: numbers for varints, bytes for everything longer."""
    at, end = 0, len(data)
    while at < end:
        tag, at = read(data, at)
        number, how = tag >> 3, tag & 7
        if how == 0:
            value, at = read(data, at)
            yield number, value
        elif how == 2:
            size, at = read(data, at)
            yield number, data[at : at + size]
            at += size
        else:
            size = 8 if how == 1 else 4
            yield number, data[at : at + size]
            at += size


def signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def decode(serialized: bytes, source: str) -> Checked:
    """A google.protobuf.Any with a CheckedExpr as our tree."""
    inner = dict(wire(serialized))
    data = inner[2] if inner.get(1, b"").startswith(b"type.googleapis.com/") else serialized
    types: dict[int, Type] = {}
    references: dict[int, Reference] = {}
    info = b""
    root: Node | None = None
    for number, value in wire(data):
        if number == 2:
            entry = dict(wire(value))
            references[signed(entry.get(1, 0))] = _reference(entry.get(2, b""))
        elif number == 3:
            entry = dict(wire(value))
            types[signed(entry.get(1, 0))] = _type(entry.get(2, b""))
        elif number == 4:
            root = _node(value)
        elif number == 5:
            info = value
    assert root is not None
    return Checked(source, root, types, references, info)


def decode_parsed(serialized: bytes) -> Node:
    """A google.protobuf.Any with a ParsedExpr, which has no types yet, as our tree."""
    return _node(dict(wire(dict(wire(serialized))[2]))[2])


@functools.lru_cache(1024)
def _reference(data: bytes) -> Reference:
    name, overloads = "", []
    for number, value in wire(data):
        if number == 1:
            name = value.decode()
        elif number == 3:
            overloads.append(value.decode())
    return Reference(name, tuple(overloads))


@functools.lru_cache(1024)
def _type(data: bytes) -> Type:
    for number, value in wire(data):
        match number:
            case 1:
                return DYN
            case 2:
                return Type("null")
            case 3:
                return Type(PRIMITIVES[value])
            case 4:
                return Type("wrapper", (Type(PRIMITIVES[value]),))
            case 5:
                return Type(WELL_KNOWN[value])
            case 6:
                return Type("list", (_type(dict(wire(value)).get(1, b"")),))
            case 7:
                both = dict(wire(value))
                return Type("map", (_type(both.get(1, b"")), _type(both.get(2, b""))))
            case 9:
                return Type("message", (), value.decode())
            case 10:
                return Type("param", (), value.decode())
            case 11:
                return Type("type", (_type(value),))
            case 12:
                return Type("error")
            case 14:
                params = [_type(v) for n, v in wire(value) if n == 2]
                return Type("abstract", tuple(params), dict(wire(value))[1].decode())
    return DYN


def _node(data: bytes) -> Node:
    id, kind, body = 0, 0, b""
    for number, value in wire(data):
        if number == 2:
            id = signed(value)
        else:
            kind, body = number, value
    match kind:
        case 3:
            return _const(id, body)
        case 4:
            return Ident(id, dict(wire(body))[1].decode())
        case 5:
            parts = dict(wire(body))
            return Select(id, _node(parts.get(1, b"")), parts[2].decode(), bool(parts.get(3)))
        case 6:
            return _call(id, body)
        case 7:
            elements, optional = [], []
            for number, value in wire(body):
                if number == 1:
                    elements.append(_node(value))
                elif isinstance(value, bytes):
                    optional += _packed(value)
                else:
                    optional.append(value)
            return ListOf(id, tuple(elements), frozenset(optional))
        case 8:
            return _struct(id, body)
        case 9:
            parts = dict(wire(body))
            text = {n: parts[n].decode() if n in parts else "" for n in (1, 3, 8)}
            nodes = {n: _node(parts.get(n, b"")) for n in (2, 4, 5, 6, 7)}
            return Fold(id, text[1], text[8], nodes[2], text[3], nodes[4], nodes[5], nodes[6], nodes[7])
    return Const(id, None, "null")


def _packed(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = read(data, at)
        found.append(value)
    return found


def _call(id: int, body: bytes) -> Call:
    target: Node | None = None
    function, args = "", []
    for number, value in wire(body):
        if number == 1:
            target = _node(value)
        elif number == 2:
            function = value.decode()
        elif number == 3:
            args.append(_node(value))
    return Call(id, function, target, tuple(args))


def _struct(id: int, body: bytes) -> Node:
    name, raw = "", []
    for number, value in wire(body):
        if number == 1:
            name = value.decode()
        elif number == 2:
            raw.append(dict(wire(value)))
    if name:
        return Struct(id, name, tuple(Field(e[2].decode(), _node(e[4]), bool(e.get(5))) for e in raw))
    return MapOf(id, tuple(Entry(_node(e[3]), _node(e[4]), bool(e.get(5))) for e in raw))


def _const(id: int, body: bytes) -> Const:
    for number, value in wire(body):
        match number:
            case 2:
                return Const(id, bool(value), "bool")
            case 3:
                return Const(id, signed(value), "int")
            case 4:
                return Const(id, value, "uint")
            case 5:
                return Const(id, struct.unpack("<d", value)[0], "double")
            case 6:
                return Const(id, value.decode(), "string")
            case 7:
                return Const(id, value, "bytes")
    return Const(id, None, "null")
