"""The reviewers that ask admission policies (pkg/admission/plugin/policy/validating/dispatcher.go)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import forms, matching
from seaway.cluster.apiserver.custom.registry import Registry
from seaway.cluster.apiserver.expressions.functions.authorization import Decide
from seaway.cluster.apiserver.matching import REGISTRATION, Target
from seaway.cluster.apiserver.policies import compiled, decisions, params
from seaway.cluster.apiserver.policies.compiled import Binding, Match, Policy
from seaway.cluster.apiserver.policies.evaluation import Subject, namespace_of, request_of
from seaway.cluster.apiserver.reviewing import Attributes
from seaway.cluster.apiserver.status import ApiError, forbidden, not_found
from seaway.cluster.apiserver.storage import Event, Storage
from seaway.cluster.apiserver.webhooks import exchange

Tree = dict[str, Any]
CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
FAILURES = "validation.policy.admission.k8s.io/validation_failure"
Failed = Callable[[Policy, Binding | None, str], None]
MOST_FAILURES, LONGEST_ANNOTATION = 50, 10 * 1024


class Policies:
    """The policies of one kind with their bindings, read anew when one of them has changed."""

    def __init__(self, resource: str, storage: Storage, registry: Registry, decide: Decide | None) -> None:
        self._policies, self._bindings = f"{resource}.{REGISTRATION}", f"{resource[:-3]}ybindings.{REGISTRATION}"
        self._storage, self._registry, self._decide = storage, registry, decide
        self._hooks: list[tuple[Policy, list[Binding]]] | None = None
        self._compiled: dict[str, tuple[Any, Policy]] = {}
        storage.listeners.append(self._follow)

    def _follow(self, event: Event) -> None:
        if event.resource in (self._policies, self._bindings):
            self._hooks = None

    @property
    def hooks(self) -> list[tuple[Policy, list[Binding]]]:
        """Policies that something binds, by name, each with its bindings."""
        if self._hooks is None:
            bound: dict[str, list[Binding]] = {}
            for entry in self._storage.entries(self._bindings, ""):
                binding = compiled.binding(entry.tree)
                bound.setdefault(binding.policy, []).append(binding)
            trees = {e.tree["metadata"]["name"]: e.tree for e in self._storage.entries(self._policies, "")}
            self._compiled = {n: c for n, c in self._compiled.items() if n in trees}
            self._hooks = [(self._policy(n, trees[n]), bound[n]) for n in sorted(trees) if n in bound]
        return self._hooks

    def _policy(self, name: str, tree: Tree) -> Policy:
        """A policy compiled; compiling again waits until its spec changes."""
        held = self._compiled.get(name)
        if held is None or held[0] != tree.get("spec"):
            held = self._compiled[name] = (tree.get("spec"), compiled.policy(tree))
        return held[1]

    def concerns(self, attributes: Attributes) -> bool:
        hooks = self.hooks
        if not hooks or matching.is_exempt(attributes):
            return False
        return any(_target(policy.match, attributes) is not None for policy, _ in hooks)

    def _labels(self, namespace: str) -> dict[str, str]:
        entry = self._storage.newest("namespaces", namespace)
        if entry is None:
            raise not_found(self._namespaces(), namespace)
        return matching.labels(entry.tree)

    def _namespaces(self) -> Kind:
        kind = self._registry.served.find("", "v1", "namespaces")
        assert kind is not None
        return kind

    def matches(self, match: Match, a: Attributes, tree: Tree | None, old: Tree | None) -> Target | None:
        """The form in which a policy or binding takes a write; None where it does not (matching.go Matches)."""
        if not matching.object_selected(match.object_selector, tree, old):
            return None
        to = _target(match, a)
        if to is None or not matching.namespace_selected(match.namespace_selector, a, tree, self._labels):
            return None
        return to

    def concerned(
        self, a: Attributes, tree: Tree | None, old: Tree | None, failed: Failed
    ) -> Iterator[tuple[Policy, list[Binding], Target]]:
        """The policies that take a write, in the form each takes it; `failed` is told of those that are configured wrongly."""
        for policy, bindings in self.hooks:
            try:
                to = self.matches(policy.match, a, tree, old)
                if to is None:
                    continue
                self.check(policy)
            except (ApiError, params.Misconfigured) as e:
                failed(policy, None, f"failed to configure policy: {e}")
                continue
            yield policy, bindings, to

    def lent(
        self, a: Attributes, policy: Policy, binding: Binding, trees: tuple[Tree | None, Tree | None], failed: Failed
    ) -> list[Tree | None]:
        """The params that a binding which takes a write gives its policy; none where it does not take it."""
        try:
            if binding.match is not None and self.matches(binding.match, a, *trees) is None:
                return []
            return params.collect(policy, binding, a.namespace, self._kind, self._read)
        except (ApiError, params.Misconfigured) as e:
            failed(policy, binding, f"failed to configure binding: {e}")
            return []

    async def subject(self, a: Attributes, to: Target, tree: Tree | None, old: Tree | None) -> Subject:
        """A write as the expressions of a policy see it."""
        shown, shown_old = await matching.asked(a, to, tree), await matching.asked(a, to, old)
        namespace = None
        if a.namespace and a.object_kind.kind != "Namespace":
            entry = self._storage.newest("namespaces", a.namespace)
            namespace = entry.tree if entry is not None else None
        request = request_of(exchange.request("", a, to, None, None))
        return Subject(shown, shown_old, request, namespace_of(namespace), a.user, self._decide)

    def check(self, policy: Policy) -> None:
        """Raises Misconfigured where the kind of the params is none."""
        if policy.param_kind is not None:
            params.known(policy, self._kind)

    def _kind(self, version: str, name: str) -> Kind | None:
        served = self._registry.served
        found = (k for k in served.kinds if k.api_version == version and k.kind == name and k.stored)
        return next(found, None)

    def _read(self, kind: Kind, namespace: str, name: str) -> list[Tree]:
        resource, prefix = forms.stored_kind(kind).group_resource, f"{namespace}/" if kind.namespaced else ""
        if name:
            entry = self._storage.newest(resource, f"{prefix}{name}")
            return [forms.seen(kind, entry)] if entry is not None else []
        return [forms.seen(kind, e) for e in self._storage.entries(resource, prefix)]


def _target(match: Match, a: Attributes) -> Target | None:
    if match.excluded and matching.target(match.excluded, match.policy, a) is not None:
        return None
    if not match.rules:
        return Target(a.kind, a.object_kind)
    return matching.target(match.rules, match.policy, a)


class _Denied:
    """Denials in the order in which they came, and failures for the audit log."""

    def __init__(self) -> None:
        self.first: tuple[str, str] | None = None
        self.failures: list[Tree] = []

    def misconfigured(self, policy: Policy, binding: Binding | None, message: str) -> None:
        if not policy.fails_open:
            self.add(policy, binding, message)

    def add(self, policy: Policy, binding: Binding | None, message: str, reason: str = "") -> None:
        if self.first is None:
            by = f" with binding '{binding.name}'" if binding is not None else ""
            told = f"ValidatingAdmissionPolicy '{policy.name}'{by} denied request: {message}"
            self.first = told, reason or "Invalid"


class Validating(Policies):
    """Refuses what a ValidatingAdmissionPolicy denies."""

    def __init__(self, storage: Storage, registry: Registry, decide: Decide | None) -> None:
        super().__init__("validatingadmissionpolicies", storage, registry, decide)
        # Told of each check: the policy, the binding, what was done, and what kind of error there was.
        self.observe: Callable[[str, str, str, str], None] = lambda policy, binding, action, error: None

    async def mutate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> Tree | None:
        return tree

    async def validate(self, a: Attributes, tree: Tree | None, old: Tree | None) -> None:
        denied = _Denied()
        subjects: dict[Any, Subject] = {}
        for policy, bindings, to in self.concerned(a, tree, old, denied.misconfigured):
            form = to.kind.api_version, to.kind.resource, to.object_kind
            if form not in subjects:
                subjects[form] = await self.subject(a, to, tree, old)
            self._ask(denied, policy, bindings, a, subjects[form], (tree, old))
        if denied.failures:
            a.annotations[FAILURES] = json.dumps(denied.failures[:MOST_FAILURES], separators=(",", ":"))
        if denied.first is not None:
            raise _refusal(a, tree, *denied.first)

    def _ask(
        self,
        denied: _Denied,
        policy: Policy,
        bindings: list[Binding],
        a: Attributes,
        subject: Subject,
        trees: tuple[Tree | None, Tree | None],
    ) -> None:
        """One policy with all its bindings."""
        told: dict[str, list[str]] = {}
        for binding in bindings:
            for param in self.lent(a, policy, binding, trees, denied.misconfigured):
                outcome = decisions.judge(policy, subject, param)
                if not outcome.denials and not outcome.errors:
                    self.observe(policy.name, binding.name, "allow", "no_error")
                for action in binding.actions if outcome.denials else ():
                    self.observe(policy.name, binding.name, action.lower(), "no_error")
                if outcome.errors:
                    self.observe(policy.name, binding.name, "deny", "invalid_error")
                for decision in outcome.denials:
                    _act(denied, policy, binding, decision, a)
                for key, value in outcome.annotations:
                    values = told.setdefault(key, [])
                    if value[:LONGEST_ANNOTATION] not in values:
                        values.append(value[:LONGEST_ANNOTATION])
                for error in outcome.errors:
                    denied.add(policy, binding, error)
        for key, values in told.items():
            a.annotations[f"{policy.name}/{key}"] = ", ".join(values)


def _act(denied: _Denied, policy: Policy, binding: Binding, decision: decisions.Decision, a: Attributes) -> None:
    """What a binding wants done about a failed validation."""
    for action in binding.actions:
        if action == "Deny":
            denied.add(policy, binding, decision.message, decision.reason)
        elif action == "Warn":
            a.warnings.append(
                f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}': "
                f"{decision.message}"
            )
        elif action == "Audit":
            denied.failures.append(
                {
                    "message": decision.message,
                    "policy": policy.name,
                    "binding": binding.name,
                    "expressionIndex": decision.index,
                    "validationActions": list(binding.actions),
                }
            )


def name_of(a: Attributes, tree: Tree | None) -> str:
    """The name that a refusal tells (admission/errors.go extractResourceName)."""
    meta = (tree or {}).get("metadata") or {}
    return a.name or meta.get("name") or meta.get("generateName") or "Unknown!"


def _refusal(a: Attributes, tree: Tree | None, message: str, reason: str) -> ApiError:
    """Worded as forbidden, with the reason and code of the validation."""
    error = forbidden(a.kind, name_of(a, tree), message)
    details = {**error.tree["details"], "causes": [{"message": message}]}
    return ApiError(CODES.get(reason, 422), reason, str(error), details)
