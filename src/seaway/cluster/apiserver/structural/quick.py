"""Whether a value is valid at all, without saying why: what nearly every write is asked, some times faster; pure.

It must agree with `Validator.check`, which is asked what is wrong when this says that something is.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any

from seaway.cluster.apiserver.structural.faults import Fault
from seaway.cluster.apiserver.structural.gotext import INT64
from seaway.cluster.apiserver.structural.numbers import Numbers, is_integral
from seaway.cluster.apiserver.structural.validators import Validator

Check = Callable[[Any], bool]
# By type of a value: what it must pass, None where it is always valid.
Table = dict[type, Check | None]


def _never(value: Any) -> bool:
    return False


def _all(checks: list[Check]) -> Check | None:
    """One check of several."""
    if not checks:
        return None
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda value: first(value) and second(value)
    every = tuple(checks)

    return lambda value: all(one(value) for one in every)


def table(schema: Validator) -> Table:
    """The checks of a schema."""
    shared = _shared(schema)
    found: Table = {
        str: _of_kind(schema, "string", [*shared, *_strings(schema)]),
        bool: _of_kind(schema, "boolean", shared),
        dict: _of_kind(schema, "object", [*shared, *_objects(schema)]),
        list: _of_kind(schema, "array", [*shared, *_lists(schema)]),
        int: _whole(schema, shared),
        float: _fractional(schema, shared),
        NoneType: _never if schema.enum or (schema.types and not schema.nullable) else None,
    }
    return found


def is_valid(checks: Table, value: Any) -> bool:
    check = checks.get(type(value), _never)
    return check is None or check(value)


def _of_kind(schema: Validator, kind: str, checks: list[Check]) -> Check | None:
    return _all(checks) if schema.accepts(kind) else _never


def _shared(schema: Validator) -> list[Check]:
    """What is asked of values of every type: junctors and enum."""
    found: list[Check] = []
    if schema.any_of:
        any_of = tuple(map(table, schema.any_of))
        found.append(lambda value: any(is_valid(t, value) for t in any_of))
    if schema.one_of:
        one_of = tuple(map(table, schema.one_of))
        found.append(lambda value: sum(is_valid(t, value) for t in one_of) == 1)
    if schema.all_of:
        all_of = tuple(map(table, schema.all_of))
        found.append(lambda value: all(is_valid(t, value) for t in all_of))
    if schema.negated is not None:
        negated = table(schema.negated)
        found.append(lambda value: not is_valid(negated, value))
    if schema.enum:
        found.append(schema.is_listed)
    return found


def _strings(schema: Validator) -> list[Check]:
    found: list[Check] = []
    most, least = schema.max_length, schema.min_length
    if most is not None and least is not None:
        found.append(lambda value: least <= len(value) <= most)
    elif most is not None:
        found.append(lambda value: len(value) <= most)
    elif least is not None:
        found.append(lambda value: len(value) >= least)
    if schema.pattern is not None:
        found.append(schema.pattern.matches)
    if schema.format_check is not None:
        found.append(schema.format_check)
    return found


def _within(numbers: Numbers | None) -> list[Check]:
    if numbers is None:
        return []

    def check(value: int | float) -> bool:
        found: list[Fault] = []
        numbers.check(value, "", found)
        return not found

    return [check]


def _whole(schema: Validator, shared: list[Check]) -> Check | None:
    """An integer; one of more than 64 bits is a float to Go."""
    fractional = _fractional(schema, shared)
    low, high = INT64
    checks, numbers = list(shared), schema.numbers
    if numbers is not None and numbers.is_range:
        low, high = numbers.bounds
    else:
        checks += _within(numbers)
    whole = _of_kind(schema, "integer", checks)

    def check(value: int) -> bool:
        if low <= value <= high:
            return whole is None or whole(value)
        return fractional is None or fractional(value)

    def within(value: int) -> bool:
        return low <= value <= high and (whole is None or whole(value))

    return check if (low, high) == INT64 else within


def _fractional(schema: Validator, shared: list[Check]) -> Check | None:
    checks = [*shared, *_within(schema.numbers)]
    if "integer" in schema.types and "number" not in schema.types:
        return _all([lambda value: is_integral(float(value)), *checks])
    return _of_kind(schema, "number", checks)


def _objects(schema: Validator) -> list[Check]:
    found: list[Check] = []
    most, least = schema.max_properties, schema.min_properties
    if least is not None:
        found.append(lambda value: len(value) >= least)
    if most is not None:
        found.append(lambda value: len(value) <= most)
    required, closed = schema.required, schema.closed
    properties = {name: table(child) for name, child in schema.properties.items()}
    additional = None if schema.additional is None else table(schema.additional)
    if not properties and additional is None and not required and not closed:
        return found

    def fields(value: dict[str, Any]) -> bool:
        for name in required:
            if name not in value:
                return False
        for name, child in value.items():
            checks = properties.get(name, additional)
            if checks is None:
                if closed:
                    return False
                continue
            check = checks.get(type(child), _never)
            if check is not None and not check(child):
                return False
        return True

    found.append(fields)
    return found


def _lists(schema: Validator) -> list[Check]:
    found: list[Check] = []
    most, least = schema.max_items, schema.min_items
    if least is not None:
        found.append(lambda value: len(value) >= least)
    if most is not None:
        found.append(lambda value: len(value) <= most)
    if schema.unique:
        found.append(schema.is_unique)
    if schema.items is not None:
        checks = table(schema.items)

        def items(value: list[Any]) -> bool:
            for item in value:
                check = checks.get(type(item), _never)
                if check is not None and not check(item):
                    return False
            return True

        found.append(items)
    return found
