"""Access and token reviews, and grants that are refused, over the wire."""

from __future__ import annotations

from server import Server

AUTH, RBAC = "/apis/authorization.k8s.io/v1", "/apis/rbac.authorization.k8s.io/v1"


def review(server: Server, path: str, spec: dict, **headers: str) -> tuple[int, dict]:
    return server.request("POST", path, {"spec": spec}, headers=headers)


def test_reviews_say_whether_and_why(server: Server, ns: str) -> None:
    server.create(f"{RBAC}/namespaces/{ns}/roles", {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]})
    server.create(f"{RBAC}/namespaces/{ns}/rolebindings", {"metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
                  "subjects": [{"kind": "User", "name": "rev-ann"}]})
    spec = {"user": "rev-ann", "resourceAttributes": {"namespace": ns, "verb": "get", "resource": "pods"}}
    status, answer = review(server, f"{AUTH}/subjectaccessreviews", spec)
    assert status == 201 and answer["kind"] == "SubjectAccessReview"
    assert answer["status"] == {"allowed": True, "reason": f'RBAC: allowed by RoleBinding "b/{ns}" of Role "r" to User "rev-ann"'}
    spec["resourceAttributes"]["verb"] = "delete"
    assert review(server, f"{AUTH}/subjectaccessreviews", spec)[1]["status"] == {"allowed": False}
    as_ann = {"Impersonate-User": "rev-ann"}
    assert review(server, f"{AUTH}/selfsubjectaccessreviews", {"resourceAttributes": {"namespace": ns, "verb": "get", "resource": "pods"}}, **as_ann)[1]["status"]["allowed"]
    rules = review(server, f"{AUTH}/selfsubjectrulesreviews", {"namespace": ns}, **as_ann)[1]["status"]["resourceRules"]
    assert {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]} in rules


def test_reviews_that_ask_nothing_are_refused_with_the_field(server: Server, ns: str) -> None:
    for path, spec, field in (
        (f"{AUTH}/subjectaccessreviews", {"user": "x"}, "spec.resourceAttributes"),
        (f"{AUTH}/subjectaccessreviews", {"resourceAttributes": {"verb": "get"}}, "spec.user"),
        (f"{AUTH}/namespaces/{ns}/localsubjectaccessreviews", {"user": "x", "resourceAttributes": {"namespace": "y"}}, "spec.resourceAttributes.namespace"),
        (f"{AUTH}/namespaces/{ns}/localsubjectaccessreviews", {"user": "x", "nonResourceAttributes": {"path": "/"}}, "spec.nonResourceAttributes"),
    ):
        status, answer = review(server, path, spec)
        assert (status, answer["details"]["causes"][0]["field"]) == (422, field)
    assert review(server, f"{AUTH}/selfsubjectrulesreviews", {})[0] == 400


def test_a_token_is_for_its_audience_and_ends_with_what_it_is_bound_to(server: Server, ns: str) -> None:
    server.create(f"/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "s"}})
    bound = {"kind": "Secret", "apiVersion": "v1", "name": "s"}
    made = server.create(f"/api/v1/namespaces/{ns}/serviceaccounts/default/token", {"spec": {"audiences": ["shop"], "boundObjectRef": bound}})
    token = made["status"]["token"]

    def ask(*audiences: str) -> dict:
        return review(server, "/apis/authentication.k8s.io/v1/tokenreviews", {"token": token, "audiences": list(audiences)})[1]["status"]

    found = ask("shop", "other")
    assert found["authenticated"] and found["audiences"] == ["shop"]
    assert found["user"]["username"] == f"system:serviceaccount:{ns}:default"
    assert "authenticated" not in ask("other") and "authenticated" not in ask()
    assert server.request("GET", f"/api/v1/namespaces/{ns}", token=token)[0] == 401, "it is not for the API server"
    server.request("DELETE", f"/api/v1/namespaces/{ns}/secrets/s")
    assert "authenticated" not in ask("shop")


def test_nobody_grants_what_they_do_not_have(server: Server, ns: str) -> None:
    server.create(f"{RBAC}/namespaces/{ns}/roles", {"metadata": {"name": "editor"}, "rules": [
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "patch", "update"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]})
    server.create(f"{RBAC}/namespaces/{ns}/rolebindings", {"metadata": {"name": "editor"}, "subjects": [{"kind": "User", "name": "rev-eve"}],
                  "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "editor"}})
    server.create(f"{RBAC}/namespaces/{ns}/roles", {"metadata": {"name": "strong"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]})
    eve = {"Impersonate-User": "rev-eve"}

    def role(name: str, resource: str) -> tuple[int, dict]:
        body = {"metadata": {"name": name}, "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}]}
        return server.request("POST", f"{RBAC}/namespaces/{ns}/roles", body, headers=eve)

    assert role("weak", "configmaps")[0] == 201
    status, answer = role("wish", "secrets")
    assert status == 403 and '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in answer["message"]
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role"}
    for name, want in (("strong", 403), ("none", 404), ("weak", 201)):
        body = {"metadata": {"name": f"to-{name}"}, "subjects": [], "roleRef": {**ref, "name": name}}
        assert server.request("POST", f"{RBAC}/namespaces/{ns}/rolebindings", body, headers=eve)[0] == want, name
    patch = {"metadata": {"labels": {"l": "1"}}}
    assert server.request("PATCH", f"{RBAC}/namespaces/{ns}/roles/strong", patch, media="application/merge-patch+json", headers=eve)[0] == 403
