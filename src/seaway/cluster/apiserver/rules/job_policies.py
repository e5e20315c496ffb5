"""podFailurePolicy and successPolicy of Jobs (KEP-3329, KEP-3998; pkg/apis/batch/validation)."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules, index_sets
from seaway.cluster.apiserver.status import Cause, duplicate, required, too_long, too_many, unlisted, wrong

Tree = dict[str, Any]
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS = ("In", "NotIn")
STATUSES = ("False", "True", "Unknown")
MOST_RULES, MOST_PATTERNS, MOST_CODES, LONGEST_INDEXES = 20, 20, 255, 64 * 1024


def bare(path: str, why: str) -> Cause:
    """An invalid value that is not shown."""
    return Cause(path, "FieldValueInvalid", f"Invalid value: {why}")


def _valid(values: tuple[str, ...]) -> str:
    told = " ".join(f'"{v}"' for v in values)
    return f"valid values: [{told}]"


def _exit_codes(codes: Tree, containers: set[str], path: str) -> list[Cause]:
    operator, name, values = codes.get("operator", ""), codes.get("containerName"), codes.get("values") or []
    found = fieldrules.one_of(f"{path}.operator", operator, OPERATORS, _valid(OPERATORS))
    if name is not None and name not in containers:
        why = "must be one of the container or initContainer names in the pod template"
        found.append(wrong(f"{path}.containerName", name, why))
    if not values:
        found.append(wrong(f"{path}.values", None, "at least one value is required"))
    elif len(values) > MOST_CODES:
        found.append(too_many(f"{path}.values", len(values), MOST_CODES))
    seen = set[int]()
    for i, value in enumerate(values):
        if operator == "In" and value == 0:
            found.append(wrong(f"{path}.values[{i}]", value, "must not be 0 for the In operator"))
        if value in seen:
            found.append(duplicate(f"{path}.values[{i}]", value))
        seen.add(value)
    if values != sorted(values):
        found.append(wrong(f"{path}.values", values, "must be ordered"))
    return found


def _pod_conditions(patterns: list[Tree], path: str) -> list[Cause]:
    found = [too_many(path, len(patterns), MOST_PATTERNS)] if len(patterns) > MOST_PATTERNS else []
    for i, pattern in enumerate(patterns):
        found += formats.causes(f"{path}[{i}].type", pattern.get("type", ""), formats.qualified_name)
        found += fieldrules.one_of(f"{path}[{i}].status", pattern.get("status", ""), STATUSES, _valid(STATUSES))
    return found


def validate_failure(spec: Tree, path: str) -> list[Cause]:
    rules, found = spec["podFailurePolicy"].get("rules") or [], []
    if len(rules) > MOST_RULES:
        found.append(too_many(f"{path}.rules", len(rules), MOST_RULES))
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name", "") for part in ("containers", "initContainers") for c in pod.get(part) or ()}
    for i, rule in enumerate(rules):
        at, action = f"{path}.rules[{i}]", rule.get("action", "")
        codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or []
        if not action:
            found.append(required(f"{at}.action", _valid(ACTIONS)))
        elif action == "FailIndex":
            if spec.get("backoffLimitPerIndex") is None:
                found.append(wrong(f"{at}.action", action, "requires the backoffLimitPerIndex to be set"))
        elif action not in ACTIONS:
            found.append(unlisted(f"{at}.action", action, ACTIONS))
        if codes is not None:
            found += _exit_codes(codes, names, f"{at}.onExitCodes")
        if patterns:
            found += _pod_conditions(patterns, f"{at}.onPodConditions")
        if codes is not None and patterns:
            found.append(bare(at, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not patterns:
            found.append(bare(at, "specifying one of OnExitCodes and OnPodConditions is required"))
    return found


def _success_rule(rule: Tree, completions: int, path: str) -> list[Cause]:
    count, indexes, found = rule.get("succeededCount"), rule.get("succeededIndexes"), []
    if count is None and indexes is None:
        why = "at least one of succeededCount or succeededIndexes must be specified"
        found.append(required(path, why))
    total = 0
    if indexes is not None:
        at = f"{path}.succeededIndexes"
        if len(indexes) > LONGEST_INDEXES:
            found.append(too_long(at, LONGEST_INDEXES))
        try:
            total = sum(last - first + 1 for first, last in index_sets.intervals(indexes, completions))
        except index_sets.IndexSetError as e:
            found.append(wrong(at, indexes, f"error parsing succeededIndexes: {e}"))
    if count is not None:
        at = f"{path}.succeededCount"
        found += fieldrules.not_negative(at, count)
        if count > completions:
            why = f"must be less than or equal to {completions} (the number of specified completions)"
            found.append(wrong(at, count, why))
        if indexes is not None and count > total:
            told = f"{total} (the number of indexes in the specified succeededIndexes field)"
            found.append(wrong(at, count, f"must be less than or equal to {told}"))
    return found


def validate_success(spec: Tree, path: str) -> list[Cause]:
    rules, found = spec["successPolicy"].get("rules") or [], []
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        found.append(required(f"{path}.rules", why))
    if len(rules) > MOST_RULES:
        found.append(too_many(f"{path}.rules", len(rules), MOST_RULES))
    for i, rule in enumerate(rules):
        found += _success_rule(rule, spec.get("completions") or 0, f"{path}.rules[{i}]")
    return found
