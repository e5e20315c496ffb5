"""`format` of strings (cel-go ext/formatting.go)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from seaway.cluster.apiserver.expressions.values import (
    Duration,
    EvaluationError,
    Timestamp,
    TypeValue,
    Uint,
    format_double,
    show_duration,
    show_timestamp,
    type_name,
)
from seaway.cluster.apiserver.status import quoted

MOST_DIGITS = 1000
SPECIAL = ("NaN", "Infinity", "-Infinity")
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
CLAUSE = re.compile(r"%(%|(?:\.(\d{1,9}))?([a-zA-Z]))?", re.ASCII)


def format(template: str, args: list[Any]) -> str:
    """A template with clauses %s %d %f %e %b %x %X %o, each for the next argument."""
    found: list[str] = []
    at = used = 0
    for clause in CLAUSE.finditer(template):
        found.append(template[at : clause.start()])
        at = clause.end()
        if clause.group(1) == "%":
            found.append("%")
            continue
        if clause.group(3) is None:
            raise EvaluationError(
                "unexpected end of string" if at == len(template) else "could not parse formatting clause"
            )
        if used >= len(args):
            raise EvaluationError(f"index {used} out of range")
        precision = int(clause.group(2)) if clause.group(2) is not None else None
        if precision is not None and precision > MOST_DIGITS:
            raise EvaluationError(f"precision {precision} exceeds maximum allowed precision {MOST_DIGITS}")
        try:
            found.append(_clause(clause.group(3), args[used], precision))
        except EvaluationError as e:
            raise EvaluationError(f"error during formatting: {e}") from None
        used += 1
    found.append(template[at:])
    return "".join(found)


def _clause(verb: str, value: Any, precision: int | None) -> str:
    match verb:
        case "s":
            return shown(value)
        case "d":
            if _integral(value):
                return str(int(value))
            raise EvaluationError(f"decimal clause can only be used on integers, was given {type_name(value)}")
        case "f":
            return _number(value, "fixed-point", lambda v: f"{v:,.{6 if precision is None else precision}f}")
        case "e":
            return _number(value, "scientific", lambda v: _scientific(v, 6 if precision is None else precision))
        case "b":
            if isinstance(value, bool):
                return "1" if value else "0"
            if isinstance(value, int):
                return f"{int(value):b}"
            raise EvaluationError(f"only integers and bools can be formatted as binary, was given {type_name(value)}")
        case "x" | "X":
            return _hexadecimal(value, verb)
        case "o":
            if _integral(value):
                return f"{int(value):o}"
            raise EvaluationError(f"octal clause can only be used on integers, was given {type_name(value)}")
    raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def _integral(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any, noun: str, show: Callable[[float], str]) -> str:
    """A double as golang.org/x/text prints it in English."""
    if isinstance(value, str) and value in SPECIAL:
        value = float(value)
    if not isinstance(value, float):
        raise EvaluationError(f"{noun} clause can only be used on doubles, was given {type_name(value)}")
    if math.isnan(value) or math.isinf(value):
        return {"nan": "NaN", "inf": "∞", "-inf": "-∞"}[str(value)]
    return show(value)


def _scientific(value: float, precision: int) -> str:
    mantissa, _, exponent = f"{value:.{precision}e}".partition("e")
    return f"{mantissa}×10{exponent.removeprefix('+').translate(RAISED)}"


def _hexadecimal(value: Any, verb: str) -> str:
    if _integral(value):
        return f"{int(value):{verb}}"
    if isinstance(value, (str, bytes)):
        data = value.encode() if isinstance(value, str) else value
        return data.hex().upper() if verb == "X" else data.hex()
    raise EvaluationError(
        f"only integers, byte buffers, and strings can be formatted as hex, was given {type_name(value)}"
    )


def shown(value: Any) -> str:
    """A value as %s shows it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, (int, Uint)):
        return str(int(value))
    if isinstance(value, float):
        return format_double(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Duration):
        return show_duration(value)
    if isinstance(value, Timestamp):
        return show_timestamp(value)
    if isinstance(value, TypeValue):
        return value.name
    if isinstance(value, list):
        return f"[{', '.join(_inside(v) for v in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}:{v}" for k, v in sorted((_inside(k), _inside(v)) for k, v in value.items())) + "}"
    raise EvaluationError(
        f"string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and "
        f"timestamps, was given {type_name(value)}"
    )


def _inside(value: Any) -> str:
    """A value inside a list or map: texts are quoted there."""
    text = shown(value)
    if isinstance(value, str):
        return quoted(text)
    return f"b{quoted(text)}" if isinstance(value, bytes) else text
