"""An overload: the types that it takes, the receiver's first, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Function = Callable[..., Any]


class Overload(NamedTuple):
    types: tuple[type | None, ...]
    function: Function


def one(function: Function, *types: type | None) -> tuple[Overload, ...]:
    """A function of one overload."""
    return (Overload(types, function),)
