"""What Go's JSON and YAML decoders say of a body: syntax errors, duplicate fields, values as `%v` prints them; pure.

The messages are those of encoding/json, sigs.k8s.io/json and sigs.k8s.io/yaml, which clients see in Statuses and warnings.
"""

from __future__ import annotations

import json
import re
from typing import Any

KEY = re.compile(rb'"\s*:')


def syntax_error(data: bytes) -> str:
    """encoding/json's words for a text that is no JSON document."""
    text = data.decode("latin-1")
    try:
        json.loads(text)
    except RecursionError:
        return "exceeded max depth"
    except json.JSONDecodeError as e:
        at = e.pos
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at >= len(text) or e.msg.startswith("Unterminated"):
            return "unexpected end of JSON input"
        quoted = _quoted(text[at])
        if e.msg == "Extra data":
            return f"invalid character {quoted} after top-level value"
        if e.msg == "Expecting value":
            return f"invalid character {quoted} looking for beginning of value"
        if e.msg.startswith("Expecting property name"):
            return f"invalid character {quoted} looking for beginning of object key string"
        if e.msg.startswith("Expecting ':'"):
            return f"invalid character {quoted} after object key"
        if e.msg.startswith("Expecting ','"):
            inside = "array element" if _in_array(text[:at]) else "object key:value pair"
            return f"invalid character {quoted} after {inside}"
        if e.msg.startswith("Invalid control character"):
            return f"invalid character {quoted} in string literal"
        return f"invalid character {quoted} in string escape code"
    return "invalid UTF-8 or number"


def _quoted(character: str) -> str:
    if character == "'":
        return r"'\''"
    if character == '"':
        return "'\"'"
    if character.isprintable() and ord(character) < 128:
        return f"'{character}'"
    named = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\b": r"\b", "\f": r"\f", "\\": r"\\"}
    if character in named:
        return f"'{named[character]}'"
    code = ord(character)
    if code < 32 or code == 127:
        return rf"'\x{code:02x}'"
    return f"'{character}'" if character.isprintable() else rf"'\u{code:04x}'"


def _in_array(text: str) -> bool:
    """Whether the innermost bracket that is open at the end of a text is a square one."""
    open_: list[str] = []
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        if token[0] in "[{":
            open_.append(token[0])
        elif token[0] in "]}" and open_:
            open_.pop()
    return bool(open_) and open_[-1] == "["


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, so that keys given twice are still there."""


def _keys(tree: Any) -> int:
    if isinstance(tree, dict):
        return len(tree) + sum(_keys(v) for v in tree.values() if isinstance(v, (dict, list)))
    return sum(_keys(v) for v in tree if isinstance(v, (dict, list))) if isinstance(tree, list) else 0


def duplicates(data: bytes, tree: Any) -> list[str]:
    """`duplicate field "data.a"` for each key that an object has twice. `tree` is the text decoded."""
    if len(KEY.findall(data)) == _keys(tree):  # a key is at least one match, so equal numbers mean none is hidden
        return []
    found: list[str] = []
    _walk(json.loads(data, object_pairs_hook=_Pairs), "", found)
    return found


def _walk(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, child in value:
            where = f"{path}.{key}" if path else key
            if key in seen:
                told = f'duplicate field "{where}"'
                if told not in found:
                    found.append(told)
            seen.add(key)
            _walk(child, where, found)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            _walk(child, f"{path}[{i}]", found)


def printed(value: Any) -> str:
    """A tree as Go's `%v` prints it: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{printed(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(printed, value)) + "]"
    if value is None:
        return "<nil>"
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def summary(data: bytes, limit: int = 30) -> str:
    """The first of a body, as a decoding error shows it (endpoints/handlers/rest.go summarizeData)."""
    if not data:
        return "<empty>"
    shown = data[:limit].decode(errors="replace") if data[:1] == b"{" else data[:limit].hex()
    return shown + (" ..." if len(data) > limit else "")
