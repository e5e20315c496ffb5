"""Protocol buffers' wire by hand, against the library's own."""

from __future__ import annotations

import pytest
from google.protobuf import any_pb2, field_mask_pb2, wrappers_pb2

from seaway import protowire


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 1 << 31, (1 << 63) - 1, -1, -(1 << 63)])
def test_numbers_are_written_and_read_as_the_library_does(value: int) -> None:
    told = wrappers_pb2.Int64Value(value=value).SerializeToString()
    assert protowire.numbered(1, value) == (told or b"\x08\x00"), "the library leaves a zero out"
    read, end = protowire.read(b"?" + protowire.varint(value), 1)
    assert (read - (1 << 64) if read >> 63 else read, end) == (value, 1 + len(protowire.varint(value)))


def test_what_has_a_length_is_written_as_the_library_does() -> None:
    assert protowire.sized(1, "type") + protowire.sized(2, b"x" * 300) == any_pb2.Any(type_url="type", value=b"x" * 300).SerializeToString()
    assert protowire.each(1, [b"a", b"bc"]) == field_mask_pb2.FieldMask(paths=["a", "bc"]).SerializeToString()
    assert protowire.each(1, []) == b""


def test_a_varint_that_is_none_is_an_error() -> None:
    for cut in (b"", b"\x80", b"\xff\xff"):
        with pytest.raises(EOFError):
            protowire.read(cut, 0)
    with pytest.raises(OverflowError):
        protowire.read(b"\xff" * 30, 0)
    assert protowire.read(memoryview(b"\xac\x02rest"), 0) == (300, 2)
