"""FakeApi: an API server in memory, for tests of components. Speaks `rest.Api`.

It stores trees, counts one resourceVersion, sends watch events, and can be told to fail. It does not validate, default
or authorize: contract tests run the same code against the real embedded server.

    api = FakeApi()
    api.put(service)                 # as if somebody had written it; watchers see it
    api.fail_next(Unavailable("x"))  # the next call raises
    api.writes                       # [("create", kind, tree), ...] in order
"""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from seaway.api import kinds, selectors
from seaway.api.kinds import Kind
from seaway.api.merge import merge
from seaway.api.tree import Key, get, key_of, labels
from seaway.client.api import MERGE
from seaway.client.errors import Conflict, NotFound

Tree = dict[str, Any]


class FakeApi:
    """`custom`: the kinds that it has beside the built-in ones."""

    def __init__(self, *custom: Kind) -> None:
        self._custom = {(k.api_version, k.kind): k for k in custom}
        self.version = 0
        self.objects: dict[tuple[str, Key], Tree] = {}
        self.events: list[tuple[int, str, Kind, Tree]] = []
        self.writes: list[tuple[str, str, Tree]] = []
        self._failures: list[Exception] = []
        self._changed = asyncio.Event()
        self.forgotten = 0

    # for tests

    def put(self, tree: Tree) -> Tree:
        """Writes an object as somebody else would."""
        named = (tree["apiVersion"], tree["kind"])
        kind = self._custom.get(named) or kinds.by_kind()[named]
        place = (kind.group_resource, key_of(tree))
        old = self.objects.get(place)
        tree = copy.deepcopy(tree)
        self.version += 1
        meta = tree.setdefault("metadata", {})
        meta.setdefault("uid", old["metadata"]["uid"] if old else str(uuid.uuid4()))
        meta["resourceVersion"] = str(self.version)
        self.objects[place] = tree
        self._send("MODIFIED" if old else "ADDED", kind, tree)
        return tree

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        tree = self.objects.pop((kind.group_resource, Key(namespace, name)))
        self.version += 1
        self._send("DELETED", kind, {**tree, "metadata": {**tree["metadata"], "resourceVersion": str(self.version)}})

    def bookmark(self, kind: Kind) -> None:
        """Tells watchers a version, as a server does now and then: no object, no name."""
        self.version += 1
        self._send("BOOKMARK", kind, {"kind": kind.kind, "metadata": {"resourceVersion": str(self.version)}})

    def fail_next(self, *errors: Exception) -> None:
        self._failures += errors

    def forget(self) -> None:
        """Drops the history: running watches end with 410, later ones from old versions too."""
        self.forgotten = self.version
        self.events.clear()
        self._wake()

    def of(self, kind: Kind) -> list[Tree]:
        return [t for (resource, _), t in sorted(self.objects.items()) if resource == kind.group_resource]

    # rest.Api

    def _check(self) -> None:
        if self._failures:
            raise self._failures.pop(0)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _send(self, what: str, kind: Kind, tree: Tree) -> None:
        self.events.append((self.version, what, kind, copy.deepcopy(tree)))
        self._wake()

    @staticmethod
    def _wanted(query: Mapping[str, str] | None, tree: Tree) -> bool:
        query = query or {}
        if not selectors.parse_labels(query.get("labelSelector", "")).matches(labels(tree)):
            return False
        return all(
            (str(get(tree, *t.path.split(".")) or "") == t.value) == t.equal
            for t in selectors.parse_fields(query.get("fieldSelector", ""))
        )

    async def get(self, kind: Kind, namespace: str, name: str) -> Tree:
        self._check()
        found = self.objects.get((kind.group_resource, Key(namespace if kind.namespaced else "", name)))
        if found is None:
            raise NotFound(404, {"reason": "NotFound", "message": f"{kind.resource} {name!r} not found"}, f"GET {name}")
        return copy.deepcopy(found)

    async def list(self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None) -> Tree:
        self._check()
        items = [
            copy.deepcopy(t)
            for t in self.of(kind)
            if (not namespace or key_of(t).namespace == namespace) and self._wanted(query, t)
        ]
        return {"kind": f"{kind.kind}List", "metadata": {"resourceVersion": str(self.version)}, "items": items}

    async def watch(
        self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None
    ) -> AsyncIterator[Tree]:
        self._check()
        at = int((query or {}).get("resourceVersion", "0") or 0)
        while True:
            if at < self.forgotten:
                yield {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
                return
            changed = self._changed
            for version, what, of, tree in list(self.events):
                if version > at and of.group_resource == kind.group_resource and self._wanted(query, tree):
                    at = version
                    yield {"type": what, "object": copy.deepcopy(tree)}
            await changed.wait()

    async def create(self, kind: Kind, namespace: str, tree: Tree, subresource: str = "", name: str = "") -> Tree:
        self._check()
        self.writes.append(("create", kind.resource + (f"/{subresource}" if subresource else ""), copy.deepcopy(tree)))
        if subresource:
            return tree
        tree = copy.deepcopy(tree)
        meta = tree.setdefault("metadata", {})
        if kind.namespaced:
            meta["namespace"] = namespace
        if not meta.get("name"):
            meta["name"] = meta["generateName"] + f"{self.version:05d}"
        if (kind.group_resource, key_of(tree)) in self.objects:
            raise Conflict(409, {"reason": "AlreadyExists"}, f"POST {meta['name']}")
        return self.put({**tree, "apiVersion": kind.api_version, "kind": kind.kind})

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Any, subresource: str = "", media: str = MERGE
    ) -> Tree:
        self._check()
        self.writes.append(("patch", kind.resource + (f"/{subresource}" if subresource else ""), copy.deepcopy(patch)))
        place = (kind.group_resource, Key(namespace if kind.namespaced else "", name))
        old = self.objects.get(place)
        if old is None:
            raise NotFound(404, {"reason": "NotFound"}, f"PATCH {name}")
        version = (patch.get("metadata") or {}).get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise Conflict(409, {"reason": "Conflict"}, f"PATCH {name}")
        return self.put(merge(old, patch))

    async def delete(self, kind: Kind, namespace: str, name: str, options: Tree | None = None) -> Tree:
        self._check()
        self.writes.append(("delete", kind.resource, {"name": name, **(options or {})}))
        if (kind.group_resource, Key(namespace if kind.namespaced else "", name)) not in self.objects:
            raise NotFound(404, {"reason": "NotFound"}, f"DELETE {name}")
        self.remove(kind, namespace if kind.namespaced else "", name)
        return {}
