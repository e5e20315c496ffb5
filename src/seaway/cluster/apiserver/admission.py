"""What happens to an object between its body and the storage, beyond its kind's own rules: namespaces that end,
ServiceAccounts of pods, default tolerations, priority, addresses of Services (k8s.io/kubernetes plugin/pkg/admission).
"""

from __future__ import annotations

from typing import Any

from seaway.api.kinds import Kind
from seaway.api.tree import get
from seaway.cluster.apiserver.allocation import Allocator
from seaway.cluster.apiserver.rules import service, servicechange
from seaway.cluster.apiserver.status import ApiError, Cause, forbidden
from seaway.cluster.apiserver.storage import Storage

Tree = dict[str, Any]
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
SYSTEM_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
DEFAULT_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class Admission:
    def __init__(self, storage: Storage, allocator: Allocator) -> None:
        self._storage, self.allocator = storage, allocator

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

    def service_account_missing(self, namespace: str, tree: Tree) -> bool:
        spec = tree.get("spec") or {}
        name = spec.get("serviceAccountName") or "default"
        return self._storage.newest("serviceaccounts", f"{namespace}/{name}") is None

    def pod(self, kind: Kind, namespace: str, tree: Tree, random_suffix: str) -> None:
        """Completes a new pod: ServiceAccount with its token volume, priority, tolerations."""
        spec = tree["spec"]
        name = spec.get("serviceAccountName") or "default"
        entry = self._storage.newest("serviceaccounts", f"{namespace}/{name}")
        if entry is None:
            raise forbidden(
                kind,
                tree["metadata"].get("name", ""),
                f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found',
            )
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = entry.tree
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]
        mounted = spec.get("automountServiceAccountToken")
        if mounted is None:
            mounted = account.get("automountServiceAccountToken", True)
        if mounted:
            self._mount_token(spec, random_suffix)
        self._priority(kind, tree, spec)
        if not get(tree, "metadata", "deletionTimestamp"):
            self._tolerations(spec)

    @staticmethod
    def _mount_token(spec: Tree, suffix: str) -> None:
        volume = next(
            (v["name"] for v in spec.get("volumes") or () if v.get("name", "").startswith("kube-api-access-")), ""
        )
        name = volume or f"kube-api-access-{suffix}"
        used = False
        for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
            mounts = container.get("volumeMounts") or []
            if any(m.get("mountPath") == TOKEN_FOLDER for m in mounts):
                continue
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": TOKEN_FOLDER}]
            used = True
        if used and not volume:
            sources = [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                        ]
                    }
                },
            ]
            spec["volumes"] = [
                *(spec.get("volumes") or ()),
                {"name": name, "projected": {"sources": sources, "defaultMode": 420}},
            ]

    def _priority(self, kind: Kind, tree: Tree, spec: Tree) -> None:
        name = spec.get("priorityClassName", "")
        value, policy = 0, "PreemptLowerPriority"
        if name in SYSTEM_PRIORITIES:
            value = SYSTEM_PRIORITIES[name]
        elif name:
            entry = self._storage.newest("priorityclasses.scheduling.k8s.io", name)
            if entry is None:
                raise forbidden(kind, tree["metadata"].get("name", ""), f"no PriorityClass with name {name} was found")
            value, policy = entry.tree.get("value", 0), entry.tree.get("preemptionPolicy", policy)
        else:
            for entry in self._storage.newest_all("priorityclasses.scheduling.k8s.io"):
                found = entry.tree
                if found.get("globalDefault"):
                    spec["priorityClassName"] = found["metadata"]["name"]
                    value, policy = found.get("value", 0), found.get("preemptionPolicy", policy)
        spec["priority"] = value
        spec.setdefault("preemptionPolicy", policy)

    @staticmethod
    def _tolerations(spec: Tree) -> None:
        have = spec.get("tolerations") or []
        for key in DEFAULT_TOLERATIONS:
            if not any(t.get("key") in (key, None, "") and t.get("effect") in ("NoExecute", None, "") for t in have):
                have = [*have, {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]
        spec["tolerations"] = have

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
