"""TLS to backends: which BackendTLSPolicy holds for a Service port, its status, and the certificate that a Gateway shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api.tree import Key
from seaway.routing.certificates import checked_certificate, checked_trust
from seaway.routing.conditions import GROUP, Condition, rendered
from seaway.routing.engine import Status
from seaway.routing.gateway.attaching import ROUTES, attachments
from seaway.routing.incremental import View
from seaway.routing.ir import BackendTls
from seaway.routing.references import permitted, reference

Tree = dict[str, Any]
POLICIES = "backend tls by service"  # index: "NAMESPACE/SERVICE"
USERS = "routes by service"  # index over all route kinds: "NAMESPACE/SERVICE"


class Policy(NamedTuple):
    """The policy that won for a port. `tls` None: it cannot be used, for `message`."""

    key: Key
    tls: BackendTls | None
    message: str


def targets(tree: Tree) -> Iterable[str]:
    """The index of a policy."""
    for ref in tree["spec"].get("targetRefs") or ():
        if not ref.get("group") and ref.get("kind") == "Service":
            yield f"{tree['metadata']['namespace']}/{ref['name']}"


def _rank(tree: Tree, service: str, section: str) -> tuple[int, str, str] | None:
    """Of a policy for a port: the smallest wins (one that names the port; the older; the name)."""
    named = [
        str(r.get("sectionName") or "")
        for r in tree["spec"].get("targetRefs") or ()
        if not r.get("group") and r.get("kind") == "Service" and r["name"] == service
    ]
    meta = tree["metadata"]
    if section and section in named:
        return 0, str(meta.get("creationTimestamp") or ""), meta["name"]
    return (1, str(meta.get("creationTimestamp") or ""), meta["name"]) if "" in named else None


def policy_of(view: View, namespace: str, service: str, section: str) -> Policy | None:
    """A decision: the policy for a Service's port by the port's name."""
    found = []
    for key in view.find(POLICIES, f"{namespace}/{service}"):
        tree = view.get("backendtlspolicies", *key)
        rank = _rank(tree, service, section) if tree is not None else None
        if rank is not None:
            found.append((rank, key))
    if not found:
        return None
    _, key = min(found)
    tls, problem = view.ask(checked, *key)
    return Policy(key, tls, problem[1])


def checked(view: View, namespace: str, name: str) -> tuple[BackendTls | None, tuple[str, str]]:
    """A decision: what a policy says, or (reason, message) of why it cannot be used."""
    tree = view.get("backendtlspolicies", namespace, name) or {"spec": {}}
    validation = tree["spec"].get("validation") or {}
    names = tuple(
        ("uri", str(n.get("uri") or "")) if n.get("type") == "URI" else ("dns", str(n.get("hostname") or "").lower())
        for n in validation.get("subjectAltNames") or ()
    )
    hostname = str(validation.get("hostname") or "")
    known = validation.get("wellKnownCACertificates")
    if known:
        if known != "System":
            return None, ("Invalid", f"wellKnownCACertificates: {known} is not known; System is")
        return BackendTls(hostname, "", True, names), ("", "")
    trusts = []
    problems: list[tuple[str, str]] = []
    for ref in validation.get("caCertificateRefs") or ():
        to = reference({**ref, "namespace": namespace}, namespace, "ConfigMap")
        trust = f"{to.kind}/{namespace}/{to.name}"
        if to.group or to.kind not in ("ConfigMap", "Secret"):
            what = f"{to.kind}{'.' + to.group if to.group else ''}"
            problems.append(("InvalidKind", f"{what} cannot hold authorities; a ConfigMap can"))
            continue
        problem, found = view.ask(checked_trust, trust)
        if found is None:
            problems.append(("InvalidCACertificateRef", problem))
        else:
            trusts.append(trust)
    if not trusts:
        return None, problems[0] if problems else ("InvalidCACertificateRef", "no authority is named")
    return BackendTls(hostname, ",".join(trusts), False, names), problems[0] if problems else ("", "")


def client_certificate(view: View, namespace: str, name: str) -> tuple[str, tuple[str, str]]:
    """A decision: the certificate that a Gateway shows to backends ("": none), and (reason, message) of what is wrong with the
    reference (Gateway.spec.tls.backend)."""
    gateway = view.get("gateways", namespace, name)
    backend = (((gateway or {}).get("spec") or {}).get("tls") or {}).get("backend") or {}
    ref = backend.get("clientCertificateRef")
    if not ref:
        return "", ("", "")
    to = reference(ref, namespace, "Secret")
    if (to.group, to.kind) != ("", "Secret"):
        return "", ("InvalidClientCertificateRef", f"{to.kind} cannot hold a certificate")
    if not permitted(view, "Gateway", namespace, to):
        return "", ("RefNotPermitted", f"{to.title} may not be used from here: no ReferenceGrant there allows it")
    problem, found = view.ask(checked_certificate, f"{to.namespace}/{to.name}")
    return (found.name, ("", "")) if found is not None else ("", ("InvalidClientCertificateRef", problem))


def gateways_using(view: View, service: str) -> tuple[tuple[str, str, str], ...]:
    """A decision: (controller, namespace, name) of our Gateways with an attached route that uses the Service NAMESPACE/NAME."""
    found = set()
    for resource in ROUTES:
        for key in view.find(f"{USERS} {resource}", service):
            for one in view.ask(attachments, resource, *key):
                found.add((one.controller, *one.gateway))
    return tuple(sorted(found))


def status(view: View, namespace: str, name: str) -> Status | None:
    """A decision: what we say of a BackendTLSPolicy, an entry for each Gateway whose routes use its Services (GEP-1897)."""
    tree = view.get("backendtlspolicies", namespace, name)
    if tree is None:
        return None
    generation = int(tree["metadata"].get("generation") or 0)
    tls, problem = view.ask(checked, namespace, name)
    beaten = _beaten(view, tree, namespace, name)
    if beaten:
        accepted = Condition("Accepted", False, "Conflicted", beaten)
    elif tls is None:
        reason = problem[0] if problem[0] == "Invalid" else "NoValidCACertificate"
        accepted = Condition("Accepted", False, reason, problem[1])
    else:
        accepted = Condition("Accepted", True, "Accepted", "the policy is in force")
    resolved = (
        Condition("ResolvedRefs", False, problem[0], problem[1])
        if problem[0] and problem[0] != "Invalid"
        else Condition("ResolvedRefs", True, "ResolvedRefs", "all references lead somewhere")
    )
    users = sorted({user for service in set(targets(tree)) for user in view.ask(gateways_using, service)})
    ancestors = [
        {
            "ancestorRef": {"group": GROUP, "kind": "Gateway", "namespace": space, "name": gateway},
            "controllerName": controller,
            "conditions": rendered([accepted, resolved], generation),
        }
        for controller, space, gateway in users[:16]  # the API's bound
    ]
    return Status("backendtlspolicies", namespace, name, {"ancestors": ancestors})


def _beaten(view: View, tree: Tree, namespace: str, name: str) -> str:
    """Where another policy has won for everything that this one is for: which."""
    winners: list[str] = []
    for ref in tree["spec"].get("targetRefs") or ():
        if ref.get("group") or ref.get("kind") != "Service":
            continue
        rivals = []
        for key in view.find(POLICIES, f"{namespace}/{ref['name']}"):
            other = view.get("backendtlspolicies", *key)
            section = str(ref.get("sectionName") or "")
            for theirs in (other or {"spec": {}})["spec"].get("targetRefs") or ():
                same = theirs.get("kind") == "Service" and theirs["name"] == ref["name"]
                if other is not None and same and str(theirs.get("sectionName") or "") == section:
                    rivals.append((str(other["metadata"].get("creationTimestamp") or ""), key.name))
        first = min(rivals, default=("", name))[1]
        if first == name:
            return ""
        winners.append(first)
    return f"BackendTLSPolicy {winners[0]} holds for the same target" if winners else ""
