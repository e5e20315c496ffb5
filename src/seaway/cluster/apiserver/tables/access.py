"""Tables of role bindings, certificate requests and admission's configuration (pkg/printers/internalversion); pure."""

from __future__ import annotations

from seaway.api.tree import get
from seaway.cluster.apiserver.tables.cells import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Cell,
    Column,
    N,
    S,
    Tree,
    at,
    count,
    duration,
    format_selector,
)


def subjects(kind: str) -> Cell:
    def cell(tree: Tree, now: float) -> str:
        found = [s for s in tree.get("subjects") or () if s.get("kind") == kind]
        account = kind == "ServiceAccount"
        return ", ".join(f"{s.get('namespace', '')}/{s['name']}" if account else s["name"] for s in found)

    return cell


def role_ref(tree: Tree, now: float) -> str:
    return f"{get(tree, 'roleRef', 'kind')}/{get(tree, 'roleRef', 'name')}"


def request_state(tree: Tree, now: float) -> str:
    """The CONDITION of a CertificateSigningRequest; a denial wins."""
    have = {c.get("type") for c in get(tree, "status", "conditions") or ()}
    word = "Denied" if "Denied" in have else "Approved" if "Approved" in have else "Pending"
    return word + (",Failed" if "Failed" in have else "") + (",Issued" if get(tree, "status", "certificate") else "")


def requested_duration(tree: Tree, now: float) -> str:
    asked = get(tree, "spec", "expirationSeconds")
    return NONE if asked is None else duration(asked)


def param_kind(tree: Tree, now: float) -> str:
    found = get(tree, "spec", "paramKind")
    return f"{found.get('apiVersion', '')}/{found.get('kind', '')}" if found else UNSET


def param_ref(tree: Tree, now: float) -> str:
    ref = get(tree, "spec", "paramRef")
    if ref and ref.get("name"):
        return f"{ref.get('namespace') or '*'}/{ref['name']}"
    return format_selector(ref["selector"]) if ref and ref.get("selector") else UNSET


BINDING = (
    NAME,
    Column("Role", S, 0, role_ref),
    AGE,
    Column("Users", S, 1, subjects("User")),
    Column("Groups", S, 1, subjects("Group")),
    Column("ServiceAccounts", S, 1, subjects("ServiceAccount")),
)
WEBHOOKS = (NAME, Column("Webhooks", N, 0, count("webhooks")), AGE)
POLICY_BINDING = (
    NAME,
    Column("PolicyName", S, 0, at("spec", "policyName")),
    Column("ParamRef", S, 0, param_ref),
    AGE,
)


def _policy(noun: str, field: str) -> tuple[Column, ...]:
    return (NAME, Column(noun, N, 0, count("spec", field)), Column("ParamKind", S, 0, param_kind), AGE)


COLUMNS = {
    "rolebindings.rbac.authorization.k8s.io": BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": BINDING,
    "certificatesigningrequests.certificates.k8s.io": (
        NAME,
        AGE,
        Column("SignerName", S, 0, lambda t, n: get(t, "spec", "signerName") or NONE),
        Column("Requestor", S, 0, at("spec", "username")),
        Column("RequestedDuration", S, 0, requested_duration),
        Column("Condition", S, 0, request_state),
    ),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": WEBHOOKS,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": WEBHOOKS,
    "validatingadmissionpolicies.admissionregistration.k8s.io": _policy("Validations", "validations"),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": _policy("Mutations", "mutations"),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": POLICY_BINDING,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": POLICY_BINDING,
}
