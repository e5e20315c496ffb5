"""Arithmetic and order (cel-go common/types): overflow is an error, division truncates."""

from __future__ import annotations

import math
from typing import Any

from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import (
    FIRST,
    INT_MAX,
    INT_MIN,
    LAST,
    SECOND,
    UINT_MAX,
    Duration,
    EvaluationError,
    Timestamp,
    Uint,
    compared,
    contains,
    joined,
    no_overload,
)


def integer(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise EvaluationError("integer overflow")
    return value


def unsigned(value: int) -> Uint:
    if not 0 <= value <= UINT_MAX:
        raise EvaluationError("unsigned integer overflow")
    return Uint(value)


def _duration(value: int) -> Duration:
    if not INT_MIN <= value <= INT_MAX:
        raise EvaluationError("duration overflow")
    return Duration(value)


def timestamp(value: int, offset: int = 0) -> Timestamp:
    if not FIRST <= value // SECOND <= LAST:
        raise EvaluationError("timestamp overflow")
    return Timestamp(value, offset)


def _later(a: Timestamp, b: Duration) -> Timestamp:
    return timestamp(a.nanoseconds + b.nanoseconds, a.offset)


def _quotient(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("division by zero")
    value = abs(a) // abs(b)
    return value if (a < 0) == (b < 0) else -value


def _remainder(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("modulus by zero")
    if a == INT_MIN and b == -1:
        raise EvaluationError("integer overflow")
    return int(math.copysign(1, a)) * (abs(a) % abs(b))


def _divided(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def _times(a: float, b: float) -> float:
    return a * b


def within(item: Any, container: Any) -> bool:
    """`in`: an item of a list, or a key of a map."""
    if isinstance(container, list):
        return contains(container, item)
    if isinstance(container, dict):
        if isinstance(item, (dict, list)):
            return False
        return item in container and (not isinstance(item, bool) or any(k is item for k in container))
    raise no_overload()


def _not(value: bool) -> bool:
    return not value


SUMS: tuple[Overload, ...] = (
    Overload((float, float), lambda a, b: a + b),
    Overload((Uint, Uint), lambda a, b: unsigned(int(a) + int(b))),
    Overload((bytes, bytes), lambda a, b: a + b),
    Overload((Duration, Duration), lambda a, b: _duration(a.nanoseconds + b.nanoseconds)),
    Overload((Timestamp, Duration), _later),
    Overload((Duration, Timestamp), lambda a, b: _later(b, a)),
)


def added(a: Any, b: Any) -> Any:
    """`+`; integers and texts, which are added most, first."""
    ta, tb = type(a), type(b)
    if ta is int and tb is int:
        return integer(a + b)
    if ta is str and tb is str:
        return a + b
    if isinstance(a, list) and isinstance(b, list):
        return joined(a, b)
    for types, function in SUMS:
        if ta is types[0] and tb is types[1]:
            return function(a, b)
    raise no_overload()


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "_+_": one(added, None, None),
    "_-_": (
        Overload((int, int), lambda a, b: integer(a - b)),
        Overload((float, float), lambda a, b: a - b),
        Overload((Uint, Uint), lambda a, b: unsigned(int(a) - int(b))),
        Overload((Duration, Duration), lambda a, b: _duration(a.nanoseconds - b.nanoseconds)),
        Overload((Timestamp, Duration), lambda a, b: timestamp(a.nanoseconds - b.nanoseconds, a.offset)),
        Overload((Timestamp, Timestamp), lambda a, b: _duration(a.nanoseconds - b.nanoseconds)),
    ),
    "_*_": (
        Overload((int, int), lambda a, b: integer(a * b)),
        Overload((float, float), _times),
        Overload((Uint, Uint), lambda a, b: unsigned(int(a) * int(b))),
    ),
    "_/_": (
        Overload((int, int), lambda a, b: integer(_quotient(a, b))),
        Overload((float, float), _divided),
        Overload((Uint, Uint), lambda a, b: unsigned(_quotient(int(a), int(b)))),
    ),
    "_%_": (
        Overload((int, int), _remainder),
        Overload((Uint, Uint), lambda a, b: Uint(_remainder(int(a), int(b)))),
    ),
    "-_": (Overload((int,), lambda a: integer(-a)), Overload((float,), lambda a: -a)),
    "!_": one(_not, bool),
    "_<_": one(lambda a, b: a < b if type(a) is int and type(b) is int else compared(a, b) < 0, None, None),
    "_<=_": one(lambda a, b: a <= b if type(a) is int and type(b) is int else compared(a, b) <= 0, None, None),
    "_>_": one(lambda a, b: a > b if type(a) is int and type(b) is int else compared(a, b) > 0, None, None),
    "_>=_": one(lambda a, b: a >= b if type(a) is int and type(b) is int else compared(a, b) >= 0, None, None),
    "@in": one(within, None, None),
    "_in_": one(within, None, None),
    "in": one(within, None, None),
}
