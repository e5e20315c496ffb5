"""Key sets of token issuers (RFC 7517), read strictly.

Envoy refuses the issuers of all routes for one set in which it finds no key: nothing reaches it but keys that it can use, in the
fields that it reads (jwt_verify_lib, jwks.cc).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Tree = dict[str, Any]
CURVES = {"P-256": (SECP256R1, "ES256"), "P-384": (SECP384R1, "ES384"), "P-521": (SECP521R1, "ES512")}
RSA = tuple(f"{family}{size}" for family in ("RS", "PS") for size in (256, 384, 512))
SHORTEST, LONGEST = 1024, 8192  # bits of an RSA key; BoringSSL takes none of more than 16384
EXPONENTS = (3, 65537)  # jwks.cc: "non-standard key; reject it early"


def usable(text: str) -> str:
    """The set with those keys that can be used. ValueError says why there is none."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    keys = tree.get("keys") if isinstance(tree, dict) else None
    if not isinstance(keys, list):
        raise ValueError("it has no list of keys")
    found, problems = [], []
    for i, key in enumerate(keys):
        try:
            found.append(_key(key))
        except ValueError as e:
            problems.append(f"keys[{i}]: {e}")
    if not found:
        raise ValueError("; ".join(problems[:3]) or "it has no keys")
    return json.dumps({"keys": found}, sort_keys=True)


def _key(key: object) -> Tree:
    if not isinstance(key, dict):
        raise ValueError("it is not an object")
    if key.get("use") not in (None, "sig"):
        raise ValueError("it is not for signatures")
    kind = str(key.get("kty"))
    made: Tree = {"kty": kind, **{n: key[n] for n in ("kid", "alg") if isinstance(key.get(n), str) and key[n]}}
    try:
        "".join(made.values()).encode()
    except UnicodeEncodeError:  # half of a character, as the escape \ud800 is
        raise ValueError("kid must be text") from None
    if kind == "RSA":
        _one_of(made, RSA)
        modulus, exponent = (_number(key, n) for n in ("n", "e"))
        if not SHORTEST <= modulus.bit_length() <= LONGEST or not modulus % 2 or exponent not in EXPONENTS:
            raise ValueError(f"n and e are no RSA key of {SHORTEST} to {LONGEST} bits with the exponent 3 or 65537")
        return made | {"n": key["n"], "e": key["e"]}
    if kind == "EC":
        curve = key.get("crv")
        if curve not in CURVES:
            raise ValueError(f"crv must be one of {', '.join(CURVES)}")
        cls, algorithm = CURVES[str(curve)]
        _one_of(made, (algorithm,))
        EllipticCurvePublicNumbers(_number(key, "x"), _number(key, "y"), cls()).public_key()  # whether it is on the curve
        return made | {"crv": curve, "x": key["x"], "y": key["y"]}
    if kind == "OKP":
        if key.get("crv") != "Ed25519":
            raise ValueError("crv must be Ed25519")
        _one_of(made, ("EdDSA",))
        Ed25519PublicKey.from_public_bytes(_bytes(key, "x"))
        return made | {"crv": "Ed25519", "x": key["x"]}
    if kind == "oct":
        _one_of(made, ("HS256", "HS384", "HS512"))
        if not _bytes(key, "k"):
            raise ValueError("k is empty")
        return made | {"k": key["k"]}
    raise ValueError("kty must be RSA, EC, OKP or oct")


def _one_of(made: Tree, algorithms: tuple[str, ...]) -> None:
    if "alg" in made and made["alg"] not in algorithms:
        raise ValueError(f"alg must be {' or '.join(algorithms)}")


def _bytes(key: Tree, name: str) -> bytes:
    text = key.get(name)
    if not isinstance(text, str) or not text or "=" in text:
        raise ValueError(f"{name} must be base64url without padding")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{name} must be base64url without padding") from None


def _number(key: Tree, name: str) -> int:
    return int.from_bytes(_bytes(key, name), "big")
