"""Causes in the words of k8s.io/apimachinery/pkg/util/validation/field, and paths as field.Path writes them; pure.

A path is text here; "" is Go's nil path, which is told as `<nil>`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.cluster.apiserver.status import Cause, quoted
from seaway.cluster.apiserver.structural.gotext import shown

NOWHERE = "<nil>"
# What keeps rules from being run, since they could not rely on the schema (customresource/strategy.go hasBlockingErr).
BLOCKING = frozenset(
    ("FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid")
)


def child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def key(path: str, name: str) -> str:
    return f"{path}[{name}]"


def index(path: str, at: int) -> str:
    return f"{path}[{at}]"


def invalid(path: str, value: Any, why: str) -> Cause:
    return Cause(path or NOWHERE, "FieldValueInvalid", f"Invalid value: {shown(value)}: {why}")


def invalid_as(path: str, text: str, why: str) -> Cause:
    """As `invalid`, of a value that is shown already."""
    return Cause(path or NOWHERE, "FieldValueInvalid", f"Invalid value: {text}: {why}")


def type_invalid(path: str, value: Any, why: str) -> Cause:
    return Cause(path or NOWHERE, "FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {why}")


def required(path: str, why: str = "") -> Cause:
    return Cause(path or NOWHERE, "FieldValueRequired", f"Required value: {why}" if why else "Required value")


def forbidden(path: str, why: str) -> Cause:
    return Cause(path or NOWHERE, "FieldValueForbidden", f"Forbidden: {why}")


def unsupported(path: str, value: Any, supported: Iterable[str]) -> Cause:
    """A value that is none of a few, which are told in the order given."""
    told = ", ".join(quoted(s) for s in supported)
    told = f": supported values: {told}" if told else ""
    return Cause(path or NOWHERE, "FieldValueNotSupported", f"Unsupported value: {shown(value)}{told}")


def duplicate(path: str, value: Any) -> Cause:
    return Cause(path or NOWHERE, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def too_long(path: str, limit: int) -> Cause:
    told = f"may not be more than {limit} {'byte' if limit == 1 else 'bytes'}" if limit >= 0 else "value is too long"
    return Cause(path or NOWHERE, "FieldValueTooLong", f"Too long: {told}")


def too_many(path: str, count: int, limit: int) -> Cause:
    told = f"must have at most {limit} {'item' if limit == 1 else 'items'}" if limit >= 0 else "has too many items"
    return Cause(path or NOWHERE, "FieldValueTooMany", f"Too many: {count}: {told}")


def unchecked(found: Iterable[Cause]) -> Cause | None:
    """The cause that says that rules were not run, where these causes keep them from it."""
    if not any(c.reason in BLOCKING for c in found):
        return None
    return invalid(
        "",
        None,
        "some validation rules were not checked because the object was invalid; "
        "correct the existing errors to complete validation",
    )
