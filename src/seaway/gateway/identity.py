"""The certificates of the channel between the controller and its Envoys, as decisions: what is there and still good is kept,
all else is made anew. The clock is the caller's.

One authority of the controller's signs its server certificate and, a fleet each, the client certificate by which an Envoy
shows whose it is. All are renewed at two thirds of their life. When the authority itself is renewed, its predecessor is
trusted until it ends, so that neither side refuses the other while Secrets travel.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Any, NamedTuple

from seaway.envoy.xds.identity import identity as spiffe
from seaway.gateway.infrastructure.values import CONTROLLER, MANAGED, SYSTEM, Identity
from seaway.pki import reading
from seaway.pki.authority import Authority, Pair
from seaway.pki.pem import pair_problem
from seaway.routing.ir import Fleet

Tree = dict[str, Any]
AUTHORITY = "seaway-gateway-ca"
SEED = "drain.seed"
DAY = 86400.0
AUTHORITY_DAYS, DAYS = 3650, 30


class Authorities(NamedTuple):
    """The authority that signs, and all that are trusted, it first; PEM. `seed`: what the keys for draining are made from, which
    outlives the authority: another key would be another pod."""

    pair: Pair
    trusted: bytes
    seed: bytes = b""


def due(pem: bytes) -> float:
    """When a certificate is to be renewed: at two thirds of its life."""
    found = reading.certificate(pem)
    return found.begins + (found.ends - found.begins) * 2 / 3


def _data(secret: Tree | None, name: str) -> bytes:
    try:
        return base64.b64decode(((secret or {}).get("data") or {}).get(name) or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        return b""


def _pair(secret: Tree | None) -> Pair | None:
    """The certificate and key of a Secret; None where they cannot be used."""
    pair = Pair(_data(secret, "tls.crt"), _data(secret, "tls.key"))
    if not pair.certificate or not pair.key or pair_problem(pair.certificate, pair.key):
        return None
    return pair


def _still(pem: bytes, now: float) -> bool:
    """Whether a certificate is valid now and not due."""
    try:
        return reading.certificate(pem).begins <= now < due(pem)
    except ValueError:
        return False


def authorities(secret: Tree | None, now: float) -> Authorities:
    """What the Secret of the authority is to hold; the same as it does while that is good."""
    pair = _pair(secret)
    trusted = _data(secret, "ca.crt")
    if pair and not reading.is_signed_by(pair.certificate, pair.certificate):
        pair = None
    seed = _data(secret, SEED) or secrets.token_bytes(32)
    if pair and _still(pair.certificate, now):
        return Authorities(pair, trusted if pair.certificate.strip() in trusted else pair.certificate, seed)
    fresh = Authority.new(CONTROLLER, now, AUTHORITY_DAYS).pair
    if pair and reading.certificate(pair.certificate).ends > now:
        return Authorities(fresh, fresh.certificate + pair.certificate, seed)
    return Authorities(fresh, fresh.certificate, seed)


def authority_secret(found: Authorities, namespace: str = SYSTEM) -> Tree:
    data = {"ca.crt": found.trusted, "tls.crt": found.pair.certificate, "tls.key": found.pair.key, SEED: found.seed}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": AUTHORITY, "namespace": namespace, "labels": {MANAGED[0]: MANAGED[1]}},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }


def _good(pair: Pair, by: Authorities, now: float) -> bool:
    return _still(pair.certificate, now) and reading.is_signed_by(pair.certificate, by.pair.certificate)


def _common(fleet: Fleet) -> str:
    return f"{CONTROLLER}:{fleet.kind}"[:64]  # the name that counts is the URI; this one has 64 characters at most


def identity(secret: Tree | None, fleet: Fleet, by: Authorities, now: float) -> Identity:
    """What the Secret of a fleet is to hold: what it does, while it is the fleet's, of this authority, and not due."""
    pair = _pair(secret)
    if pair and _good(pair, by, now) and reading.certificate(pair.certificate).uris == (spiffe(fleet),):
        return Identity(by.trusted, pair.certificate, pair.key)
    fresh = Authority(by.pair).issue(_common(fleet), now, days=DAYS, uris=(spiffe(fleet),))
    return Identity(by.trusted, fresh.certificate, fresh.key)


def server(have: Pair | None, hosts: tuple[str, ...], by: Authorities, now: float) -> Pair:
    """The controller's own certificate, for the names of its Service; kept in memory."""
    if have and _good(have, by, now):
        return have
    return Authority(by.pair).issue(CONTROLLER, now, hosts=hosts, server=True, days=DAYS)


def server_names(host: str = f"{CONTROLLER}.{SYSTEM}.svc", domain: str = "cluster.local") -> tuple[str, ...]:
    """Of the controller's Service: `host` as its Envoys call it, and what else leads there."""
    if not host.endswith(".svc"):
        return (host,)
    return (host, f"{host}.{domain}", host.removesuffix(".svc"))


def drain_key(fleet: Fleet, by: Authorities) -> str:
    """What the kubelet shows to have an Envoy of the fleet drained."""
    return hmac.new(by.seed, fleet.title.encode(), hashlib.sha256).hexdigest()[:32]
