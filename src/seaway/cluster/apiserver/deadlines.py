"""How long a request may take: what its `timeout` parameter says, at most a minute; pure
(k8s.io/apiserver pkg/endpoints/filters/request_deadline.go)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from seaway.cluster.apiserver.status import ApiError, bad_request, quoted

LONGEST = 60.0
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"([0-9]*)(\.[0-9]*)?")
_UNIT = re.compile(r"[^0-9.]*")


def seconds(text: str) -> float:
    """Go's time.ParseDuration; ValueError in its words."""
    rest = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if rest == "0":
        return 0.0
    if not rest:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    total = 0.0
    while rest:
        number = _NUMBER.match(rest)
        if number is None or not (number[1] or (number[2] or ".") != "."):
            raise ValueError(f"time: invalid duration {quoted(text)}")
        rest = rest[number.end() :]
        unit = _UNIT.match(rest)
        name = unit[0] if unit is not None else ""
        if not name:
            raise ValueError(f"time: missing unit in duration {quoted(text)}")
        if name not in UNITS:
            raise ValueError(f"time: unknown unit {quoted(name)} in duration {quoted(text)}")
        total += float(number[0]) * UNITS[name]
        rest = rest[len(name) :]
    if total * 1e9 >= 2**63:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    return -total if text.startswith("-") else total


def of(query: Mapping[str, str]) -> float:
    """Seconds that a request may take; ApiError 400 where its parameter is none."""
    text = query.get("timeout")
    if not text:
        return LONGEST
    try:
        asked = seconds(text)
    except ValueError as e:
        raise bad_request(f"invalid timeout specified in the request URL - {e}") from None
    return asked if 0 < asked < LONGEST else LONGEST


def passed() -> ApiError:
    """504: the time is over."""
    told = "Timeout: request did not complete within requested timeout - context deadline exceeded"
    return ApiError(504, "Timeout", told, {})
