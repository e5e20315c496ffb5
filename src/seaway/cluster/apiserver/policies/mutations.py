"""What a mutating policy makes of an object (pkg/admission/plugin/policy/mutating/patch); pure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from seaway.cluster.apiserver import patches, typedvalues
from seaway.cluster.apiserver.expressions.values import (
    Duration,
    Optional,
    Timestamp,
    show_duration,
    show_timestamp,
    type_name,
)
from seaway.cluster.apiserver.fieldtypes import LIST, MAP, Type
from seaway.cluster.apiserver.policies.compiled import Mutation, Policy
from seaway.cluster.apiserver.policies.evaluation import BUDGET, CONDITIONS_BUDGET, OutOfBudget, Run, Subject, unmet
from seaway.cluster.apiserver.policies.patchtypes import ObjectValue

Tree = dict[str, Any]


class Failed(Exception):
    """A mutation that could not be made; the text says why."""


def skipped(policy: Policy, subject: Subject, params: Tree | None) -> bool:
    """Whether a policy's conditions keep it from an object; Failed where that cannot be said."""
    run = Run(subject.variables(params), policy.variables, CONDITIONS_BUDGET)
    found, problem = unmet(policy.conditions, run, policy.fails_open)
    if problem:
        raise Failed(problem)
    return found


def mutated(policy: Policy, mutation: Mutation, subject: Subject, params: Tree | None, kind: Type) -> Tree:
    """The object of a subject with one mutation made; `kind` is how its fields merge."""
    tree = subject.object
    assert tree is not None
    if mutation.expression.program is None:
        raise Failed(mutation.expression.error)
    run = Run(subject.variables(params), policy.variables, BUDGET)
    try:
        value, error = run.evaluate(mutation.expression)
    except OutOfBudget as e:
        raise Failed(str(e)) from None
    if error:
        raise Failed(error)
    return _patched(tree, value) if mutation.patch_type == "JSONPatch" else _applied(tree, value, kind)


def _patched(tree: Tree, operations: list[Any]) -> Tree:
    """JSON Patch; one whose test fails changes nothing."""
    read = []
    for operation in operations:
        if isinstance(operation.get("value"), ObjectValue):
            _check_names(operation["value"])
        found = {k: operation[k] for k in ("op", "path", "from") if operation.get(k)}
        if "value" in operation:
            found["value"] = plain(operation["value"])
        read.append(found)
    try:
        result = patches.json_patch(tree, read)
    except patches.DoesNotApply as e:
        if str(e).endswith("test failed"):
            return tree
        raise Failed(f"JSON Patch: {e}") from None
    except patches.PatchError as e:
        raise Failed(f"JSON Patch: {e}") from None
    if not isinstance(result, dict):
        raise Failed("JSON Patch: the result is no object")
    return result


def _applied(tree: Tree, value: ObjectValue, kind: Type) -> Tree:
    """The fields of an Object, merged as server-side apply merges them; nobody comes to own them."""
    _check_names(value)
    config = {**plain(value), "apiVersion": tree.get("apiVersion"), "kind": tree.get("kind")}
    try:
        typedvalues.check(config, kind)
    except typedvalues.Invalid as e:
        raise Failed(f"error applying patch: failed to convert patch object to typed object: {e}") from None
    found = list(_atomics(config, kind, ""))
    if found:
        told = ", ".join(found)
        raise Failed(
            f"error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {told}"
        )
    merged: Tree = typedvalues.merge(tree, config, kind)
    return merged


def _atomics(value: Any, kind: Type, path: str) -> Iterator[str]:
    """Where a configuration holds what is owned as a whole: it would lose what it does not set."""
    if kind.kind == MAP and isinstance(value, dict):
        if kind.atomic:
            yield path
        for name, item in value.items():
            child = kind.child(name) if kind.has_field(name) else None
            if child is not None:
                yield from _atomics(item, child, f"{path}.{name}")
    elif kind.kind == LIST and isinstance(value, list):
        if kind.atomic:
            yield path
        element = kind.element()
        for i, item in enumerate(value) if element is not None else ():
            assert element is not None
            yield from _atomics(item, element, f"{path}[{i}]")


def _check_names(value: ObjectValue) -> None:
    """Objects must have the names of the fields that they stand in: spec is written Object.spec."""
    errors = list(_misnamed(value, value.type))
    if errors:
        raise Failed("type mismatch: " + "\n".join(errors))


def _misnamed(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, ObjectValue):
        if value.type != path:
            yield (
                f'unexpected type name "{value.type}", expected "{path}", which matches field name path from root Object type'
            )
        for name, item in value.items():
            yield from _misnamed(item, f"{path}.{name}")
    elif isinstance(value, dict):
        for item in value.values():
            yield from _misnamed(item, path)
    elif isinstance(value, list):
        for item in value:
            yield from _misnamed(item, path)


UNPLAIN: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (Timestamp, show_timestamp),
    (Duration, show_duration),
    (bytes, lambda v: base64.b64encode(v).decode()),
)


def plain(value: Any) -> Any:
    """A CEL value as JSON."""
    for kind, show in UNPLAIN:
        if isinstance(value, kind):
            return show(value)
    if isinstance(value, dict):
        if not all(isinstance(k, str) for k in value):
            bad = next(k for k in value if not isinstance(k, str))
            raise Failed(f'map key "{bad}" is of type {type_name(bad)}, not string')
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, bool) or value is None or isinstance(value, (str, float)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Optional):
        raise Failed("an optional value is no JSON")
    raise Failed(f"a value of type {type_name(value)} is no JSON")


def with_object(subject: Subject, tree: Tree) -> Subject:
    return replace(subject, object=tree)
