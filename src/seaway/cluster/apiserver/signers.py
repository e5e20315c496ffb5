"""Who may approve and sign certificate requests: the right is to a signer, not only to the request
(plugin/pkg/admission/certificates: approval, signing)."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.authz import Rbac, User
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.reviewing import UPDATE, Attributes
from seaway.cluster.apiserver.status import forbidden

Tree = dict[str, Any]
GROUP = "certificates.k8s.io"
VERBS = {"approval": "approve", "status": "sign"}


def names(signer: str) -> tuple[str, str]:
    """What a rule may call a signer: itself, or all of its domain."""
    return signer, f"{signer.partition('/')[0]}/*"


def needs(subresource: str, new: Tree, old: Tree) -> str:
    """The verb on the signer that a write needs; empty where it needs none."""
    verb = VERBS.get(subresource, "")
    if verb == "sign":
        after, before = new.get("status") or {}, old.get("status") or {}
        same = all((after.get(f) or None) == (before.get(f) or None) for f in ("certificate", "conditions"))
        return "" if same else verb
    return verb


class Signers:
    """A reviewer of what is written into certificate requests."""

    def __init__(self, rbac: Rbac) -> None:
        self._rbac = rbac

    def concerns(self, attributes: Attributes) -> bool:
        a = attributes
        asked = a.subresource in VERBS and a.operation == UPDATE
        return asked and a.stored.group_resource == f"certificatesigningrequests.{GROUP}"

    async def mutate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> Tree | None:
        return tree

    async def validate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> None:
        before = old or {}
        verb = needs(attributes.subresource, tree or {}, before)
        signer = str((before.get("spec") or {}).get("signerName") or "")
        if verb and not self._may(attributes.user, verb, signer):
            why = f'user not permitted to {verb} requests with signerName "{signer}"'
            raise forbidden(attributes.kind, attributes.name, why)

    def _may(self, user: User, verb: str, signer: str) -> bool:
        asked = (RequestInfo(verb, "", True, GROUP, "v1", "", "signers", "", name) for name in names(signer))
        return any(self._rbac.allowed(user, info) for info in asked)
