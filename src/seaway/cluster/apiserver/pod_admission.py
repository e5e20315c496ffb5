"""What a new pod is given and asked at the door: amounts, its ServiceAccount, priority, tolerations, runtime class.

The plugins LimitRanger, ServiceAccount, Priority, DefaultTolerationSeconds and RuntimeClass of
k8s.io/kubernetes/plugin/pkg/admission, in their order.
"""

from __future__ import annotations

from typing import Any

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import limit_ranger
from seaway.cluster.apiserver.metadata import told_name
from seaway.cluster.apiserver.rules import pod_annotations, pod_defaults, pod_references
from seaway.cluster.apiserver.status import forbidden
from seaway.cluster.apiserver.storage import Storage

Tree = dict[str, Any]
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_VOLUME = "kube-api-access-"
ENFORCE_SECRETS = "kubernetes.io/enforce-mountable-secrets"
SYSTEM_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
TOKEN_SOURCES = (
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
        }
    },
)
ACCOUNT_GONE = 'error looking up service account {0}/{1}: serviceaccount "{1}" not found'
OVERHEAD_DIFFERS = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
OVERHEAD_ALONE = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


def mount_token(spec: Tree, suffix: str) -> None:
    """Gives every container the token volume, unless something is mounted there already."""
    names = [v.get("name", "") for v in spec.get("volumes") or ()]
    volume = next((n for n in names if n.startswith(TOKEN_VOLUME)), "")
    name, used = volume or f"{TOKEN_VOLUME}{suffix}", False
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        mounts = container.get("volumeMounts") or []
        if not any(m.get("mountPath") == TOKEN_FOLDER for m in mounts):
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": TOKEN_FOLDER}]
            used = True
    if used and not volume:
        projected = {"sources": [dict(source) for source in TOKEN_SOURCES], "defaultMode": 0o644}
        spec["volumes"] = [*(spec.get("volumes") or ()), {"name": name, "projected": projected}]


def with_runtime_class(spec: Tree, runtime: Tree) -> str:
    """Takes over the overhead and scheduling of a RuntimeClass; what speaks against it comes back."""
    overhead = (runtime.get("overhead") or {}).get("podFixed")
    if overhead:
        if spec.get("overhead") not in (None, overhead):
            return OVERHEAD_DIFFERS
        spec["overhead"] = dict(overhead)
    scheduling = runtime.get("scheduling") or {}
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in sorted((scheduling.get("nodeSelector") or {}).items()):
        if selector.get(key, value) != value:
            told = (
                f"runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {selector[key]}"
            )
            return f"conflict: {told}"
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    have = spec.get("tolerations") or []
    spec["tolerations"] = have + [t for t in scheduling.get("tolerations") or () if t not in have]
    return ""


class PodAdmission:
    """Reads ServiceAccounts, PriorityClasses and RuntimeClasses in their newest state."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def admit(self, kind: Kind, namespace: str, tree: Tree, suffix: str) -> None:
        """Completes a new pod in place; ApiError where it may not be."""
        spec, name = tree["spec"], told_name(tree["metadata"])
        ranges = self.ranges(namespace)
        if ranges:
            limit_ranger.complete(tree, ranges)
        if pod_annotations.MIRROR in (tree["metadata"].get("annotations") or {}):
            why = pod_references.of_mirror(spec)
        else:
            why = self._account(namespace, spec, suffix)
        why = why or self._priority(spec)
        if why:
            raise forbidden(kind, name, why)
        pod_defaults.default_tolerations(spec)
        why = self._runtime(spec)
        if why:
            raise forbidden(kind, name, why)

    def ranges(self, namespace: str) -> list[Tree]:
        """The LimitRanges of a namespace, by name."""
        found = [e.tree for e in self._storage.newest_all("limitranges")]
        own = [t for t in found if t["metadata"].get("namespace") == namespace]
        return sorted(own, key=lambda t: t["metadata"]["name"])

    def bounds(self, kind: Kind, namespace: str, tree: Tree) -> None:
        """A pod, new or resized, or a PersistentVolumeClaim keeps within the ranges of its namespace."""
        check = limit_ranger.of_pod if kind.resource == "pods" else limit_ranger.of_claim
        why = check(tree, self.ranges(namespace))
        if why:
            raise forbidden(kind, told_name(tree["metadata"]), why)

    def judge(self, kind: Kind, namespace: str, tree: Tree) -> None:
        """What is refused only after the pod has been found valid."""
        spec = tree["spec"]
        self.bounds(kind, namespace, tree)
        runtime = self._runtime_class(spec.get("runtimeClassName"))
        if spec.get("overhead") and not (runtime or {}).get("overhead"):
            raise forbidden(kind, told_name(tree["metadata"]), OVERHEAD_ALONE)

    def _account(self, namespace: str, spec: Tree, suffix: str) -> str:
        name = spec.get("serviceAccountName") or "default"
        entry = self._storage.newest("serviceaccounts", f"{namespace}/{name}")
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        if entry is None:
            return ACCOUNT_GONE.format(namespace, name)
        account = entry.tree
        mounted = spec.get("automountServiceAccountToken")
        if mounted is None:
            mounted = account.get("automountServiceAccountToken", True)
        if mounted:
            mount_token(spec, suffix)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": s["name"]} for s in account["imagePullSecrets"] if s.get("name")]
        enforced = (account["metadata"].get("annotations") or {}).get(ENFORCE_SECRETS, "")
        if enforced in ("1", "t", "T", "true", "TRUE", "True"):
            return pod_references.not_granted(spec, account)
        return ""

    def _priority(self, spec: Tree) -> str:
        name = spec.get("priorityClassName", "")
        value, policy = 0, "PreemptLowerPriority"
        if name in SYSTEM_PRIORITIES:
            value = SYSTEM_PRIORITIES[name]
        elif name:
            entry = self._storage.newest("priorityclasses.scheduling.k8s.io", name)
            if entry is None:
                return f"no PriorityClass with name {name} was found"
            value, policy = entry.tree.get("value", 0), entry.tree.get("preemptionPolicy", policy)
        else:
            classes = [e.tree for e in self._storage.newest_all("priorityclasses.scheduling.k8s.io")]
            defaults = sorted((c for c in classes if c.get("globalDefault")), key=lambda c: c.get("value", 0))
            if defaults:
                spec["priorityClassName"] = defaults[0]["metadata"]["name"]
                value, policy = defaults[0].get("value", 0), defaults[0].get("preemptionPolicy", policy)
        computed = f"must not be provided in pod spec; priority admission controller computed {value} from the given "
        if spec.get("priority") not in (None, value):
            return f"the integer value of priority ({spec['priority']}) {computed}PriorityClass name"
        if spec.get("preemptionPolicy") not in (None, policy):
            return (
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name"
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy
        return ""

    def _runtime_class(self, name: str | None) -> Tree | None:
        entry = None if name is None else self._storage.newest("runtimeclasses.node.k8s.io", name)
        return None if entry is None else entry.tree

    def _runtime(self, spec: Tree) -> str:
        name = spec.get("runtimeClassName")
        if name is None:
            return ""
        runtime = self._runtime_class(name)
        return (
            f'pod rejected: RuntimeClass "{name}" not found' if runtime is None else with_runtime_class(spec, runtime)
        )
