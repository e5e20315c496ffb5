"""What is wrong with a custom object: schema, scale, rules (registry/customresource strategy.go, validator.go); pure."""

from __future__ import annotations

from typing import Any

from seaway.api.kinds import Kind
from seaway.cluster.apiserver.custom.objects import version_of
from seaway.cluster.apiserver.metadata import STANDARD_FINALIZERS, qualified_name_problems
from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import unchecked

Tree = dict[str, Any]
PREFER = "prefer a domain-qualified finalizer name"
OTHERS = "to avoid accidental conflicts with other finalizer writers"


def judge(
    kind: Kind, new: Tree, old: Tree | None, subresource: str, known: list[Cause]
) -> tuple[list[Cause], list[str]]:
    """(what is wrong, warnings). `known` is what is wrong with the metadata, which comes first."""
    version = version_of(kind)
    schema, warnings = version.structural, list[str]()
    if old is None:
        found = schema.validate(new, version.scale)
    elif subresource == "status":
        found, warnings = schema.validate_status(new, old, version.scale)
    else:
        found, warnings = schema.validate_update(new, old, version.scale)
    causes = [*known, *found]
    if not version.has_rules:
        return causes, warnings
    blocked = unchecked(causes)
    if blocked is not None:
        return [*causes, blocked], warnings
    found, told = version.rules.judge(new, old, subresource == "status")
    return causes + found, [*warnings, *told]


def judged(kind: Kind, new: Tree, old: Tree | None, part: str, known: list[Cause], warnings: list[str]) -> list[Cause]:
    """As `judge`; what is only worth a warning is added to `warnings`."""
    causes, told = judge(kind, new, old, part, known)
    warnings.extend(told)
    return causes


def finalizer_warnings(new: Tree, old: Tree | None) -> list[str]:
    """What is told of finalizers that a write adds."""
    before = set(((old or {}).get("metadata") or {}).get("finalizers") or ())
    found = []
    for name in sorted(set(new["metadata"].get("finalizers") or ()) - before):
        path = f'metadata.finalizers: "{name}"'
        found += [f"{path}: {why}" for why in qualified_name_problems(name)]
        if "/" not in name and name not in STANDARD_FINALIZERS:
            found.append(
                f"{path}: {PREFER} including a path (/) {OTHERS}" if "." in name else f"{path}: {PREFER} {OTHERS}"
            )
    return found
