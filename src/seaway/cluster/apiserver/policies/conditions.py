"""matchConditions of webhooks, compiled once and evaluated (pkg/admission/plugin/webhook/matchconditions)."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.expressions.functions.authorization import Decide
from seaway.cluster.apiserver.policies import compiled
from seaway.cluster.apiserver.policies.environment import Compiler
from seaway.cluster.apiserver.policies.evaluation import (
    CONDITIONS_BUDGET,
    Expression,
    Run,
    Subject,
    request_of,
    unmet,
)
from seaway.cluster.apiserver.reviewing import Attributes
from seaway.cluster.apiserver.webhooks.configured import Hook

Tree = dict[str, Any]
REMEMBERED = 1024


class Conditions:
    """Whether a request meets the conditions of a webhook; what `webhooks.admission.Conditions` asks for."""

    def __init__(self, decide: Decide | None) -> None:
        self._decide = decide
        self._compiler: Compiler | None = None
        self._compiled: dict[tuple[tuple[str, str], ...], dict[str, Expression]] = {}

    def __call__(self, hook: Hook, attributes: Attributes, request: Tree) -> tuple[bool, str]:
        subject = Subject(
            request.get("object"),
            request.get("oldObject"),
            request_of(request),
            None,
            attributes.user,
            self._decide,
        )
        run = Run(subject.variables(None), {}, CONDITIONS_BUDGET)
        skipped, problem = unmet(self._of(hook), run, hook.fails_open)
        return not skipped and not problem, problem

    def _of(self, hook: Hook) -> dict[str, Expression]:
        key = tuple((c.get("name", ""), c.get("expression", "")) for c in hook.conditions)
        if key not in self._compiled:
            if len(self._compiled) >= REMEMBERED:
                self._compiled.clear()
            if self._compiler is None:
                self._compiler = Compiler(params=False)
            self._compiled[key] = compiled.conditions(self._compiler, hook.conditions)
        return self._compiled[key]
