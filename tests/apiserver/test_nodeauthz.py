"""What a node's credential opens, and what it may write: tables of requests of node `n1`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from seaway.api import kinds
from seaway.cluster.apiserver import noderestriction
from seaway.cluster.apiserver.authz import Rbac, User
from seaway.cluster.apiserver.nodeauthz import NodeAuthorizer, PlacedPods
from seaway.cluster.apiserver.noderestriction import NodeRestriction
from seaway.cluster.apiserver.requests import read
from seaway.cluster.apiserver.reviewing import CREATE, DELETE, UPDATE, Attributes, GroupVersionKind
from seaway.cluster.apiserver.status import ApiError
from seaway.cluster.config import NodeConfig

Tree = dict[str, Any]
N1 = User("system:node:n1", ("system:nodes", "system:authenticated"))
SPEC = {
    "serviceAccountName": "sa",
    "imagePullSecrets": [{"name": "pull"}],
    "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "env-all"}}, {"configMapRef": {"name": "map-all"}}]}],
    "containers": [
        {
            "name": "c",
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env-one", "key": "k"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "map-one", "key": "k"}}},
            ],
        }
    ],
    "volumes": [
        {"name": "a", "secret": {"secretName": "vol"}},
        {"name": "b", "configMap": {"name": "vol-map"}},
        {
            "name": "c",
            "projected": {
                "sources": [
                    {"secret": {"name": "part"}},
                    {"configMap": {"name": "part-map"}},
                    {"serviceAccountToken": {"path": "t"}},
                    {"serviceAccountToken": {"path": "v", "audience": "vault"}},
                ]
            },
        },
        {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "e", "ephemeral": {}},
        {"name": "f", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi"}}},
    ],
}


def pod(name: str, node: str, spec: Tree | None = None, namespace: str = "ns") -> Tree:
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    return {"metadata": meta, "spec": {"containers": [], **(spec or {}), "nodeName": node}}


PODS = {
    "ns/mine": pod("mine", "n1", SPEC),
    "ns/theirs": pod("theirs", "n2", {"serviceAccountName": "other", "imagePullSecrets": [{"name": "foreign"}]}),
    "elsewhere/p": pod("p", "n1", {"imagePullSecrets": [{"name": "there"}]}, "elsewhere"),
}


def placed() -> PlacedPods:
    found = PlacedPods()
    for key, tree in PODS.items():
        found.put(key, tree)
    return found


NS = "/api/v1/namespaces/ns"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
UNRELATED = "no relationship found between node 'n1' and this object"
YES = [
    ("GET", f"{NS}/secrets/pull"),
    ("GET", f"{NS}/secrets?fieldSelector=metadata.name%3Denv-all"),
    ("GET", f"{NS}/secrets?watch=true&fieldSelector=metadata.name%3Denv-one"),
    ("GET", f"{NS}/secrets/vol"),
    ("GET", f"{NS}/secrets/part"),
    ("GET", f"{NS}/secrets/csi"),
    ("GET", f"{NS}/configmaps/map-all"),
    ("GET", f"{NS}/configmaps/map-one"),
    ("GET", f"{NS}/configmaps/vol-map"),
    ("GET", f"{NS}/configmaps/part-map"),
    ("GET", f"{NS}/persistentvolumeclaims/claim"),
    ("GET", f"{NS}/persistentvolumeclaims/mine-e"),
    ("POST", f"{NS}/serviceaccounts/sa/token"),
    ("GET", f"{NS}/pods/mine"),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"),
    ("GET", "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3D%3Dn1,status.phase!%3DFailed"),
    ("PATCH", f"{NS}/pods/mine/status"),
    ("DELETE", f"{NS}/pods/mine"),
    ("POST", f"{NS}/pods/mine/eviction"),
    ("GET", "/api/v1/nodes/n1"),
    ("GET", "/api/v1/nodes?watch=1&fieldSelector=metadata.name%3Dn1"),
    ("POST", "/api/v1/nodes"),
    ("PATCH", "/api/v1/nodes/n1/status"),
    ("GET", "/api/v1/services"),
    ("POST", f"{NS}/events"),
    ("PATCH", f"{LEASE}/n1"),
    ("POST", LEASE),
    ("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests"),
    ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
]
NO = [
    ("GET", f"{NS}/secrets/foreign", UNRELATED),
    ("GET", f"{NS}/secrets/there", UNRELATED),
    ("GET", f"{NS}/secrets", "No Object name found"),
    ("GET", "/api/v1/secrets", "can only read namespaced object of this type"),
    ("GET", f"{NS}/secrets?fieldSelector=metadata.name%3Dforeign", UNRELATED),
    ("DELETE", f"{NS}/secrets/pull", "can only read resources of this type"),
    ("PATCH", f"{NS}/configmaps/map-one", "can only read resources of this type"),
    ("GET", f"{NS}/configmaps/pull", UNRELATED),
    ("GET", f"{NS}/persistentvolumeclaims", "can only get individual resources of this type"),
    ("GET", f"{NS}/persistentvolumeclaims/mine-d", UNRELATED),
    ("GET", "/api/v1/persistentvolumes/x", UNRELATED),
    ("POST", f"{NS}/serviceaccounts/other/token", UNRELATED),
    ("GET", f"{NS}/serviceaccounts/sa", "can only create tokens for individual service accounts"),
    ("GET", f"{NS}/pods/theirs", UNRELATED),
    ("GET", "/api/v1/pods", "can only list/watch pods with spec.nodeName field selector"),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2", "can only list/watch pods with spec.nodeName field selector"),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName!%3Dn1", "can only list/watch pods with spec.nodeName field selector"),
    ("GET", "/api/v1/nodes", "node 'n1' cannot read all nodes, only its own Node object"),
    ("GET", "/api/v1/nodes/n2", "node 'n1' cannot read 'n2', only its own Node object"),
    ("DELETE", "/api/v1/nodes/n1", ""),
    ("POST", f"{NS}/pods/mine/exec", ""),
    ("POST", f"{NS}/pods/mine/binding", ""),
    ("GET", f"{LEASE}/n2", "can only access node lease with the same name as the requesting node"),
    ("GET", LEASE, "can only get, create, update, patch, or delete a node lease"),
    ("GET", "/apis/coordination.k8s.io/v1/namespaces/ns/leases/n1", 'can only access leases in the "kube-node-lease" system namespace'),
    ("PATCH", "/api/v1/services/x", ""),
    ("GET", "/apis/apps/v1/deployments", ""),
    ("GET", "/metrics", ""),
]


def asked(method: str, path: str) -> Any:
    from urllib.parse import parse_qsl

    path, _, query = path.partition("?")
    return read(method, path, dict(parse_qsl(query)))


@pytest.mark.parametrize(("method", "path"), YES)
def test_a_node_is_let_to_itself_and_to_what_its_pods_need(method: str, path: str) -> None:
    decision = NodeAuthorizer(placed()).decide(N1, asked(method, path))
    assert decision == (True, "")


@pytest.mark.parametrize(("method", "path", "why"), NO)
def test_a_node_is_let_to_nothing_else_and_told_why(method: str, path: str, why: str) -> None:
    rbac = Rbac(lambda _: (), NodeAuthorizer(placed()).decide)
    assert rbac.decide(N1, asked(method, path)) == (False, why)


def test_a_node_loses_what_a_pod_needed_when_the_pod_is_gone_or_moves() -> None:
    pods = placed()
    nodes = NodeAuthorizer(pods)
    wanted = asked("GET", f"{NS}/secrets/pull")
    pods.put("ns/mine", pod("mine", "n2", SPEC))
    assert nodes.decide(N1, wanted) == (False, UNRELATED)
    pods.put("ns/mine", PODS["ns/mine"])
    assert nodes.decide(N1, wanted) == (True, "")
    pods.drop("ns/mine")
    assert nodes.decide(N1, wanted) == (False, UNRELATED)


def test_only_nodes_are_nodes() -> None:
    nodes, wanted = NodeAuthorizer(placed()), asked("GET", f"{NS}/secrets/pull")
    for user in (User("system:node:n1"), User("ann", ("system:nodes",)), User("system:serviceaccount:ns:sa")):
        assert nodes.decide(user, wanted) is None
    assert nodes.decide(User("system:node:", ("system:nodes",)), wanted) == (False, 'unknown node for user "system:node:"')


def test_roles_may_grant_what_the_node_authorizer_does_not() -> None:
    subject = {"kind": "Group", "name": "system:nodes"}
    binding = {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": {"kind": "ClusterRole", "name": "r"}}
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]
    objects = {"clusterroles": [{"metadata": {"name": "r"}, "rules": rules}], "clusterrolebindings": [binding]}
    rbac = Rbac(lambda resource: objects.get(resource.partition(".")[0], []), NodeAuthorizer(placed()).decide)
    assert rbac.allowed(N1, asked("GET", "/api/v1/secrets"))


# what it may write

META = {"name": "mine", "namespace": "ns", "labels": {"a": "b"}}
OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1", "controller": True}
MIRROR = {"metadata": {"name": "m", "annotations": {noderestriction.MIRROR: "x"}, "ownerReferences": [OWNER]}, "spec": {"nodeName": "n1"}}
NODE = {"metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}, "spec": {}}


def changed(tree: Tree, **parts: Tree) -> Tree:
    return {**tree, **{k: {**tree[k], **v} for k, v in parts.items()}}


def bound(name: str, uid: str = "", **spec: Any) -> Tree:
    return {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid or f"uid-{name}"}, **spec}}


WRITES: list[tuple[str, str, str, Tree | None, Tree | None, str]] = [
    # operation, resource/subresource, name, new, old, why not
    (UPDATE, "pods/status", "mine", PODS["ns/mine"], PODS["ns/mine"], ""),
    (UPDATE, "pods/status", "theirs", PODS["ns/theirs"], PODS["ns/theirs"],
     'node "n1" can only update pod status for pods with spec.nodeName set to itself'),
    (UPDATE, "pods/status", "mine", changed(PODS["ns/mine"], metadata={"labels": {"x": "y"}}), PODS["ns/mine"],
     'node "n1" cannot update labels through pod status'),
    (DELETE, "pods", "mine", None, PODS["ns/mine"], ""),
    (DELETE, "pods", "theirs", None, PODS["ns/theirs"], 'node "n1" can only delete pods with spec.nodeName set to itself'),
    (CREATE, "pods/eviction", "mine", {}, None, ""),
    (CREATE, "pods/eviction", "theirs", {}, None, "node n1 can only evict pods with spec.nodeName set to itself"),
    (CREATE, "pods", "p", {"metadata": {}, "spec": {"nodeName": "n1"}}, None,
     'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods'),
    (CREATE, "pods", "m", MIRROR, None, ""),
    (CREATE, "pods", "m", changed(MIRROR, spec={"nodeName": "n2"}), None, 'node "n1" can only create pods with spec.nodeName set to itself'),
    (CREATE, "pods", "m", changed(MIRROR, metadata={"ownerReferences": []}), None,
     'node "n1" can only create pods with an owner reference set to itself'),
    (CREATE, "pods", "m", changed(MIRROR, spec={"serviceAccountName": "sa"}), None, 'node "n1" can not create pods that reference a service account'),
    (CREATE, "pods", "m", changed(MIRROR, spec={"imagePullSecrets": [{"name": "s"}]}), None, 'node "n1" can not create pods that reference secrets'),
    (UPDATE, "pods", "mine", {}, PODS["ns/mine"], 'unexpected operation "UPDATE", node "n1" can only create and delete mirror pods'),
    (UPDATE, "nodes/status", "n1", NODE, NODE, ""),
    (UPDATE, "nodes/status", "n2", NODE, NODE, 'node "n1" is not allowed to modify node "n2"'),
    (UPDATE, "nodes", "n1", changed(NODE, spec={"taints": []}), NODE, 'node "n1" is not allowed to modify taints'),
    (UPDATE, "nodes", "n1", changed(NODE, metadata={"labels": {"node-role.kubernetes.io/x": ""}}), NODE,
     'node "n1" is not allowed to modify labels: node-role.kubernetes.io/x'),
    (UPDATE, "nodes", "n1", changed(NODE, metadata={"labels": {**NODE["metadata"]["labels"], "own": "x"}}), NODE, ""),
    (UPDATE, "nodes", "n1", changed(NODE, metadata={"ownerReferences": [{}]}), NODE, 'node "n1" is not allowed to modify ownerReferences'),
    (CREATE, "nodes", "n1", NODE, None, ""),
    (CREATE, "nodes", "n1", changed(NODE, metadata={"labels": {"node-role.kubernetes.io/control-plane": "", "x.k8s.io/planned": "y"}}), None, ""),
    (CREATE, "nodes", "n1", changed(NODE, metadata={"labels": {"node-restriction.kubernetes.io/a": "", "a.io/b": "", "x.k8s.io/c": ""}}), None,
     'node "n1" is not allowed to set the following labels: node-restriction.kubernetes.io/a, x.k8s.io/c'),
    (CREATE, "nodes", "n2", NODE, None, 'node "n1" is not allowed to modify node "n2"'),
    (CREATE, "serviceaccounts/token", "sa", bound("mine"), None, ""),
    (CREATE, "serviceaccounts/token", "sa", bound("mine", audiences=["vault"]), None, ""),
    (CREATE, "serviceaccounts/token", "sa", {"spec": {}}, None, "node requested token not bound to a pod"),
    (CREATE, "serviceaccounts/token", "sa", bound("mine", "other"), None,
     "the UID in the bound object reference (other) does not match the UID in record. The object might have been deleted and then recreated"),
    (CREATE, "serviceaccounts/token", "other", bound("theirs"), None, "node requested token bound to a pod scheduled on a different node"),
    (CREATE, "serviceaccounts/token", "sa", bound("mine", audiences=["bank"]), None, 'audience "bank" not found in pod spec volume'),
    (CREATE, "serviceaccounts/token", "sa", bound("mine", audiences=["a", "b"]), None, "node may only request 0 or 1 audiences"),
    (UPDATE, "leases", "n1", {}, {}, ""),
    (CREATE, "leases", "n2", {}, None, "can only access node lease with the same name as the requesting node"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "what", "name", "new", "old", "why"), WRITES)
def test_a_node_writes_only_its_own(operation: str, what: str, name: str, new: Tree | None, old: Tree | None, why: str) -> None:
    resource, _, part = what.partition("/")
    group = "coordination.k8s.io" if resource == "leases" else ""
    kind = kinds.by_resource()[(group, "v1", resource)]
    namespace = "kube-node-lease" if group else "ns" if kind.namespaced else ""
    of = GroupVersionKind(group, "v1", kind.kind)
    attributes = Attributes(operation, kind, kind, of, part, namespace, name, N1, False, {}, [], {})
    planned = {"n1": noderestriction.planned_labels(NodeConfig("n1", "control-plane", {"x.k8s.io/planned": "y"}))}
    restriction = NodeRestriction(lambda resource, key: PODS.get(key), planned)
    assert restriction.concerns(attributes)
    if not why:
        asyncio.run(restriction.validate(attributes, new, old))
        return
    with pytest.raises(ApiError) as refused:
        asyncio.run(restriction.validate(attributes, new, old))
    assert refused.value.code == 403 and refused.value.tree["message"] == f'{kind.group_resource} "{name}" is forbidden: {why}'


def test_the_restriction_concerns_nodes_alone() -> None:
    kind = kinds.by_resource()[("", "v1", "pods")]
    of = GroupVersionKind("", "v1", "Pod")
    for user in (User("ann"), User("admin", ("system:masters",)), User("system:node:n1")):
        attributes = Attributes(DELETE, kind, kind, of, "", "ns", "p", user, False, {}, [], {})
        assert not NodeRestriction(lambda resource, key: None, {}).concerns(attributes)
