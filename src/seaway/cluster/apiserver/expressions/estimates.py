"""Ranges of sizes and costs, saturating at the largest uint64 (cel-go checker/cost.go)."""

from __future__ import annotations

import math
from typing import NamedTuple

MOST = (1 << 64) - 1


def capped(value: int) -> int:
    return min(value, MOST)


class Range(NamedTuple):
    """From the least to the most: a size or a cost."""

    least: int
    most: int

    def plus(self, other: Range) -> Range:
        return Range(capped(self.least + other.least), capped(self.most + other.most))

    def times(self, other: Range) -> Range:
        return Range(capped(self.least * other.least), capped(self.most * other.most))

    def scaled(self, factor: float) -> Range:
        return Range(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.most, other.most))


def _scaled(value: int, factor: float) -> int:
    found = math.ceil(float(value) * factor)
    return MOST if found >= 1 << 64 else found


def fixed(value: int) -> Range:
    return Range(value, value)


UNKNOWN = Range(0, MOST)
ZERO = fixed(0)
ONE = fixed(1)
