"""What somebody may become, hand on or vouch for: impersonation, grants of rights, certificates, over the wire."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rights import GROUP, MERGE, RBAC, grant, token_of
from server import Server

# acting as others

IMPERSONATION = [
    # what is granted: (group, resource, names), headers, whether that is enough
    ([("", "users", ["ann"])], {"Impersonate-User": "ann"}, True),
    ([("", "users", ["ann"])], {"Impersonate-User": "bob"}, False),
    ([("", "users", ["ann"])], {"Impersonate-User": "ann", "Impersonate-Group": "crew"}, False),
    ([("", "users", ["ann"]), ("", "groups", ["crew"])], {"Impersonate-User": "ann", "Impersonate-Group": "crew"}, True),
    ([("", "users", ["ann"]), ("", "groups", ["crew"])], {"Impersonate-User": "ann", "Impersonate-Group": "system:masters"}, False),
    ([("", "users", ["*"])], {"Impersonate-User": "ann"}, False),
    ([("", "users", [])], {"Impersonate-User": "anybody"}, True),
    ([("", "users", [])], {"Impersonate-User": "system:serviceaccount:default:default"}, False),
    ([("", "serviceaccounts", ["default"])], {"Impersonate-User": "system:serviceaccount:default:default"}, True),
    ([("", "serviceaccounts", ["other"])], {"Impersonate-User": "system:serviceaccount:default:default"}, False),
    ([("", "users", ["ann"])], {"Impersonate-User": "ann", "Impersonate-Uid": "7"}, False),
    ([("", "users", ["ann"]), ("authentication.k8s.io", "uids", ["7"])], {"Impersonate-User": "ann", "Impersonate-Uid": "7"}, True),
    ([("", "users", ["ann"])], {"Impersonate-User": "ann", "Impersonate-Extra-Scope": "view"}, False),
    ([("", "users", ["ann"]), ("authentication.k8s.io", "userextras/scope", ["view"])], {"Impersonate-User": "ann", "Impersonate-Extra-Scope": "view"}, True),
    ([("", "users", ["ann"]), ("authentication.k8s.io", "userextras/scope", ["view"])], {"Impersonate-User": "ann", "Impersonate-Extra-Scope": "edit"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("granted", "headers", "enough"), IMPERSONATION)
def test_acting_as_somebody_needs_each_part_of_them(server: Server, ns: str, granted: list[Any], headers: dict[str, str], enough: bool) -> None:
    rules = [{"apiGroups": [g], "resources": [r], "verbs": ["impersonate"], **({"resourceNames": n} if n else {})} for g, r, n in granted]
    grant(server, ns, f"act-{ns}", rules, True, {"kind": "ServiceAccount", "name": "default", "namespace": ns})
    status, answer = server.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=token_of(server, ns), headers=headers)
    assert status == (201 if enough else 403), answer
    if enough:
        info = answer["status"]["userInfo"]
        assert info["username"] == headers["Impersonate-User"] and "system:authenticated" in info["groups"]


# granting

ESCALATION = [
    # the verb on roles that the account has beside create, whether it makes roles of more than it has, whether it binds them
    ([], False, False),
    (["escalate"], True, False),
    (["bind"], False, True),
    (["escalate", "bind"], True, True),
]


@pytest.mark.parametrize(("verbs", "makes", "binds"), ESCALATION)
def test_nobody_grants_more_than_they_have_without_the_verb_for_it(server: Server, ns: str, verbs: list[str], makes: bool, binds: bool) -> None:
    server.create(f"{RBAC}/namespaces/{ns}/roles", {"metadata": {"name": "strong"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}]})
    rules = [{"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["create", "patch", *verbs]}]
    grant(server, ns, "granter", rules, False, {"kind": "ServiceAccount", "name": "default", "namespace": ns})
    token = token_of(server, ns)
    wish = {"metadata": {"name": "wish"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    status, answer = server.request("POST", f"{RBAC}/namespaces/{ns}/roles", wish, token=token)
    assert status == (201 if makes else 403), answer
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": ns}
    ref = {"apiGroup": GROUP, "kind": "Role", "name": "strong"}
    bond = {"metadata": {"name": "wish"}, "subjects": [subject], "roleRef": ref}
    status, answer = server.request("POST", f"{RBAC}/namespaces/{ns}/rolebindings", bond, token=token)
    assert status == (201 if binds else 403), answer
    assert (server.request("GET", f"/api/v1/namespaces/{ns}/secrets", token=token)[0] == 200) is binds
    widened = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
    status, _ = server.request("PATCH", f"{RBAC}/namespaces/{ns}/roles/granter", widened, media=MERGE, token=token)
    assert status == (200 if makes else 403), "its own role too"


# signers

CERTIFICATES = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def request_of(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.parametrize(
    ("part", "verb", "signer", "allowed"),
    [
        ("approval", "approve", "kubernetes.io/kube-apiserver-client", True),
        ("approval", "approve", "kubernetes.io/*", True),
        ("approval", "approve", "example.com/*", False),
        ("approval", "sign", "kubernetes.io/kube-apiserver-client", False),
        ("status", "sign", "kubernetes.io/kube-apiserver-client", True),
        ("status", "approve", "kubernetes.io/kube-apiserver-client", False),
        ("status", "sign", "kubernetes.io/kubelet-serving", False),
    ],
)
def test_a_certificate_is_approved_and_signed_by_whom_its_signer_is_granted_to(
    server: Server, ns: str, part: str, verb: str, signer: str, allowed: bool
) -> None:
    subject = {"kind": "User", "name": f"rights-{ns}"}
    rules = [
        {"apiGroups": ["certificates.k8s.io"], "resources": [f"certificatesigningrequests/{part}"], "verbs": ["patch"]},
        {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": [signer], "verbs": [verb]},
    ]
    grant(server, ns, f"signs-{ns}", rules, True, subject)
    spec = {"signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "request": request_of(ns)}
    server.create(CERTIFICATES, {"metadata": {"name": ns}, "spec": spec})
    kind = "Approved" if part == "approval" else "Failed"
    patch = {"status": {"conditions": [{"type": kind, "status": "True", "reason": "r"}]}}
    headers = {"Impersonate-User": f"rights-{ns}"}
    status, answer = server.request("PATCH", f"{CERTIFICATES}/{ns}/{part}", patch, media=MERGE, headers=headers)
    assert status == (200 if allowed else 403), answer
    if not allowed:
        right = "approve" if part == "approval" else "sign"
        why = f'user not permitted to {right} requests with signerName "kubernetes.io/kube-apiserver-client"'
        assert answer["message"] == f'certificatesigningrequests.certificates.k8s.io "{ns}" is forbidden: {why}'
