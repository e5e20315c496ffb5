"""The seam for whoever has a word in writes beyond the server's own rules: admission policies and webhooks.

A `Review` is one write on its way through the `Reviewer`s that are concerned with it. First each may change the object
(`mutate`), before the kind judges it; then, when the kind has nothing against it, each may refuse it (`validate`). Where
nobody is concerned there is no review, and the write decides and queues without giving way, as `verbs` says. A write
that was reviewed has given way: it looks again whether the state that it builds on is still the newest.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import forms
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.status import ApiError, modified

if TYPE_CHECKING:
    from seaway.cluster.apiserver.calls import Call

Tree = dict[str, Any]
CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"
ATTEMPTS = 20  # how often a write is decided anew because the object changed while it was reviewed


class GroupVersionKind(NamedTuple):
    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


BINDING = GroupVersionKind("", "v1", "Binding")
EVICTION = GroupVersionKind("policy", "v1", "Eviction")
SCALE = GroupVersionKind("autoscaling", "v1", "Scale")
TOKEN_REQUEST = GroupVersionKind("authentication.k8s.io", "v1", "TokenRequest")


@dataclass(slots=True)
class Attributes:
    """What a write is about (k8s.io/apiserver admission.Attributes).

    `kind` is the resource in the form that was asked for, `stored` the one that its objects are kept in; `object_kind`
    is what the objects under review are: of a subresource such as `scale` something else. `name` is empty where the
    server draws it, and for each object of a deleted collection. Trees under review are in the form that was asked for.
    `warnings` leave as headers; `annotations` go into the audit log. `again` is the server's own admission, run in place
    over an object that a reviewer changed (plugins are reinvoked in upstream's chain).
    """

    operation: str
    kind: Kind
    stored: Kind
    object_kind: GroupVersionKind
    subresource: str
    namespace: str
    name: str
    user: User
    dry_run: bool
    options: Tree | None
    warnings: list[str]
    annotations: dict[str, str]
    again: Callable[[Tree], None] | None = None


class Reviewer(Protocol):
    """Reviewers do not change the trees that they are given. `mutate` answers with the object as it is to be; of a
    deletion `tree` is None. `validate` raises ApiError to refuse. `concerns` is asked first, and often: it must be quick."""

    def concerns(self, attributes: Attributes) -> bool: ...

    async def mutate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> Tree | None: ...

    async def validate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> None: ...


class Review:
    """One write with the reviewers that are concerned with it, in their order."""

    def __init__(self, attributes: Attributes, reviewers: list[Reviewer]) -> None:
        self.attributes, self._reviewers = attributes, reviewers

        a = attributes
        # Custom resources are worked on in the version that was asked for; only the storage knows another one.
        self._as_stored = a.kind is a.stored or a.kind.custom is not None or a.object_kind.kind != a.kind.kind

    def _show(self, tree: Tree | None) -> Tree | None:
        return tree if tree is None or self._as_stored else forms.show(self.attributes.kind, tree)

    async def mutate(self, tree: Tree, old: Tree | None, again: Callable[[Tree], None] | None = None) -> Tree:
        """The object, which comes in its stored form and goes back in it, as the reviewers want it."""
        a = self.attributes
        a.again = again
        before = shown = self._show(tree)
        shown_old = self._show(old)
        for reviewer in self._reviewers:
            shown = await reviewer.mutate(a, shown, shown_old)
        if shown is before or shown is None:
            return tree
        return shown if self._as_stored else forms.store(a.kind, shown)

    async def validate(self, tree: Tree | None, old: Tree | None) -> None:
        """Whether the object may be stored; ApiError where somebody refuses it."""
        a = self.attributes
        shown, shown_old = self._show(tree), self._show(old)
        if not a.name and shown is not None and a.operation == CREATE:
            a.name = (shown.get("metadata") or {}).get("name", "")
        for reviewer in self._reviewers:
            await reviewer.validate(a, shown, shown_old)

    async def whole(self, tree: Tree, old: Tree | None = None) -> Tree:
        """Both steps at once, for what is not stored itself: a binding, an eviction, a stream."""
        tree = await self.mutate(copy.deepcopy(tree), old)
        await self.validate(tree, old)
        return tree

    async def deletion(self, old: Tree) -> None:
        """Both steps of a deletion, which nobody can change."""
        a, shown = self.attributes, self._show(old)
        for reviewer in self._reviewers:
            await reviewer.mutate(a, None, shown)
        for reviewer in self._reviewers:
            await reviewer.validate(a, None, shown)


class Reviewers:
    """All there are, in the order in which they are asked."""

    def __init__(self) -> None:
        self.chain: list[Reviewer] = []

    def review(self, call: Call, operation: str, of: GroupVersionKind | None = None, part: str = "") -> Review | None:
        """The review that a request needs; None where nobody has a word in it, or the server itself writes.

        `of` and `part`: the kind of the objects under review and the subresource, where they are not the call's own.
        """
        if call.options is None or not self.chain:
            return None
        kind = call.served or call.kind
        whole = kind.group_resource == "namespaces"  # a namespace lies in itself (RequestInfoFactory)
        attributes = Attributes(
            operation,
            kind,
            forms.stored_kind(kind),
            of or GroupVersionKind(kind.group, kind.version, kind.kind),
            part or call.subresource,
            call.name if whole else call.namespace,
            "" if call.one_of_many else call.name,
            call.user,
            call.dry_run,
            call.options,
            call.warnings,
            call.annotations,
        )
        concerned = [r for r in self.chain if r.concerns(attributes)]
        return Review(attributes, concerned) if concerned else None


def too_often(kind: Kind, name: str) -> ApiError:
    """An object that changed each time it was reviewed."""
    return modified(kind, name)
