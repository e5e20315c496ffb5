"""Conversions between types, `type`, `size`, and `dyn`."""

from __future__ import annotations

import math
import re
from typing import Any

from seaway.cluster.apiserver.expressions.functions import addresses
from seaway.cluster.apiserver.expressions.functions.numbers import timestamp, unsigned
from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import (
    INT_MAX,
    INT_MIN,
    SECOND,
    UINT_MAX,
    Duration,
    EvaluationError,
    Timestamp,
    TypeValue,
    Uint,
    format_double,
    no_overload,
    parse_duration,
    parse_timestamp,
    show_duration,
    show_timestamp,
    type_name,
)

TRUE, FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)
SPECIAL = re.compile(r"[+-]?(inf|infinity|nan)\Z", re.IGNORECASE)


def _failed(value: Any, wanted: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from '{type_name(value)}' to '{wanted}'")


def _int(value: Any) -> int:
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is Uint or kind is float:
        if (kind is float and (math.isnan(value) or not -(2.0**63) < value < 2.0**63)) or value > INT_MAX:
            raise EvaluationError("integer overflow")
        return int(value)
    if kind is str:
        if re.fullmatch(r"[+-]?\d{1,40}", value, re.ASCII) and INT_MIN <= int(value) <= INT_MAX:
            return int(value)
        raise _failed(value, "int")
    if kind is Timestamp:
        return int(value.nanoseconds // SECOND)
    if kind is Duration:
        return int(value.nanoseconds)
    raise no_overload()


def _uint(value: Any) -> Uint:
    kind = type(value)
    if kind is Uint:
        return Uint(value)
    if kind is int:
        return unsigned(value)
    if kind is float:
        if math.isnan(value) or not 0 <= value < 2.0**64:
            raise EvaluationError("unsigned integer overflow")
        return Uint(int(value))
    if kind is str:
        if re.fullmatch(r"\d{1,40}", value, re.ASCII) and int(value) <= UINT_MAX:
            return Uint(int(value))
        raise _failed(value, "uint")
    raise no_overload()


def _double(value: Any) -> float:
    kind = type(value)
    if kind in (int, float, Uint):
        return float(value)
    if kind is str:
        if SPECIAL.match(value) or (NUMBER.match(value) and not math.isinf(float(value))):
            return float(value)
        raise _failed(value, "double")
    raise no_overload()


def _string(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind in (int, Uint):
        return str(int(value))
    if kind is float:
        return format_double(value)
    if kind is bytes:
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
    if kind is Duration:
        return show_duration(value)
    if kind is Timestamp:
        return show_timestamp(value)
    if isinstance(value, (addresses.Address, addresses.Range)):
        return str(value)
    raise no_overload()


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if type(value) is str:
        if value in TRUE:
            return True
        if value in FALSE:
            return False
        raise _failed(value, "bool")
    raise no_overload()


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if type(value) is str:
        return value.encode("utf-8", "replace")
    raise no_overload()


def _duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    if type(value) is int:
        return Duration(value)
    if type(value) is str:
        found = parse_duration(value)
        if found is None:
            raise _failed(value, "google.protobuf.Duration")
        return found
    raise no_overload()


def _timestamp(value: Any) -> Timestamp:
    if isinstance(value, Timestamp):
        return value
    if type(value) is int:
        return timestamp(value * SECOND)
    if type(value) is str:
        found = parse_timestamp(value)
        if found is None:
            raise _failed(value, "google.protobuf.Timestamp")
        return found
    raise no_overload()


def _size(value: Any) -> int:
    if isinstance(value, (str, bytes, list, dict)):
        return len(value)
    raise no_overload()


def _itself(value: Any) -> Any:
    return value


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "int": one(_int, None),
    "uint": one(_uint, None),
    "double": one(_double, None),
    "string": one(_string, None),
    "bool": one(_bool, None),
    "bytes": one(_bytes, None),
    "duration": one(_duration, None),
    "timestamp": one(_timestamp, None),
    "dyn": one(_itself, None),
    "type": one(lambda value: TypeValue(type_name(value)), None),
    "size": one(_size, None),
}
