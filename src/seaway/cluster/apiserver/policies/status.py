"""Gives ValidatingAdmissionPolicies their status, inside the server: which generation was looked at, and its types' warnings.

Upstream's is pkg/controller/validatingadmissionpolicystatus. Level-triggered: a policy whose generation is newer than the
one in its status is looked at.
"""

from __future__ import annotations

import asyncio
from typing import Any

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver.authz import SYSTEM
from seaway.cluster.apiserver.journal import DELETED
from seaway.cluster.apiserver.looking import Looking
from seaway.cluster.apiserver.policies import typechecking
from seaway.cluster.apiserver.storage import Event
from seaway.cluster.apiserver.verbs import Verbs

Tree = dict[str, Any]
POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"


def observed(tree: Tree) -> bool:
    """Whether a policy's status tells of its newest generation."""
    seen = (tree.get("status") or {}).get("observedGeneration") or 0
    return bool(tree["metadata"].get("generation", 0) <= seen)


class Observer:
    """Looks at policies."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs, self._storage = verbs, verbs.storage
        self._kind = kinds.by_kind()["admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"]
        self._queue = Looking(self._look)
        self._storage.listeners.append(self._follow)
        for entry in self._storage.entries(POLICIES, ""):
            self._queue.add(entry.key)

    def _follow(self, event: Event) -> None:
        if event.resource == POLICIES and event.kind != DELETED:
            self._queue.add(event.entry.key)

    async def run(self) -> None:
        await self._queue.run()

    async def _look(self, name: str) -> None:
        entry = self._storage.newest(POLICIES, name)
        if entry is None or observed(entry.tree):
            return
        generation = entry.tree["metadata"].get("generation", 0)
        # Types of the size of a Pod's take a moment, which requests need not wait for.
        find, named = self._verbs.registry.served.find, self._named
        found = await asyncio.to_thread(typechecking.warnings, entry.tree, find, named)
        checked: Tree = {"expressionWarnings": found} if found else {}

        def edit(tree: Tree) -> Tree:
            status = {**(tree.get("status") or {}), "observedGeneration": generation, "typeChecking": checked}
            return {**tree, "status": status}

        await self._verbs.change(self._kind, "", name, edit, "status", SYSTEM)

    def _named(self, version: str, name: str) -> Kind | None:
        served = self._verbs.registry.served
        return next((k for k in served.kinds if k.api_version == version and k.kind == name and k.stored), None)
