"""CertificateSigningRequests: who is signed, with what, for how long, and when a request goes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from seaway.cluster.workloads import approving, signing
from seaway.cluster.workloads.signing import CLIENT, CLIENT_KUBELET, SERVING
from seaway.controllers.writes import Patch
from seaway.pki.authority import Authority, RequestError, read_request

NOW = 1767225600.0
AUTHORITY = Authority.new("test", NOW)


def made(name: str = "u", organization: str = "g", dns: str = "") -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization), x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


NODE = {"name": "system:node:n1", "organization": "system:nodes"}


@pytest.mark.parametrize(
    ("signer", "usages", "request_of", "want"),
    [
        (CLIENT, ["client auth"], {}, ""),
        (CLIENT, ["client auth", "digital signature", "key encipherment"], {}, ""),
        (CLIENT, ["server auth"], {}, "invalid usage for client certificate: server auth"),
        (CLIENT, ["digital signature"], {}, "missing required usage for client certificate: client auth"),
        (CLIENT_KUBELET, ["client auth", "digital signature"], {}, "subject organization is not system:nodes"),
        (CLIENT_KUBELET, ["client auth", "digital signature"], NODE, ""),
        (CLIENT_KUBELET, ["client auth", "digital signature"], {**NODE, "name": "u"}, "subject common name does not begin with system:node:"),
        (CLIENT_KUBELET, ["client auth", "digital signature"], {**NODE, "dns": "n1"}, "DNS subjectAltNames are not allowed"),
        (SERVING, ["server auth", "digital signature"], {**NODE, "dns": "n1"}, ""),
        (SERVING, ["server auth", "digital signature"], NODE, "DNS or IP subjectAltName is required"),
    ],
)
def test_a_signer_signs_what_is_its_own(signer: str, usages: list, request_of: dict, want: str) -> None:
    assert signing.problem(signer, usages, read_request(made(**request_of))) == want


def tree(*conditions: str, usages: list | None = None, raw: bytes | None = None, **spec: Any) -> dict:
    return {"metadata": {"name": "r", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"signerName": CLIENT, "usages": usages or ["client auth"], "request": base64.b64encode(raw or made()).decode(), **spec},
            "status": {"conditions": [{"type": c, "status": "True", "lastUpdateTime": "2026-01-01T00:00:00Z"} for c in conditions]}}


def test_an_approved_request_is_signed_with_its_subject_and_usages() -> None:
    write = signing.sign(tree("Approved", expirationSeconds=3600), AUTHORITY, NOW)
    assert isinstance(write, Patch) and write.subresource == "status"
    found = x509.load_pem_x509_certificate(base64.b64decode(write.patch["status"]["certificate"]))
    assert [a.value for a in found.subject] == ["g", "u"]
    assert found.issuer == x509.load_pem_x509_certificate(AUTHORITY.pair.certificate).subject
    assert list(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert found.not_valid_after_utc.timestamp() == NOW + 3600
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(AUTHORITY.pair.certificate))


@pytest.mark.parametrize("conditions", [(), ("Denied",), ("Approved", "Failed")])
def test_others_are_not_signed(conditions: tuple) -> None:
    assert signing.sign(tree(*conditions), AUTHORITY, NOW) is None
    assert signing.sign(tree("Approved", signerName="example.com/own"), AUTHORITY, NOW) is None


def test_a_request_that_its_signer_refuses_has_failed() -> None:
    write = signing.sign(tree("Approved", usages=["server auth"]), AUTHORITY, NOW)
    assert isinstance(write, Patch)
    entry = write.patch["status"]["conditions"][-1]
    assert (entry["type"], entry["reason"], entry["message"]) == ("Failed", "SignerValidationFailure", "invalid usage for client certificate: server auth")
    broken = signing.sign(tree("Approved", raw=b"nonsense"), AUTHORITY, NOW)
    assert isinstance(broken, Patch) and broken.patch["status"]["conditions"][-1]["type"] == "Failed"


def test_a_request_is_read_or_refused() -> None:
    assert read_request(made("u", "g", "d")).dns_names == ("d",)
    with pytest.raises(RequestError):
        read_request(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")


@pytest.mark.parametrize(("asked", "want"), [(None, signing.YEAR), (3600, 3600), (60, 600), (10**9, signing.YEAR)])
def test_a_lifetime_has_bounds(asked: int | None, want: int) -> None:
    assert signing.lifetime({"expirationSeconds": asked} if asked is not None else {}) == want


@pytest.mark.parametrize(("conditions", "want"), [((), 24 * 3600), (("Approved",), 3600), (("Denied",), 3600)])
def test_old_requests_go(conditions: tuple, want: float) -> None:
    assert signing.age_left(tree(*conditions), NOW) == want


@pytest.mark.parametrize(
    ("user", "request_of", "spec", "want"),
    [
        ("system:node:n1", NODE, {}, ("selfnodeclient", "nodeclient")),
        ("system:bootstrap:x", NODE, {}, ("nodeclient",)),
        ("system:node:n1", NODE, {"signerName": CLIENT}, ()),
        ("system:node:n1", NODE, {"usages": ["server auth"]}, ()),
        ("system:node:n1", {"name": "system:node:n1"}, {}, ()),
    ],
)
def test_kubelets_requests_are_approved_by_a_right_of_who_made_them(user: str, request_of: dict, spec: dict, want: tuple[str, ...]) -> None:
    usages = ["client auth", "digital signature"]
    found = tree(**{"usages": usages, "raw": made(**request_of), "signerName": CLIENT_KUBELET, "username": user, **spec})
    assert approving.tried(found) == want
    for decided in ("Approved", "Denied"):
        assert approving.tried({**found, "status": {"conditions": [{"type": decided, "status": "True"}]}}) == ()


def test_an_approval_asks_as_who_made_the_request_and_says_why() -> None:
    found = tree(raw=made(**NODE), username="u", groups=["g"], uid="7", extra={"k": ["v"]})
    asked = approving.question(found, "nodeclient")["spec"]
    assert (asked["user"], asked["groups"], asked["uid"], asked["extra"]) == ("u", ["g"], "7", {"k": ["v"]})
    assert (asked["resourceAttributes"]["subresource"], asked["resourceAttributes"]["verb"]) == ("nodeclient", "create")
    write = approving.approval(found, "nodeclient", NOW)
    assert write.subresource == "approval" and write.version == "1"
    (condition,) = write.patch["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("Approved", "AutoApproved") and "SubjectAccessReview" in condition["message"]
