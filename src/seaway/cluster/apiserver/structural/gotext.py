"""Values as Go prints them in errors: `%v` of numbers, `%q` of strings, encoding/json of the rest; pure."""

from __future__ import annotations

from typing import Any

import msgspec

from seaway.cluster.apiserver.status import quoted

INT64 = (-(2**63), 2**63 - 1)


def is_float(value: Any) -> bool:
    """Whether Go's decoder makes a float64 of a number: one with a point, an exponent or more than 64 bits."""
    if isinstance(value, bool):
        return False
    return isinstance(value, float) or (isinstance(value, int) and not INT64[0] <= value <= INT64[1])


def digits(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits and decimal point position of a float: 0.015 is ("", "15", -1)."""
    text = repr(value)
    sign = "-" if text.startswith("-") else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    both = (whole + fraction).rstrip("0")
    stripped = both.lstrip("0")
    if not stripped:
        return sign, "0", 1
    return sign, stripped, point - (len(both) - len(stripped))


def plain(value: float) -> str:
    """A float without an exponent (strconv.FormatFloat with 'f')."""
    sign, shown, point = digits(value)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{shown}"
    if point >= len(shown):
        return sign + shown + "0" * (point - len(shown))
    return f"{sign}{shown[:point]}.{shown[point:]}"


def scientific(value: float) -> str:
    sign, shown, point = digits(value)
    exponent = point - 1
    mantissa = shown[0] + (f".{shown[1:]}" if len(shown) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def number(value: int | float) -> str:
    """A number as `%v` prints it: a million as a float is 1e+06."""
    if not is_float(value):
        return str(value)
    value = float(value)
    _, _, point = digits(value)
    # strconv's %g with the shortest digits: an exponent below -4 or from 6 on
    return scientific(value) if value and not -4 <= point - 1 < 6 else plain(value)


def json_number(value: int | float) -> str:
    """A number as encoding/json writes it."""
    if not is_float(value):
        return str(value)
    value = float(value)
    size = abs(value)
    if size and (size < 1e-6 or size >= 1e21):
        text = scientific(value)
        return text[:-2] + text[-1] if text[-4:-1] == "e-0" else text  # e-09 is written e-9
    return plain(value)


def settled(value: Any) -> Any:
    """A tree with its numbers as Go writes and reads them back, in place: 5.0 is 5, what has over 64 bits is rounded."""
    if isinstance(value, dict):
        for name, child in value.items():
            if isinstance(child, (dict, list, float, int)):
                value[name] = settled(child)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            value[i] = settled(child)
    elif is_float(value):
        value = float(value)
        return int(text) if abs(value) < 1e21 and "." not in (text := plain(value)) else value
    return value


def json_text(value: Any) -> str:
    """A value as encoding/json writes it: keys sorted, `<`, `>` and `&` escaped."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_text(k)}:{json_text(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return json_number(value)
    text = msgspec.json.encode(value).decode()
    if isinstance(value, str):
        for character in "<>&\u2028\u2029":
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def printed(value: Any) -> str:
    """A tree as `%v` prints it: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{printed(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(printed, value)) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else number(value)


def shown(value: Any) -> str:
    """A bad value as field.Error shows it."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return json_text(value)
