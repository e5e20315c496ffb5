"""Policies and bindings as stored objects have them, compiled once; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from seaway.cluster.apiserver.expressions.library import CompileError
from seaway.cluster.apiserver.policies.environment import BOOL, STRING, STRING_OR_NULL, Compiler
from seaway.cluster.apiserver.policies.evaluation import Expression

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Match:
    """MatchResources."""

    rules: tuple[Tree, ...]
    excluded: tuple[Tree, ...]
    policy: str
    namespace_selector: Tree
    object_selector: Tree


@dataclass(frozen=True, slots=True)
class Validation:
    """A validation with its messages."""

    expression: Expression
    message: str
    message_expression: Expression | None
    reason: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mutation: `patch_type` is ApplyConfiguration or JSONPatch."""

    patch_type: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of either kind; the other kind's parts are empty."""

    name: str
    match: Match
    fails_open: bool
    param_kind: tuple[str, str] | None
    conditions: dict[str, Expression]
    variables: dict[str, Expression]
    validations: tuple[Validation, ...]
    annotations: tuple[tuple[str, Expression], ...]
    mutations: tuple[Mutation, ...]
    reinvoked: bool


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding; `match` None where it narrows nothing."""

    name: str
    policy: str
    param_ref: Tree | None
    match: Match | None
    actions: tuple[str, ...]


def match(tree: Tree) -> Match:
    return Match(
        tuple(tree.get("resourceRules") or ()),
        tuple(tree.get("excludeResourceRules") or ()),
        tree.get("matchPolicy") or "Equivalent",
        tree.get("namespaceSelector") or {},
        tree.get("objectSelector") or {},
    )


def expression(compiler: Compiler, source: str, returns: Iterable[str], authorizer: bool = True) -> Expression:
    """An expression that was checked when it was written; should it not compile, evaluating it is an error."""
    try:
        return Expression(source, compiler.program(source, returns, authorizer))
    except CompileError as e:
        return Expression(source, None, str(e))


def conditions(compiler: Compiler, trees: Iterable[Tree]) -> dict[str, Expression]:
    """matchConditions by name."""
    return {c.get("name", ""): expression(compiler, (c.get("expression") or "").strip(), BOOL) for c in trees}


def policy(tree: Tree) -> Policy:
    """A ValidatingAdmissionPolicy or a MutatingAdmissionPolicy."""
    spec = tree.get("spec") or {}
    kind = spec.get("paramKind")
    compiler = Compiler(kind is not None, composed=True)
    variables: dict[str, Expression] = {}
    for variable in spec.get("variables") or ():
        name, source = variable.get("name", ""), variable.get("expression", "")
        try:
            variables[name] = Expression(source, compiler.variable(name, source))
        except CompileError as e:
            variables[name] = Expression(source, None, str(e))
    return Policy(
        tree["metadata"]["name"],
        match(spec.get("matchConstraints") or {}),
        spec.get("failurePolicy") == "Ignore",
        (kind.get("apiVersion", ""), kind.get("kind", "")) if kind is not None else None,
        conditions(compiler, spec.get("matchConditions") or ()),
        variables,
        tuple(_validation(compiler, v) for v in spec.get("validations") or ()),
        tuple(
            (a.get("key", ""), expression(compiler, (a.get("valueExpression") or "").strip(), STRING_OR_NULL))
            for a in spec.get("auditAnnotations") or ()
        ),
        tuple(_mutation(compiler, m) for m in spec.get("mutations") or ()),
        spec.get("reinvocationPolicy") == "IfNeeded",
    )


def _validation(compiler: Compiler, tree: Tree) -> Validation:
    told = tree.get("messageExpression")
    return Validation(
        expression(compiler, tree.get("expression", ""), BOOL),
        tree.get("message") or "",
        expression(compiler, told, STRING, authorizer=False) if told else None,
        tree.get("reason") or "Invalid",
    )


def _mutation(compiler: Compiler, tree: Tree) -> Mutation:
    kind = tree.get("patchType", "")
    part = tree.get("applyConfiguration" if kind == "ApplyConfiguration" else "jsonPatch") or {}
    source = part.get("expression", "")
    try:
        return Mutation(kind, Expression(source, compiler.patch(source, kind == "JSONPatch")))
    except CompileError as e:
        return Mutation(kind, Expression(source, None, str(e)))


def binding(tree: Tree) -> Binding:
    spec = tree.get("spec") or {}
    found = spec.get("matchResources")
    return Binding(
        tree["metadata"]["name"],
        spec.get("policyName", ""),
        spec.get("paramRef"),
        match(found) if found is not None else None,
        tuple(spec.get("validationActions") or ()),
    )
