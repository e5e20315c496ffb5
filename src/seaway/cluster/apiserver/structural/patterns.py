"""Patterns of schemas: Go's regular expressions (RE2); pure."""

from __future__ import annotations

import functools
import re


class Pattern:
    """A pattern that matches anywhere in a string, as Go's MatchString."""

    __slots__ = ("_found", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._found = _compiled(text)

    def matches(self, value: str) -> bool:
        return self._found is not None and self._found.search(value) is not None


# Escapes and classes stay as they are; a `$` outside of them is the end of the text only, not the line before it.
UNTOUCHED_OR_END = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]])*\])|\$", re.DOTALL)


@functools.lru_cache(maxsize=4096)
def _compiled(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(UNTOUCHED_OR_END.sub(lambda m: m[1] or r"\Z", text), re.ASCII)
    except re.error:
        return None


def syntax_error(text: str) -> str:
    """Why a pattern is no regular expression, "" when it is one."""
    return "" if _compiled(text) is not None else "error parsing regexp"
