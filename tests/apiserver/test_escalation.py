"""Nobody grants what they do not have: tables of rules."""

from __future__ import annotations

import pytest

from seaway.cluster.apiserver.authz import Rbac, User
from seaway.cluster.apiserver.escalation import describe, missing, refusal
from seaway.cluster.apiserver.requests import RequestInfo, read


def rule(verbs: str, resources: str = "", groups: str = "core", names: str = "", urls: str = "") -> dict:
    found: dict = {"verbs": verbs.split()}
    if resources:
        found |= {"apiGroups": ["" if g == "core" else g for g in groups.split()], "resources": resources.split()}
    if names:
        found["resourceNames"] = names.split()
    if urls:
        found["nonResourceURLs"] = urls.split()
    return found


@pytest.mark.parametrize(
    ("owner", "wanted", "covered"),
    [
        ([rule("get list", "pods")], rule("get", "pods"), True),
        ([rule("get", "pods"), rule("list", "pods")], rule("get list", "pods"), True),
        ([rule("get", "pods")], rule("get list", "pods"), False),
        ([rule("*", "*", "*")], rule("get", "secrets"), True),
        ([rule("*", "*", "*")], rule("*", "*", "*"), True),
        ([rule("get", "pods")], rule("*", "pods"), False),
        ([rule("get", "pods")], rule("get", "pods", "apps"), False),
        ([rule("get", "*/status", "apps")], rule("get", "deployments/status", "apps"), True),
        ([rule("get", "*/status", "apps")], rule("get", "deployments", "apps"), False),
        ([rule("get", "pods")], rule("get", "pods/log"), False),
        ([rule("get", "pods", names="a b")], rule("get", "pods", names="a"), True),
        ([rule("get", "pods", names="a")], rule("get", "pods"), False),
        ([rule("get", "pods")], rule("get", "pods", names="a"), True),
        ([rule("get", urls="/healthz*")], rule("get", urls="/healthz/ping"), True),
        ([rule("get", urls="/healthz")], rule("get", urls="/healthz/ping"), False),
        ([], rule("get", urls="/version"), False),
    ],
)
def test_rules_cover_no_more_than_they_say(owner: list[dict], wanted: dict, covered: bool) -> None:
    assert (missing(owner, [wanted]) == []) is covered


def test_what_is_missing_is_told_together_and_in_order() -> None:
    lacking = missing([rule("get", "pods")], [rule("get list watch", "pods"), rule("get", "secrets", names="s"), rule("get", urls="/x")])
    assert refusal("eve", ("a", "b"), lacking).splitlines() == [
        'user "eve" (groups=["a" "b"]) is attempting to grant RBAC permissions not currently held:',
        '{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}',
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["s"], Verbs:["get"]}',
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
    ]
    assert describe(rule("get", "a b", "x y")) == '{APIGroups:["x" "y"], Resources:["a" "b"], Verbs:["get"]}'


def objects(resource: str) -> list[dict]:
    reader = {"metadata": {"name": "reader"}, "rules": [rule("get list", "configmaps", names="a")]}
    subjects = [{"kind": "User", "name": "ann"}, {"kind": "Group", "name": "crew"}, {"kind": "ServiceAccount", "name": "bot"}]
    return {
        "clusterroles": [reader],
        "roles": [{"metadata": {"name": "own", "namespace": "n"}, "rules": [rule("delete", "pods")]}],
        "clusterrolebindings": [{"metadata": {"name": "all"}, "subjects": subjects[1:2], "roleRef": {"kind": "ClusterRole", "name": "reader"}}],
        "rolebindings": [
            {"metadata": {"name": "one", "namespace": "n"}, "subjects": subjects, "roleRef": {"kind": "Role", "name": "own"}},
            {"metadata": {"name": "lost", "namespace": "n"}, "subjects": subjects, "roleRef": {"kind": "ClusterRole", "name": "gone"}},
        ],
    }[resource.partition(".")[0]]


@pytest.mark.parametrize(
    ("user", "method", "path", "query", "allowed", "reason"),
    [
        (User("ann"), "DELETE", "/api/v1/namespaces/n/pods/p", {}, True, 'RBAC: allowed by RoleBinding "one/n" of Role "own" to User "ann"'),
        (User("system:serviceaccount:n:bot"), "DELETE", "/api/v1/namespaces/n/pods/p", {}, True,
         'RBAC: allowed by RoleBinding "one/n" of Role "own" to ServiceAccount "bot/n"'),
        (User("ann"), "DELETE", "/api/v1/namespaces/m/pods/p", {}, False, ""),
        (User("ann"), "GET", "/api/v1/namespaces/n/pods/p", {}, False, 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'),
        (User("eve", ("crew",)), "GET", "/api/v1/namespaces/x/configmaps/a", {}, True,
         'RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "reader" to Group "crew"'),
        (User("eve", ("crew",)), "GET", "/api/v1/namespaces/x/configmaps", {}, False, ""),
        (User("eve", ("crew",)), "GET", "/api/v1/namespaces/x/configmaps", {"fieldSelector": "metadata.name=a"}, True,
         'RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "reader" to Group "crew"'),
        (User("eve", ("crew",)), "GET", "/api/v1/namespaces/x/configmaps", {"fieldSelector": "metadata.name!=a"}, False, ""),
    ],
)
def test_decisions_come_with_their_reason(user: User, method: str, path: str, query: dict, allowed: bool, reason: str) -> None:
    assert Rbac(objects).decide(user, read(method, path, query)) == (allowed, reason)


def test_masters_may_and_need_no_reason() -> None:
    assert Rbac(objects).decide(User("root", ("system:masters",)), RequestInfo("get", "/x")) == (True, "")
