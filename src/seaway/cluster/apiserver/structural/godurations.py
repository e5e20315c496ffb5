"""Durations as Go's time.ParseDuration reads them; pure."""

from __future__ import annotations

import re

PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def is_go_duration(text: str) -> bool:
    """`1h30m`, `-1.5s`, `0`: signed decimals with units, of less than 2^63 nanoseconds."""
    unsigned = text[1:] if text[:1] in ("-", "+") else text
    if unsigned == "0":
        return True
    total, at = 0, 0
    while at < len(unsigned):
        part = PART.match(unsigned, at)
        if part is None or not (part[1] or part[2]):
            return False
        unit = NANOSECONDS[part[3]]
        total += int(part[1] or 0) * unit + int(int(part[2] or 0) * unit / 10 ** len(part[2] or ""))
        if total > 2**63 or (total == 2**63 and not text.startswith("-")):
            return False
        at = part.end()
    return bool(unsigned)
