"""Sizes of policies are the bytes that they say, in every unit that their schema takes."""

from __future__ import annotations

import pytest

from seaway.routing.policies.quantities import SIZES, size


@pytest.mark.parametrize(("unit", "bytes_"), SIZES.items())
def test_every_unit_is_read(unit: str, bytes_: int) -> None:
    assert size(f"2{unit}") == 2 * bytes_ and size(f"1.5{unit}") == int(1.5 * bytes_)
