"""TLS of a listener: its certificates, and how certificates of clients are checked (GEP-91)."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.routing.certificates import checked_certificate, checked_trust
from seaway.routing.incremental import View
from seaway.routing.ir import ClientCheck
from seaway.routing.references import permitted, reference

Tree = dict[str, Any]
Problem = tuple[str, str]


class Tls(NamedTuple):
    """`certificates` are those that can be used. `passthrough`: nothing is decrypted. `client`: how certificates of clients are
    checked; the listener is refused where no authority is left to check them against."""

    passthrough: bool
    certificates: tuple[str, ...] = ()
    client: ClientCheck | None = None


def tls_of(
    view: View, where: tuple[str, str, str], entry: Tree, frontend: Tree, port: int, protocol: str, namespace: str
) -> tuple[Tls, list[Problem], list[Problem]]:
    """TLS of a listener written in `where`, with what keeps its references from being resolved and itself from being accepted.
    `namespace` and `frontend` are the Gateway's."""
    settings = entry.get("tls") or {}
    if settings.get("mode") == "Passthrough" and protocol == "TLS":
        return Tls(True), [], []
    kind, own, _ = where
    problems: list[Problem] = []
    certificates = []
    for ref in settings.get("certificateRefs") or ():
        to = reference(ref, own, "Secret")
        if (to.group, to.kind) != ("", "Secret"):
            problems.append(
                ("InvalidCertificateRef", f"{to.kind}{'.' + to.group if to.group else ''} cannot hold a certificate")
            )
        elif not permitted(view, kind, own, to):
            problems.append(
                ("RefNotPermitted", f"{to.title} may not be used from here: no ReferenceGrant there allows it")
            )
        else:
            problem, found = view.ask(checked_certificate, f"{to.namespace}/{to.name}")
            if found is None:
                problems.append(("InvalidCertificateRef", problem))
            else:
                certificates.append(found.name)
    if not settings.get("certificateRefs"):
        problems.append(("InvalidCertificateRef", "the listener names no certificate"))
    client, more, refused = _client(view, frontend, port, namespace) if protocol == "HTTPS" else (None, [], [])
    return Tls(False, tuple(dict.fromkeys(certificates)), client), problems + more, refused


def validation(frontend: Tree, port: int) -> Tree:
    """The validation of clients' certificates that holds for a port."""
    for entry in frontend.get("perPort") or ():
        if entry.get("port") == port:
            return (entry.get("tls") or {}).get("validation") or {}
    return (frontend.get("default") or {}).get("validation") or {}


def _client(
    view: View, frontend: Tree, port: int, namespace: str
) -> tuple[ClientCheck | None, list[Problem], list[Problem]]:
    wanted = validation(frontend, port)
    if not wanted:
        return None, [], []
    problems: list[Problem] = []
    names = []
    for ref in wanted.get("caCertificateRefs") or ():
        to = reference(ref, namespace, "ConfigMap")
        name = f"{to.kind}/{to.namespace}/{to.name}"
        if to.group or to.kind not in ("ConfigMap", "Secret"):
            problems.append(
                ("InvalidCACertificateKind", f"{to.kind}{'.' + to.group if to.group else ''} cannot hold authorities")
            )
        elif not permitted(view, "Gateway", namespace, to):
            problems.append(
                ("RefNotPermitted", f"{to.title} may not be used from here: no ReferenceGrant there allows it")
            )
        else:
            problem, found = view.ask(checked_trust, name)
            if found is None:
                problems.append(("InvalidCACertificateRef", problem))
            else:
                names.append(name)
    required = wanted.get("mode") != "AllowInsecureFallback"
    refused: list[Problem] = []
    if not names:
        refused.append(("NoValidCACertificate", "none of the authorities for clients' certificates can be used"))
    return ClientCheck(",".join(names), required), problems, refused
