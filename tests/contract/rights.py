"""Accounts and roles for the tests of who may do what."""

from __future__ import annotations

from typing import Any

from server import Server

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"
MERGE = "application/merge-patch+json"
Tree = dict[str, Any]


def token_of(server: Server, ns: str, account: str = "default") -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    return str(server.create(f"/api/v1/namespaces/{ns}/serviceaccounts/{account}/token", body)["status"]["token"])


def grant(server: Server, ns: str, name: str, rules: list[Tree], cluster: bool, subject: Tree) -> None:
    """Makes (or makes anew) a role and its binding."""
    where = RBAC if cluster else f"{RBAC}/namespaces/{ns}"
    role, binding, kind = ("clusterroles", "clusterrolebindings", "ClusterRole") if cluster else ("roles", "rolebindings", "Role")
    body = {"metadata": {"name": name}, "rules": rules}
    status, answer = server.request("PUT", f"{where}/{role}/{name}", body)
    assert status in (200, 201), answer
    ref = {"apiGroup": GROUP, "kind": kind, "name": name}
    status, _ = server.request("POST", f"{where}/{binding}", {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]})
    assert status in (201, 409)
