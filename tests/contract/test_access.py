"""Who may: certificates, tokens, roles."""

from __future__ import annotations

from server import Server

from seaway.pki.authority import new_key
from seaway.pki.tokens import Signer

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def token_of(server: Server, ns: str, **spec: object) -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return server.create(f"/api/v1/namespaces/{ns}/serviceaccounts/default/token", body)["status"]["token"]


def test_a_token_does_what_its_role_says_and_no_more(server: Server, ns: str) -> None:
    token = token_of(server, ns)
    base = f"/api/v1/namespaces/{ns}"
    assert server.request("GET", f"{base}/configmaps", token=token)[0] == 403
    server.create(f"{RBAC}/namespaces/{ns}/roles", {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]})
    server.create(f"{RBAC}/namespaces/{ns}/rolebindings", {
        "metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": ns}]})
    assert server.request("GET", f"{base}/configmaps", token=token)[0] == 200
    for method, path in (("POST", f"{base}/configmaps"), ("GET", f"{base}/configmaps/x"), ("GET", f"{base}/secrets"),
                         ("GET", "/api/v1/namespaces/default/configmaps"), ("GET", "/api/v1/configmaps"), ("DELETE", f"{base}/configmaps")):
        status, answer = server.request(method, path, {} if method == "POST" else None, token=token)
        assert (status, answer["reason"]) == (403, "Forbidden"), path


def test_nobody_gets_anything_but_health_and_version(server: Server) -> None:
    for path, status in (("/version", 200), ("/healthz", 200), ("/readyz", 200), ("/api", 403), ("/api/v1/namespaces", 403), ("/api/v1/none", 403)):
        assert server.request("GET", path, anonymous=True)[0] == status, path


def test_a_token_of_a_deleted_pod_is_worthless(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    pod = server.create(path, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    ref = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": pod["metadata"]["uid"]}
    token = token_of(server, ns, boundObjectRef=ref)
    assert server.request("GET", "/api", token=token)[0] == 200
    server.request("DELETE", path + "/p")
    assert server.request("GET", "/api", token=token)[0] == 401


def test_forged_and_foreign_tokens_are_refused(server: Server, ns: str) -> None:
    real = token_of(server, ns)
    signer = Signer(new_key())
    claims = {"iss": "https://kubernetes.default.svc.cluster.local", "aud": ["https://kubernetes.default.svc.cluster.local"], "exp": 2**40,
              "sub": "system:serviceaccount:kube-system:default"}
    for token in (signer.sign(claims), real[:-4] + "AAAA", "x", "a.b.c", real.replace(".", "..", 1), token_of(server, ns, audiences=["elsewhere"])):
        assert server.request("GET", "/api/v1/namespaces", token=token)[0] == 401


def test_reviews_answer_for_oneself_and_others(server: Server, ns: str) -> None:
    token = token_of(server, ns)
    _, who = server.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=token)
    assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{ns}:default"
    spec = {"user": "nobody", "resourceAttributes": {"verb": "list", "resource": "pods"}}
    _, review = server.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
    assert review["status"]["allowed"] is False
    spec = {"resourceAttributes": {"verb": "list", "resource": "pods"}}
    _, review = server.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": spec})
    assert review["status"]["allowed"] is True


def test_hostile_requests_are_refused_and_the_server_goes_on(server: Server, ns: str) -> None:
    base = f"/api/v1/namespaces/{ns}/configmaps"
    bad = [
        ("POST", base, b"{", {}), ("POST", base, b"[]", {}), ("POST", base, b"1", {}), ("POST", base, b"\xff", {}), ("POST", base, b"", {}),
        ("POST", base, {"metadata": {"name": 1}}, {}), ("POST", base, {"metadata": "x"}, {}), ("POST", base, {"metadata": {"name": "A"}}, {}),
        ("POST", base, {"metadata": {"name": "a"}, "data": {"k": 1}}, {}), ("POST", base, b"[" * 100000, {}), ("POST", base, b"x" * (4 << 20), {}),
        ("POST", base, {"kind": "Secret", "metadata": {"name": "a"}}, {}), ("POST", base, {"apiVersion": "v2", "metadata": {"name": "a"}}, {}),
        ("GET", base, None, {"labelSelector": "a in (b"}), ("GET", base, None, {"labelSelector": "!"}), ("GET", base, None, {"fieldSelector": "x"}),
        ("GET", base, None, {"continue": "nonsense"}), ("GET", base, None, {"limit": "many"}), ("GET", base, None, {"resourceVersion": "x"}),
        ("GET", base, None, {"watch": "true", "resourceVersion": "abc"}), ("PATCH", base + "/a", {"a": 1}, {}), ("PUT", base + "/a", b"null", {}),
        ("DELETE", base + "/a", b"[]", {}), ("POST", base, {"metadata": {"name": "a"}}, {"dryRun": "Maybe"}), ("TRACE", base, None, {}),
        ("POST", f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 99999999999}]}}, {}),
        ("POST", f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": "a"}, "spec": {"clusterIP": "x", "ports": [{"port": 1}]}}, {}),
        ("POST", f"/api/v1/namespaces/{ns}/pods", {"metadata": {"name": "a"}, "spec": {"containers": []}}, {}),
        ("PUT", "/apis/apps/v1/namespaces/x/deployments/a/scale", {"spec": {"replicas": "x"}}, {}),
    ]  # fmt: skip
    for method, path, body, query in bad:
        try:
            status, answer = server.request(method, path, body, query=query)
        except ConnectionError:
            continue  # closed on us: refused as well
        assert 400 <= status < 500, (method, path, str(body)[:60], query, status, str(answer)[:200])
    assert server.request("GET", "/readyz")[0] == 200
