"""What each namespace is given: the `default` ServiceAccount and the cluster's CA; and the Secrets that hold tokens of
ServiceAccounts (pkg/controller/serviceaccount, pkg/controller/certificates/rootcacertpublisher)."""

from __future__ import annotations

import base64
from typing import Any

from seaway.api.merge import difference
from seaway.api.tree import Key, get
from seaway.client.errors import ApiStatusError, Conflict, NotFound, is_namespace_ending
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.controllers.run import Caches
from seaway.controllers.writes import Create, Delete, Patch, Write, apply

Tree = dict[str, Any]
CA_MAP = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"
DESCRIPTION_TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
TOKEN_TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
# Tokens in Secrets do not end with time: they end with their Secret or ServiceAccount.
TOKEN_SECONDS = 100 * 365 * 24 * 3600


def account(namespace: str) -> Create:
    tree = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    return Create(kind_of("serviceaccounts"), namespace, tree)


def certificate_map(namespace: str, there: Tree | None, ca: str) -> Write | None:
    """What makes the ConfigMap with the CA right; None where it is."""
    kind, data = kind_of("configmaps"), {"ca.crt": ca}
    if there is None:
        meta = {"name": CA_MAP, "annotations": {DESCRIPTION: DESCRIPTION_TEXT}}
        return Create(kind, namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    patch: Tree = {}
    changed = difference(there.get("data") or {}, data)
    if changed:
        patch["data"] = changed
    if there.get("binaryData"):
        patch["binaryData"] = None
    if get(there, "metadata", "annotations", DESCRIPTION) != DESCRIPTION_TEXT:
        patch["metadata"] = {"annotations": {DESCRIPTION: DESCRIPTION_TEXT}}
    return Patch(kind, namespace, CA_MAP, patch) if patch else None


def token_secret(secret: Tree, owner: Tree | None, ca: str, token: str) -> Write | None:
    """What a token Secret needs: to go, where its ServiceAccount is not there or another; otherwise what it lacks.
    `token`: a fresh one, where it has none."""
    meta = secret["metadata"]
    kind, notes = kind_of("secrets"), meta.get("annotations") or {}
    uid = notes.get(UID)
    if owner is None or (uid and uid != owner["metadata"]["uid"]):
        return Delete(kind, meta["namespace"], meta["name"], meta["uid"])
    wanted = {"ca.crt": ca, "namespace": meta["namespace"], **({"token": token} if token else {})}
    data = {
        k: encoded
        for k, v in wanted.items()
        if (secret.get("data") or {}).get(k) != (encoded := base64.b64encode(v.encode()).decode())
        and (k != "ca.crt" or not get(secret, "data", "ca.crt") or token)
    }
    patch: Tree = {"data": data} if data else {}
    if uid != owner["metadata"]["uid"]:
        patch["metadata"] = {"annotations": {UID: owner["metadata"]["uid"]}}
    return Patch(kind, meta["namespace"], meta["name"], patch, version=meta["resourceVersion"]) if patch else None


class AccountController:
    """Keys are namespaces."""

    def __init__(self, caches: Caches, ca: str) -> None:
        self._caches, self._ca = caches, ca
        self._namespaces, self._accounts = caches.of("namespaces"), caches.of("serviceaccounts")
        self._maps = caches.of("configmaps", f"metadata.name={CA_MAP}")
        self.queue: Reconciler[Key] = Reconciler("namespace-accounts", self._reconcile, workers=8)
        self._namespaces.listen(lambda change: self.queue.add(change.key))
        for informer in (self._accounts, self._maps):
            informer.listen(self._content_changed)

    def _content_changed(self, change: Change) -> None:
        if change.key.name == CA_MAP or (change.key.name == "default" and change.new is None):
            self.queue.add(Key("", change.key.namespace))

    async def _reconcile(self, key: Key) -> float | None:
        namespace = self._namespaces.get(*key)
        if namespace is None or namespace["metadata"].get("deletionTimestamp"):
            return None
        writes: list[Write] = []
        if self._accounts.get(key.name, "default") is None:
            writes.append(account(key.name))
        published = certificate_map(key.name, self._maps.get(key.name, CA_MAP), self._ca)
        if published is not None:
            writes.append(published)
        for write in writes:
            try:
                await apply(self._caches.api, write)
            except Conflict:
                continue
            except ApiStatusError as e:
                if not is_namespace_ending(e) and e.code != 404:
                    raise
        return None


class TokenController:
    """Fills and takes away the Secrets of type service-account-token. Keys are Secrets."""

    def __init__(self, caches: Caches, ca: str) -> None:
        self._caches, self._ca = caches, ca
        self._accounts = caches.of("serviceaccounts")
        self._secrets = caches.of("secrets", f"type={TOKEN_TYPE}")
        self._secrets.add_index("account", lambda t: [f"{t['metadata']['namespace']}/{account_of(t)}"])
        self.queue: Reconciler[Key] = Reconciler("token-secrets", self._reconcile)
        self._secrets.listen(lambda change: self.queue.add(change.key))
        self._accounts.listen(self._account_changed)

    def _account_changed(self, change: Change) -> None:
        if change.old is None or change.new is None:
            for secret in self._secrets.by("account", str(change.key)):
                self.queue.add(Key(change.key.namespace, secret["metadata"]["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        secret = self._secrets.get(*key)
        if secret is None or secret["metadata"].get("deletionTimestamp"):
            return None
        name = account_of(secret)
        owner = self._accounts.get(key.namespace, name) or await self._account(key.namespace, name)
        token = ""
        if owner is not None and not get(secret, "data", "token"):
            token = await self._token(secret, name)
        write = token_secret(secret, owner, self._ca, token)
        if write is not None:
            try:
                await apply(self._caches.api, write)
            except NotFound:
                pass
        return None

    async def _account(self, namespace: str, name: str) -> Tree | None:
        """A Secret may come before its ServiceAccount is seen: the API is asked before it is deleted."""
        if not name:
            return None
        try:
            return await self._caches.api.get(kind_of("serviceaccounts"), namespace, name)
        except NotFound:
            return None

    async def _token(self, secret: Tree, name: str) -> str:
        meta = secret["metadata"]
        bound = {"apiVersion": "v1", "kind": "Secret", "name": meta["name"], "uid": meta["uid"]}
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS, "boundObjectRef": bound},
        }
        kind = kind_of("serviceaccounts")
        made = await self._caches.api.create(kind, meta["namespace"], body, "token", name)
        return str(made["status"]["token"])


def account_of(secret: Tree) -> str:
    return str((secret["metadata"].get("annotations") or {}).get(NAME, ""))
