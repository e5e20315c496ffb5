"""Who is it? Client certificates (CN is the user, O the groups) and ServiceAccount tokens, bound ones checked against
the objects they are bound to (KEP-1205)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from seaway.api.tree import seconds
from seaway.cluster.apiserver.authz import ANONYMOUS, AUTHENTICATED, User
from seaway.cluster.apiserver.status import unauthorized
from seaway.pki.tokens import Signer, TokenError

Tree = dict[str, Any]
CACHE = 4096
LEEWAY = 60.0
CREDENTIAL = "authentication.kubernetes.io/credential-id"


def from_certificate(certificate: Tree | None, raw: bytes | None = None) -> User | None:
    """`certificate` as ssl.SSLSocket.getpeercert gives it, verified by TLS already; `raw` is the same as DER."""
    if not certificate:
        return None
    name, groups = "", []
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    if not name:
        return None
    extra = {CREDENTIAL: [f"X509SHA256={hashlib.sha256(raw).hexdigest()}"]} if raw else {}
    return User(name, (*groups, AUTHENTICATED), "", extra)


class Tokens:
    """Checks tokens; the signature once, what it is bound to every time."""

    def __init__(self, signer: Signer, get: Callable[[str, str], Tree | None], now: Callable[[], float]) -> None:
        self.signer, self._get, self._now = signer, get, now
        self._read: dict[str, Tree] = {}

    def user(self, token: str) -> User:
        """Whose token it is, for this API server."""
        claims = self._read.get(token)
        if claims is None or claims.get("exp", 0) <= self._now():
            self._read.pop(token, None)
            try:
                claims = self.signer.read(token, self._now())
            except TokenError:
                raise unauthorized() from None
            if len(self._read) >= CACHE:
                self._read.clear()
            self._read[token] = claims
        return self._owner(claims)

    def review(self, token: str, audiences: tuple[str, ...]) -> tuple[User, list[str]]:
        """Whose token it is for these audiences (none: the API server), and for which of them."""
        try:
            claims = self.signer.read(token, self._now(), audiences)
        except TokenError:
            raise unauthorized() from None
        meant = claims.get("aud") or []
        return self._owner(claims), [a for a in audiences or (self.signer.issuer,) if a in meant]

    def _owner(self, claims: Tree) -> User:
        own = claims.get("kubernetes.io") or {}
        namespace, account = own.get("namespace", ""), own.get("serviceaccount") or {}
        if not self._is_there("serviceaccounts", f"{namespace}/{account.get('name')}", account.get("uid")):
            raise unauthorized()
        extra: dict[str, list[str]] = {CREDENTIAL: [f"JTI={claims.get('jti', '')}"]}
        pod = own.get("pod")
        if pod:
            if not self._is_there("pods", f"{namespace}/{pod.get('name')}", pod.get("uid")):
                raise unauthorized()
            extra["authentication.kubernetes.io/pod-name"] = [pod["name"]]
            extra["authentication.kubernetes.io/pod-uid"] = [pod["uid"]]
        secret = own.get("secret")
        if secret and not self._is_there("secrets", f"{namespace}/{secret.get('name')}", secret.get("uid")):
            raise unauthorized()
        node = own.get("node")
        if node and not pod and not self._is_there("nodes", str(node.get("name")), node.get("uid")):
            raise unauthorized()
        if node:
            extra["authentication.kubernetes.io/node-name"] = [node["name"]]
            if node.get("uid"):
                extra["authentication.kubernetes.io/node-uid"] = [node["uid"]]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        return User(
            f"system:serviceaccount:{namespace}:{account.get('name')}", groups, str(account.get("uid", "")), extra
        )

    def _is_there(self, resource: str, key: str, uid: str | None) -> bool:
        """Whether what a token is bound to is there; what should be gone for a minute is not (serviceaccount/claims.go)."""
        found = self._get(resource, key)
        if found is None or found["metadata"]["uid"] != uid:
            return False
        ends = seconds(found["metadata"].get("deletionTimestamp"))
        return ends is None or ends >= self._now() - LEEWAY


def identify(header: str, certificate: Tree | None, tokens: Tokens, raw: bytes | None = None) -> User:
    """The user of a request; a token that is given but wrong is 401, no credentials at all are anonymous."""
    if header:
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer" and value.strip():
            return tokens.user(value.strip())
        if not certificate:
            raise unauthorized()
    return from_certificate(certificate, raw) or ANONYMOUS
