"""Numbers against minimum, maximum, multipleOf and format, with the edges that kube-openapi has (validate/values.go); pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seaway.cluster.apiserver.structural import faults
from seaway.cluster.apiserver.structural.faults import Fault
from seaway.cluster.apiserver.structural.gotext import INT64, is_float, number, plain

INT32 = (-(2**31), 2**31 - 1)
LARGEST_EXACT = float(2**53 - 1)
LARGEST_FLOAT32 = 3.4028235677973366e38  # what rounds to more than the largest float32 is out of range
EPSILON = 1e-9


def is_integral(value: float) -> bool:
    """Whether a float passes for an integer: swag.IsFloat64AJSONInteger, which lets a relative error of 1e-9 through."""
    if value != value or not -LARGEST_EXACT <= value <= LARGEST_EXACT:
        return False
    if value == int(value):
        return True
    if value < 1:  # a conversion of a negative float to unsigned comes out far away
        return False
    return (value - int(value)) / (value + int(value)) < EPSILON


def _truncated(value: float) -> int:
    """Go's int64(f) on amd64: what does not fit becomes the smallest integer."""
    whole = int(value) if value - value == 0 else INT64[0]
    return whole if INT64[0] <= whole <= INT64[1] else INT64[0]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The limits of a schema for numbers. `type` and `format` are "" where they do not bound the range."""

    type: str = ""
    format: str = ""
    multiple: float | None = None
    maximum: float | None = None
    exclusive_maximum: bool = False
    minimum: float | None = None
    exclusive_minimum: bool = False

    @property
    def is_range(self) -> bool:
        """Whether an integer is judged by two whole limits alone: `bounds`."""
        limits = [limit for limit in (self.minimum, self.maximum) if limit is not None]
        whole = all(limit.is_integer() and INT64[0] < limit < INT64[1] for limit in limits)
        return self.type == "integer" and self.multiple is None and whole

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the most that a whole range lets through."""
        low, high = INT32 if self.format == "int32" else INT64
        if self.minimum is not None:
            low = max(low, int(self.minimum) + self.exclusive_minimum)
        if self.maximum is not None:
            high = min(high, int(self.maximum) - self.exclusive_maximum)
        return low, high

    def check(self, value: int | float, path: str, found: list[Fault]) -> None:
        whole = not is_float(value)
        if not whole:
            value = float(value)
        self._range("Checked", value, whole, path, found)
        if self.multiple is not None:
            fits = self._range("MultipleOf", self.multiple, False, path, found)
            found += self._multiple_faults(self.multiple, value if fits else float(value), whole and fits, path)
        if self.minimum is not None:
            fits = self._range("Minimum boundary", self.minimum, False, path, found)
            found += self._minimum_faults(self.minimum, value if fits else float(value), whole and fits, path)
        if self.maximum is not None:
            fits = self._range("Maximum boundary", self.maximum, False, path, found)
            found += self._maximum_faults(self.maximum, value if fits else float(value), whole and fits, path)

    def _range(self, what: str, value: int | float, whole: bool, path: str, found: list[Fault]) -> bool:
        """Whether a value or a limit can be had in the type and format; a fault says so otherwise."""
        if self.type == "integer":
            if whole:
                low, high = INT32 if self.format == "int32" else INT64
                fits = low <= value <= high
            else:
                text = plain(float(value))
                low, high = INT32 if self.format == "int32" else INT64
                fits = "." not in text and low <= int(text) <= high
        else:
            fits = self.format != "float" or abs(float(value)) < LARGEST_FLOAT32
        if not fits:
            form = f"with format {self.format}" if self.format else "(default format)"
            found.append(faults.plain(f"{what} value must be of type {self.type} {form} in {path}"))
        return fits

    def _multiple_faults(self, factor: float, value: int | float, whole: bool, path: str) -> list[Fault]:
        if whole:
            divisor = _truncated(factor)
            if divisor <= 0:
                return [faults.not_positive(path, divisor, str(divisor))]
            return [faults.wrong(path, value, f"should be a multiple of {divisor}")] if value % divisor else []
        if factor <= 0:
            return [faults.not_positive(path, factor, number(factor))]
        times = 1 / factor * value if factor < 1 else value / factor
        return [] if is_integral(times) else [faults.wrong(path, value, f"should be a multiple of {number(factor)}")]

    def _minimum_faults(self, limit: float, value: int | float, whole: bool, path: str) -> list[Fault]:
        least: Any = _truncated(limit) if whole else limit
        if value > least or (value == least and not self.exclusive_minimum):
            return []
        told = "greater than" if self.exclusive_minimum else "greater than or equal to"
        return [faults.wrong(path, value, f"should be {told} {number(least)}")]

    def _maximum_faults(self, limit: float, value: int | float, whole: bool, path: str) -> list[Fault]:
        most: Any = _truncated(limit) if whole else limit
        if value < most or (value == most and not self.exclusive_maximum):
            return []
        told = "less than" if self.exclusive_maximum else "less than or equal to"
        return [faults.wrong(path, value, f"should be {told} {number(most)}")]
