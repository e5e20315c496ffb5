"""What a write is made of: the request (`Call`), clock and randomness (`Edges`), and the end of every write (`Writer`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seaway.api import kinds
from seaway.api import tree as trees
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import authz, escalation, forms, metadata
from seaway.cluster.apiserver.admission import Admission
from seaway.cluster.apiserver.allocation import address_object, held
from seaway.cluster.apiserver.authz import Rbac, User
from seaway.cluster.apiserver.custom import objects
from seaway.cluster.apiserver.custom.registry import Registry
from seaway.cluster.apiserver.custom.strategy import rule_of
from seaway.cluster.apiserver.journal import ADDED, DELETED
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.reviewing import Reviewers
from seaway.cluster.apiserver.rules import Rule
from seaway.cluster.apiserver.status import ApiError, bad_request, forbidden, not_found
from seaway.cluster.apiserver.storage import Entry, Storage, StorageError

Tree = dict[str, Any]
ADDRESSES = "ipaddresses.networking.k8s.io"


@dataclass(frozen=True, slots=True)
class Edges:
    """Clock and randomness, handed in. `now` in seconds, `suffix(n)` n random characters of a generated name."""

    now: Callable[[], float]
    uid: Callable[[], str]
    suffix: Callable[[int], str]


@dataclass(slots=True)
class Call:
    """A write request: the kind, where, what the query says, who asks; `warnings` leave as headers.

    `manager` is the field manager that the write is recorded under; "" for the server's own writes.
    """

    kind: Kind
    namespace: str
    name: str
    user: User
    subresource: str = ""
    body: bytes = b""
    content_type: str = ""
    dry_run: bool = False
    field_validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)
    manager: str = ""
    force: bool = False
    served: Kind | None = None  # the form that was asked for, where objects are stored in another (`forms`)
    # The request's options, which reviewers are told (`reviewing`); None where the server itself writes, unreviewed.
    options: Tree | None = None
    annotations: dict[str, str] = field(default_factory=dict)  # what reviewers tell the audit log
    one_of_many: bool = False  # the call is a part of the deletion of a collection

    def translated(self, tree: Tree) -> Tree:
        """A tree of the form that was asked for in the stored one; from here on the call is about that."""
        if self.served is not None or self.kind.custom is not None:
            return tree
        self.served, self.kind = self.kind, forms.stored_kind(self.kind)
        return forms.store(self.served, tree)

    @property
    def rule(self) -> Rule:
        """The rules that hold: those of the form that was asked for."""
        return rule_of(self.served or self.kind)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.kind.namespaced else self.name

    @property
    def media(self) -> str:
        """The media type of the body."""
        return self.content_type.partition(";")[0].strip().lower()


class Writer:
    """The storage with what has to happen around each write."""

    def __init__(self, storage: Storage, admission: Admission, edges: Edges) -> None:
        self.storage, self.admission, self.edges = storage, admission, edges
        self.reviewers = Reviewers()
        self.registry = Registry(storage)
        self.rbac: Rbac | None = None  # None: whoever gets here may (tests, and the server itself at its start)

    def check_creates(self, call: Call) -> None:
        """A PUT or an apply that makes a new object needs the right to create as well."""
        kind = call.kind
        info = RequestInfo("create", "", True, kind.group, kind.version, call.namespace, kind.resource, "", call.name)
        if self.rbac is not None and not (decision := self.rbac.decide(call.user, info)).allowed:
            raise forbidden(kind, call.name, authz.refusal(call.user, info, decision.reason))

    def check_grants(self, call: Call, tree: Tree) -> None:
        """Nobody gives away rights that they do not have (rbac/escalation_check.go), unless they may `escalate` or `bind`."""
        kind = call.kind
        if self.rbac is None or kind.group != authz.RBAC or authz.MASTERS in call.user.groups:
            return
        if kind.resource in ("roles", "clusterroles"):
            verb, resource, name = "escalate", kind.resource, call.name
            rules: list[Tree] | None = tree.get("rules") or []
        else:
            ref = tree.get("roleRef") or {}
            verb, resource, name = "bind", f"{str(ref.get('kind', '')).lower()}s", ref.get("name", "")
            rules = self.rbac.rules_of(ref, call.namespace)
        info = RequestInfo(verb, "", True, authz.RBAC, "v1", call.namespace, resource, "", name)
        if self.rbac.allowed(call.user, info):
            return
        if rules is None:
            raise not_found(kind, name)
        lacking = escalation.missing(self.rbac.rules(call.user, call.namespace), rules)
        if lacking:
            raise forbidden(kind, call.name, escalation.refusal(call.user.name, call.user.groups, lacking))

    def stamp(self) -> str:
        """The time of now, as objects have it."""
        return trees.stamp(self.edges.now())

    async def write(self, kind: Kind, key: str, change: int, tree: Tree, old: Tree | None) -> Entry:
        """Stores a tree (for DELETED: the last state) and waits until it is durable."""
        if kind.custom is not None and change != DELETED:
            now = self.registry.served.definitions.get(kind.custom.definition.name)
            objects.check_definition(kind, now, tree["metadata"].get("name", ""), change == ADDED)
        try:
            tree = tree if change == DELETED else forms.kept(kind, tree)
            written = self.storage.write(kind.group_resource, key, change, tree)
            follow = self._follow(kind, key, change, tree, old)
            entry = await written
            await asyncio.gather(*follow)
        except StorageError as e:
            self.released(kind, key, tree, old)
            raise ApiError(507, "InsufficientStorage", str(e)) from e
        if kind.group_resource == "services" and old is not None:
            kept = None if change == DELETED else tree["spec"]
            self.admission.allocator.release(key, old["spec"], kept)
        return entry

    async def write_converted(
        self, kind: Kind, key: str, change: int, tree: Tree, kept: Tree, old: Tree | None
    ) -> Tree:
        """As `write`, of an object that a webhook has converted (`kept`); the object as it was asked for, with its version."""
        names = {n: tree["metadata"][n] for n in ("name", "generation") if n in tree["metadata"]}
        stored = forms.stored_kind(kind)
        kept = metadata.ordered({**kept, "metadata": {**kept["metadata"], **names}}, stored)
        entry = await self.write(stored, key, change, kept, old)
        return {**tree, "metadata": {**tree["metadata"], "resourceVersion": str(entry.rv)}}

    def _follow(self, kind: Kind, key: str, change: int, tree: Tree, old: Tree | None) -> list[asyncio.Future[Entry]]:
        """IPAddress objects follow what Services have, in the same group of writes (KEP-1880)."""
        allocator = self.admission.allocator
        if kind.group_resource == ADDRESSES:
            if change == ADDED:
                allocator.reserve(key, ADDRESSES)
            elif change == DELETED:
                allocator.free(key, ADDRESSES)
        if kind.group_resource != "services":
            return []
        has = set() if change == DELETED else set(held(tree.get("spec")))
        had = set(held((old or {}).get("spec")))
        queued = [self.storage.write(ADDRESSES, a, ADDED, self._address(a, key)) for a in sorted(has - had)]
        gone = [e for a in sorted(had - has) if (e := self.storage.newest(ADDRESSES, a)) is not None]
        return queued + [self.storage.write(ADDRESSES, e.key, DELETED, e.tree) for e in gone]

    def _address(self, address: str, key: str) -> Tree:
        kind = kinds.by_resource()[("networking.k8s.io", "v1", "ipaddresses")]
        tree = address_object(address, key)
        tree["metadata"].update(uid=self.edges.uid(), creationTimestamp=self.stamp())
        return metadata.ordered(tree, kind)

    async def address_services(self) -> None:
        """IPAddress objects for the Services that have none: a state of an earlier version, or one somebody deleted."""
        missing = [
            self.storage.write(ADDRESSES, address, ADDED, self._address(address, entry.key))
            for entry in self.storage.newest_all("services")
            for address in held(entry.tree.get("spec"))
            if self.storage.newest(ADDRESSES, address) is None
        ]
        await asyncio.gather(*missing)

    def released(self, kind: Kind, key: str, tree: Tree, old: Tree | None) -> None:
        """Takes back what a write that did not happen was given."""
        if kind.group_resource == "services" and tree.get("spec"):
            self.admission.allocator.release(key, tree["spec"], (old or {}).get("spec"))


def place(call: Call, meta: Tree) -> None:
    """metadata.namespace against the URL's."""
    if not call.kind.namespaced:
        meta.pop("namespace", None)
        return
    found = meta.get("namespace")
    if found and found != call.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    meta["namespace"] = call.namespace


def check_name(call: Call, meta: Tree) -> None:
    """metadata.name against the URL's."""
    name = meta.get("name")
    if not name:
        raise bad_request(
            f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
        )
    if name != call.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.name})")
