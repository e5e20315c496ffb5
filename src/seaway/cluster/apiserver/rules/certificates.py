"""CertificateSigningRequest: who asked, what is asked for, and its approval (pkg/apis/certificates); pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, too_long, unsupported, wrong
from seaway.pki import requests

Tree = dict[str, Any]
USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
SHORTEST = 600
CONDITIONS = "status.conditions"
DECISIONS = ("Approved", "Denied")
FORM = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
DOMAIN_LONGEST, PATH_LONGEST = 253, 253 + 63 + 1
CLIENT_SIGNER, MASTERS = "kubernetes.io/kube-apiserver-client", "system:masters"


def sign(tree: Tree, user: Tree) -> None:
    """A new request says who asked; what it says itself does not count. `user`: username, uid, groups, extra."""
    spec = tree.setdefault("spec", {})
    for field in ("username", "uid", "groups", "extra"):
        spec.pop(field, None)
    spec.update({field: value for field, value in user.items() if value})


def validate(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found: list[Cause] = []
    problem = requests.problem(spec.get("request") or "")
    if problem:
        found.append(wrong("spec.request", spec.get("request") or "", problem))
    usages = spec.get("usages") or []
    if not usages:
        found.append(required("spec.usages"))
    for i, usage in enumerate(usages):
        if usage not in USAGES:
            found.append(unsupported(f"spec.usages[{i}]", usage, USAGES))
    for i, usage in enumerate(usages):
        if usage in usages[:i]:
            found.append(duplicate(f"spec.usages[{i}]", usage))
    signer = spec.get("signerName") or ""
    if signer == "kubernetes.io/legacy-unknown":
        found.append(wrong("spec.signerName", signer, "the legacy signerName is not allowed via this API version"))
    else:
        found += signer_causes("spec.signerName", signer)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SHORTEST:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        found.append(wrong("spec.expirationSeconds", seconds, why))
    return found + _condition_causes(tree)


def signer_causes(path: str, signer: str) -> list[Cause]:
    if not signer:
        return [required(path)]
    parts = signer.split("/")
    if len(parts) != 2:
        return [wrong(path, signer, FORM)]
    domain, name = parts
    found = [too_long(path, DOMAIN_LONGEST)] if len(domain) > DOMAIN_LONGEST else []
    labels = domain.split(".")
    found += _first_bad(path, domain, labels, False)
    if len(labels) < 2:
        found.append(wrong(path, domain, "should be a domain with at least two segments separated by dots"))
    found += _first_bad(path, name, name.split("."), True)
    if len(signer) > DOMAIN_LONGEST + PATH_LONGEST + 1:
        found.append(too_long(path, DOMAIN_LONGEST + PATH_LONGEST + 1))
    return found


def _first_bad(path: str, whole: str, labels: list[str], subdomains: bool) -> list[Cause]:
    for label in labels:
        problems = formats.subdomain(label) if subdomains else formats.label(label)
        if problems:
            return [wrong(path, whole, f'validating label "{label}": {why}') for why in problems]
    return []


def _condition_causes(tree: Tree) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for i, condition in enumerate((tree.get("status") or {}).get("conditions") or ()):
        at, kind, state = f"{CONDITIONS}[{i}]", condition.get("type", ""), condition.get("status", "")
        if not kind:
            found.append(required(f"{at}.type"))
        if kind in DECISIONS and seen & (set(DECISIONS) - {kind}):
            found.append(wrong(CONDITIONS, kind, "Approved and Denied conditions are mutually exclusive"))
        allowed = ("True",) if kind in (*DECISIONS, "Failed") else ("False", "True", "Unknown")
        if not state:
            found.append(required(f"{at}.status"))
        elif state not in allowed:
            found.append(unsupported(f"{at}.status", state, allowed))
        if kind in seen:
            found.append(duplicate(f"{at}.type", kind))
        seen.add(kind)
    return found


def prepare(tree: Tree, old: Tree) -> None:
    """An update changes metadata only."""
    tree["spec"] = old.get("spec") or {}


def _conditions(tree: Tree, kind: str) -> list[Tree]:
    return [c for c in (tree.get("status") or {}).get("conditions") or () if c.get("type") == kind]


def _kept_metadata(new: Tree, old: Tree) -> Tree:
    names = ("labels", "annotations", "finalizers", "ownerReferences", "managedFields")
    return {**old["metadata"], **{k: v for k, v in new["metadata"].items() if k in names}}


def prepare_approval(new: Tree, old: Tree) -> Tree:
    """/approval changes the conditions only."""
    status = {**(old.get("status") or {}), "conditions": (new.get("status") or {}).get("conditions") or []}
    return {**old, "metadata": _kept_metadata(new, old), "status": status}


def prepare_status(new: Tree, old: Tree) -> Tree:
    """/status changes all of the status but the decision."""
    status = dict(new.get("status") or {})
    kept = [c for kind in DECISIONS for c in _conditions(old, kind)]
    others = [c for c in status.get("conditions") or () if c.get("type") not in DECISIONS]
    if kept or others:
        status["conditions"] = kept + others
    return {**old, "metadata": _kept_metadata(new, old), "status": status}


def stamp(tree: Tree, old: Tree, now: str) -> None:
    """Conditions say when; a status that stays keeps its time."""
    listed = []
    for condition in (tree.get("status") or {}).get("conditions") or ():
        same = [c for c in _conditions(old, condition.get("type", "")) if c.get("status") == condition.get("status")]
        since = next((c["lastTransitionTime"] for c in same if c.get("lastTransitionTime")), now)
        times = {
            "lastUpdateTime": condition.get("lastUpdateTime") or now,
            "lastTransitionTime": condition.get("lastTransitionTime") or since,
        }
        listed.append({**condition, **times})
    if listed:
        tree["status"]["conditions"] = listed


def revalidate(tree: Tree, old: Tree) -> list[Cause]:
    found = validate(tree)
    for kind in (*DECISIONS, "Failed"):
        if len(_conditions(tree, kind)) < len(_conditions(old, kind)):
            found.append(not_permitted(CONDITIONS, f'updates may not remove a condition of type "{kind}"'))
    return found


def certificate_causes(tree: Tree, old: Tree) -> list[Cause]:
    """/status: an issued certificate stays what it is."""
    found = revalidate(tree, old)
    new, was = ((t.get("status") or {}).get("certificate") or "" for t in (tree, old))
    if was and new != was:
        found.append(not_permitted("status.certificate", "updates may not modify existing certificate content"))
    return found


def admit(tree: Tree, old: Tree | None, others: Callable[[str], Iterable[Tree]]) -> str:
    """The CertificateSubjectRestriction plugin: nobody asks for a client certificate of system:masters."""
    spec = tree.get("spec") or {}
    asked = old is None and spec.get("signerName") == CLIENT_SIGNER and not requests.problem(spec.get("request") or "")
    if asked and MASTERS in requests.groups(spec["request"]):
        return f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed"
    return ""
