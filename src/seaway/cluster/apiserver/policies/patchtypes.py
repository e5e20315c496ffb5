"""The types that mutating policies write: `Object{spec: Object.spec{...}}` and `JSONPatch{...}` (pkg/cel/mutation).

An Object may have any field, each of any type. Protobuf, which the checker knows types by, has no such thing, and no type
`Object.spec` beside a field `spec` of `Object`: an expression is checked with the types and fields that occur in it, under
names of the same length in which the dots are underscores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from seaway.cluster.apiserver.expressions import library, literals
from seaway.cluster.apiserver.expressions.declarations import Decl
from seaway.cluster.apiserver.expressions.messages import Messages
from seaway.cluster.apiserver.expressions.syntax import Struct

OBJECT, JSON_PATCH = "Object", "JSONPatch"
TEXTS = ("op", "path", "from")
OPERATION = Decl("object", 2, properties={**{n: Decl("string", 2) for n in TEXTS}, "value": Decl("dyn", 1)})


class ObjectValue(dict[str, Any]):
    """An Object that an expression wrote; `type` is the name that it was written with."""

    __slots__ = ("type",)

    def __init__(self, type: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.type = type


class OperationValue(dict[str, Any]):
    """An operation of a JSON Patch that an expression wrote."""

    __slots__ = ()


class Renamed:
    """An expression under names that the checker takes, the types that it writes, and what makes their values."""

    def __init__(self, source: str) -> None:
        fields = _written(source)
        self.back = {name.replace(".", "_"): name for name in fields}
        self.source = source
        for name in sorted(self.back.values(), key=len, reverse=True):
            # A type's name stands before a brace; in a text it would have to be followed by one, too.
            self.source = re.sub(rf"\b{re.escape(name)}(?=\s*\{{)", name.replace(".", "_"), self.source)
        self.types = {
            renamed: Decl("object", 2, properties={f: Decl("dyn", 1) for f in sorted(fields[name])})
            for renamed, name in self.back.items()
        }
        self.types[JSON_PATCH] = OPERATION
        self.builders: dict[str, Any] = {r: _builder(n) for r, n in self.back.items()}
        self.builders[JSON_PATCH] = OperationValue

    def told(self, text: str) -> str:
        """An error in the names that the expression has."""
        for renamed in sorted(self.back, key=len, reverse=True):
            text = text.replace(renamed, self.back[renamed])
        return text


def _builder(name: str) -> Any:
    return lambda fields: ObjectValue(name, fields)


def _written(source: str) -> dict[str, set[str]]:
    """The Objects that an expression writes, with their fields; none where it can not be read."""
    found: dict[str, set[str]] = {}
    root = library.parsed(source)
    for node in literals.nodes(root) if root is not None else ():
        if isinstance(node, Struct) and (node.name == OBJECT or node.name.startswith(f"{OBJECT}.")):
            found.setdefault(node.name, set()).update(f.name for f in node.fields)
    return found


class PatchTypes(Messages):
    """The messages of an environment, and those that an expression writes."""

    def __init__(self, root: Decl, base: str, types: Mapping[str, Decl]) -> None:
        whole = Decl("object", 2, properties={**root.properties, **{f"patch_{n}": d for n, d in types.items()}})
        self._wanted = {id(d): n for n, d in types.items()}
        super().__init__(whole, base)

    def _collect(self, decl: Decl, name: str) -> None:
        super()._collect(decl, self._wanted.get(id(decl), name))
