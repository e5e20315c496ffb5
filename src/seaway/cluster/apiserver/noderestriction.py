"""What a node may write: its own Node, the statuses of the pods on it, tokens for them
(plugin/pkg/admission/noderestriction). Whether it may ask at all is `nodeauthz`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seaway.api.kinds import Kind
from seaway.cluster.apiserver.nodeauthz import LEASES, claims, config_maps, node_of, secrets
from seaway.cluster.apiserver.reviewing import CREATE, DELETE, UPDATE, Attributes
from seaway.cluster.apiserver.status import forbidden, not_found
from seaway.cluster.config import NodeConfig

Tree = dict[str, Any]
MIRROR = "kubernetes.io/config.mirror"
RESTRICTED = "node-restriction.kubernetes.io"
OWN_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
# What a kubelet may say of its node under kubernetes.io (k8s.io/kubelet/pkg/apis: IsKubeletLabel).
OWN_LABELS = frozenset({
    "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
    "topology.kubernetes.io/zone", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
})  # fmt: skip
WATCHED = frozenset({"pods", "nodes", "serviceaccounts", "leases.coordination.k8s.io", "persistentvolumeclaims"})


def _within(namespace: str, domain: str) -> bool:
    return namespace == domain or namespace.endswith(f".{domain}")


def is_forbidden(label: str) -> bool:
    """Whether a node may not set a label of itself."""
    namespace = label.rpartition("/")[0]
    if _within(namespace, RESTRICTED):
        return True
    if not (_within(namespace, "kubernetes.io") or _within(namespace, "k8s.io")) or label in OWN_LABELS:
        return False
    return not any(_within(namespace, own) for own in OWN_NAMESPACES)


def _labels(tree: Tree) -> Tree:
    return dict((tree.get("metadata") or {}).get("labels") or {})


def _changed(new: Tree, old: Tree) -> list[str]:
    return sorted(k for k in new.keys() | old.keys() if new.get(k) != old.get(k))


def mirror_problem(node: str, pod: Tree) -> str:
    """Why a node may not make a pod: it may only show its static ones."""
    spec, meta = pod.get("spec") or {}, pod.get("metadata") or {}
    if MIRROR not in (meta.get("annotations") or {}):
        return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
    if spec.get("nodeName") != node:
        return f'node "{node}" can only create pods with spec.nodeName set to itself'
    owners = meta.get("ownerReferences") or []
    if len(owners) > 1:
        return f'node "{node}" can only create pods with a single owner reference set to itself'
    if not owners:
        return f'node "{node}" can only create pods with an owner reference set to itself'
    owner = owners[0]
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        return f'node "{node}" can only create pods with an owner reference set to itself'
    if not owner.get("controller"):
        return f'node "{node}" can only create pods with a controller owner reference set to itself'
    if owner.get("blockOwnerDeletion"):
        return f'node "{node}" must not set blockOwnerDeletion on an owner reference'
    if spec.get("serviceAccountName"):
        return f'node "{node}" can not create pods that reference a service account'
    if secrets(spec):
        return f'node "{node}" can not create pods that reference secrets'
    if config_maps(spec):
        return f'node "{node}" can not create pods that reference configmaps'
    if claims(pod):
        return f'node "{node}" can not create pods that reference persistentvolumeclaims'
    return ""


def node_problem(node: str, operation: str, tree: Tree, old: Tree, planned: Mapping[str, str]) -> str:
    """Why a node may not write its Node object so; `planned` are labels that the cluster's own file gives it."""
    if operation == CREATE:
        new = _labels(tree)
        wrong = [k for k in sorted(new) if is_forbidden(k) and planned.get(k) != new[k]]
        return f'node "{node}" is not allowed to set the following labels: {", ".join(wrong)}' if wrong else ""
    if (tree.get("spec") or {}).get("taints") != (old.get("spec") or {}).get("taints"):
        return f'node "{node}" is not allowed to modify taints'
    wrong = [k for k in _changed(_labels(tree), _labels(old)) if is_forbidden(k)]
    if wrong:
        return f'node "{node}" is not allowed to modify labels: {", ".join(wrong)}'
    if (tree.get("metadata") or {}).get("ownerReferences") != (old.get("metadata") or {}).get("ownerReferences"):
        return f'node "{node}" is not allowed to modify ownerReferences'
    return ""


def pod_problem(node: str, operation: str, subresource: str, tree: Tree, old: Tree) -> str:
    """Why a node may not write a pod so."""
    placed = (old.get("spec") or {}).get("nodeName")
    if subresource == "status":
        if placed != node:
            return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
        if _labels(tree) != _labels(old):
            return f'node "{node}" cannot update labels through pod status'
        if (tree.get("metadata") or {}).get("ownerReferences") != (old.get("metadata") or {}).get("ownerReferences"):
            return f'node "{node}" cannot update owner references through pod status'
        return ""
    if subresource == "eviction":
        return "" if placed == node else f"node {node} can only evict pods with spec.nodeName set to itself"
    if subresource:
        return f"unexpected pod subresource \"{subresource}\", only 'status' and 'eviction' are allowed"
    if operation == CREATE:
        return mirror_problem(node, tree)
    if operation == DELETE:
        return "" if placed == node else f'node "{node}" can only delete pods with spec.nodeName set to itself'
    return f'unexpected operation "{operation}", node "{node}" can only create and delete mirror pods'


def token_problem(node: str, spec: Tree, pod: Tree | None) -> str:
    """Why a node may not ask for a token: it must be bound to a pod that runs there, and for an audience it names."""
    ref = spec.get("boundObjectRef") or {}
    if not ref.get("uid"):
        return "node requested token with a pod binding without a uid"
    assert pod is not None
    uid = pod["metadata"]["uid"]
    if ref["uid"] != uid:
        again = "The object might have been deleted and then recreated"
        return f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. {again}"
    if pod["spec"].get("nodeName") != node:
        return "node requested token bound to a pod scheduled on a different node"
    # KEP-4601's neighbour: ServiceAccountNodeAudienceRestriction.
    audiences = spec.get("audiences") or [""]
    if len(audiences) > 1:
        return "node may only request 0 or 1 audiences"
    parts = [p for v in pod["spec"].get("volumes") or () for p in (v.get("projected") or {}).get("sources") or ()]
    named = {p["serviceAccountToken"].get("audience") or "" for p in parts if p.get("serviceAccountToken")}
    return "" if audiences[0] in named else f'audience "{audiences[0]}" not found in pod spec volume'


def planned_labels(config: NodeConfig) -> dict[str, str]:
    """The labels that the cluster's file gives a node, which registers with them."""
    role = {"node-role.kubernetes.io/control-plane": ""} if config.role == "control-plane" else {}
    return {**config.labels, **role}


class NodeRestriction:
    """A reviewer of nodes' writes. `get(resource, key)` reads objects."""

    def __init__(self, get: Callable[[str, str], Tree | None], planned: Mapping[str, Mapping[str, str]]) -> None:
        self._get, self._planned = get, planned

    def concerns(self, attributes: Attributes) -> bool:
        return node_of(attributes.user) is not None and attributes.stored.group_resource in WATCHED

    async def mutate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> Tree | None:
        return tree

    async def validate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> None:
        why = self._why(attributes, tree or {}, old or {})
        if why:
            name = attributes.name or ((tree or {}).get("metadata") or {}).get("name", "")
            raise forbidden(attributes.kind, name, why)

    def _why(self, a: Attributes, tree: Tree, old: Tree) -> str:
        node = node_of(a.user)
        if not node:
            return f'could not determine node from user "{a.user.name}"'
        match a.stored.group_resource:
            case "pods":
                if a.subresource == "eviction":
                    old = self._get("pods", f"{a.namespace}/{a.name}") or {}
                return pod_problem(node, a.operation, a.subresource, tree, old)
            case "nodes":
                if a.name != node:
                    return f'node "{node}" is not allowed to modify node "{a.name}"'
                if a.operation == DELETE:
                    return ""  # nobody lets it get here
                return node_problem(node, a.operation, tree, old, self._planned.get(node, {}))
            case "leases.coordination.k8s.io":
                if a.namespace != LEASES:
                    return f'can only access leases in the "{LEASES}" system namespace'
                own = a.name == node
                return "" if own else "can only access node lease with the same name as the requesting node"
            case "persistentvolumeclaims":
                allowed = a.operation == UPDATE and a.subresource == "status"
                return "" if allowed else f'unexpected operation "{a.operation}", node "{node}" can only update status'
        if a.subresource != "token" or a.operation != CREATE:
            return ""
        spec = tree.get("spec") or {}
        ref = spec.get("boundObjectRef") or {}
        if (ref.get("apiVersion"), ref.get("kind")) != ("v1", "Pod") or not ref.get("name"):
            return "node requested token not bound to a pod"
        pod = self._get("pods", f"{a.namespace}/{ref['name']}")
        if pod is None and ref.get("uid"):
            raise not_found(PODS, ref["name"])
        return token_problem(node, spec, pod)


PODS = Kind("", "v1", "pods", "Pod", True, ())
