"""What a node's credential opens: what the pods on that node need, and itself; pure but for the pods it is told of
(plugin/pkg/auth/authorizer/node, KEP-4601).

A node is `system:node:NAME` in the group system:nodes. What this says no to, RBAC may still grant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from seaway.api.selectors import SelectorError, parse_fields
from seaway.cluster.apiserver.authz import Decision, User, allows
from seaway.cluster.apiserver.requests import RequestInfo

Tree = dict[str, Any]
PREFIX, GROUP, LEASES = "system:node:", "system:nodes", "kube-node-lease"
UNRELATED = "no relationship found between node '{}' and this object"


def _rule(verbs: str, group: str, resources: str) -> Tree:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


# What needs no look at pods (bootstrappolicy.NodeRules); also the ClusterRole system:node, which is bound to nobody.
RULES: list[Tree] = [
    _rule("create", "authentication.k8s.io", "tokenreviews"),
    _rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
    _rule("get list watch", "", "services"),
    _rule("create get list patch update watch", "", "nodes"),
    _rule("patch update", "", "nodes/status"),
    _rule("create delete get list watch", "", "pods"),
    _rule("patch update", "", "pods/status"),
    _rule("create", "", "pods/eviction"),
    _rule("get list watch", "", "configmaps secrets"),
    _rule("get", "", "persistentvolumeclaims persistentvolumes"),
    _rule("create patch update", "", "events"),
    _rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    _rule("create delete get patch update", "coordination.k8s.io", "leases"),
    _rule("create", "", "serviceaccounts/token"),
    _rule("get patch update", "", "persistentvolumeclaims/status"),
    _rule("get list watch", "storage.k8s.io", "csidrivers"),
    _rule("get list watch", "node.k8s.io", "runtimeclasses"),
]


def node_of(user: User) -> str | None:
    """The node that a user is; None for everybody else (pkg/auth/nodeidentifier)."""
    if not user.name.startswith(PREFIX) or GROUP not in user.groups:
        return None
    return user.name.removeprefix(PREFIX)


def _containers(spec: Tree) -> Iterator[Tree]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _of_environment(spec: Tree, source: str, key: str) -> Iterator[str]:
    for container in _containers(spec):
        for entry in container.get("envFrom") or ():
            yield (entry.get(source) or {}).get("name", "")
        for entry in container.get("env") or ():
            yield ((entry.get("valueFrom") or {}).get(key) or {}).get("name", "")


def _volume_sources(spec: Tree) -> Iterator[Tree]:
    for volume in spec.get("volumes") or ():
        for name, source in volume.items():
            if isinstance(source, dict):
                yield {"is": name, **source}


def secrets(spec: Tree) -> set[str]:
    """The names of the Secrets that a pod refers to (podutil.VisitPodSecretNames)."""
    found = {ref.get("name", "") for ref in spec.get("imagePullSecrets") or ()}
    found |= set(_of_environment(spec, "secretRef", "secretKeyRef"))
    for source in _volume_sources(spec):
        found.add(source.get("secretName", "") if source["is"] in ("secret", "azureFile") else "")
        for ref in ("secretRef", "nodePublishSecretRef"):
            found.add((source.get(ref) or {}).get("name", ""))
        for part in source.get("sources") or ():
            found.add((part.get("secret") or {}).get("name", ""))
    return found - {"", None}


def config_maps(spec: Tree) -> set[str]:
    """The names of the ConfigMaps that a pod refers to (podutil.VisitPodConfigmapNames)."""
    found = set(_of_environment(spec, "configMapRef", "configMapKeyRef"))
    for source in _volume_sources(spec):
        found.add(source.get("name", "") if source["is"] == "configMap" else "")
        for part in source.get("sources") or ():
            found.add((part.get("configMap") or {}).get("name", ""))
    return found - {"", None}


def claims(pod: Tree) -> set[str]:
    """The names of the PersistentVolumeClaims of a pod, those made for it included."""
    found = set()
    for volume in pod["spec"].get("volumes") or ():
        found.add((volume.get("persistentVolumeClaim") or {}).get("claimName", ""))
        if "ephemeral" in volume:
            found.add(f"{pod['metadata']['name']}-{volume['name']}")
    return found - {""}


class PlacedPods:
    """The pods of each node, kept up to date by `put` and `drop`."""

    def __init__(self) -> None:
        self._nodes: dict[str, dict[str, Tree]] = {}
        self._places: dict[str, str] = {}

    def put(self, key: str, pod: Tree) -> None:
        node = (pod.get("spec") or {}).get("nodeName") or ""
        if self._places.get(key, node) != node:
            self.drop(key)
        if node:
            self._places[key] = node
            self._nodes.setdefault(node, {})[key] = pod

    def drop(self, key: str) -> None:
        node = self._places.pop(key, "")
        self._nodes.get(node, {}).pop(key, None)

    def of(self, node: str, namespace: str) -> Iterator[Tree]:
        for pod in self._nodes.get(node, {}).values():
            if pod["metadata"]["namespace"] == namespace:
                yield pod


class NodeAuthorizer:
    """Decides for nodes; `decide` says None of everybody else."""

    def __init__(self, pods: PlacedPods) -> None:
        self._pods = pods

    def decide(self, user: User, info: RequestInfo) -> Decision | None:
        node = node_of(user)
        if node is None:
            return None
        if not node:
            return Decision(False, f'unknown node for user "{user.name}"')
        if info.is_resource:
            why = self._resource(node, info)
            if why is not None:
                return Decision(not why, why)
        return Decision(any(allows(rule, info) for rule in RULES))

    def _resource(self, node: str, info: RequestInfo) -> str | None:
        """Why not; empty for yes; None where the rules for all nodes decide."""
        match (info.group, info.resource):
            case ("", "secrets"):
                return self._read_named(node, info, secrets)
            case ("", "configmaps"):
                return self._read_named(node, info, config_maps)
            case ("", "persistentvolumeclaims"):
                return self._claim(node, info)
            case ("", "persistentvolumes"):
                return UNRELATED.format(node)  # nothing binds volumes to claims
            case ("", "serviceaccounts"):
                return self._token(node, info)
            case ("", "nodes"):
                return _node(node, info)
            case ("", "pods"):
                return self._pod(node, info)
            case ("coordination.k8s.io", "leases"):
                return _lease(node, info)
        return None

    @staticmethod
    def _related(node: str, there: Iterable[bool]) -> str:
        return "" if any(there) else UNRELATED.format(node)

    def _read_named(self, node: str, info: RequestInfo, names: Callable[[Tree], set[str]]) -> str:
        if info.verb not in ("get", "list", "watch"):
            return "can only read resources of this type"
        if info.subresource:
            return "cannot read subresource"
        if not info.namespace:
            return "can only read namespaced object of this type"
        name = info.name or info.selected
        if not name:
            return "No Object name found"
        return self._related(node, (name in names(p["spec"]) for p in self._pods.of(node, info.namespace)))

    def _claim(self, node: str, info: RequestInfo) -> str:
        if info.subresource == "status":
            if info.verb not in ("update", "patch"):
                return "can only update the status of resources of this type"
        elif info.subresource:
            return "cannot get subresource"
        elif info.verb != "get":
            return "can only get individual resources of this type"
        return self._related(node, (info.name in claims(p) for p in self._pods.of(node, info.namespace)))

    def _token(self, node: str, info: RequestInfo) -> str:
        if info.verb != "create" or not info.name:
            return "can only create tokens for individual service accounts"
        if info.subresource != "token":
            return "can only create token subresource of service account"
        pods = self._pods.of(node, info.namespace)
        return self._related(node, ((p["spec"].get("serviceAccountName") or "default") == info.name for p in pods))

    def _pod(self, node: str, info: RequestInfo) -> str | None:
        """Pods: `noderestriction` says which of them may be written."""
        asked = (info.verb, info.subresource)
        if asked in (("create", ""), ("delete", ""), ("update", "status"), ("patch", "status"), ("create", "eviction")):
            return ""
        if asked == ("get", ""):
            return self._related(
                node, (p["metadata"]["name"] == info.name for p in self._pods.of(node, info.namespace))
            )
        if info.verb in ("list", "watch") and not info.subresource:
            chosen = ("spec.nodeName", node, True) in _terms(info.fields)
            return "" if chosen else "can only list/watch pods with spec.nodeName field selector"
        return None if asked[1] else "unsupported verb"


def _terms(fields: str) -> set[tuple[str, str, bool]]:
    try:
        return {(t.path, t.value, t.equal) for t in parse_fields(fields)}
    except SelectorError:
        return set()


def _node(node: str, info: RequestInfo) -> str | None:
    """Node objects: `noderestriction` says what may be written in them."""
    if info.subresource or info.verb in ("create", "update", "patch"):
        return None
    name = info.name or info.selected
    if info.verb not in ("get", "list", "watch") or name == node:
        return None
    if not name:
        return f"node '{node}' cannot read all nodes, only its own Node object"
    return f"node '{node}' cannot read '{name}', only its own Node object"


def _lease(node: str, info: RequestInfo) -> str:
    if info.verb not in ("get", "create", "update", "patch", "delete"):
        return "can only get, create, update, patch, or delete a node lease"
    if info.namespace != LEASES:
        return f'can only access leases in the "{LEASES}" system namespace'
    if info.verb != "create" and info.name != node:
        return "can only access node lease with the same name as the requesting node"
    return ""
