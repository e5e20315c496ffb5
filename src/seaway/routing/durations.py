"""Gateway API's durations (GEP-2257): `1h30m`, `500ms`."""

from __future__ import annotations

import re

_PART = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds(text: object) -> float:
    """The schema has seen to the form; what is no duration counts as 0."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(str(text or "")))
