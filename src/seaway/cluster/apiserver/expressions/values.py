"""CEL values: JSON trees as they are, and a class for each type that Python lacks; equality, order and sizes of them all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, NamedTuple

INT_MAX, INT_MIN, UINT_MAX = (1 << 63) - 1, -(1 << 63), (1 << 64) - 1
SECOND = 1_000_000_000


class EvaluationError(Exception):
    """What an expression came to instead of a value; the text is cel-go's."""


class CostExceeded(Exception):
    """An expression that costs more than it may (interpreter.EvalCancelledError)."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


def no_overload() -> EvaluationError:
    return EvaluationError("no such overload")


class Uint(int):
    """An unsigned integer, which is another type than int."""

    __slots__ = ()


class Duration(NamedTuple):
    nanoseconds: int


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """Nanoseconds since the epoch; the zone's offset (seconds) is for showing it only."""

    nanoseconds: int
    offset: int = field(default=0, compare=False)


class TypeValue(NamedTuple):
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Optional:
    """An optional value; `NONE` has none."""

    value: Any
    present: bool = True


NONE = Optional(None, False)


class SetList(list[Any]):
    """A list of x-kubernetes-list-type=set: equal in any order, added as a union."""

    __slots__ = ()


class MapList(list[Any]):
    """A list of x-kubernetes-list-type=map: entries of the same keys are the same."""

    __slots__ = ("keys",)

    def __init__(self, items: list[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def key(self, item: Any) -> tuple[Any, ...]:
        return tuple(_hashable(item.get(k)) for k in self.keys) if isinstance(item, dict) else (_hashable(item),)


def each(items: list[Any], view: Callable[[Any], Any]) -> list[Any]:
    """A list of the same semantics with every item seen through `view`."""
    found = [view(x) for x in items]
    if isinstance(items, SetList):
        return SetList(found)
    return MapList(found, items.keys) if isinstance(items, MapList) else found


def _hashable(value: Any) -> Any:
    """Something to look equal values up by."""
    if isinstance(value, dict):
        return ("map", frozenset((k, _hashable(v)) for k, v in value.items()))
    if isinstance(value, list):
        return ("list", tuple(_hashable(v) for v in value))
    if isinstance(value, bool):
        return ("bool", value)
    return value


def type_name(value: Any) -> str:
    """The name of a value's type, as `type()` gives it."""
    if value is None:
        return "null_type"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Uint):
        return "uint"
    for python, name in NAMES:
        if isinstance(value, python):
            return name
    return str(getattr(value, "cel_type", type(value).__name__))


NAMES: tuple[tuple[type, str], ...] = (
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (list, "list"),
    (dict, "map"),
    (Duration, "google.protobuf.Duration"),
    (Timestamp, "google.protobuf.Timestamp"),
    (TypeValue, "type"),
    (Optional, "optional_type"),
)
DIGITS = 30  # of a number in a duration; the largest has 19
SCALARS = frozenset((str, int, bool, float, bytes))


def equal(a: Any, b: Any) -> bool:
    """CEL's equality: numbers of all types compare by value, values of different types are unequal."""
    ta, tb = type(a), type(b)
    if ta is tb and ta in SCALARS:
        return bool(a == b)
    if a is None or b is None:
        return a is b
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool) and a == b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b
    if isinstance(a, list) and isinstance(b, list):
        return _lists_equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(k in b and equal(v, b[k]) for k, v in a.items())
    if ta is not tb:
        return False
    if isinstance(a, Optional):
        return a.present == b.present and (not a.present or equal(a.value, b.value))
    return bool(a == b)


def _lists_equal(a: list[Any], b: list[Any]) -> bool:
    if len(a) != len(b):
        return False
    if isinstance(a, SetList) or isinstance(b, SetList):
        return all(contains(b, x) for x in a)
    keyed = a if isinstance(a, MapList) else b
    if isinstance(keyed, MapList):
        by_key = {keyed.key(x): x for x in b}
        return all((k := keyed.key(x)) in by_key and equal(x, by_key[k]) for x in a)
    return all(equal(x, y) for x, y in zip(a, b, strict=True))


def contains(items: list[Any], wanted: Any) -> bool:
    return any(equal(x, wanted) for x in items)


def joined(a: list[Any], b: list[Any]) -> list[Any]:
    """`+` of lists: sets unite, and entries of keyed lists replace those of the same keys in place."""
    if isinstance(a, SetList):
        return SetList(a + [x for x in b if not contains(a, x)])
    if isinstance(a, MapList):
        found = list(a)
        at = {a.key(x): i for i, x in enumerate(found)}
        for item in b:
            key = a.key(item)
            if key in at:
                found[at[key]] = item
            else:
                at[key] = len(found)
                found.append(item)
        return MapList(found, a.keys)
    return a + b


def compared(a: Any, b: Any) -> int:
    """-1, 0 or 1, or the error that there is no such order."""
    ta, tb = type(a), type(b)
    if ta is not tb:
        numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
        if not numbers or ta is bool or tb is bool:
            raise no_overload()
    elif ta is str:
        a, b = (a, b) if a.isascii() and b.isascii() else (a.encode("utf-8", "replace"), b.encode("utf-8", "replace"))
    elif ta not in ORDERED:
        raise no_overload()
    if (isinstance(a, float) and math.isnan(a)) or (isinstance(b, float) and math.isnan(b)):
        raise EvaluationError("NaN values cannot be ordered")
    return int(a > b) - int(a < b)


ORDERED = frozenset((bool, int, Uint, float, str, bytes, Duration, Timestamp))


def size_of(value: Any) -> int:
    """The size that costs are counted by (interpreter/runtimecost.go actualSize)."""
    if isinstance(value, (str, bytes, list, dict)):
        return len(value)
    if isinstance(value, Optional) and value.present:
        return size_of(value.value)
    return 1


def traversal(value: Any) -> int:
    """The cost of walking a value as a tree (library/cost.go traversalCost)."""
    if isinstance(value, str):
        return int(len(value.encode("utf-8", "replace")) * 0.1)
    if isinstance(value, bytes):
        return int(len(value) * 0.1)
    if isinstance(value, list):
        return sum(traversal(x) for x in value)
    if isinstance(value, dict):
        return sum(traversal(k) + traversal(v) for k, v in value.items())
    return 1


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = -62135596800, 253402300799  # years 1 to 9999, as cel-go bounds timestamps


def parse_timestamp(text: str) -> Timestamp | None:
    """RFC 3339."""
    main, zone = text, ""
    if text[-1:] in ("Z", "z"):
        main, zone = text[:-1], "+00:00"
    elif len(text) > 6 and text[-6] in "+-" and text[-3] == ":":
        main, zone = text[:-6], text[-6:]
    else:
        return None
    whole, dot, fraction = main.partition(".")
    if dot and not (fraction.isascii() and fraction.isdigit()):
        return None
    try:
        base = datetime.strptime(f"{whole}{zone}", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
    if len(whole) != 19:
        return None
    seconds = int((base - EPOCH) // timedelta(seconds=1))
    offset = base.utcoffset() or timedelta()
    nanos = int((fraction + "000000000")[:9]) if dot else 0
    return Timestamp(seconds * SECOND + nanos, int(offset.total_seconds()))


def parse_date(text: str) -> Timestamp | None:
    return parse_timestamp(f"{text}T00:00:00Z") if len(text) == 10 else None


UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND}
UNITS["h"] = 3600 * SECOND


def parse_duration(text: str) -> Duration | None:
    """Go's time.ParseDuration."""
    rest, sign = text, 1
    if rest[:1] in ("+", "-"):
        sign, rest = (-1 if rest[0] == "-" else 1), rest[1:]
    if rest == "0":
        return Duration(0)
    if not rest:
        return None
    total = 0
    while rest:
        i = 0
        while i < len(rest) and rest[i].isascii() and rest[i].isdigit():
            i += 1
        whole, fraction = rest[:i], ""
        if i < len(rest) and rest[i] == ".":
            j = i + 1
            while j < len(rest) and rest[j].isascii() and rest[j].isdigit():
                j += 1
            fraction, i = rest[i + 1 : j], j
        if not (whole or fraction) or len(whole) > DIGITS or len(fraction) > DIGITS:
            return None
        k = i
        while k < len(rest) and rest[k] != "." and not (rest[k].isascii() and rest[k].isdigit()):
            k += 1
        unit = UNITS.get(rest[i:k])
        if unit is None:
            return None
        total += int(whole or "0") * unit
        if fraction:
            total += int(fraction) * unit // 10 ** len(fraction)
        rest = rest[k:]
    total *= sign
    return Duration(total) if INT_MIN <= total <= INT_MAX else None


def show_duration(value: Duration) -> str:
    """Seconds, as cel-go's string() of a duration."""
    seconds = value.nanoseconds / SECOND
    return f"{format_double(seconds, plain=True)}s"


def show_timestamp(value: Timestamp) -> str:
    seconds, nanos = divmod(value.nanoseconds, SECOND)
    base = (EPOCH + timedelta(seconds=seconds + value.offset)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    hours, minutes = divmod(abs(value.offset) // 60, 60)
    zone = f"{'-' if value.offset < 0 else '+'}{hours:02d}:{minutes:02d}" if value.offset else "Z"
    return (f"{base}.{nanos:09d}".rstrip("0") if nanos else base) + zone


def zone_of(name: str) -> tzinfo:
    """A time zone by name or as an offset."""
    if name in ("", "UTC"):
        return UTC
    sign, rest = (-1 if name[0] == "-" else 1), name.lstrip("+-")
    hours, colon, minutes = rest.partition(":")
    if colon and hours.isdigit() and minutes.isdigit():
        return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes)))
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError) as e:
        raise EvaluationError(f"unknown time zone {name}") from e


def local(value: Timestamp, zone: str = "") -> datetime:
    seconds, nanos = divmod(value.nanoseconds, SECOND)
    return (EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)).astimezone(zone_of(zone))


def format_double(value: float, plain: bool = False) -> str:
    """Go's strconv.FormatFloat with the shortest digits: 'g', or 'f' for `plain`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    digits = repr(abs(value)).partition("e")[0].replace(".", "").lstrip("0").rstrip("0") or "0"
    power = int(f"{value:.{len(digits) - 1}e}".partition("e")[2])
    sign = "-" if value < 0 else ""
    if not plain and (power < -4 or power >= 6):
        head = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{head}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if power >= len(digits) - 1:
        return sign + digits + "0" * (power - len(digits) + 1)
    if power >= 0:
        return sign + digits[: power + 1] + "." + digits[power + 1 :]
    return sign + "0." + "0" * (-power - 1) + digits
