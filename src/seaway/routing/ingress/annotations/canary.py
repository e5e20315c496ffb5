"""Canaries (ingress-nginx, annotations/canary): an Ingress that is a second backend for another one's paths."""

from __future__ import annotations

import re
from typing import NamedTuple

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import flag, header_value, regex, token, whole
from seaway.routing.ir import ValueMatch

# All that counts of a canary Ingress: the rest comes from the Ingress whose paths it has.
OWN = ("load-balance", "upstream-hash-by")


class Canary(NamedTuple):
    """`header` in lower case. `value` and `pattern` instead of `always`, the former first."""

    header: str = ""
    value: str = ""
    pattern: str = ""
    cookie: str = ""
    weight: int = 0
    total: int = 100

    def ways(self) -> list[tuple[ValueMatch, bool]]:
        """What leads to the canary (True) or away from it, in order: header before cookie (and both before chance)."""
        found = []
        if self.header and self.value:
            found.append((ValueMatch(self.header, "exact", self.value), True))
        elif self.header and self.pattern:
            # ngx.re.match looks anywhere in the value.
            found.append((ValueMatch(self.header, "regex", f"(?s:.*)(?:{self.pattern})(?s:.*)"), True))
        elif self.header:
            found.append((ValueMatch(self.header, "exact", "always"), True))
            found.append((ValueMatch(self.header, "exact", "never"), False))
        if self.cookie:
            name = re.sub(r"[^A-Za-z0-9_-]", lambda m: f"\\{m[0]}", self.cookie)
            for word, there in (("always", True), ("never", False)):
                found.append((ValueMatch("cookie", "regex", f"(?:.*; *)?{name}={word}(?: *;.*)?"), there))
        return found


def canary(reader: Reader) -> Canary | None:
    """The canary that an Ingress is, None for none."""
    enabled = reader.get("canary", flag, False, "false is taken")
    header = reader.get("canary-by-header", token, "")
    total = max(reader.get("canary-weight-total", whole(1, 1_000_000), 100, "100 is taken"), 100)
    weight = reader.get("canary-weight", whole(0, 1_000_000), 0, "0 is taken")
    found = Canary(
        header.lower(),
        reader.get("canary-by-header-value", header_value, ""),
        reader.get("canary-by-header-pattern", regex, ""),
        reader.get("canary-by-cookie", token, ""),
        min(weight, total),
        total,
    )
    if not enabled and any((header, found.cookie, weight)):
        first = next(n for n in ("canary-by-header", "canary-by-cookie", "canary-weight") if reader.has(n))
        reader.wrong(first, 'the Ingress is no canary without the annotation canary: "true"')
    return found if enabled else None



