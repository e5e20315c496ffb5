"""create, update, patch, delete on stored objects: the common path of every kind.

Each write reads the newest state, decides, and queues without giving way to other requests in between, so that it is
atomic; only then does it wait for the fsync. The verbs have a file each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import create, delete, update
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.calls import Call, Edges, Writer
from seaway.cluster.apiserver.delete import RETURNS_OBJECT

Tree = dict[str, Any]


class Verbs(Writer):
    """The writing verbs, for the door and for the server's own parts."""

    async def create(self, call: Call) -> Tree:
        return await create.create(self, call)

    async def create_tree(self, call: Call, tree: Tree) -> Tree:
        return await create.create_tree(self, call, tree)

    async def update(self, call: Call) -> tuple[int, Tree]:
        return await update.update(self, call)

    async def patch(self, call: Call) -> tuple[int, Tree]:
        return await update.patch(self, call)

    async def delete(self, call: Call, options: Tree) -> tuple[Tree, bool]:
        return await delete.delete(self, call, options)

    async def change(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        edit: Callable[[Tree], Tree],
        subresource: str,
        user: User,
        dry_run: bool = False,
        managers: Callable[[Tree], list[Tree]] | None = None,
        manager: str = "",
    ) -> Tree:
        """A server-side change (scale, binding): `edit` gets a copy of the newest state.

        Fields keep their owners unless `managers` says, of the old state, who owns what now, or they are written as those
        of a `manager`.
        """
        call = Call(kind, namespace, name, user, subresource, dry_run=dry_run, manager=manager)

        def change(old: Tree) -> update.Change:
            decided = managers(old) if managers is not None else None
            return edit(old), decided

        return await update.replace(self, call, update.found(self, kind, call), change)


__all__ = ["RETURNS_OBJECT", "Call", "Edges", "Verbs"]
