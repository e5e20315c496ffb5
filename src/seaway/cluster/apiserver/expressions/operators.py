"""Operators that do not evaluate all they are given, field and index access, and optionals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.cluster.apiserver.expressions.values import NONE, EvaluationError, Optional, no_overload

Frame = list[Any]
Step = Callable[[Frame], Any]


def _logical(left: Step, right: Step, decides: bool) -> Step:
    """`&&` and `||`: an error on one side does not matter where the other side decides (langdef.md, logical operators)."""

    def run(f: Frame) -> Any:
        error: EvaluationError | None = None
        value: Any = None
        try:
            value = left(f)
        except EvaluationError as e:
            error = e
        if value is decides:
            return decides
        if error is None and value is not (not decides):
            error = no_overload()
        other = right(f) if error is None else _attempt(right, f)
        if other is decides:
            return decides
        if error is not None:
            raise error
        if other is not (not decides):
            raise no_overload()
        return not decides

    return run


def _attempt(step: Step, f: Frame) -> Any:
    try:
        return step(f)
    except EvaluationError:
        return None


def conjunction(left: Step, right: Step) -> Step:
    return _logical(left, right, False)


def disjunction(left: Step, right: Step) -> Step:
    return _logical(left, right, True)


def conditional(condition: Step, then: Step, otherwise: Step) -> Step:
    def run(f: Frame) -> Any:
        value = condition(f)
        if value is True:
            return then(f)
        if value is False:
            return otherwise(f)
        raise no_overload()

    return run


def not_strictly_false(inner: Step) -> Step:
    def run(f: Frame) -> bool:
        f[0] += 1
        return _attempt(inner, f) is not False

    return run


def select(value: Any, key: str) -> Any:
    """A field of what has fields: maps, optionals of maps, and values of ours that answer `field`."""
    if isinstance(value, dict):
        if key in value:
            return value[key]
        raise EvaluationError(f"no such key: {key}")
    if isinstance(value, Optional):
        return optional_select(value, key)
    field = getattr(value, "field", None)
    if field is not None:
        return field(key)
    raise EvaluationError(f"no such key: {key}")


def has(value: Any, key: str) -> bool:
    if isinstance(value, dict):
        return key in value
    if isinstance(value, Optional):
        return value.present and has(value.value, key)
    present = getattr(value, "has_field", None)
    return bool(present(key)) if present is not None else False


def optional_select(value: Any, key: str) -> Optional:
    """`.?`: a field as an optional."""
    if isinstance(value, Optional):
        return optional_select(value.value, key) if value.present else NONE
    if not has(value, key):
        return NONE
    found = select(value, key)
    return found if isinstance(found, Optional) else Optional(found)


def position(index: Any) -> int:
    """A list index: an integer, or a number without a fraction."""
    if isinstance(index, bool) or not isinstance(index, (int, float)):
        from seaway.cluster.apiserver.expressions.values import type_name

        raise EvaluationError(f"unsupported index type '{type_name(index)}' in list")
    if isinstance(index, float) and not index.is_integer():
        raise EvaluationError(f"unsupported index value {index:g} in list")
    return int(index)


def index(value: Any, at: Any) -> Any:
    if isinstance(value, list):
        i = position(at)
        if 0 <= i < len(value):
            return value[i]
        raise EvaluationError(f"index out of bounds: {i}")
    if isinstance(value, dict):
        if _keyed(value, at):
            return value[at]
        raise EvaluationError(f"no such key: {_shown(at)}")
    if isinstance(value, Optional):
        return _optional_index(value, at)
    if isinstance(at, str):
        return select(value, at)
    raise no_overload()


def _keyed(value: dict[Any, Any], key: Any) -> bool:
    """Whether a map has a key; true is not 1."""
    if isinstance(key, (dict, list, Optional)) or key is None:
        return False
    return key in value and (not isinstance(key, bool) or any(k is key for k in value))


def _shown(key: Any) -> str:
    return ("true" if key else "false") if isinstance(key, bool) else str(key)


def _optional_index(value: Any, at: Any) -> Optional:
    if isinstance(value, Optional):
        return _optional_index(value.value, at) if value.present else NONE
    if isinstance(value, list):
        i = position(at)
        return Optional(value[i]) if 0 <= i < len(value) else NONE
    if isinstance(value, dict):
        return Optional(value[at]) if _keyed(value, at) else NONE
    if isinstance(at, str):
        return optional_select(value, at)
    raise no_overload()


def optional_index(operand: Step, at: Step) -> Step:
    def run(f: Frame) -> Optional:
        value, index = operand(f), at(f)
        f[0] += 1
        return _optional_index(value, index)

    return run


def or_else(name: str, target: Step, other: Step) -> Step:
    """`or` and `orValue`, which look at their argument only when they need it."""
    whole = name == "or"

    def run(f: Frame) -> Any:
        value = target(f)
        if not isinstance(value, Optional):
            raise no_overload()
        f[0] += 1
        if value.present:
            return value if whole else value.value
        return other(f)

    return run
