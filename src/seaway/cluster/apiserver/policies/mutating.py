"""The reviewer that lets MutatingAdmissionPolicies change objects (pkg/admission/plugin/policy/mutating/dispatcher.go)."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from seaway.api import facts
from seaway.cluster.apiserver import bodies, matching, records, schema, zeros
from seaway.cluster.apiserver.custom.registry import Registry
from seaway.cluster.apiserver.expressions.functions.authorization import Decide
from seaway.cluster.apiserver.fieldtypes import builtin
from seaway.cluster.apiserver.matching import Target
from seaway.cluster.apiserver.policies import mutations
from seaway.cluster.apiserver.policies.admission import Policies, name_of
from seaway.cluster.apiserver.policies.compiled import Binding, Mutation, Policy
from seaway.cluster.apiserver.reviewing import Attributes
from seaway.cluster.apiserver.rules import rule_for
from seaway.cluster.apiserver.status import ApiError, forbidden
from seaway.cluster.apiserver.storage import Storage

Tree = dict[str, Any]


class _Turn(NamedTuple):
    """A policy that is to change the object, with one param of one binding."""

    policy: Policy
    binding: Binding
    param: Tree | None
    to: Target


class _Problem(NamedTuple):
    policy: Policy
    binding: Binding | None
    message: str
    reason: str

    def told(self) -> str:
        if self.binding is None:
            return f'policy "{self.policy.name}" denied request: {self.message}'
        return f"policy '{self.policy.name}' with binding '{self.binding.name}' denied request: {self.message}"


class Mutating(Policies):
    """Changes objects, one policy after the other by name; those that want to see later changes run once more."""

    def __init__(self, storage: Storage, registry: Registry, decide: Decide | None) -> None:
        super().__init__("mutatingadmissionpolicies", storage, registry, decide)

    async def validate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> None:
        return None

    async def mutate(self, a: Attributes, tree: Tree | None, old: Tree | None) -> Tree | None:
        if tree is None:
            return tree
        problems: list[_Problem] = []
        turns = self._turns(a, tree, old, problems)
        first = tree
        again: list[_Turn] = []
        asked: list[_Turn] = []
        for turn in turns:
            before = tree
            tree = await self._run(a, turn, tree, old, problems)
            if tree != before:
                again, asked = again + asked, []
            if turn.policy.reinvoked:
                asked.append(turn)
        if tree != first and a.again is not None:
            before, tree = tree, copy.deepcopy(tree)
            a.again(tree)
            again += asked if tree != before else []
        for turn in again:
            tree = await self._run(a, turn, tree, old, problems)
        told = [p for p in problems if not p.policy.fails_open]
        if told:
            raise _refusal(a, tree, told)
        return tree if tree != first else first

    def _turns(self, a: Attributes, tree: Tree, old: Tree | None, problems: list[_Problem]) -> list[_Turn]:
        found: list[_Turn] = []

        def failed(policy: Policy, binding: Binding | None, message: str) -> None:
            problems.append(_Problem(policy, binding, message, ""))

        for policy, bindings, to in self.concerned(a, tree, old, failed):
            for binding in bindings:
                lent = self.lent(a, policy, binding, (tree, old), failed)
                found += [_Turn(policy, binding, param, to) for param in lent]
        return found

    async def _run(self, a: Attributes, turn: _Turn, tree: Tree, old: Tree | None, problems: list[_Problem]) -> Tree:
        """The object as one policy wants it; each mutation sees what the ones before it made."""
        policy, to = turn.policy, turn.to
        subject = await self.subject(a, to, tree, old)
        try:
            if mutations.skipped(policy, subject, turn.param):
                return tree
        except mutations.Failed as e:
            problems.append(_Problem(policy, turn.binding, str(e), "Invalid"))
            return tree
        for mutation in policy.mutations:
            try:
                tree = await self._mutated(a, turn, mutation, tree, old)
            except mutations.Failed as e:
                problems.append(_Problem(policy, turn.binding, str(e), "Invalid"))
        return tree

    async def _mutated(self, a: Attributes, turn: _Turn, mutation: Mutation, tree: Tree, old: Tree | None) -> Tree:
        to = turn.to
        subject = await self.subject(a, to, tree, old)
        own = to.object_kind.kind == to.kind.kind
        kind = records.type_of(to.kind) if own else builtin(facts.definition_of(*to.object_kind) or "")
        new = mutations.mutated(turn.policy, mutation, subject, turn.param, kind)
        if new == subject.object:
            return tree
        if own:
            try:
                new, unknown = bodies.form(copy.deepcopy(new), to.kind, subject.object)
            except schema.TypeMismatch as e:
                raise mutations.Failed(str(e)) from None
            if unknown and to.kind.custom is None:
                raise mutations.Failed(f"strict decoding error: {', '.join(unknown)}")
        new = await matching.asked_back(a, to, new)
        if own and a.kind is a.stored and not a.subresource and a.kind.custom is None:
            new = copy.deepcopy(new)
            rule_for(a.kind.group_resource).default(new)
            zeros.complete(a.kind.definition, new)
        return new


def _refusal(a: Attributes, tree: Tree | None, problems: list[_Problem]) -> ApiError:
    """The first problem is the message; all of them are causes."""
    error = forbidden(a.kind, name_of(a, tree), "admission request denied by policy")
    details = {**error.tree["details"], "causes": [{"message": p.told()} for p in problems]}
    return ApiError(403, problems[0].reason or "Forbidden", problems[0].told(), details)
