"""What is wrong with a Corefile, told with its place and with what would be right; pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CorefileError(ValueError):
    """`Corefile:7: unknown property 'ttll' in kubernetes; did you mean ttl?`"""

    def __init__(self, file: str, line: int, message: str, directive: str = "") -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file, self.line, self.message, self.directive = file, line, message, directive


def meant(word: str, known: Iterable[str]) -> str:
    """`; did you mean ttl?` where one of the known words is close, else nothing."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""
