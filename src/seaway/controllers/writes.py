"""What a controller wants done, as values: decided by pure functions, carried out by `apply`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seaway.api.kinds import Kind
from seaway.client.rest import MERGE, Api

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Create:
    kind: Kind
    namespace: str
    tree: Tree


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch. With `version` it holds only if the object has not changed since."""

    kind: Kind
    namespace: str
    name: str
    patch: Tree
    subresource: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    kind: Kind
    namespace: str
    name: str
    uid: str


Write = Create | Patch | Delete


async def apply(api: Api, write: Write) -> Tree:
    """Carries one write out; errors are the API's."""
    if isinstance(write, Create):
        return await api.create(write.kind, write.namespace, write.tree)
    if isinstance(write, Patch):
        patch = write.patch
        if write.version:
            patch = {**patch, "metadata": {**(patch.get("metadata") or {}), "resourceVersion": write.version}}
        return await api.patch(write.kind, write.namespace, write.name, patch, write.subresource, MERGE)
    return await api.delete(write.kind, write.namespace, write.name, {"preconditions": {"uid": write.uid}})
