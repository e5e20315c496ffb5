"""Sets of indexes of an Indexed Job as text: `1,3-5,7` (pkg/apis/batch/validation)."""

from __future__ import annotations

import re


class IndexSetError(ValueError):
    """A set that cannot be read; the text says why."""


def _index(text: str, completions: int) -> int:
    if not re.fullmatch("[-+]?[0-9]+", text):
        raise IndexSetError(f'cannot convert string to integer for index: "{text}"')
    if len(text) > 18 or int(text) >= completions:
        raise IndexSetError(f'too large index: "{text}"')
    return int(text)


def _interval(text: str, completions: int) -> tuple[int, int]:
    limits = text.split("-")
    if len(limits) > 2:
        raise IndexSetError(
            f'the fragment "{text}" violates the requirement that an index interval can have at most two parts '
            "separated by '-'"
        )
    first = _index(limits[0], completions)
    if len(limits) == 1:
        return first, first
    last = _index(limits[1], completions)
    if first >= last:
        raise IndexSetError(f"non-increasing order, previous: {first}, current: {last}")
    return first, last


def intervals(text: str, completions: int) -> list[tuple[int, int]]:
    """The intervals of a set, in growing order; raises IndexSetError."""
    found: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        first, last = _interval(part, completions)
        if found and found[-1][1] >= first:
            raise IndexSetError(f"non-increasing order, previous: {found[-1][1]}, current: {first}")
        found.append((first, last))
    return found


def overlap(one: str, other: str, completions: int) -> int | None:
    """The first index that is in both sets; what cannot be read is passed over."""

    def readable(text: str) -> list[tuple[int, int]]:
        found = []
        for part in text.split(",") if text else ():
            try:
                found.append(_interval(part, completions))
            except IndexSetError:
                continue
        return found

    common = [max(a, c) for a, b in readable(one) for c, d in readable(other) if a <= d and c <= b]
    return min(common, default=None)
