"""What a validating policy says of a write (pkg/admission/plugin/policy/validating/validator.go); pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seaway.cluster.apiserver.expressions.values import type_name
from seaway.cluster.apiserver.policies.compiled import Policy, Validation
from seaway.cluster.apiserver.policies.evaluation import BUDGET, CONDITIONS_BUDGET, OutOfBudget, Run, Subject, unmet

Tree = dict[str, Any]
LONGEST_MESSAGE = 5 * 1024


@dataclass(frozen=True, slots=True)
class Decision:
    """A validation that failed: `index` is its place, `reason` "" for a failure of the policy itself."""

    index: int
    message: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Failed validations, and annotations for the audit log; `errors` are annotations that could not be made."""

    denials: tuple[Decision, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    errors: tuple[str, ...] = ()


def judge(policy: Policy, subject: Subject, params: Tree | None) -> Outcome:
    """One policy with one param over one write."""
    names = subject.variables(params)
    skipped, problem = unmet(policy.conditions, Run(names, policy.variables, CONDITIONS_BUDGET), policy.fails_open)
    if problem:
        return _failed(policy, problem)
    if skipped:
        return Outcome()
    run = Run(names, policy.variables, BUDGET)
    try:
        results = [run.evaluate(v.expression) for v in policy.validations]
    except OutOfBudget as e:
        return _failed(policy, str(e))
    plain = {k: v for k, v in names.items() if not k.startswith("authorizer")}
    messages = Run(plain, policy.variables, run.budget)
    denials: list[Decision] = []
    for i, (validation, (value, error)) in enumerate(zip(policy.validations, results, strict=True)):
        if error:
            if not policy.fails_open:
                denials.append(Decision(i, error))
        elif value is not True:
            try:
                denials.append(Decision(i, _message(validation, messages), validation.reason))
            except OutOfBudget as e:
                if not policy.fails_open:
                    denials.append(Decision(i, f"failed messageExpression: {e}"))
    try:
        annotations, errors = _annotations(policy, Run(names, policy.variables, BUDGET))
    except OutOfBudget as e:
        return _failed(policy, str(e))
    return Outcome(tuple(denials), annotations, errors)


def _failed(policy: Policy, why: str) -> Outcome:
    return Outcome() if policy.fails_open else Outcome((Decision(0, why),))


def _message(validation: Validation, run: Run) -> str:
    """The message of a failed validation: its expression's, its own, or the expression that failed."""
    if validation.message_expression is not None:
        value, error = run.evaluate(validation.message_expression)
        if not error and isinstance(value, str):
            text = value.strip()
            if text and "\n" not in text and len(text.encode()) <= LONGEST_MESSAGE:
                return text
    return validation.message.strip() or f"failed expression: {validation.expression.source.strip()}"


def _annotations(policy: Policy, run: Run) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    found: list[tuple[str, str]] = []
    errors: list[str] = []
    for key, expression in policy.annotations:
        value, error = run.evaluate(expression)
        if not error and value is not None and not isinstance(value, str):
            error = (
                f"valueExpression '{expression.source}' resulted in unsupported return type: {type_name(value)}. "
                "Return type must be either string or null."
            )
        if error:
            errors += [] if policy.fails_open else [error]
        elif value and value.strip():
            found.append((key, value.strip()))
    return tuple(found), tuple(errors)
