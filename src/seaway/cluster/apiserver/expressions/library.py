"""The one door to the CEL library (cel-expr-python, Google's C++): parsing, checking, and regular expressions of RE2.

It is loaded with the first expression, so that a cluster without any pays nothing for it.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from seaway.cluster.apiserver.expressions import literals, signatures, syntax
from seaway.cluster.apiserver.expressions.messages import Messages

# The library's own limit, which nothing changes; cel-go's is 250.
TOO_DEEP = "ERROR: <input>:1:1: expression recursion limit exceeded: 32"


class CompileError(Exception):
    """An expression that the checker refuses; the text is cel-go's, position and all."""


@functools.cache
def _cel() -> ModuleType:
    return importlib.import_module("cel_expr_python.cel")


class Environment:
    """What expressions may use: variables by name (a type's text each), messages of schemas, Kubernetes' functions."""

    def __init__(
        self,
        variables: Mapping[str, str],
        messages: Any = None,
        more: tuple[signatures.Signature, ...] = (),
        container: str = "",
    ) -> None:
        self.messages = messages
        cel = _cel()
        # Reading a configuration takes longer than all the rest: only what has no type of its own goes through it.
        plain = {n: cel.Type(t) for n, t in variables.items() if "optional_type<" not in t and "type<" not in t}
        config = _config(tuple((n, t) for n, t in variables.items() if n not in plain), more)
        self._env = cel.NewEnv(messages, config=config, variables=plain, container=container)

    def check(self, source: str) -> syntax.Checked:
        """An expression as a tree with types."""
        try:
            serialized = self._env.compile(source).serialize()
        except RuntimeError as e:
            raise CompileError(_as_upstream(str(e), source)) from None
        try:
            checked = syntax.decode(serialized, source)
            problems = literals.problems(checked)
        except RecursionError:
            raise CompileError(TOO_DEEP) from None
        if problems:
            raise CompileError("\n".join(problems))
        return checked

    @property
    def by_message(self) -> dict[str, Any]:
        return self.messages.by_name if isinstance(self.messages, Messages) else {}


def parsed(source: str) -> syntax.Node | None:
    """An expression's tree before it is checked; None where it can not be read."""
    try:
        return syntax.decode_parsed(_reader().compile(source, disable_check=True).serialize())
    except RuntimeError:  # a RecursionError is one, too
        return None


@functools.cache
def _reader() -> Any:
    return _cel().NewEnv(config=_config((), ()))


TYPE_VARIABLES = tuple((name, f"type<{name}>") for name in signatures.TYPES)


@functools.lru_cache(64)
def _config(variables: tuple[tuple[str, str], ...], more: tuple[signatures.Signature, ...]) -> Any:
    functions: dict[str, list[dict[str, Any]]] = {
        name: [
            {"id": f"{id}_{kind}", "args": [{"type_name": a}, {"type_name": b}], "return": {"type_name": "bool"}}
            for kind, a, b in signatures.ORDERED
        ]
        for name, id in signatures.ORDER
    }
    for overload, signature, result in signatures.ALL + more:
        entry = {"id": overload, "signature": signature, "return": result}
        functions.setdefault(signatures.name_of(signature), []).append(entry)
    return _cel().NewEnvConfigFromYaml(
        json.dumps(
            {
                "stdlib": {"exclude_functions": [{"name": n} for n in ("string", *dict(signatures.ORDER))]},
                "extensions": [{"name": n, "version": v} for n, v in signatures.EXTENSIONS.items()],
                "functions": [{"name": n, "overloads": o} for n, o in functions.items()],
                "variables": [{"name": n, "type": t} for n, t in (*variables, *TYPE_VARIABLES)],
            }
        )
    )


WORDINGS = (
    (re.compile(r"undefined field '(.*?)' not found in struct '.*?'"), r"undefined field '\1'"),
    (re.compile(r"has\(\) argument must be a field selection"), "invalid argument to has() macro"),
    (
        re.compile(r"expression of type '(.*?)' cannot be the operand of a select operation"),
        r"type '\1' does not support field selection",
    ),
    (re.compile(r"(expression of type '.*?') cannot be the range"), r"\1 cannot be range"),
)
MISMATCH = re.compile(r"found no matching overload for '([^']+)' applied to '\((.*?)\)'\n")


def _as_upstream(text: str, source: str) -> str:
    """The library's report in cel-go's words: what follows only from an earlier error is left out."""
    if "recursion depth" in text or "recursion limit" in text:
        return TOO_DEEP
    text = text.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    parts = re.split(r"\n(?=ERROR: )", text)
    told = [p for p in parts if "'*error*'" not in p] or parts
    text = "\n".join(dict.fromkeys(told))
    for pattern, wording in WORDINGS:
        text = pattern.sub(wording, text)
    if MISMATCH.search(text):
        members = _members(source)
        text = MISMATCH.sub(lambda m: _mismatch(m, members), text)
    return text


def _members(source: str) -> set[str]:
    """The functions that an expression calls on something."""
    root = parsed(source)
    calls = literals.nodes(root) if root is not None else ()
    return {n.function for n in calls if isinstance(n, syntax.Call) and n.target is not None}


def _mismatch(found: re.Match[str], members: set[str]) -> str:
    """The types of a call that fits no overload; of a member the receiver's stands before a dot."""
    name, types = found[1], found[2].replace("null_type", "null")
    if name not in members:
        return f"found no matching overload for '{name}' applied to '({types})'\n"
    depth, end = 0, len(types)
    for i, c in enumerate(types):
        depth += (c in "(<") - (c in ")>")
        if c == "," and depth == 0:
            end = i
            break
    return f"found no matching overload for '{name}' applied to '{types[:end]}.({types[end + 2 :]})'\n"


@functools.lru_cache(1024)
def _pattern(call: str, pattern: str) -> Any:
    """An expression over the variable `s` that applies a constant pattern; compiling it once is most of the cost."""
    cel = _cel()
    config = cel.NewEnvConfigFromYaml('{"extensions": [{"name": "optional"}, {"name": "regex"}]}')
    env = cel.NewEnv(config=config, variables={"s": cel.Type.STRING})
    quoted = "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in pattern)
    return env.compile(call.format(f"'{quoted}'"))


def _apply(call: str, pattern: str, text: str) -> Any:
    try:
        found = _pattern(call, pattern).eval(data={"s": text})
    except RuntimeError as e:
        raise ValueError(str(e)) from None
    if found.type() == _cel().Type.ERROR:
        raise ValueError(str(found.value()).removeprefix("INVALID_ARGUMENT: "))
    return found.plain_value()


def matches(text: str, pattern: str) -> bool:
    """Whether a pattern (RE2) occurs in a text; ValueError for no pattern."""
    return bool(_apply("s.matches({})", pattern, text))


def find_all(text: str, pattern: str) -> list[str]:
    """Every occurrence of a pattern. The library gives groups, so that the whole becomes the only one."""
    return list(_apply("regex.extractAll(s, {})", f"({_ungrouped(pattern)})", text))


def _ungrouped(pattern: str) -> str:
    """A pattern whose groups capture nothing."""
    found, i, inside = [], 0, False
    while i < len(pattern):
        c = pattern[i]
        if c == "\\":
            found.append(pattern[i : i + 2])
            i += 2
            continue
        if inside:
            inside = c != "]"
        elif c == "[":
            inside = True
            skip = 3 if pattern[i + 1 : i + 3] == "^]" else 2 if pattern[i + 1 : i + 2] == "]" else 1
            found.append(pattern[i : i + skip])
            i += skip
            continue
        elif c == "(":
            named = re.match(r"\(\?P?<[A-Za-z_]\w*>", pattern[i:])
            if named:
                found.append("(?:")
                i += named.end()
                continue
            if pattern[i + 1 : i + 2] != "?":
                found.append("(?:")
                i += 1
                continue
        found.append(c)
        i += 1
    return "".join(found)
