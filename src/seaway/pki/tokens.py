"""ServiceAccount tokens: JSON Web Tokens (RFC 7519), ES256, with Kubernetes' claims; the clock is passed in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

ISSUER = "https://kubernetes.default.svc.cluster.local"


def issuer_of(domain: str) -> str:
    """The issuer of a cluster of this domain, as kubeadm names it."""
    return f"https://kubernetes.default.svc.{domain}"


class TokenError(ValueError):
    """A token that is not ours, expired, or for another audience."""


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Signer:
    """Signs and checks tokens with one key (PEM), in the name of `issuer`."""

    def __init__(self, key: bytes, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        loaded = serialization.load_pem_private_key(key, None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded
        public = loaded.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = _b64(hashlib.sha256(public).digest())

    def public(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 7517), for those who check tokens by themselves."""
        numbers = self._key.public_key().public_numbers()
        place = {"x": _b64(numbers.x.to_bytes(32, "big")), "y": _b64(numbers.y.to_bytes(32, "big"))}
        return {"use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256", **place}

    def sign(self, claims: dict[str, Any]) -> str:
        header = {"alg": "ES256", "kid": self.key_id}
        signed = ".".join(_b64(json.dumps(p, separators=(",", ":")).encode()) for p in (header, claims))
        r, s = utils.decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return signed + "." + _b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def read(self, token: str, now: float, audiences: tuple[str, ...] = ()) -> dict[str, Any]:
        """The claims of a valid token for these audiences (none: the API server); TokenError otherwise."""
        try:
            signed, _, signature = token.rpartition(".")
            header, _, body = signed.partition(".")
            raw = _unb64(signature)
            claims = json.loads(_unb64(body))
            algorithm = json.loads(_unb64(header)).get("alg")
            if algorithm != "ES256" or len(raw) != 64 or not isinstance(claims, dict):
                raise TokenError("not a token of this cluster")
            der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            self._key.public_key().verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, binascii.Error, ValueError, AttributeError) as e:
            raise TokenError("not a token of this cluster") from e
        if claims.get("iss") != self.issuer or not set(audiences or (self.issuer,)) & set(claims.get("aud") or ()):
            raise TokenError("token audiences are invalid")
        if now >= claims.get("exp", 0) or now + 60 < claims.get("nbf", 0):
            raise TokenError("token has expired or is not valid yet")
        return claims
