"""What an expression comes to whatever its variables are: such parts cost nothing (cel-go interpreter/optimizations.go).

Literals of lists and maps whose parts are constant, and conversions of constants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seaway.cluster.apiserver.expressions import functions
from seaway.cluster.apiserver.expressions.syntax import Call, Const, ListOf, MapOf, Node
from seaway.cluster.apiserver.expressions.values import EvaluationError, Uint

if TYPE_CHECKING:
    from seaway.cluster.apiserver.expressions.closures import Compiler

VARIES: Any = object()
CONVERSIONS = frozenset(("bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"))


def value(compiler: Compiler, node: Node) -> Any:
    """The value of a constant part; VARIES where there is none."""
    match node:
        case Const():
            return Uint(node.value) if node.kind == "uint" else node.value
        case ListOf() if not node.optional:
            return _all(compiler, node.elements)
        case MapOf() if not any(e.optional for e in node.entries):
            keys = _all(compiler, tuple(e.key for e in node.entries))
            values = _all(compiler, tuple(e.value for e in node.entries))
            return VARIES if keys is VARIES or values is VARIES else dict(zip(keys, values, strict=True))
        case Call() if node.function in CONVERSIONS and node.target is None and len(node.args) == 1:
            return _converted(compiler, node)
    return VARIES


def _all(compiler: Compiler, nodes: tuple[Node, ...]) -> Any:
    found = []
    for node in nodes:
        one = value(compiler, node)
        if one is VARIES:
            return VARIES
        found.append(one)
    return found


def _converted(compiler: Compiler, node: Call) -> Any:
    inner = value(compiler, node.args[0])
    function = functions.find(node.function, "", 1)
    if inner is VARIES or function is None:
        return VARIES
    try:
        return function(inner)
    except EvaluationError:
        return VARIES  # said when it is run
