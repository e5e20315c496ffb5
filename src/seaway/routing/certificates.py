"""Certificates, keys and authorities as decisions: what Secrets and ConfigMaps hold, and what is wrong with it."""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

from seaway.pki.pem import authorities_problem, pair_problem
from seaway.routing.incremental import View
from seaway.routing.ir import Certificate, Trust

Tree = dict[str, Any]


class Checked(NamedTuple):
    """`problem` empty: it can be used."""

    problem: str
    found: Certificate | None


def _decoded(tree: Tree, entry: str) -> bytes | None:
    try:
        return base64.b64decode((tree.get("data") or {}).get(entry) or "", validate=True) or None
    except (binascii.Error, ValueError, TypeError):
        return None


def checked_certificate(view: View, name: str) -> Checked:
    """A decision on the Secret NAMESPACE/NAME as a server's or client's certificate."""
    secret = view.get("secrets", *name.split("/", 1))
    if secret is None:
        return Checked(f"Secret {name} does not exist", None)
    chain, key = _decoded(secret, "tls.crt"), _decoded(secret, "tls.key")
    if chain is None or key is None:
        return Checked(f"Secret {name} has no {'tls.crt' if chain is None else 'tls.key'}", None)
    problem = pair_problem(chain, key)
    if problem:
        return Checked(f"Secret {name}: {problem}", None)
    return Checked("", Certificate(name, chain, key))


def certificate(view: View, name: str) -> Certificate | None:
    """A decision: the certificate of the Secret NAMESPACE/NAME, None where it cannot be used."""
    return view.ask(checked_certificate, name).found


def checked_trust(view: View, name: str) -> tuple[str, Trust | None]:
    """A decision on `KIND/NAMESPACE/NAME[,...]` (KIND ConfigMap or Secret) as authorities, all of their ca.crt together."""
    found = b""
    for one in name.split(","):
        kind, namespace, what = one.split("/")
        tree = view.get("configmaps" if kind == "ConfigMap" else "secrets", namespace, what)
        if tree is None:
            return f"{kind} {namespace}/{what} does not exist", None
        pem: bytes | None
        if kind == "ConfigMap":
            pem = str((tree.get("data") or {}).get("ca.crt") or "").encode() or None
        else:
            pem = _decoded(tree, "ca.crt")
        if pem is None:
            return f"{kind} {namespace}/{what} has no ca.crt", None
        problem = authorities_problem(pem)
        if problem:
            return f"{kind} {namespace}/{what}: {problem}", None
        found += pem.strip() + b"\n"
    return "", Trust(name, found)


def trust(view: View, name: str) -> Trust | None:
    """A decision: authorities by the name that `checked_trust` takes, None where they cannot be used."""
    return view.ask(checked_trust, name)[1]
