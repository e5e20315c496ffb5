"""Sizes as policies say them."""

from __future__ import annotations

SIZES = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def size(text: str) -> int:
    """Bytes of `10Mi`, `512k`, `1.5Gi`; the schema has seen to the form."""
    number = text.rstrip("kKMGi")
    return int(float(number or 0) * SIZES[text[len(number) :]])
