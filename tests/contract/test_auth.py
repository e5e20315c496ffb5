"""Who one is, and what that allows: certificates, groups, bound tokens, and the reviews that tell."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from server import Server

from seaway.pki.authority import Authority
from seaway.pki.tokens import ISSUER, Signer

RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUTHN, AUTHZ = "/apis/authentication.k8s.io/v1", "/apis/authorization.k8s.io/v1"


def core(ns: str, rest: str) -> str:
    return f"/api/v1/namespaces/{ns}/{rest}"


def token_of(server: Server, ns: str, account: str = "default", **spec: Any) -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return server.create(core(ns, f"serviceaccounts/{account}/token"), body)["status"]["token"]


def grant(server: Server, ns: str, rules: list[dict], *subjects: dict) -> None:
    """A role with the rules, bound to the subjects (the default ServiceAccount without any)."""
    own = subjects or ({"kind": "ServiceAccount", "name": "default", "namespace": ns},)
    server.create(f"{RBAC}/namespaces/{ns}/roles", {"metadata": {"name": "r"}, "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    tree = {"metadata": {"name": "b"}, "roleRef": ref, "subjects": list(own)}
    server.create(f"{RBAC}/namespaces/{ns}/rolebindings", tree)


def certificate(
    server: Server, folder: Path, name: str, *groups: str, authority: Authority | None = None
) -> ssl.SSLContext:
    pair = (authority or server.authority).issue(name, time.time(), groups)
    (folder / "user.pem").write_bytes(pair.certificate + pair.key)
    return server.context(str(folder / "user.pem"))


def who(server: Server, **how: Any) -> dict:
    status, answer = server.request("POST", f"{AUTHN}/selfsubjectreviews", {}, **how)
    assert status == 201, answer
    return answer["status"]["userInfo"]


def claims_of(token: str) -> dict:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_the_admin_certificate_may_everything(server: Server) -> None:
    found = who(server)
    assert found["username"] == "admin" and {"system:masters", "system:authenticated"} <= set(found["groups"])
    for path in ("/api", "/api/v1/secrets", f"{RBAC}/clusterroles", "/apis/apps/v1/deployments"):
        assert server.request("GET", path)[0] == 200, path


@pytest.mark.parametrize(("subject", "name"), [("User", "jane"), ("Group", "devs")])
def test_a_certificates_name_and_groups_are_bound_to_roles(
    server: Server, ns: str, tmp_path: Path, subject: str, name: str
) -> None:
    context = certificate(server, tmp_path, "jane", "devs")
    found = who(server, connection=server.connect(context))
    assert found["username"] == "jane" and found["groups"] == ["devs", "system:authenticated"]
    path = core(ns, "configmaps")
    assert server.request("GET", path, connection=server.connect(context))[0] == 403
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    grant(server, ns, rules, {"kind": subject, "name": name, "apiGroup": "rbac.authorization.k8s.io"})
    assert server.request("GET", path, connection=server.connect(context))[0] == 200
    assert server.request("GET", core("default", "configmaps"), connection=server.connect(context))[0] == 403


def test_a_certificate_of_another_authority_opens_nothing(server: Server, tmp_path: Path) -> None:
    stranger = Authority.new("stranger", time.time())
    context = certificate(server, tmp_path, "admin", "system:masters", authority=stranger)
    try:
        status, _ = server.request("GET", "/api/v1/secrets", connection=server.connect(context))
    except (OSError, http.client.HTTPException):
        return  # refused in the handshake
    assert status == 401


def test_the_servers_certificate_is_no_key_for_its_clients(server: Server) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        server.request("GET", "/version", connection=server.connect(ssl.create_default_context()))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/version", 200),
        ("/healthz", 200),
        ("/livez", 200),
        ("/readyz", 200),
        ("/api", 403),
        ("/apis", 403),
        ("/openapi/v3", 403),
        ("/api/v1/namespaces", 403),
        ("/api/v1/namespaces/default/configmaps/none", 403),
        ("/apis/none.example.com/v1/things", 403),
        ("/metrics", 403),
    ],
)
def test_nobody_in_particular_sees_versions_and_health_only(server: Server, path: str, status: int) -> None:
    found, answer = server.request("GET", path, anonymous=True)
    assert found == status
    if status == 403:
        assert answer["reason"] == "Forbidden" and 'User "system:anonymous" cannot get' in answer["message"].replace(
            " list ", " get "
        )


def test_a_token_says_who_it_is_for_and_until_when(server: Server, ns: str) -> None:
    before = time.time()
    claims = claims_of(token_of(server, ns, expirationSeconds=1200))
    _, account = server.request("GET", core(ns, "serviceaccounts/default"))
    assert claims["sub"] == f"system:serviceaccount:{ns}:default" and claims["aud"] == [ISSUER]
    assert claims["kubernetes.io"]["serviceaccount"] == {"name": "default", "uid": account["metadata"]["uid"]}
    assert claims["kubernetes.io"]["namespace"] == ns
    assert before + 1190 < claims["exp"] < time.time() + 1210
    found = who(server, token=token_of(server, ns))
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{ns}", "system:authenticated"}
    assert found["username"] == claims["sub"] and set(found["groups"]) == groups
    assert found["uid"] == account["metadata"]["uid"]


CONFIGMAPS = {"apiGroups": [""], "resources": ["configmaps"]}
RULES: list[tuple[str, dict, list[tuple[str, str, int]]]] = [
    (
        "verbs",
        {**CONFIGMAPS, "verbs": ["get"]},
        [("GET", "configmaps/a", 200), ("GET", "configmaps", 403), ("DELETE", "configmaps/a", 403)],
    ),
    (
        "list is not watch",
        {**CONFIGMAPS, "verbs": ["list"]},
        [("GET", "configmaps", 200), ("GET", "configmaps?watch=true&timeoutSeconds=1", 403)],
    ),
    (
        "delete is not deletecollection",
        {**CONFIGMAPS, "verbs": ["delete"]},
        [("DELETE", "configmaps", 403), ("DELETE", "configmaps/a", 200)],
    ),
    (
        "names",
        {**CONFIGMAPS, "verbs": ["get", "list", "delete"], "resourceNames": ["a"]},
        [("GET", "configmaps/a", 200), ("GET", "configmaps/b", 403), ("GET", "configmaps", 403)],
    ),
    (
        "a resource is not its subresource",
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["*"]},
        [("GET", "serviceaccounts/default", 200), ("POST", "serviceaccounts/default/token", 403)],
    ),
    (
        "a subresource is not its resource",
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["*"]},
        [("GET", "deployments/none/scale", 404), ("GET", "deployments/none", 403)],
    ),
    (
        "any resource of one group",
        {"apiGroups": [""], "resources": ["*"], "verbs": ["get"]},
        [("GET", "secrets/none", 404), ("GET", "deployments/none", 403), ("PUT", "secrets/none", 403)],
    ),
    ("any verb of one resource", {**CONFIGMAPS, "verbs": ["*"]}, [("GET", "configmaps", 200), ("GET", "secrets", 403)]),
]


@pytest.mark.parametrize(("rule", "asked"), [r[1:] for r in RULES], ids=[r[0].replace(" ", "-") for r in RULES])
def test_a_rule_allows_what_it_names(server: Server, ns: str, rule: dict, asked: list[tuple[str, str, int]]) -> None:
    for name in "ab":
        server.create(core(ns, "configmaps"), {"metadata": {"name": name}})
    grant(server, ns, [rule])
    token = token_of(server, ns)
    for method, rest, want in asked:
        prefix = f"/apis/apps/v1/namespaces/{ns}/" if rest.startswith("deployments") else core(ns, "")
        body = {} if method in ("POST", "PUT") else None
        assert server.request(method, prefix + rest, body, token=token)[0] == want, (method, rest)


def test_a_role_taken_away_is_gone_at_once(server: Server, ns: str) -> None:
    grant(server, ns, [{**CONFIGMAPS, "verbs": ["list"]}])
    token = token_of(server, ns)
    assert server.request("GET", core(ns, "configmaps"), token=token)[0] == 200
    server.request("DELETE", f"{RBAC}/namespaces/{ns}/rolebindings/b")
    assert server.request("GET", core(ns, "configmaps"), token=token)[0] == 403


def test_a_refusal_does_not_tell_what_exists(server: Server, ns: str) -> None:
    token = token_of(server, ns)
    server.create(core(ns, "secrets"), {"metadata": {"name": "there"}})
    texts = set()
    for name in ("there", "gone"):
        status, answer = server.request("GET", core(ns, f"secrets/{name}"), token=token)
        assert (status, answer["reason"]) == (403, "Forbidden")
        texts.add(answer["message"].replace(name, "NAME"))
    assert len(texts) == 1


def test_a_token_ends_with_its_account_and_does_not_come_back_with_its_name(server: Server, ns: str) -> None:
    server.create(core(ns, "serviceaccounts"), {"metadata": {"name": "own"}})
    token = token_of(server, ns, "own")
    assert server.request("GET", "/api", token=token)[0] == 200
    server.request("DELETE", core(ns, "serviceaccounts/own"))
    assert server.request("GET", "/api", token=token)[0] == 401
    server.create(core(ns, "serviceaccounts"), {"metadata": {"name": "own"}})
    assert server.request("GET", "/api", token=token)[0] == 401


def test_a_token_of_a_pod_ends_with_the_pod(server: Server, ns: str) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    uid = server.create(core(ns, "pods"), pod)["metadata"]["uid"]
    ref = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid}
    token = token_of(server, ns, boundObjectRef=ref)
    extra = who(server, token=token)["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [uid]
    server.request("DELETE", core(ns, "pods/p"))
    assert server.request("GET", "/api", token=token)[0] == 401
    server.create(core(ns, "pods"), pod)
    assert server.request("GET", "/api", token=token)[0] == 401, "another pod of that name is another pod"
    status, answer = server.request(
        "POST", core(ns, "serviceaccounts/default/token"), {"spec": {"boundObjectRef": ref}}
    )
    assert (status, answer["reason"]) == (409, "Conflict")


@pytest.mark.parametrize(("seconds", "status"), [(599, 422), (600, 201), (-1, 422), (1 << 33, 422)])
def test_a_tokens_life_has_bounds(server: Server, ns: str, seconds: int, status: int) -> None:
    body = {"spec": {"expirationSeconds": seconds}}
    found, answer = server.request("POST", core(ns, "serviceaccounts/default/token"), body)
    assert found == status, answer


def test_forged_tokens_are_refused(server: Server, ns: str) -> None:
    good = token_of(server, ns)
    head, body, signature = good.split(".")
    ours = Signer((server.folder / "pki" / "sa.key").read_bytes())
    claims = claims_of(good)

    def part(tree: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(tree).encode()).rstrip(b"=").decode()

    forged = {
        "no signature": f"{head}.{body}.",
        "no algorithm": f"{part({'alg': 'none'})}.{body}.",
        "another algorithm": f"{part({'alg': 'HS256'})}.{body}.{signature}",
        "another subject": f"{head}.{part({**claims, 'sub': 'system:admin'})}.{signature}",
        "longer life": f"{head}.{part({**claims, 'exp': 2**40})}.{signature}",
        "zero signature": f"{head}.{body}.{'A' * 86}",
        "expired": ours.sign({**claims, "exp": int(time.time()) - 1}),
        "not yet": ours.sign({**claims, "nbf": int(time.time()) + 3600}),
        "another issuer": ours.sign({**claims, "iss": "https://elsewhere"}),
        "another audience": ours.sign({**claims, "aud": ["elsewhere"]}),
        "no account": ours.sign({k: v for k, v in claims.items() if k != "kubernetes.io"}),
        "empty": " ",
        "not text": "ä.ö.ü".encode().decode("latin-1"),
        "long": "a" * 7000,
    }
    for name, token in forged.items():
        status, answer = server.request("GET", "/version", token=token)
        assert (status, answer["reason"]) == (401, "Unauthorized"), name
    assert server.request("GET", "/version", token=good)[0] == 200


def test_a_token_review_tells_good_from_bad(server: Server, ns: str) -> None:
    good = token_of(server, ns)
    for token, want in ((good, True), (good[:-8] + "AAAAAAAA", False), ("x", False)):
        status, answer = server.request("POST", f"{AUTHN}/tokenreviews", {"spec": {"token": token}})
        assert status == 201 and answer["status"].get("authenticated", False) is want
        if want:
            assert answer["status"]["user"]["username"] == f"system:serviceaccount:{ns}:default"


def test_reviews_say_what_requests_get(server: Server, ns: str) -> None:
    grant(server, ns, [{**CONFIGMAPS, "verbs": ["get", "list"]}])
    token = token_of(server, ns)
    user = {"user": f"system:serviceaccount:{ns}:default", "groups": ["system:authenticated"]}
    for verb, namespace, want in (
        ("list", ns, True),
        ("create", ns, False),
        ("list", "default", False),
        ("list", "", False),
    ):
        spec = {"resourceAttributes": {"verb": verb, "resource": "configmaps", "namespace": namespace}}
        for path, body, how in (
            (f"{AUTHZ}/selfsubjectaccessreviews", spec, {"token": token}),
            (f"{AUTHZ}/subjectaccessreviews", {**spec, **user}, {}),
        ):
            status, answer = server.request("POST", path, {"spec": body}, **how)
            assert (status, answer["status"]["allowed"]) == (201, want), (path, verb, namespace)
    spec = {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}
    _, answer = server.request("POST", f"{AUTHZ}/selfsubjectaccessreviews", {"spec": spec}, token=token)
    assert answer["status"]["allowed"] is False
    _, answer = server.request("POST", f"{AUTHZ}/selfsubjectrulesreviews", {"spec": {"namespace": ns}}, token=token)
    assert {**CONFIGMAPS, "verbs": ["get", "list"]} in answer["status"]["resourceRules"]


def test_a_review_of_others_is_itself_guarded(server: Server, ns: str) -> None:
    token = token_of(server, ns)
    for path in (f"{AUTHZ}/subjectaccessreviews", f"{AUTHN}/tokenreviews"):
        status, answer = server.request("POST", path, {"spec": {"token": "x", "user": "x"}}, token=token)
        assert (status, answer["reason"]) == (403, "Forbidden"), path


def test_tokens_can_be_checked_by_whoever_reads_the_issuers_keys(server: Server, ns: str) -> None:
    token = token_of(server, ns)
    for path in ("/.well-known/openid-configuration", "/openid/v1/jwks"):
        assert server.request("GET", path, anonymous=True)[0] == 403, path
    status, told = server.request("GET", "/.well-known/openid-configuration", token=token)
    assert status == 200 and told["issuer"] == claims_of(token)["iss"] and told["jwks_uri"].endswith("/openid/v1/jwks")
    status, raw = server.request("GET", "/openid/v1/jwks", token=token)
    assert status == 200 and server.headers["Content-Type"] == "application/jwk-set+json"
    (key,) = json.loads(raw)["keys"]
    head, body, signature = token.split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": key["alg"], "kid": key["kid"]}

    def number(text: str) -> int:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")

    public = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1()).public_key()
    raw_signature = base64.urlsafe_b64decode(signature + "==")
    der = utils.encode_dss_signature(int.from_bytes(raw_signature[:32], "big"), int.from_bytes(raw_signature[32:], "big"))
    public.verify(der, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))


def test_a_token_tells_its_pods_node_and_one_of_a_node_ends_with_it(server: Server, ns: str) -> None:
    name = f"{ns}-node"
    uid = server.create("/api/v1/nodes", {"metadata": {"name": name}})["metadata"]["uid"]
    spec = {"nodeName": name, "containers": [{"name": "c", "image": "i"}]}
    pod = server.create(core(ns, "pods"), {"metadata": {"name": "p"}, "spec": spec})
    ref = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": pod["metadata"]["uid"]}
    of_pod = token_of(server, ns, boundObjectRef=ref)
    of_node = token_of(server, ns, boundObjectRef={"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid})
    for token in (of_pod, of_node):
        assert claims_of(token)["kubernetes.io"]["node"] == {"name": name, "uid": uid}
        extra = who(server, token=token)["extra"]
        assert extra["authentication.kubernetes.io/node-name"] == [name]
        assert extra["authentication.kubernetes.io/node-uid"] == [uid]
    server.request("DELETE", f"/api/v1/nodes/{name}")
    assert server.request("GET", "/api", token=of_pod)[0] == 200, "the pod is what it is bound to"
    assert server.request("GET", "/api", token=of_node)[0] == 401
