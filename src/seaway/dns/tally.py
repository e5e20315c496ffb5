"""Counts of a worker, cheap to keep and easy to add up: rows of (what, labels, number); pure. `metrics` names them."""

from __future__ import annotations

import msgspec

Row = tuple[str, tuple[str, ...], float]
DURATIONS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192)
SIZES = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000)


class Tally:
    """Numbers by (what, labels)."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, tuple[str, ...]], float] = {}

    def add(self, what: str, labels: tuple[str, ...], number: float = 1) -> None:
        key = (what, labels)
        self.numbers[key] = self.numbers.get(key, 0) + number

    def observe(self, what: str, labels: tuple[str, ...], value: float, bounds: tuple[float, ...], number: int = 1) -> None:
        """`number` observations of a value: bucket, sum and count."""
        bucket = next((str(b) for b in bounds if value <= b), "+Inf")
        self.add(f"{what}_bucket", (*labels, bucket), number)
        self.add(f"{what}_sum", labels, value * number)
        self.add(f"{what}_count", labels, number)

    def set(self, what: str, labels: tuple[str, ...], number: float) -> None:
        self.numbers[(what, labels)] = number

    def rows(self) -> list[Row]:
        return [(what, labels, number) for (what, labels), number in self.numbers.items()]


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
