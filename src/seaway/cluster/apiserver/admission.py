"""What happens to an object between its body and the storage, beyond its kind's own rules: namespaces that end, taints of
new nodes, addresses of Services (k8s.io/kubernetes plugin/pkg/admission). Pods have a file of their own, `pod_admission`.
"""

from __future__ import annotations

from typing import Any

from seaway.api.kinds import Kind
from seaway.api.tree import get
from seaway.cluster import quota as quotas
from seaway.cluster.apiserver.allocation import Allocator
from seaway.cluster.apiserver.metadata import told_name
from seaway.cluster.apiserver.pod_admission import PodAdmission
from seaway.cluster.apiserver.rules import service, servicechange
from seaway.cluster.apiserver.status import ApiError, Cause, forbidden
from seaway.cluster.apiserver.storage import Storage

Tree = dict[str, Any]


class Admission:
    def __init__(self, storage: Storage, allocator: Allocator) -> None:
        self._storage, self.allocator = storage, allocator
        self.pods = PodAdmission(storage)

    def namespace(self, kind: Kind, name: str, namespace: str) -> None:
        """Refuses a create in a namespace that is not there, or is going."""
        entry = self._storage.newest("namespaces", namespace)
        if entry is None:
            details = {"name": namespace, "kind": "namespaces"}
            raise ApiError(404, "NotFound", f'namespaces "{namespace}" not found', details)
        if get(entry.tree, "metadata", "deletionTimestamp"):
            error = forbidden(
                kind, name, f"unable to create new content in namespace {namespace} because it is being terminated"
            )
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            error.tree["details"]["causes"] = [cause]
            raise error

    def quota(self, kind: Kind, namespace: str, tree: Tree) -> None:
        """Refuses a create that a ResourceQuota of the namespace has no room for."""
        prefix = f"{namespace}/"
        found = [e.tree for e in self._storage.newest_all("resourcequotas") if e.key.startswith(prefix)]
        if not found or kind.group_resource == "resourcequotas":
            return
        there = [e.tree for e in self._storage.newest_all(kind.group_resource) if e.key.startswith(prefix)]
        for quota in sorted(found, key=lambda q: str(q["metadata"]["name"])):
            why = quotas.refusal(quota, kind.group_resource, tree, {kind.group_resource: there})
            if why:
                raise forbidden(kind, told_name(tree["metadata"]), why)

    def service_account_missing(self, namespace: str, tree: Tree) -> bool:
        spec = tree.get("spec") or {}
        name = spec.get("serviceAccountName") or "default"
        return self._storage.newest("serviceaccounts", f"{namespace}/{name}") is None

    @staticmethod
    def node(tree: Tree) -> None:
        """A new node takes no pods before it has been judged (plugin TaintNodesByCondition)."""
        spec = tree.setdefault("spec", {})
        taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        have = spec.get("taints") or []
        if not any((t.get("key"), t.get("effect")) == tuple(taint.values()) for t in have):
            spec["taints"] = [*have, taint]

    def service(self, key: str, tree: Tree, old: Tree | None, known: list[Cause]) -> list[Cause]:
        """Families, addresses and node ports, and then the validation. `known` is what is wrong already; what is wrong
        with the allocation is told alone. When anything is wrong, nothing has been taken."""
        spec, before = tree["spec"], (old or {}).get("spec")
        # A create over a Service that is there takes what is free like any other, before it is refused.
        again = old is None and self._storage.newest("services", key) is not None
        holder = f"{key}/" if again else key
        if before is not None:
            servicechange.keep_allocated(spec, before)
        servicechange.align_cluster_ips(spec, before)
        causes = self.allocator.set_families(spec, before) or self.allocator.allocate(holder, spec, before)
        if causes:
            return causes
        if old is not None:
            servicechange.drop_unneeded(tree, old)
            known = known + servicechange.causes(tree, old)
        causes = known + service.validate_service(tree, old)
        if causes or again:
            self.allocator.release(holder, spec, before)
        return causes
