"""Counters, gauges and histograms with labels; pure. Names and meanings are Prometheus'."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Labels = tuple[str, ...]
OTHER = "other"
MOST = 2000  # label sets of a family, unless it says otherwise


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the exposition: `suffix` follows the family's name, `extra` are labels beyond the family's."""

    suffix: str
    labels: Labels
    value: float
    extra: tuple[tuple[str, str], ...] = ()


class Family:
    """A metric. Label values are given in the order of `label_names`."""

    kind = ""

    def __init__(self, name: str, help_text: str, label_names: Iterable[str] = (), most: int = MOST) -> None:
        self.name, self.help, self.label_names = name, help_text, tuple(label_names)
        self._most = most
        self._overflow = (OTHER,) * len(self.label_names)

    def samples(self) -> Iterator[Sample]:
        raise NotImplementedError

    def _checked(self, labels: Labels, known: int) -> Labels:
        if len(labels) != len(self.label_names):
            raise ValueError(f"{self.name} has the labels {self.label_names}, not {labels}")
        return labels if known < self._most else self._overflow


class _Single(Family):
    """A value a label set."""

    def __init__(self, name: str, help_text: str, label_names: Iterable[str] = (), most: int = MOST) -> None:
        super().__init__(name, help_text, label_names, most)
        self._values: dict[Labels, float] = {} if self.label_names else {(): 0.0}

    def value(self, *labels: str) -> float:
        return self._values.get(labels, 0.0)

    def add(self, amount: float, *labels: str) -> None:
        values = self._values
        if labels in values:
            values[labels] += amount
        else:
            kept = self._checked(labels, len(values))
            values[kept] = values.get(kept, 0.0) + amount

    def samples(self) -> Iterator[Sample]:
        for labels, value in sorted(self._values.items()):
            yield Sample("", labels, value)


class Counter(_Single):
    """A number that only grows."""

    kind = "counter"

    def inc(self, *labels: str) -> None:
        self.add(1.0, *labels)


class Gauge(_Single):
    """A number that goes up and down."""

    kind = "gauge"

    def set(self, value: float, *labels: str) -> None:
        kept = labels if labels in self._values else self._checked(labels, len(self._values))
        self._values[kept] = value

    def inc(self, *labels: str) -> None:
        self.add(1.0, *labels)

    def dec(self, *labels: str) -> None:
        self.add(-1.0, *labels)

    def forget(self, *labels: str) -> None:
        """Takes a label set out: of what is there no more, nothing is told."""
        self._values.pop(labels, None)

    def clear(self) -> None:
        self._values.clear()


class _Buckets:
    __slots__ = ("counts", "total")

    def __init__(self, size: int) -> None:
        self.counts, self.total = [0] * size, 0.0


class Histogram(Family):
    """How often values fell below each of `bounds`, their number and their sum."""

    kind = "histogram"

    def __init__(
        self, name: str, help_text: str, bounds: Iterable[float], label_names: Iterable[str] = (), most: int = MOST
    ) -> None:
        super().__init__(name, help_text, label_names, most)
        self.bounds = tuple(bounds)
        self._children: dict[Labels, _Buckets] = {}
        if not self.label_names:
            self._children[()] = _Buckets(len(self.bounds) + 1)

    def observe(self, value: float, *labels: str) -> None:
        child = self._children.get(labels)
        if child is None:
            child = self._children.setdefault(
                self._checked(labels, len(self._children)), _Buckets(len(self.bounds) + 1)
            )
        child.counts[bisect_left(self.bounds, value)] += 1
        child.total += value

    def count(self, *labels: str) -> int:
        child = self._children.get(labels)
        return sum(child.counts) if child is not None else 0

    def samples(self) -> Iterator[Sample]:
        for labels, child in sorted(self._children.items()):
            so_far = 0
            for bound, count in zip((*self.bounds, float("inf")), child.counts, strict=True):
                so_far += count
                yield Sample("_bucket", labels, so_far, (("le", number(bound)),))
            yield Sample("_sum", labels, child.total)
            yield Sample("_count", labels, so_far)


class Registry:
    """The families of a process, by name. `before` is called ahead of each reading, to measure what nobody counts."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self.before: list[Callable[[], None]] = []

    def _add(self, family: Family) -> None:
        if family.name in self._families:
            raise ValueError(f"there are two families {family.name}")
        self._families[family.name] = family

    def counter(self, name: str, help_text: str, labels: Iterable[str] = (), most: int = MOST) -> Counter:
        self._add(found := Counter(name, help_text, labels, most))
        return found

    def gauge(self, name: str, help_text: str, labels: Iterable[str] = (), most: int = MOST) -> Gauge:
        self._add(found := Gauge(name, help_text, labels, most))
        return found

    def histogram(
        self, name: str, help_text: str, bounds: Iterable[float], labels: Iterable[str] = (), most: int = MOST
    ) -> Histogram:
        self._add(found := Histogram(name, help_text, bounds, labels, most))
        return found

    def families(self) -> list[Family]:
        """All of them, measured now."""
        for measure in self.before:
            measure()
        return [self._families[name] for name in sorted(self._families)]


def exponential(start: float, factor: float, count: int) -> tuple[float, ...]:
    """Bounds that grow by a factor."""
    return tuple(start * factor**i for i in range(count))


def number(value: float) -> str:
    """A number as the exposition has it: no more digits than it needs."""
    if value == float("inf"):
        return "+Inf"
    if value == float("-inf"):
        return "-Inf"
    if value != value:
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
