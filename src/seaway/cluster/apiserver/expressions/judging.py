"""Objects judged by the rules of their schema (pkg/apiserver/schema/cel/validation.go).

A failed rule is a cause; where it stands in a part of the object that did not change it is only a warning (KEP-4008).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from seaway.cluster.apiserver.expressions.declarations import Decl
from seaway.cluster.apiserver.expressions.program import Outcome, Program
from seaway.cluster.apiserver.expressions.values import NONE, EvaluationError, Optional
from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes
from seaway.cluster.apiserver.structural.correlation import Correlation
from seaway.cluster.apiserver.structural.nodes import Node

if TYPE_CHECKING:
    from seaway.cluster.apiserver.expressions.rules import Rule

Tree = dict[str, Any]
BUDGET = 10_000_000
LONGEST_MESSAGE = 5 * 1024
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


@dataclass(slots=True)
class Site:
    """A place in a schema with rules at it or below it; they are compiled when an object first has something there."""

    schema: Tree
    decl: Decl
    compile: Callable[[], tuple[Rule, ...]]
    properties: Mapping[str, Site]
    items: Site | None
    values: Site | None
    _rules: tuple[Rule, ...] | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        if self._rules is None:
            self._rules = self.compile()
        return self._rules


class _Kin(NamedTuple):
    """The old value that the one at hand stands for, and the nearest one above that stands for an old one."""

    current: Correlation | None = None
    nearest: Correlation | None = None

    def unchanged(self) -> bool:
        judged = self.current if self.current is not None else self.nearest
        return judged is not None and judged.unchanged()

    def key(self, name: str) -> _Kin:
        if self.current is None:
            return self
        if self.nearest is None and name in ("apiVersion", "kind"):
            return _Kin()
        return _Kin(self.current.field(name), self.current)

    def item(self, at: int) -> _Kin:
        return self if self.current is None else _Kin(self.current.item(at), self.current)


class _Spent(Exception):
    """The budget is used up: nothing more is evaluated."""


@dataclass(slots=True)
class _Judgement:
    budget: int = BUDGET
    causes: list[Cause] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Rules:
    """All rules of a schema."""

    def __init__(self, root: Site | None, node: Node) -> None:
        self.root, self.node = root, node

    def judge(self, new: Tree, old: Tree | None = None, at_status: bool = False) -> tuple[list[Cause], list[str]]:
        """What the rules say of an object, and the warnings of those whose failure was there before.

        A write of the status is judged as a whole, too: what it can not change did not change.
        """
        if self.root is None:
            return [], []
        judgement = _Judgement()
        kin = _Kin(Correlation(new, old, self.node)) if old is not None else _Kin()
        try:
            _judge(judgement, self.root, "", new, old, kin)
        except _Spent:
            pass
        return judgement.causes, judgement.warnings

    def judge_default(self, value: Any, path: str) -> list[Cause]:
        """What the rules say of a default: as a value that stays as it was, and then as a new one."""
        for old in (value, None):
            judgement = _Judgement()
            if self.root is None:
                return []
            try:
                _judge(judgement, self.root, path, value, old, _Kin())
            except _Spent:
                pass
            if judgement.causes:
                return judgement.causes
        return []


def _judge(judgement: _Judgement, site: Site, path: str, value: Any, old: Any, kin: _Kin) -> None:
    if value is None:
        return
    if site.rules:
        _run(judgement, site, path, value, old, kin)
    if isinstance(value, list):
        if site.items is not None:
            matching = _matching(site.schema, old)
            for i, item in enumerate(value):
                _judge(judgement, site.items, causes.index(path, i), item, matching(item), kin.item(i))
    elif isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name in value:
            inner = site.properties.get(name)
            if inner is not None:
                _judge(judgement, inner, causes.child(path, name), value[name], before.get(name), kin.key(name))
            elif site.values is not None:
                _judge(judgement, site.values, causes.key(path, name), value[name], before.get(name), kin.key(name))


def _matching(schema: Tree, old: Any) -> Callable[[Any], Any]:
    """Which old item a new one stands for: only lists of type map tell."""
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list) or not keys:
        return lambda item: None

    def key(item: Any) -> str:
        return repr([item.get(k) for k in keys]) if isinstance(item, dict) else ""

    by_key = {key(item): item for item in old}
    return lambda item: by_key.get(key(item))


def _run(judgement: _Judgement, site: Site, path: str, value: Any, old: Any, kin: _Kin) -> None:
    type = site.schema.get("type") or ""

    def invalid(why: str) -> None:
        judgement.causes.append(causes.invalid(path, type, why))

    if judgement.budget <= 0:
        invalid(OUT_OF_BUDGET)
        raise _Spent
    view = site.decl.view
    try:
        seen = value if view is None else view(value)
        seen_old = old if view is None or old is None else view(old)
    except EvaluationError as e:
        for rule in site.rules:
            invalid(f"{e} evaluating rule: {_name(rule.tree)}")
        return
    for rule in site.rules:
        if rule.error:
            invalid(f"rule compile error: {rule.error}")
            continue
        if rule.program is None or (rule.transition and old is None and not rule.optional_old):
            continue
        variables = {"self": seen}
        if rule.transition:
            variables["oldSelf"] = _old(seen_old) if rule.optional_old else seen_old
        outcome = rule.program.run(variables)
        if outcome.cost > judgement.budget:
            invalid(OUT_OF_BUDGET)
            raise _Spent
        judgement.budget -= outcome.cost
        if outcome.error:
            invalid(_told(outcome, rule.tree))
            if outcome.exceeded:
                raise _Spent
        elif outcome.value is not True:
            _fail(judgement, rule, type, path, value, variables, kin)


def _old(value: Any) -> Optional:
    return NONE if value is None else Optional(value)


def _told(outcome: Outcome, tree: Tree) -> str:
    """Why a rule could not be evaluated."""
    error, name = outcome.error, _name(tree)
    if outcome.exceeded:
        return f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {name}"
    if error.startswith("no such overload"):
        return f"'{error}': call arguments did not match a supported operator, function or macro signature for rule: {name}"
    return f"{error} evaluating rule: {name}"


def _name(tree: Tree) -> str:
    return ((tree.get("message") or "") or (tree.get("rule") or "")).strip()


def _fail(
    judgement: _Judgement, rule: Rule, type: str, path: str, value: Any, variables: dict[str, Any], kin: _Kin
) -> None:
    """A rule that came to false."""
    at = causes.child(path, rule.path) if rule.path else path

    def add(cause: Cause) -> None:
        if not rule.transition and kin.unchanged():
            judgement.warnings.append(f"{cause.field}: {cause.message}")
        else:
            judgement.causes.append(cause)

    detail = ""
    if rule.message is not None:
        message = rule.message
        detail, why = _message(judgement, message, variables)
        if why:
            add(causes.invalid(at, type, why))
            raise _Spent
    if not detail:
        told = rule.tree.get("message") or ""
        detail = told.strip() if told else f"failed rule: {_name(rule.tree)}"
    add(_cause(rule.tree.get("reason"), at, None if type in ("object", "array") else value, detail))


def _cause(reason: str | None, path: str, value: Any, detail: str) -> Cause:
    """The cause of a rule's reason; objects and lists are not shown."""
    match reason:
        case "FieldValueForbidden":
            return causes.forbidden(path, detail)
        case "FieldValueRequired":
            return causes.required(path, detail)
        case "FieldValueDuplicate" if value is None:
            return Cause(path or causes.NOWHERE, "FieldValueDuplicate", "Duplicate value")
        case "FieldValueDuplicate":
            return causes.duplicate(path, value)
    if value is None:
        return Cause(path or causes.NOWHERE, "FieldValueInvalid", f"Invalid value: {detail}")
    return causes.invalid(path, value, detail)


def _message(judgement: _Judgement, program: Program, variables: dict[str, Any]) -> tuple[str, str]:
    """What a messageExpression says, "" where it says nothing fit; or why it stops everything."""
    outcome = program.run(variables)
    if outcome.cost > judgement.budget:
        return "", (
            "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
        )
    if outcome.exceeded:
        source = program.checked.source.replace("\\", "\\\\").replace('"', '\\"')
        return "", (
            f'no further validation rules will be run due to call cost exceeds limit for messageExpression: "{source}"'
        )
    judgement.budget -= outcome.cost
    if outcome.error or not isinstance(outcome.value, str):
        return "", ""
    text = outcome.value.strip()
    if len(text.encode()) > LONGEST_MESSAGE or "\n" in text:
        return "", ""
    return text, ""


def sites(root: Site | None) -> Iterator[Site]:
    """Every site of a tree of them."""
    if root is None:
        return
    yield root
    for inner in (*root.properties.values(), root.items, root.values):
        yield from sites(inner)
