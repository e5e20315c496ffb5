"""What a validator finds, before it is a cause: kube-openapi's errors (pkg/validation/errors/schema.go); pure.

Two faults of the same text are one: kube-openapi keeps its messages unique.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.cluster.apiserver.status import Cause, quoted
from seaway.cluster.apiserver.structural import causes
from seaway.cluster.apiserver.structural.gotext import json_text

TYPE, REQUIRED, ENUM, TOO_LONG, TOO_MANY, VALUE, PLAIN = range(7)


class Fault(NamedTuple):
    """`name` is the path as kube-openapi has it; a PLAIN fault (of anyOf and the like) names its field only in its text."""

    code: int
    name: str
    text: str
    value: Any = None
    limit: Any = None


def wrong_type(name: str, type_: str, value: str) -> Fault:
    return Fault(TYPE, name, f"{name} in body must be of type {type_}: {quoted(value)}", value)


def missing(name: str) -> Fault:
    return Fault(REQUIRED, name, f"{name} in body is required")


def not_listed(name: str, value: Any, listed: tuple[Any, ...]) -> Fault:
    return Fault(ENUM, name, f"{name} in body should be one of {listed!r}", value, listed)


def too_long(name: str, limit: int) -> Fault:
    return Fault(TOO_LONG, name, f"{name} in body should be at most {limit} chars long", None, limit)


def too_many(name: str, size: int, limit: int, what: str) -> Fault:
    return Fault(TOO_MANY, name, f"{name} in body should have at most {limit} {what}", size, limit)


def wrong(name: str, value: Any, why: str) -> Fault:
    return Fault(VALUE, name, f"{name} in body {why}", value)


def not_positive(name: str, factor: int | float, told: str) -> Fault:
    return Fault(VALUE, name, f"factor MultipleOf declared for {name} must be positive: {told}", factor)


def plain(text: str) -> Fault:
    return Fault(PLAIN, "", text)


def told(found: list[Fault], path: str) -> list[Cause]:
    """Faults as causes below a path (pkg/apiserver/validation/validation.go kubeOpenAPIResultToFieldErrors)."""
    unique: dict[str, Fault] = {}
    for fault in found:
        unique.setdefault(fault.text, fault)
    return [_cause(f, path) for f in unique.values()]


def _cause(fault: Fault, path: str) -> Cause:
    if fault.code == PLAIN:
        return causes.invalid(path, "", fault.text)
    where = causes.child(path, fault.name.removeprefix(".")) if fault.name not in ("", ".") else path
    if fault.code == REQUIRED:
        return causes.required(where)
    if fault.code == ENUM:
        return causes.unsupported(where, fault.value, [v if isinstance(v, str) else json_text(v) for v in fault.limit])
    if fault.code == TOO_LONG:
        return causes.too_long(where, fault.limit)
    if fault.code == TOO_MANY:
        return causes.too_many(where, fault.value, fault.limit)
    value = "" if fault.value is None else fault.value
    return (causes.type_invalid if fault.code == TYPE else causes.invalid)(where, value, fault.text)
