"""The EndpointSlices that one controller manages: which Service each is of, what it has written and not yet seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from seaway.api.tree import Key, labels
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.controllers.run import Caches, Expectations
from seaway.controllers.writes import Delete, Write, apply

Tree = dict[str, Any]
MANAGED_BY, SERVICE_NAME = "endpointslice.kubernetes.io/managed-by", "kubernetes.io/service-name"


def services_of(tree: Tree) -> list[str]:
    """The index `service` of slices: whose they are."""
    return [f"{tree['metadata']['namespace']}/{labels(tree).get(SERVICE_NAME, '')}"]


def owned_by(tree: Tree, uid: str) -> bool:
    return any(r.get("uid") == uid for r in tree["metadata"].get("ownerReferences") or ())


def delete_write(tree: Tree) -> Delete:
    meta = tree["metadata"]
    return Delete(kind_of("endpointslices.discovery.k8s.io"), meta["namespace"], meta["name"], meta["uid"])


class OwnSlices:
    """`add` is asked for the Service of each slice of this manager that changes."""

    def __init__(self, caches: Caches, manager: str, add: Callable[[Key], None]) -> None:
        self._caches, self._manager, self._add = caches, manager, add
        self.informer = caches.of("endpointslices.discovery.k8s.io")
        self.informer.add_index("service", services_of)
        self.informer.listen(self._changed)
        self.expected = Expectations(self.informer)

    def _changed(self, change: Change) -> None:
        for tree in (change.old, change.new):
            if tree is not None and labels(tree).get(MANAGED_BY) == self._manager:
                key = Key(change.key.namespace, labels(tree).get(SERVICE_NAME, ""))
                self.expected.seen(key, change.key.name, tree["metadata"]["resourceVersion"])
                self._add(key)

    def of(self, key: Key) -> list[Tree]:
        """This manager's slices of a Service."""
        return [s for s in self.informer.by("service", str(key)) if labels(s).get(MANAGED_BY) == self._manager]

    async def carry_out(self, key: Key, writes: Iterable[Write]) -> None:
        """Writes, and remembers what the cache has yet to show."""
        for write in writes:
            answer = await apply(self._caches.api, write)
            if not isinstance(write, Delete):
                cached = self.informer.get(key.namespace, answer["metadata"]["name"])
                self.expected.expect_answer(key, answer, cached)
