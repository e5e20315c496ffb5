"""The reviewers that ask admission webhooks: mutating ones one after the other, validating ones all at once.

k8s.io/apiserver pkg/admission/plugin/webhook: mutating/dispatcher.go, validating/dispatcher.go, generic/webhook.go.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from seaway.api.kinds import by_resource
from seaway.cluster.apiserver import bodies, matching, patches, schema, zeros
from seaway.cluster.apiserver.custom.strategy import rule_of
from seaway.cluster.apiserver.matching import REGISTRATION, Target
from seaway.cluster.apiserver.reviewing import Attributes
from seaway.cluster.apiserver.rules import rule_for
from seaway.cluster.apiserver.status import ApiError, bad_request, forbidden, internal, not_found
from seaway.cluster.apiserver.storage import Event, Storage
from seaway.cluster.apiserver.webhooks import configured, exchange
from seaway.cluster.apiserver.webhooks.calling import Caller
from seaway.cluster.apiserver.webhooks.configured import Hook
from seaway.cluster.apiserver.webhooks.exchange import Unusable, Verdict

Tree = dict[str, Any]
MUTATING, VALIDATING = "admit", "validating"  # the types of webhooks in metrics
MUTATION = "mutation.webhook.admission.k8s.io/"
PATCH = "patch.webhook.admission.k8s.io/"
OPEN = {MUTATING: f"failed-open.{MUTATION}", VALIDATING: "failed-open.validating.webhook.admission.k8s.io/"}
BY_CALL, BY_NOTHING, BY_SERVER = "calling_webhook_error", "no_error", "apiserver_internal_error"


class Called(NamedTuple):
    """A webhook that was asked, for the metrics. `error`: "" or the kind of what went wrong; `code` 0 where none fits."""

    name: str
    type: str
    operation: str
    seconds: float
    code: int
    rejected: bool
    error: str
    fails_open: bool


class Conditions(Protocol):
    """Whether a request meets the matchConditions of a webhook, and else why that cannot be said; "" where it can.

    `request` is the AdmissionRequest; objects are in the target's form."""

    def __call__(self, hook: Hook, attributes: Attributes, request: Tree) -> tuple[bool, str]: ...


def unknown_conditions(hook: Hook, attributes: Attributes, request: Tree) -> tuple[bool, str]:
    """Where there is nobody to evaluate them, conditions are errors."""
    return False, "expressions cannot be evaluated here"


def _ignore(called: Called) -> None:
    return None


class Webhooks:
    """The webhooks of one resource of configurations, read anew when a configuration has changed."""

    type = ""

    def __init__(self, resource: str, storage: Storage, caller: Caller, uid: Callable[[], str]) -> None:
        self._resource = f"{resource}.{REGISTRATION}"
        self._storage, self._caller, self._uid = storage, caller, uid
        self._hooks: tuple[Hook, ...] | None = None
        self.conditions: Conditions = unknown_conditions
        self.observe: Callable[[Called], None] = _ignore
        storage.listeners.append(self._follow)

    def _follow(self, event: Event) -> None:
        if event.resource == self._resource:
            self._hooks = None

    @property
    def hooks(self) -> tuple[Hook, ...]:
        if self._hooks is None:
            self._hooks = configured.hooks(e.tree for e in self._storage.entries(self._resource, ""))
        return self._hooks

    def concerns(self, attributes: Attributes) -> bool:
        hooks = self.hooks
        if not hooks or matching.is_exempt(attributes):
            return False
        return any(matching.target(h.rules, h.match_policy, attributes) is not None for h in hooks)

    def _labels(self, namespace: str) -> dict[str, str]:
        entry = self._storage.newest("namespaces", namespace)
        if entry is None:
            raise not_found(by_resource()["", "v1", "namespaces"], namespace)
        return matching.labels(entry.tree)

    async def _target(self, hook: Hook, a: Attributes, tree: Tree | None, old: Tree | None) -> Target | None:
        """In which form a webhook is asked; None where it is not. ApiError where that cannot be said."""
        to = matching.target(hook.rules, hook.match_policy, a)
        if to is None or not matching.object_selected(hook.object_selector, tree, old):
            return None
        if not matching.namespace_selected(hook.namespace_selector, a, tree, self._labels):
            return None
        if not hook.conditions:
            return to
        met, problem = self.conditions(hook, a, await self._request("", a, to, tree, old))
        if problem and not hook.fails_open:
            raise forbidden(a.kind, a.name, problem)
        return to if met and not problem else None

    @staticmethod
    async def _request(uid: str, a: Attributes, to: Target, tree: Tree | None, old: Tree | None) -> Tree:
        shown, shown_old = await matching.asked(a, to, tree), await matching.asked(a, to, old)
        return exchange.request(uid, a, to, shown, shown_old)

    async def _verdict(self, hook: Hook, a: Attributes, to: Target, tree: Tree | None, old: Tree | None) -> Verdict:
        """What a webhook says. Unusable where it says nothing; ApiError where it denies, or must not be asked."""
        if a.dry_run and hook.side_effects not in ("None", "NoneOnDryRun"):
            raise bad_request(f'admission webhook "{hook.name}" does not support dry run')
        version, uid = exchange.version(hook.versions), self._uid()
        review = exchange.review(version, await self._request(uid, a, to, tree, old))
        answer = await self._caller.post(hook.client, review, hook.seconds)
        found = exchange.verdict(answer, uid, version, self.type == MUTATING)
        a.annotations.update({f"{hook.name}/{name}": value for name, value in found.annotations.items()})
        a.warnings.extend(found.warnings)
        if not found.allowed:
            raise exchange.denial(hook.name, found.result)
        return found

    async def _asked(
        self, hook: Hook, at: str, a: Attributes, to: Target, tree: Tree | None, old: Tree | None
    ) -> Verdict | None:
        """The verdict, told to the metrics; None where the webhook failed and may. `at` is its place in annotations."""
        begun, code, rejected, error = perf_counter(), 200, False, ""
        try:
            return await self._verdict(hook, a, to, tree, old)
        except Unusable as e:
            code, rejected, error = 503, not hook.fails_open, BY_CALL
            if not hook.fails_open:
                raise internal(f'failed calling webhook "{hook.name}": {e}') from None
            a.annotations[f"{OPEN[self.type]}{at}"] = hook.name
            return None
        except ApiError as e:
            code, rejected, error = e.code, True, BY_NOTHING
            raise
        finally:
            spent = perf_counter() - begun
            self.observe(Called(hook.name, self.type, a.operation, spent, code, rejected, error, hook.fails_open))


class Mutating(Webhooks):
    """Changes objects: each webhook sees what the ones before it made."""

    type = MUTATING

    async def mutate(self, a: Attributes, tree: Tree | None, old: Tree | None) -> Tree | None:
        first = tree
        again: set[str] = set()  # the webhooks that are asked a second time
        asked: set[str] = set()  # those that were asked, and want to be again when a later one changes something
        for number in (0, 1):
            changed = False
            for i, hook in enumerate(self.hooks):
                to = await self._target(hook, a, tree, old)
                if to is None or (number and hook.uid not in again):
                    continue
                before = tree
                tree = await self._changed(hook, f"round_{number}_index_{i}", a, to, tree, old)
                if tree != before:
                    changed, again, asked = True, again | asked, set()
                if hook.reinvoked:
                    asked.add(hook.uid)
            if number or not changed or tree is None:
                break
            if a.again is not None:
                before, tree = tree, copy.deepcopy(tree)
                a.again(tree)
                again |= asked if tree != before else set()
            if not again:
                break
        return first if tree == first else tree

    async def validate(self, a: Attributes, tree: Tree | None, old: Tree | None) -> None:
        return None

    async def _changed(
        self, hook: Hook, at: str, a: Attributes, to: Target, tree: Tree | None, old: Tree | None
    ) -> Tree | None:
        """The object as one webhook wants it."""
        result = tree
        try:
            verdict = await self._asked(hook, at, a, to, tree, old)
            if verdict is not None and verdict.patch:
                if tree is None:
                    why = f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for'
                    raise internal(f"{why} this operation")
                result = await self._patched(a, to, tree, verdict.patch)
                told: Tree = {"configuration": hook.configuration, "webhook": hook.name, "patch": verdict.patch}
                a.annotations[f"{PATCH}{at}"] = _compact({**told, "patchType": exchange.JSON_PATCH})
        finally:
            told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": result != tree}
            a.annotations[f"{MUTATION}{at}"] = _compact(told)
        return result

    @staticmethod
    async def _patched(a: Attributes, to: Target, tree: Tree, patch: list[Any]) -> Tree:
        """The object with a patch, decoded and with its defaults; ApiError 500 where it does not fit."""
        shown = await matching.asked(a, to, tree) or {}
        own = to.object_kind.kind == to.kind.kind
        try:
            new = patches.json_patch(shown, patch)
            if not isinstance(new, dict):
                raise internal(f"json: cannot unmarshal {schema.json_type(new)} into Go value of type {to.kind.kind}")
            if own:
                new, _ = bodies.form(bodies.check_kind(new, to.kind), to.kind, shown)
        except (patches.PatchError, schema.TypeMismatch) as e:
            raise internal(str(e)) from None
        new = await matching.asked_back(a, to, new)
        if own and a.kind.custom is not None:
            rule_of(a.kind).default(new)
        elif own and a.kind is a.stored and not a.subresource:
            rule_for(a.kind.group_resource).default(new)
            zeros.complete(a.kind.definition, new)
        return new


class Validating(Webhooks):
    """Refuses objects: all webhooks are asked at once, and the first that refuses, in their order, is told."""

    type = VALIDATING

    async def mutate(self, a: Attributes, tree: Tree | None, old: Tree | None) -> Tree | None:
        return tree

    async def validate(self, a: Attributes, tree: Tree | None, old: Tree | None) -> None:
        found = [(hook, await self._target(hook, a, tree, old)) for hook in self.hooks]
        asking = [(hook, to) for hook, to in found if to is not None]
        answers = await asyncio.gather(
            *(self._asked(h, f"round_0_index_{i}", a, to, tree, old) for i, (h, to) in enumerate(asking)),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer


def _compact(tree: Tree) -> str:
    return json.dumps(tree, separators=(",", ":"))
