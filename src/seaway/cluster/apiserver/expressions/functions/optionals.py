"""Optional values (cel-go cel/library.go OptionalTypes)."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import (
    FIRST,
    NONE,
    SECOND,
    Duration,
    EvaluationError,
    Optional,
    Timestamp,
)


def _zero(value: Any) -> bool:
    if value is None or value is False:
        return True
    if isinstance(value, Duration):
        return value.nanoseconds == 0
    if isinstance(value, Timestamp):
        return value.nanoseconds == FIRST * SECOND  # Go's zero time
    if isinstance(value, Optional):
        return not value.present
    return isinstance(value, (int, float, str, bytes, list, dict)) and not value


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise EvaluationError("optional.none() dereference")
    return optional.value


def _unwrapped(items: list[Any]) -> list[Any]:
    return [x.value for x in items if isinstance(x, Optional) and x.present]


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "optional.none": one(lambda: NONE),
    "optional.of": one(Optional, None),
    "optional.ofNonZeroValue": one(lambda v: NONE if _zero(v) else Optional(v), None),
    "hasValue": one(lambda o: o.present, Optional),
    "value": one(_value, Optional),
    "optional.unwrap": one(_unwrapped, list),
    "unwrapOpt": one(_unwrapped, list),
}
