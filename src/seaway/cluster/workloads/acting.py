"""Carrying out what a plan wants done to dependents: expectations first, an event each, creates in growing batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from seaway.api.merge import difference
from seaway.api.selectors import Selector
from seaway.api.tree import Key, controller_of, labels
from seaway.client.errors import ApiStatusError, NotFound, is_namespace_ending
from seaway.client.events import Events
from seaway.client.informer import Informer
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.cluster.workloads.podfacts import failure_text
from seaway.controllers.run import Caches, Expectations
from seaway.controllers.writes import Create, Delete, Patch, apply

Tree = dict[str, Any]
ORPHANS = "orphans/"


def by_controller(tree: Tree) -> list[str]:
    """The index of dependents: by the uid of their controller, or as orphans of their namespace."""
    ref = controller_of(tree)
    return [str(ref["uid"])] if ref else [ORPHANS + str(tree["metadata"]["namespace"])]


def dependents(informer: Informer, owner: Tree) -> list[Tree]:
    """What an owner has, and what it might adopt."""
    meta = owner["metadata"]
    return [*informer.by("controller", meta["uid"]), *informer.by("controller", ORPHANS + meta["namespace"])]


class Actor:
    """Pods of one controller: made, deleted, told about. `kind` and `api_version` are the owner's."""

    def __init__(self, caches: Caches, events: Events, api_version: str, kind: str) -> None:
        self._caches, self._events = caches, events
        self._api_version, self._kind = api_version, kind
        self.expected = Expectations()
        self._pods = caches.of("pods")
        self._written: dict[Key, int] = {}

    def tell(self, owner: Tree, severity: str, reason: str, message: str) -> None:
        about = {**owner, "kind": self._kind, "apiVersion": self._api_version}
        self._events.tell(about, severity, reason, message)

    async def create(self, key: Key, owner: Tree, write: Create, told: str = "Created pod: {}") -> Tree | None:
        """None: the namespace is going, or the object is there already under a name that was given."""
        try:
            made = await apply(self._caches.api, write)
        except ApiStatusError as e:
            if is_namespace_ending(e):
                return None
            self.tell(owner, "Warning", "FailedCreate", f"Error creating: {failure_text(e)}")
            raise
        name = made["metadata"]["name"]
        if self._pods.get(key.namespace, name) is None:
            self.expected.expect(key, "+" + name)
        if told:
            self.tell(owner, "Normal", "SuccessfulCreate", told.format(name))
        return made

    async def create_all(self, key: Key, owner: Tree, writes: Sequence[Create]) -> Exception | None:
        """Batches of 1, 2, 4, ...: what fails for one would fail for all (slowStartBatch). The first failure comes back."""
        at, size = 0, 1
        while at < len(writes):
            batch = writes[at : at + size]
            results = await asyncio.gather(*(self.create(key, owner, w) for w in batch), return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    return result
                if isinstance(result, BaseException):
                    raise result
            at, size = at + size, size * 2
        return None

    async def delete(self, key: Key, owner: Tree, write: Delete, told: str = "Deleted pod: {}") -> None:
        self.expected.expect(key, "-" + write.name)
        try:
            await apply(self._caches.api, write)
        except NotFound:
            self.expected.seen(key, "-" + write.name)
        except Exception as e:
            self.expected.seen(key, "-" + write.name)
            self.tell(owner, "Warning", "FailedDelete", f"Error deleting: {failure_text(e)}")
            raise
        else:
            if told:
                self.tell(owner, "Normal", "SuccessfulDelete", told.format(write.name))

    async def delete_all(self, key: Key, owner: Tree, writes: Iterable[Delete]) -> Exception | None:
        todo = list(writes)
        for at in range(0, len(todo), 32):
            batch = todo[at : at + 32]
            for result in await asyncio.gather(*(self.delete(key, owner, w) for w in batch), return_exceptions=True):
                if isinstance(result, Exception):
                    return result
                if isinstance(result, BaseException):
                    raise result
        return None

    async def write_status(
        self, resource: str, key: Key, owner: Tree, status: Tree, notes: dict[str, str] | None = None
    ) -> bool:
        """Patches what differs; holds only if the object is as it was read. Whether there was a difference. `notes`:
        annotations that are written along, since a status does not raise the generation."""
        changed, patch = difference(owner.get("status") or {}, status), {}
        if changed:
            patch["status"] = changed
        if notes:
            patch["metadata"] = {"annotations": notes}
        if not patch:
            return False
        version = owner["metadata"]["resourceVersion"]
        made = await apply(self._caches.api, Patch(kind_of(resource), *key, patch, "status", version))
        self._written[key] = int(made["metadata"]["resourceVersion"])
        return True

    def is_behind(self, key: Key, owner: Tree | None) -> bool:
        """Whether a cache has yet to see the status that was written last: a plan from an older one would count twice. Its
        event asks for the key again."""
        if owner is None:
            self._written.pop(key, None)
            return False
        return int(owner["metadata"]["resourceVersion"]) < self._written.get(key, 0)


def follow_pods(
    informer: Informer,
    owners: Informer,
    kind: str,
    actor: Actor,
    queue: Reconciler[Key],
    selector_of: Callable[[Tree], Selector | None],
) -> None:
    """Follows the pods of all owners of a kind: what was expected is seen, and the owner is looked at again; an orphan
    calls those that may adopt it."""

    def listen(change: Change) -> None:
        ref = controller_of(change.new) if change.new is not None else None
        for tree in (change.old, change.new):
            seen = controller_of(tree) if tree else None
            if not seen or seen["kind"] != kind:
                continue
            key = Key(change.key.namespace, seen["name"])
            if change.new is not None:
                actor.expected.seen(key, "+" + change.key.name)
            if change.new is None or change.new["metadata"].get("deletionTimestamp"):
                actor.expected.seen(key, "-" + change.key.name)
            queue.add(key)
        if change.new is None or ref is not None:
            return
        have = labels(change.new)
        if change.old is not None and labels(change.old) == have and controller_of(change.old) is None:
            return
        for owner in owners.by("namespace", change.key.namespace):
            selector = selector_of(owner)
            if selector is not None and selector.matches(have):
                queue.add(Key(change.key.namespace, owner["metadata"]["name"]))

    informer.listen(listen)


def in_namespace(tree: Tree) -> list[str]:
    return [str(tree["metadata"]["namespace"])]
