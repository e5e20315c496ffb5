"""What components ask of an API, whoever talks to it: `Rest`, for who only reads `reader.Reader`, in tests `fake.FakeApi`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from seaway.api import kinds
from seaway.api.kinds import Kind

Tree = dict[str, Any]
MERGE, JSON_PATCH, STRATEGIC = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
)


def kind_of(resource: str) -> Kind:
    """The Kind of `services` or `deployments.apps` (its newest version)."""
    name, _, group = resource.partition(".")
    found = [k for k in kinds.builtin() if k.resource == name and k.group == group]
    if not found:
        raise KeyError(resource)
    return found[-1]


class Reads(Protocol):
    """What an informer needs."""

    async def list(self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None) -> Tree: ...

    def watch(self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None) -> AsyncIterator[Tree]: ...


class Api(Reads, Protocol):
    """What components use."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Tree: ...

    async def create(self, kind: Kind, namespace: str, tree: Tree, subresource: str = "", name: str = "") -> Tree: ...

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Any, subresource: str = "", media: str = MERGE
    ) -> Tree: ...

    async def delete(self, kind: Kind, namespace: str, name: str, options: Tree | None = None) -> Tree: ...
