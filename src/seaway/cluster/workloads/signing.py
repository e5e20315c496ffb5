"""CertificateSigningRequests: approved ones are signed as their signer allows, old ones go
(pkg/controller/certificates: signer, approver, cleaner)."""

from __future__ import annotations

import base64
import time
from typing import Any

from seaway.api.tree import Key, get, is_true, seconds, stamp
from seaway.client.errors import NotFound
from seaway.client.reconcile import Reconciler
from seaway.client.rest import kind_of
from seaway.cluster.workloads import conditions
from seaway.controllers.run import Caches
from seaway.controllers.writes import Patch, apply
from seaway.pki.authority import Authority, Request, RequestError, read_request

Tree = dict[str, Any]
RESOURCE = "certificatesigningrequests.certificates.k8s.io"
CLIENT, CLIENT_KUBELET = "kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet"
SERVING, LEGACY = "kubernetes.io/kubelet-serving", "kubernetes.io/legacy-unknown"
SIGNERS = (CLIENT, CLIENT_KUBELET, SERVING, LEGACY)
YEAR = 365 * 24 * 3600
ENDED_FOR, PENDING_FOR = 3600.0, 24 * 3600.0
NODES = "system:nodes"


def _usages(wanted: list[str], needed: set[str], optional: set[str]) -> bool:
    return needed <= set(wanted) <= needed | optional


def problem(signer: str, usages: list[str], request: Request) -> str:
    """Why a signer refuses a request; empty where it does not (certificates/helpers.go, signer.go)."""
    if signer == CLIENT:
        for usage in usages:
            if usage not in ("client auth", "digital signature", "key encipherment"):
                return f"invalid usage for client certificate: {usage}"
        return "" if "client auth" in usages else "missing required usage for client certificate: client auth"
    if signer in (CLIENT_KUBELET, SERVING):
        return _node_problem(signer, usages, request)
    return ""


def _node_problem(signer: str, usages: list[str], request: Request) -> str:
    if request.organizations != (NODES,):
        return "subject organization is not system:nodes"
    if signer == CLIENT_KUBELET:
        if request.dns_names:
            return "DNS subjectAltNames are not allowed"
        if request.addresses:
            return "IP subjectAltNames are not allowed"
        needed, name = {"client auth", "digital signature"}, "client auth"
    else:
        if not request.dns_names and not request.addresses:
            return "DNS or IP subjectAltName is required"
        needed, name = {"server auth", "digital signature"}, "server auth"
    if request.emails:
        return "Email subjectAltNames are not allowed"
    if request.uris:
        return "URI subjectAltNames are not allowed"
    if not request.common_name.startswith("system:node:"):
        return "subject common name does not begin with system:node:"
    if not _usages(usages, needed, {"key encipherment"}):
        return f"usages did not match [key encipherment digital signature {name}] or [digital signature {name}]"
    return ""


def lifetime(spec: Tree) -> int:
    """Seconds: what was asked for, ten minutes at least, a year at most."""
    asked = spec.get("expirationSeconds")
    return YEAR if asked is None else max(min(int(asked), YEAR), 600)


def age_left(request: Tree, now: float) -> float:
    """Seconds until a request is cleaned away: an hour after its end, a day while nobody has decided."""
    created = seconds(request["metadata"].get("creationTimestamp")) or now
    have = get(request, "status", "conditions") or ()
    ends = [seconds(c.get("lastUpdateTime")) or created for c in have if c["type"] in ("Approved", "Denied", "Failed")]
    return min(ends) + ENDED_FOR - now if ends else created + PENDING_FOR - now


def sign(tree: Tree, authority: Authority, now: float) -> Patch | None:
    """The certificate, or the condition that says why there is none; None where nothing is to be done."""
    spec, name = tree["spec"], tree["metadata"]["name"]
    if get(tree, "status", "certificate") or is_true(tree, "Denied") or is_true(tree, "Failed"):
        return None
    if not is_true(tree, "Approved") or spec.get("signerName") not in SIGNERS:
        return None
    kind, version = kind_of(RESOURCE), tree["metadata"]["resourceVersion"]
    try:
        request = read_request(base64.b64decode(spec["request"]))
        why = problem(spec["signerName"], list(spec.get("usages") or ()), request)
    except (RequestError, ValueError) as e:
        why = f'unable to parse csr "{name}": {e}'
        request = None
    if why or request is None:
        entry = conditions.make("Failed", "True", "SignerValidationFailure", why, now, lastUpdateTime=stamp(now))
        have = [*(get(tree, "status", "conditions") or ()), entry]
        return Patch(kind, "", name, {"status": {"conditions": have}}, "status", version)
    made = authority.sign(request, tuple(spec.get("usages") or ()), now, lifetime(spec))
    encoded = base64.b64encode(made).decode()
    return Patch(kind, "", name, {"status": {"certificate": encoded}}, "status", version)


class SigningController:
    def __init__(self, caches: Caches, authority: Authority) -> None:
        self._now = time.time
        self._caches, self._authority = caches, authority
        self._requests = caches.of(RESOURCE)
        self.queue: Reconciler[Key] = Reconciler("certificate-signing", self._reconcile)
        self._requests.listen(lambda change: self.queue.add(change.key))

    async def _reconcile(self, key: Key) -> float | None:
        tree, now = self._requests.get(*key), self._now()
        if tree is None:
            return None
        left = age_left(tree, now)
        if left <= 0:
            options = {"preconditions": {"uid": tree["metadata"]["uid"]}}
            try:
                await self._caches.api.delete(kind_of(RESOURCE), "", key.name, options)
            except NotFound:
                pass
            return None
        write = sign(tree, self._authority, now)
        if write is not None:
            await apply(self._caches.api, write)
        return left
