"""Property names as CEL identifiers (apiserver/pkg/cel/escaping.go)."""

from __future__ import annotations

import re

RESERVED = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var void "
    "while".split()
)
SPECIAL = re.compile(r"__|[-./]")
VALID = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*\Z")
ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


def escaped(name: str) -> str | None:
    """The identifier of a property, or None where there is none."""
    if name in RESERVED:
        return f"__{name}__"
    if not VALID.match(name):
        return None
    return SPECIAL.sub(lambda m: ESCAPES[m.group()], name)
