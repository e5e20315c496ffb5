"""Regular expressions of RE2 (cel-go matches, apiserver/pkg/cel/library/regex.go)."""

from __future__ import annotations

from seaway.cluster.apiserver.expressions import library
from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import EvaluationError
from seaway.re2 import syntax_error


def _told(pattern: str, error: ValueError) -> str:
    """What is wrong with a pattern, in Go's words."""
    told = syntax_error(pattern).removeprefix("error parsing regexp: ")
    return f"error parsing regexp: {told or error}"


def _matches(text: str, pattern: str) -> bool:
    try:
        return library.matches(text, pattern)
    except ValueError as e:
        raise EvaluationError(_told(pattern, e)) from None


def _find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    try:
        found = library.find_all(text, pattern)
    except ValueError as e:
        raise EvaluationError(f"Illegal regex: {_told(pattern, e)}") from None
    return found if most < 0 else found[:most]


def _find(text: str, pattern: str) -> str:
    return next(iter(_find_all(text, pattern)), "")


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "matches": one(_matches, str, str),
    "find": one(_find, str, str),
    "findAll": (Overload((str, str), _find_all), Overload((str, str, int), _find_all)),
}
