"""Kubelets' requests for client certificates, approved for those who may have them (pkg/controller/certificates/approver).

Who may is a matter of roles: `create` on certificatesigningrequests/selfnodeclient (a node's own, renewed) or /nodeclient.
"""

from __future__ import annotations

import base64
import time
from typing import Any

from seaway.api.tree import Key, get, is_true, stamp
from seaway.client.reconcile import Reconciler
from seaway.client.rest import kind_of
from seaway.cluster.workloads import conditions, signing
from seaway.cluster.workloads.signing import CLIENT_KUBELET, RESOURCE
from seaway.controllers.run import Caches
from seaway.controllers.writes import Patch, apply
from seaway.pki.authority import RequestError, read_request

Tree = dict[str, Any]
SELF, ANY = "selfnodeclient", "nodeclient"
SAID = {
    SELF: "Auto approving self kubelet client certificate after SubjectAccessReview.",
    ANY: "Auto approving kubelet client certificate after SubjectAccessReview.",
}
AGAIN = 60.0  # roles may come later than the request


def tried(tree: Tree) -> tuple[str, ...]:
    """The rights that would approve a request, in the order in which they are asked for; none where it is not ours."""
    spec = tree["spec"]
    decided = get(tree, "status", "certificate") or is_true(tree, "Approved") or is_true(tree, "Denied")
    if decided or spec.get("signerName") != CLIENT_KUBELET:
        return ()
    try:
        request = read_request(base64.b64decode(spec["request"]))
    except (RequestError, ValueError):
        return ()
    if signing.problem(CLIENT_KUBELET, list(spec.get("usages") or ()), request):
        return ()
    return (SELF, ANY) if spec.get("username") == request.common_name else (ANY,)


def question(tree: Tree, right: str) -> Tree:
    """The review that asks whether whoever made a request has a right."""
    spec = tree["spec"]
    asked = {
        "group": "certificates.k8s.io",
        "version": "*",
        "resource": "certificatesigningrequests",
        "subresource": right,
        "verb": "create",
    }
    who: Tree = {"user": spec.get("username", ""), "resourceAttributes": asked}
    who |= {field: spec[field] for field in ("groups", "uid", "extra") if spec.get(field)}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": who}


def approval(tree: Tree, right: str, now: float) -> Patch:
    entry = conditions.make("Approved", "True", "AutoApproved", SAID[right], now, lastUpdateTime=stamp(now))
    have = [*(get(tree, "status", "conditions") or ()), entry]
    meta = tree["metadata"]
    patch = {"status": {"conditions": have}}
    return Patch(kind_of(RESOURCE), "", meta["name"], patch, "approval", meta["resourceVersion"])


class ApprovingController:
    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._requests = caches.of(RESOURCE)
        self.queue: Reconciler[Key] = Reconciler("certificate-approving", self._reconcile)
        self._requests.listen(lambda change: self.queue.add(change.key))

    async def _reconcile(self, key: Key) -> float | None:
        tree = self._requests.get(*key)
        rights = tried(tree) if tree is not None else ()
        if tree is None or not rights:
            return None
        for right in rights:
            reviews = kind_of("subjectaccessreviews.authorization.k8s.io")
            answer = await self._caches.api.create(reviews, "", question(tree, right))
            if get(answer, "status", "allowed"):
                await apply(self._caches.api, approval(tree, right, time.time()))
                return None
        return AGAIN
