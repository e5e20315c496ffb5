"""Quantities (apiserver/pkg/cel/library/quantity.go); exact, unlike everything that goes through floats."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from seaway.api import quantities
from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import INT_MAX, INT_MIN, EvaluationError

NANO = 10**9


@dataclass(frozen=True, slots=True)
class Quantity:
    value: Fraction

    unit_equality = True
    cel_type = "kubernetes.Quantity"

    @property
    def whole(self) -> int | None:
        """The value as an int64, if it is one."""
        return int(self.value) if self.value.denominator == 1 and INT_MIN <= self.value <= INT_MAX else None


def parse(text: str) -> Quantity:
    if not text:
        raise EvaluationError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    try:
        value = quantities.parse(text)
    except (ValueError, OverflowError) as e:
        raise EvaluationError(str(e)) from None
    nanos = abs(value) * NANO  # what is finer than a nano is rounded up, away from zero
    rounded = Fraction(-(-nanos.numerator // nanos.denominator), NANO)
    return Quantity(rounded if value >= 0 else -rounded)


def _is_quantity(text: str) -> bool:
    try:
        parse(text)
    except EvaluationError:
        return False
    return True


def _integer(quantity: Quantity) -> int:
    whole = quantity.whole
    if whole is None:
        raise EvaluationError("cannot convert value to integer")
    return whole


def _sign(quantity: Quantity) -> int:
    return (quantity.value > 0) - (quantity.value < 0)


def _compare(a: Quantity, b: Quantity) -> int:
    return (a.value > b.value) - (a.value < b.value)


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "quantity": one(parse, str),
    "isQuantity": one(_is_quantity, str),
    "sign": one(_sign, Quantity),
    "isGreaterThan": one(lambda a, b: a.value > b.value, Quantity, Quantity),
    "isLessThan": one(lambda a, b: a.value < b.value, Quantity, Quantity),
    "compareTo": one(_compare, Quantity, Quantity),
    "asApproximateFloat": one(lambda q: float(q.value), Quantity),
    "asInteger": one(_integer, Quantity),
    "isInteger": one(lambda q: q.whole is not None, Quantity),
    "add": (
        Overload((Quantity, Quantity), lambda a, b: Quantity(a.value + b.value)),
        Overload((Quantity, int), lambda a, b: Quantity(a.value + b)),
    ),
    "sub": (
        Overload((Quantity, Quantity), lambda a, b: Quantity(a.value - b.value)),
        Overload((Quantity, int), lambda a, b: Quantity(a.value - b)),
    ),
}
