"""Which custom kinds are served at the moment: the stored CustomResourceDefinitions, followed as they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver.custom.conversion import Conversions
from seaway.cluster.apiserver.custom.definition import Definition, is_served, same
from seaway.cluster.apiserver.journal import DELETED
from seaway.cluster.apiserver.storage import Event, Storage

Tree = dict[str, Any]
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class Served:
    """What the server serves at a moment; never changed, but replaced. `remembered` holds what has been made of it."""

    def __init__(self, definitions: Iterable[Definition] = ()) -> None:
        taken = kinds.by_resource()
        self.definitions = {d.name: d for d in definitions}
        self.custom: tuple[Kind, ...] = tuple(
            kind
            for name in sorted(self.definitions)
            for kind in self.definitions[name].served
            if (kind.group, kind.version, kind.resource) not in taken  # a built-in kind is never replaced
        )
        self._custom = {(k.group, k.version, k.resource): k for k in self.custom}
        # Discovery and documents tell of what is established only.
        self.told: tuple[Kind, ...] = tuple(k for k in self.custom if k.custom.definition.established)
        self.remembered: dict[Any, Any] = {}

    def find(self, group: str, version: str, resource: str) -> Kind | None:
        """The kind behind a path."""
        return kinds.by_resource().get((group, version, resource)) or self._custom.get((group, version, resource))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Everything that discovery tells of."""
        return (*kinds.builtin(), *self.told)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` makes, made once."""
        if key not in self.remembered:
            self.remembered[key] = make()
        return self.remembered[key]


BUILTIN = Served()


class Registry:
    """Follows the storage; `served` is what there is now."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.conversions = Conversions()
        found = (self._read(e.tree, e.rv) for e in storage.entries(DEFINITIONS, ""))
        self.served = Served(d for d in found if d is not None)
        storage.listeners.append(self._follow)

    def _read(self, tree: Tree, since: int) -> Definition | None:
        return Definition(tree, since, self.conversions) if is_served(tree) else None

    def _follow(self, event: Event) -> None:
        if event.resource != DEFINITIONS:
            return
        known = self.served.definitions.get(event.entry.key)
        if event.kind == DELETED:
            if known is not None:
                self._replace(known, None)
            return
        tree = event.entry.tree
        if known is not None and is_served(tree) and same(known, tree):
            return
        # Writes that are on their way were judged by the old schemas.
        since = self._storage.next_rv - 1
        if known is not None and known.uid == tree["metadata"].get("uid") and known.spec == tree["spec"]:
            since = known.since
        self._replace(known, self._read(tree, since))

    def _replace(self, old: Definition | None, new: Definition | None) -> None:
        found = dict(self.served.definitions)
        if old is not None:
            del found[old.name]
        if new is not None:
            found[new.name] = new
        self.served = Served(found.values())
        if old is not None and (new is None or old.spec != new.spec or old.accepted != new.accepted):
            # Watches speak in the old schemas: their clients start again (upstream tears its storage down).
            for watch in tuple(self._storage.watches.get(old.resource, ())):
                watch.close()
