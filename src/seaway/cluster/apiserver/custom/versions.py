"""Versions in the order of Kubernetes: v2, v1, v1beta2, v1alpha1, then all else (apimachinery/util/version); pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?\Z")
STAGES = {"alpha": 0, "beta": 1, None: 2}


def _key(name: str) -> tuple[int, int, int, int, str]:
    found = VERSION.match(name)
    if found is None:
        return (1, 0, 0, 0, name)
    return (0, -STAGES[found[2]], -int(found[1]), -int(found[3] or 0), "")


def newest_first(names: Iterable[str]) -> list[str]:
    """The most stable and newest first."""
    return sorted(names, key=_key)
