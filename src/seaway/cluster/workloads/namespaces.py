"""Namespaces: each gets its default ServiceAccount and the cluster's CA; one in deletion is emptied, pods first, and let go."""

from __future__ import annotations

from typing import Any

from seaway.api import kinds
from seaway.api.tree import Key, stamp, with_condition
from seaway.client.errors import ApiStatusError, Conflict, NotFound
from seaway.client.reconcile import Reconciler
from seaway.client.rest import Rest, kind_of
from seaway.controllers.run import Caches

Tree = dict[str, Any]
CA_MAP = "kube-root-ca.crt"
EVENTS = ("events", "events.events.k8s.io")


def contents() -> list[kinds.Kind]:
    """The namespaced kinds that are stored, pods first."""
    found = [k for k in kinds.builtin() if k.namespaced and k.stored and "deletecollection" in k.verbs]
    found.append(kind_of("services"))
    unique = {k.group_resource: k for k in found}
    return sorted(unique.values(), key=lambda k: (k.resource != "pods", k.group_resource))


class NamespaceController:
    def __init__(self, caches: Caches, api: Rest, ca: str) -> None:
        import time

        self._now = time.time
        self._caches, self._api, self._ca = caches, api, ca
        self._namespaces = caches.of("namespaces")
        self._accounts = caches.of("serviceaccounts")
        self.queue: Reconciler[Key] = Reconciler("namespaces", self._reconcile, workers=8)
        self._namespaces.listen(lambda change: self.queue.add(change.key))
        self._accounts.listen(
            lambda change: self.queue.add(Key("", change.key.namespace)) if change.new is None else None
        )

    async def _reconcile(self, key: Key) -> float | None:
        namespace = self._namespaces.get(*key)
        if namespace is None:
            return None
        if namespace["metadata"].get("deletionTimestamp"):
            return await self._empty(namespace)
        if self._accounts.get(key.name, "default") is None:
            await self._create("serviceaccounts", key.name, {"metadata": {"name": "default"}})
        await self._create(
            "configmaps",
            key.name,
            {
                "metadata": {
                    "name": CA_MAP,
                    "annotations": {"kubernetes.io/description": "The CA of this cluster's API server."},
                },
                "data": {"ca.crt": self._ca},
            },
        )
        return None

    async def _create(self, resource: str, namespace: str, tree: Tree) -> None:
        kind = kind_of(resource)
        try:
            await self._api.create(kind, namespace, {"apiVersion": kind.api_version, "kind": kind.kind, **tree})
        except Conflict:
            pass

    async def _empty(self, namespace: Tree) -> float | None:
        """Deletes everything in it; the finalizer goes when nothing is left."""
        name = namespace["metadata"]["name"]
        left: dict[str, int] = {}
        held: dict[str, int] = {}
        for kind in contents():
            items = (await self._api.list(kind, name))["items"]
            if not items:
                continue
            if "deletecollection" in kind.verbs:
                await self._api.request("DELETE", kinds.path(kind, name))
            else:
                for item in items:
                    try:
                        await self._api.delete(kind, name, item["metadata"]["name"])
                    except NotFound:
                        continue
            items = (await self._api.list(kind, name))["items"]
            if items and kind.group_resource not in EVENTS:
                left[kind.group_resource] = len(items)
                for item in items:
                    for finalizer in item["metadata"].get("finalizers") or ():
                        held[finalizer] = held.get(finalizer, 0) + 1
            if kind.resource == "pods" and left:
                break  # while a pod is there, what it uses stays
        if left:
            await self._tell(namespace, left, held)
            return 0.1 if "pods" in left and not held else 0.5
        body = {**namespace, "apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": []}}
        try:
            await self._api.request("PUT", f"/api/v1/namespaces/{name}/finalize", body)
        except (NotFound, Conflict):
            return None
        return None

    async def _tell(self, namespace: Tree, left: dict[str, int], held: dict[str, int]) -> None:
        """The conditions that say why a namespace is still there."""
        moment = stamp(self._now())

        def condition(kind: str, on: bool, reason: str, message: str) -> Tree:
            return {
                "type": kind,
                "status": "True" if on else "False",
                "reason": reason,
                "message": message,
                "lastTransitionTime": moment,
            }

        remaining = ", ".join(f"{n}. has {c} resource instances" for n, c in sorted(left.items()))
        finalizers = ", ".join(f"{n} in {c} resource instances" for n, c in sorted(held.items()))
        old = (namespace.get("status") or {}).get("conditions") or []
        new = old
        for entry in (
            condition(
                "NamespaceDeletionDiscoveryFailure",
                False,
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
            condition(
                "NamespaceDeletionGroupVersionParsingFailure",
                False,
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            condition(
                "NamespaceDeletionContentFailure",
                False,
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            condition(
                "NamespaceContentRemaining", True, "SomeResourcesRemain", f"Some resources are remaining: {remaining}"
            ),
            condition(
                "NamespaceFinalizersRemaining",
                bool(held),
                "SomeFinalizersRemain" if held else "ContentHasNoFinalizers",
                f"Some content in the namespace has finalizers remaining: {finalizers}"
                if held
                else "All content-preserving finalizers finished",
            ),
        ):
            new = with_condition(new, entry)
        if [(c["type"], c["status"], c["message"]) for c in new] != [
            (c["type"], c["status"], c.get("message")) for c in old
        ]:
            try:
                await self._api.patch(
                    kind_of("namespaces"), "", namespace["metadata"]["name"], {"status": {"conditions": new}}, "status"
                )
            except ApiStatusError:
                pass
