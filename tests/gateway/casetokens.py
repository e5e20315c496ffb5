"""JWTs for the cases, and the keys of who signs them: made once a run, by name. Also such as nobody may believe."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(tree: Any) -> str:
    return _text(json.dumps(tree, separators=(",", ":")).encode())


@cache
def _key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def jwks(name: str) -> str:
    """The public key of this name, as a JWKS (RFC 7517)."""
    numbers = _key(name).public_key().public_numbers()
    key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one", "x": _text(numbers.x.to_bytes(32, "big")), "y": _text(numbers.y.to_bytes(32, "big"))}
    return json.dumps({"keys": [key]})


def token(by: str, claims: dict[str, Any], seconds: int, how: str) -> str:
    """A JWT (RFC 7519). `how`: ES256; "none" (RFC 8725 2.1: no signature at all); HS256 with the public keys as the secret (the same)."""
    head = _json({"alg": how, "typ": "JWT", "kid": "one"})
    said = f"{head}.{_json({'exp': int(time.time()) + seconds, **claims})}"
    if how == "none":
        return f"{said}."
    if how == "HS256":
        return f"{said}.{_text(hmac.new(jwks(by).encode(), said.encode(), hashlib.sha256).digest())}"
    r, s = decode_dss_signature(_key(by).sign(said.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{said}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
