"""What Go's JSON and YAML decoders say of a body: syntax errors, duplicate fields, values as `%v` prints them; pure.

The messages are those of encoding/json, sigs.k8s.io/json and sigs.k8s.io/yaml, which clients see in Statuses and warnings.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

KEY = re.compile(rb'"\s*:')
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
CONSTANT = re.compile(r"(-Infinity)|(NaN|Infinity)")
HEX = tuple("0123456789abcdefABCDEF")
DIGITS = 309  # of the largest float64


def syntax_error(data: bytes) -> str:
    """encoding/json's words for a text that is no JSON document."""
    text = data.decode("latin-1")
    try:
        json.loads(text, parse_float=_finite, parse_int=_countable)
    except _TooLarge as e:
        return f"json: cannot unmarshal number {e} into Go value of type float64"
    except RecursionError:
        return "exceeded max depth"
    except json.JSONDecodeError as e:
        at = e.pos
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at >= len(text) or e.msg.startswith("Unterminated"):
            return "unexpected end of JSON input"
        if (closer := _closer(text, at, e.msg)) is not None:
            return closer
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
    try:
        data.decode()
    except UnicodeDecodeError as e:
        return f"invalid UTF-8 at byte {e.start}"
    if (constant := CONSTANT.search(STRING.sub(_blank, text))) is not None:
        if constant[1]:
            return "invalid character 'I' in numeric literal"
        return f"invalid character {_quoted(constant[2][0])} looking for beginning of value"
    return "invalid number"


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _closer(text: str, at: int, why: str) -> str | None:
    """What encoding/json's scanner says inside a literal, a number or an escape, which Python's looks at as a whole."""

    def told(index: int, where: str) -> str:
        return (
            f"invalid character {_quoted(text[index])} {where}" if index < len(text) else "unexpected end of JSON input"
        )

    if why == "Expecting value":
        literal = next((word for word in ("null", "true", "false") if word[0] == text[at]), None)
        if literal is not None:
            off = next((i for i, c in enumerate(literal) if text[at + i : at + i + 1] != c), 0)
            return told(at + off, f"in literal {literal} (expecting '{literal[off]}')")
        return told(at + 1, "in numeric literal") if text[at] == "-" else None
    if why.startswith("Invalid \\u"):
        start = text.rfind("\\u", 0, at + 2) + 2
        bad = next((i for i in range(start, start + 4) if text[i : i + 1] not in HEX), start)
        return told(bad, "in \\u hexadecimal character escape")
    if why.startswith("Invalid \\escape"):
        return told(at + 1, "in string escape code")
    if at and text[at - 1].isdigit() and text[at] == ".":
        return told(at + 1, "after decimal point in numeric literal")
    if at and text[at - 1].isdigit() and text[at] in "eE":
        return told(at + 1 + (text[at + 1 : at + 2] in ("+", "-")), "in exponent of numeric literal")
    return None


class _TooLarge(Exception):
    """A number that no float holds; the text is the number."""


def _countable(text: str) -> int:
    if len(text) > DIGITS:
        raise _TooLarge(text[:40])
    return int(text)


def _finite(text: str) -> float:
    found = float(text)
    if math.isinf(found):
        raise _TooLarge(text[:40])
    return found


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


def unambiguous(data: bytes) -> bool:
    """Whether a text is JSON in which no object has a key twice."""
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return len(KEY.findall(data)) == _keys(tree)


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


def summary(data: bytes, limit: int = 30) -> str:
    """The first of a body, as a decoding error shows it (endpoints/handlers/rest.go summarizeData)."""
    if not data:
        return "<empty>"
    shown = data[:limit].decode(errors="replace") if data[:1] == b"{" else data[:limit].hex()
    return shown + (" ..." if len(data) > limit else "")
