"""Gives CustomResourceDefinitions their conditions and ends them, inside the server; what to write is decided in `lifecycle`.

Level-triggered: a definition that changed, and every other of its group, is looked at again.
"""

from __future__ import annotations

import asyncio
from typing import Any

from seaway.api import kinds
from seaway.cluster.apiserver import delete
from seaway.cluster.apiserver.authz import SYSTEM
from seaway.cluster.apiserver.calls import Call
from seaway.cluster.apiserver.custom import apiservices, lifecycle
from seaway.cluster.apiserver.custom.definition import Definition
from seaway.cluster.apiserver.custom.registry import DEFINITIONS
from seaway.cluster.apiserver.journal import DELETED
from seaway.cluster.apiserver.looking import Looking
from seaway.cluster.apiserver.status import ApiError
from seaway.cluster.apiserver.storage import Event
from seaway.cluster.apiserver.verbs import Verbs

Tree = dict[str, Any]
MANAGER = "kube-apiserver"  # whose fields the status of a definition is


class Lifecycle:
    """Looks at definitions; objects that wait for their finalizers wake it too."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs, self._storage = verbs, verbs.storage
        self._kind = kinds.by_kind()["apiextensions.k8s.io/v1", "CustomResourceDefinition"]
        self._queue = Looking(self._look, self._tell_services)
        self._ending: dict[str, str] = {}  # resource -> definition
        self._storage.listeners.append(self._follow)
        for entry in self._storage.entries(DEFINITIONS, ""):
            self._queue.add(entry.key)

    def _follow(self, event: Event) -> None:
        if event.resource == DEFINITIONS:
            if event.kind == DELETED:
                self._queue.again()  # its group may not be served any more
                self._add_group(event.entry.key, event.entry.tree["spec"].get("group", ""))
            else:
                self._queue.add(event.entry.key)
        elif event.kind == DELETED and event.resource in self._ending:
            self._queue.add(self._ending[event.resource])

    def _add_group(self, name: str, group: str) -> None:
        """A name that is free again may be what another definition waits for."""
        for other in self._others(name, group):
            self._queue.add(other["metadata"]["name"])

    def _others(self, name: str, group: str) -> list[Tree]:
        suffix = f".{group}"
        return [e.tree for e in self._storage.newest_all(DEFINITIONS) if e.key != name and e.key.endswith(suffix)]

    async def run(self) -> None:
        await self._queue.run()

    async def _look(self, name: str) -> None:
        entry = self._storage.newest(DEFINITIONS, name)
        if entry is None:
            return
        tree = entry.tree
        if lifecycle.is_ending(tree):
            await self._end(name, tree)
            return
        group = tree["spec"].get("group", "")
        now = self._verbs.stamp()
        if lifecycle.status(tree, self._others(name, group), now) == tree.get("status"):
            return
        before = (tree.get("status") or {}).get("acceptedNames")

        def edit(found: Tree) -> Tree:
            return {**found, "status": lifecycle.status(found, self._others(name, group), now)}

        written = await self._change(name, edit)
        if written["status"].get("acceptedNames") != before:
            self._add_group(name, group)

    async def _tell_services(self) -> None:
        """The APIServices of custom groups follow what is served."""
        wanted = apiservices.wanted(self._verbs.registry.served)
        found = {e.key: e.tree for e in self._storage.newest_all(apiservices.RESOURCE)}
        kind = kinds.by_kind()["apiregistration.k8s.io/v1", "APIService"]
        for name, tree in wanted.items():
            if name not in found:
                await self._verbs.create_tree(Call(kind, "", name, SYSTEM), tree)
        for name, tree in found.items():
            if name not in wanted and apiservices.is_mine(tree) and not tree["metadata"].get("deletionTimestamp"):
                await delete.delete(self._verbs, Call(kind, "", name, SYSTEM), {})

    async def _change(self, name: str, edit: Any) -> Tree:
        return await self._verbs.change(self._kind, "", name, edit, "status", SYSTEM, manager=MANAGER)

    async def _end(self, name: str, tree: Tree) -> None:
        """Its objects are deleted; when the last is gone, so is the definition."""
        now = self._verbs.stamp()
        definition = self._verbs.registry.served.definitions.get(name)
        spec = tree["spec"]
        resource = f"{spec['names']['plural']}.{spec['group']}"
        if any(k.group_resource == resource for k in kinds.builtin()):
            last = lifecycle.terminating(
                "OverlappingBuiltInResource", "instances overlap with built-in resources in storage", False
            )
        elif definition is None:
            last = lifecycle.terminating("NeverEstablished", "resource was never established", False)
        else:
            self._ending[resource] = name
            await self._change(name, lambda found: lifecycle.said(found, lifecycle.IN_PROGRESS, now))
            await self._delete_objects(definition)
            if any(True for _ in self._storage.newest_all(resource)):
                return  # finalizers hold them: each one that goes brings us back
            last = lifecycle.terminating("InstanceDeletionCompleted", "removed all instances", False)
        self._ending.pop(resource, None)
        await self._change(name, lambda found: lifecycle.let_go(lifecycle.said(found, last, now)))

    async def _delete_objects(self, definition: Definition) -> None:
        kind = definition.storage.kind
        for number, entry in enumerate(list(self._storage.newest_all(definition.resource))):
            if number % 100 == 99:
                await asyncio.sleep(0)  # requests come first
            if (entry.tree["metadata"] or {}).get("deletionTimestamp"):
                continue
            namespace, _, object_name = entry.key.rpartition("/")
            try:
                await delete.delete(self._verbs, Call(kind, namespace, object_name, SYSTEM), {})
            except ApiError as e:
                if e.code != 404:
                    raise
