"""What functions do, a file a library: each has `FUNCTIONS`, overloads by name; an overload is its types and what it does.

None among the types takes any value. A call whose values fit no overload is "no such overload", as in cel-go.
"""

from __future__ import annotations

import functools
from typing import Any

from seaway.cluster.apiserver.expressions.functions import (
    addresses,
    authorization,
    conversions,
    formats,
    lists,
    numbers,
    optionals,
    quantities,
    regexes,
    strings,
    times,
    urls,
    versions,
)
from seaway.cluster.apiserver.expressions.functions.overloads import Function, Overload
from seaway.cluster.apiserver.expressions.values import no_overload

LIBRARIES = (
    numbers,
    conversions,
    times,
    strings,
    lists,
    regexes,
    urls,
    addresses,
    quantities,
    versions,
    formats,
    optionals,
    authorization,
)


@functools.cache
def _table() -> dict[str, tuple[Overload, ...]]:
    found: dict[str, tuple[Overload, ...]] = {}
    for library in LIBRARIES:
        for name, overloads in library.FUNCTIONS.items():
            found[name] = found.get(name, ()) + overloads
    return found


@functools.cache
def find(name: str, overload: str, arity: int) -> Function | None:
    """What a call of so many values (the receiver first) does; None for a function that nothing implements."""
    if overload in lists.BY_OVERLOAD:
        return lists.BY_OVERLOAD[overload]
    fitting = tuple(o for o in _table().get(name, ()) if len(o.types) == arity)
    if not fitting:
        return None
    if len(fitting) == 1:
        return _checked(fitting[0])

    def dispatch(*values: Any) -> Any:
        for candidate in fitting:
            if all(t is None or _fits(v, t) for v, t in zip(values, candidate.types, strict=True)):
                return candidate.function(*values)
        raise no_overload()

    return dispatch


def _fits(value: Any, wanted: type) -> bool:
    return type(value) is wanted or (wanted in (list, dict) and isinstance(value, wanted))


def _checked(overload: Overload) -> Function:
    function, types = overload.function, overload.types
    if all(t is None for t in types):
        return function
    if types == (str, str):

        def texts(a: Any, b: Any) -> Any:
            if type(a) is not str or type(b) is not str:
                raise no_overload()
            return function(a, b)

        return texts

    def checked(*values: Any) -> Any:
        for value, wanted in zip(values, types, strict=True):
            if wanted is not None and not _fits(value, wanted):
                raise no_overload()
        return function(*values)

    return checked
