"""Namespaces in deletion: emptied, pods first, and let go when nothing is left (pkg/controller/namespace/deletion)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.api.tree import Key, with_condition
from seaway.client.errors import ApiStatusError, Conflict, NotFound
from seaway.client.reconcile import Reconciler
from seaway.client.rest import Rest, kind_of
from seaway.cluster.workloads import conditions
from seaway.cluster.workloads.ownership import custom_kinds, is_established
from seaway.controllers.run import Caches

Tree = dict[str, Any]
EVENTS = ("events", "events.events.k8s.io")
FINALIZER = "kubernetes"
PODS_AGAIN, AGAIN = 0.1, 0.5


def contents(definitions: list[Tree]) -> list[Kind]:
    """The namespaced kinds that are stored, pods first; with those of the CustomResourceDefinitions."""
    found = [k for k in kinds.builtin() if k.namespaced and k.stored and {"list", "delete"} <= set(k.verbs)]
    for definition in definitions:
        if is_established(definition):
            found += [k for k in custom_kinds(definition)[:1] if k.namespaced]
    unique = {k.group_resource: k for k in found}
    return sorted(unique.values(), key=lambda k: (k.resource != "pods", k.group_resource))


@dataclass(slots=True)
class Left:
    """What is still there: instances by `resource.group`, finalizers by name, and errors."""

    resources: dict[str, int] = field(default_factory=dict)
    finalizers: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, kind: Kind, items: list[Tree]) -> None:
        self.resources[f"{kind.resource}.{kind.group}"] = len(items)
        for item in items:
            for finalizer in item["metadata"].get("finalizers") or ():
                self.finalizers[finalizer] = self.finalizers.get(finalizer, 0) + 1


def told(old: list[Tree], left: Left, now: float) -> list[Tree]:
    """The conditions of a namespace in deletion; a new one that is false is said too, once it goes on."""
    remaining = ", ".join(f"{n} has {c} resource instances" for n, c in sorted(left.resources.items()))
    finalizers = ", ".join(f"{n} in {c} resource instances" for n, c in sorted(left.finalizers.items()))
    problems = ", ".join(left.errors)
    entries = (
        ("NamespaceDeletionDiscoveryFailure", False, "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            False,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            bool(left.errors),
            "ContentDeletionFailed" if left.errors else "ContentDeleted",
            f"Failed to delete all resource types, {len(left.errors)} remaining: {problems}"
            if left.errors
            else "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            bool(remaining),
            "SomeResourcesRemain" if remaining else "ContentRemoved",
            f"Some resources are remaining: {remaining}" if remaining else "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining",
            bool(finalizers),
            "SomeFinalizersRemain" if finalizers else "ContentHasNoFinalizers",
            f"Some content in the namespace has finalizers remaining: {finalizers}"
            if finalizers
            else "All content-preserving finalizers finished",
        ),
    )
    found = old
    for kind, on, reason, message in entries:
        found = with_condition(found, conditions.make(kind, "True" if on else "False", reason, message, now))
    return found


class NamespaceController:
    def __init__(self, caches: Caches, api: Rest) -> None:
        self._now = time.time
        self._api = api
        self._namespaces = caches.of("namespaces")
        self.queue: Reconciler[Key] = Reconciler("namespaces", self._reconcile, workers=8)
        self._namespaces.listen(lambda change: self.queue.add(change.key))

    async def _reconcile(self, key: Key) -> float | None:
        cached = self._namespaces.get(*key)
        if cached is None or not cached["metadata"].get("deletionTimestamp"):
            return None
        try:
            namespace = await self._api.get(kind_of("namespaces"), "", key.name)
        except NotFound:
            return None
        finalizers = (namespace.get("spec") or {}).get("finalizers") or []
        if FINALIZER not in finalizers or not namespace["metadata"].get("deletionTimestamp"):
            return None
        left, pods = await self._empty(key.name)
        if left.resources or left.errors or pods:
            # While pods are there nothing else has been looked at: the conditions speak of what was.
            await self._tell(namespace, Left() if pods and not left.errors else left)
            return PODS_AGAIN if pods and not left.finalizers else AGAIN
        spec = {k: v for k, v in (namespace.get("spec") or {}).items() if k != "finalizers"}
        rest = [f for f in finalizers if f != FINALIZER]
        body = {
            **namespace,
            "apiVersion": "v1",
            "kind": "Namespace",
            "spec": {**spec, "finalizers": rest} if rest else spec,
        }
        try:
            await self._api.request("PUT", f"/api/v1/namespaces/{key.name}/finalize", body)
        except NotFound:
            return None
        except Conflict:
            return 0.0
        return None

    async def _empty(self, name: str) -> tuple[Left, bool]:
        """Deletes what is in it. (what is left, whether pods are)."""
        left = Left()
        definitions = await self._api.list(kind_of("customresourcedefinitions.apiextensions.k8s.io"))
        for kind in contents(definitions["items"]):
            try:
                items = await self._delete(kind, name)
            except NotFound:
                continue
            except ApiStatusError as e:
                left.errors.append(str(e.status.get("message") or e))
                continue
            if items and kind.group_resource not in EVENTS:
                left.add(kind, items)
                if kind.group_resource == "pods":
                    return left, True
        return left, False

    async def _delete(self, kind: Kind, name: str) -> list[Tree]:
        """Deletes the objects of a kind; those that are still there."""
        items = (await self._api.list(kind, name))["items"]
        if not items:
            return []
        options = {"propagationPolicy": "Background"}
        if "deletecollection" in kind.verbs:
            await self._api.request("DELETE", kinds.path(kind, name), options)
        else:
            for item in items:
                try:
                    await self._api.delete(kind, name, item["metadata"]["name"], options)
                except NotFound:
                    continue
        found: list[Tree] = (await self._api.list(kind, name))["items"]
        return found

    async def _tell(self, namespace: Tree, left: Left) -> None:
        old = (namespace.get("status") or {}).get("conditions") or []
        new = told(old, left, self._now())
        said = [(c["type"], c["status"], c.get("message")) for c in new]
        if said == [(c["type"], c["status"], c.get("message")) for c in old]:
            return
        patch = {"status": {"conditions": new}}
        try:
            await self._api.patch(kind_of("namespaces"), "", namespace["metadata"]["name"], patch, "status")
        except ApiStatusError:
            pass
