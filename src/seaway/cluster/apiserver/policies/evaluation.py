"""A write as expressions see it, and expressions run over it (pkg/admission/plugin/cel/activation.go, condition.go); pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.expressions.functions.authorization import Authorizer, Decide, ResourceCheck
from seaway.cluster.apiserver.expressions.program import Program
from seaway.cluster.apiserver.expressions.values import EvaluationError

Tree = dict[str, Any]
BUDGET, CONDITIONS_BUDGET = 10_000_000, 2_500_000
SPENT = "validation failed due to running out of cost budget, no further validation rules will be run"
META = (
    "name generateName namespace labels annotations creationTimestamp deletionGracePeriodSeconds deletionTimestamp "
    "generation resourceVersion finalizers"
).split()


class OutOfBudget(Exception):
    """Nothing more is evaluated."""

    def __init__(self) -> None:
        super().__init__(SPENT)


@dataclass(frozen=True, slots=True)
class Subject:
    """One write: `request` is an AdmissionRequest without its objects, `namespace` the Namespace that it is in."""

    object: Tree | None
    old: Tree | None
    request: Tree
    namespace: Tree | None
    user: User
    decide: Decide | None = None

    def variables(self, params: Tree | None) -> dict[str, Any]:
        """What expressions may name; the composited variables are added by who has them."""
        found: dict[str, Any] = {
            "object": self.object,
            "oldObject": self.old,
            "request": self.request,
            "namespaceObject": self.namespace,
            "params": params,
        }
        if self.decide is not None:
            resource = self.request["requestResource"]
            authorizer = Authorizer(self.user, self.decide)
            found["authorizer"] = authorizer
            found["authorizer.requestResource"] = ResourceCheck(
                authorizer,
                resource["group"],
                resource["resource"],
                self.request.get("requestSubResource", ""),
                self.request.get("namespace", ""),
                self.request.get("name", ""),
            )
        return found


def request_of(whole: Tree) -> Tree:
    """An AdmissionRequest as expressions see it: its objects are variables of their own."""
    return {k: v for k, v in whole.items() if k not in ("uid", "object", "oldObject") and v is not None}


def namespace_of(tree: Tree | None) -> Tree | None:
    """The parts of a Namespace that expressions may see (CreateNamespaceObject)."""
    if tree is None:
        return None
    meta = tree.get("metadata") or {}
    shown = {name: meta[name] for name in META if name in meta}
    if "uid" in meta:
        shown["UID"] = meta["uid"]
    return {"metadata": shown, "spec": tree.get("spec") or {}, "status": tree.get("status") or {}}


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of a stored policy; `error` says why it has no program."""

    source: str
    program: Program | None
    error: str = ""


@dataclass(slots=True)
class Run:
    """Expressions over one subject, and what is left to spend. `variables` are evaluated when they are first used."""

    names: dict[str, Any]
    variables: Mapping[str, Expression]
    budget: int
    _held: dict[str, Any] = field(default_factory=dict)

    def evaluate(self, expression: Expression) -> tuple[Any, str]:
        """A value, or why there is none; OutOfBudget."""
        if expression.program is None:
            return None, f"compilation error: {expression.error}"
        outcome = expression.program.run({**self.names, "variables": _Variables(self)})
        self.spend(outcome.cost)
        if outcome.error:
            return None, f"expression '{expression.source}' resulted in error: {outcome.error}"
        return outcome.value, ""

    def spend(self, cost: int) -> None:
        if cost > self.budget:
            raise OutOfBudget
        self.budget -= cost

    def variable(self, name: str) -> Any:
        if name not in self._held:
            self._held[name] = self._variable(name)
        found = self._held[name]
        if isinstance(found, EvaluationError):
            raise found
        return found

    def _variable(self, name: str) -> Any:
        expression = self.variables[name]
        if expression.program is None:
            return EvaluationError(f'composited variable "{name}" fails to compile: {expression.error}')
        outcome = expression.program.run({**self.names, "variables": _Variables(self)})
        self.spend(outcome.cost)
        if outcome.error:
            return EvaluationError(f'composited variable "{name}" fails to evaluate: {outcome.error}')
        return outcome.value


class _Variables:
    """The value of `variables`: fields that are evaluated when they are asked for."""

    cel_type = "kubernetes.variables"

    def __init__(self, run: Run) -> None:
        self._run = run

    def field(self, name: str) -> Any:
        if name not in self._run.variables:
            raise EvaluationError(f"no such key: {name}")
        return self._run.variable(name)

    def has_field(self, name: str) -> bool:
        return name in self._run.variables


def unmet(conditions: Mapping[str, Expression], run: Run, fails_open: bool) -> tuple[bool, str]:
    """Whether matchConditions keep a write from being looked at, or why that cannot be said (matchconditions/matcher.go)."""
    errors: list[str] = []
    for expression in conditions.values():
        try:
            value, error = run.evaluate(expression)
        except OutOfBudget as e:
            return (True, "") if fails_open else (False, str(e))
        if error:
            errors.append(error)
        elif value is False:
            return True, ""
    if not errors:
        return False, ""
    if fails_open:
        return True, ""
    told = list(dict.fromkeys(errors))
    return False, told[0] if len(told) == 1 else f"[{', '.join(told)}]"
