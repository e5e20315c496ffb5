"""Counts of a worker, cheap to keep and easy to add up: rows of (what, labels, number); pure. `measures` names them."""

from __future__ import annotations

from bisect import bisect_left

import msgspec

Row = tuple[str, tuple[str, ...], float]
DURATIONS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192)
SIZES = (0.0, 100.0, 200.0, 300.0, 400.0, 511.0, 1023.0, 2047.0, 4095.0, 8291.0, 16000.0, 32000.0, 48000.0, 64000.0)


class Histogram:
    """Observations by bucket, the last for what is above all bounds."""

    __slots__ = ("bounds", "buckets", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, number: int = 1) -> None:
        self.buckets[bisect_left(self.bounds, value)] += number
        self.sum += value * number


class Tally:
    """Numbers and histograms by (what, labels)."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, tuple[str, ...]], float] = {}
        self._histograms: dict[tuple[str, tuple[str, ...]], Histogram] = {}

    def add(self, what: str, labels: tuple[str, ...], number: float = 1) -> None:
        key = (what, labels)
        self.numbers[key] = self.numbers.get(key, 0) + number

    def histogram(self, what: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> Histogram:
        """One to observe with: who observes often keeps it."""
        key = (what, labels)
        found = self._histograms.get(key)
        if found is None:
            found = self._histograms[key] = Histogram(bounds)
        return found

    def set(self, what: str, labels: tuple[str, ...], number: float) -> None:
        self.numbers[(what, labels)] = number

    def rows(self) -> list[Row]:
        found = [(what, labels, number) for (what, labels), number in self.numbers.items()]
        for (what, labels), histogram in self._histograms.items():
            names = (*map(str, histogram.bounds), "+Inf")
            found += [
                (f"{what}_bucket", (*labels, name), float(number))
                for name, number in zip(names, histogram.buckets, strict=True)
                if number
            ]
            found.append((f"{what}_sum", labels, histogram.sum))
            found.append((f"{what}_count", labels, float(sum(histogram.buckets))))
        return found


def pack(rows: list[Row]) -> bytes:
    return msgspec.msgpack.encode(rows)


_decode = msgspec.msgpack.Decoder(list[Row]).decode


def unpack(data: bytes) -> list[Row]:
    return _decode(data)


def added(parts: list[list[Row]]) -> list[Row]:
    """The rows of several workers as one."""
    tally = Tally()
    for rows in parts:
        for what, labels, number in rows:
            tally.add(what, labels, number)
    return tally.rows()
