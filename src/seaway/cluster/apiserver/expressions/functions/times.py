"""Parts of timestamps and durations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from seaway.cluster.apiserver.expressions.functions.overloads import Overload
from seaway.cluster.apiserver.expressions.values import SECOND, Duration, Timestamp, local


def _part(get: Callable[[datetime], int]) -> tuple[Overload, ...]:
    return (
        Overload((Timestamp,), lambda t: get(local(t))),
        Overload((Timestamp, str), lambda t, zone: get(local(t, zone))),
    )


def _whole(unit: int) -> tuple[Overload, ...]:
    def count(value: Duration) -> int:
        whole = abs(value.nanoseconds) // unit
        return whole if value.nanoseconds >= 0 else -whole

    return (Overload((Duration,), count),)


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "getFullYear": _part(lambda t: t.year),
    "getMonth": _part(lambda t: t.month - 1),
    "getDayOfYear": _part(lambda t: t.timetuple().tm_yday - 1),
    "getDayOfMonth": _part(lambda t: t.day - 1),
    "getDate": _part(lambda t: t.day),
    "getDayOfWeek": _part(lambda t: (t.weekday() + 1) % 7),
    "getHours": _part(lambda t: t.hour) + _whole(3600 * SECOND),
    "getMinutes": _part(lambda t: t.minute) + _whole(60 * SECOND),
    "getSeconds": _part(lambda t: t.second) + _whole(SECOND),
    "getMilliseconds": _part(lambda t: t.microsecond // 1000)
    + (Overload((Duration,), lambda d: d.nanoseconds // 1_000_000 % 1000),),
}
