"""Protocol buffers' wire, written and read by hand where a library would cost more than it gives: varints, and the fields of
numbers and of what has a length (protobuf.dev/programming-guides/encoding). Pure."""

from __future__ import annotations

from collections.abc import Iterable

_SMALL = [bytes([n]) for n in range(128)]
_MOST = (1 << 64) - 1


def varint(value: int) -> bytes:
    """A negative number is that of 64 bits with the same bits."""
    if 0 <= value < 128:
        return _SMALL[value]
    value &= _MOST
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def numbered(field: int, value: int) -> bytes:
    """A field with a number."""
    return varint(field << 3) + varint(value)


def sized(field: int, value: bytes | str) -> bytes:
    """A field with a length: text, bytes or a message."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def each(field: int, values: Iterable[bytes]) -> bytes:
    """A repeated field whose values have lengths."""
    tag = varint(field << 3 | 2)
    return b"".join([tag + varint(len(value)) + value for value in values])


def read(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The varint at a place, and what follows it; EOFError where it is cut off, OverflowError where it has too many bits."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise EOFError
        if shift > 63:
            raise OverflowError
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
