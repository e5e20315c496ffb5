"""Key sets: what Envoy would refuse, with the issuers of everybody else, never reaches it."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from seaway.pki.keysets import usable


def number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode().rstrip("=")


def rsa_key(bits: int = 2048) -> dict[str, object]:
    numbers = rsa.generate_private_key(65537, bits).public_key().public_numbers()
    return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}


def ec_key() -> dict[str, object]:
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": number(numbers.x), "y": number(numbers.y)}


def ed_key() -> dict[str, object]:
    raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).decode().rstrip("=")}


OCT: dict[str, object] = {"kty": "oct", "k": "c2VjcmV0"}


@pytest.mark.parametrize("key", [rsa_key() | {"alg": "PS256"}, ec_key() | {"alg": "ES256"}, ed_key(), OCT | {"alg": "HS512", "kid": "a"}], ids=lambda k: k["kty"])
def test_a_good_key_is_kept_with_what_is_read_of_it(key: dict[str, object]) -> None:
    assert json.loads(usable(json.dumps({"keys": [key | {"use": "sig", "x5c": ["no certificate"], "key_ops": 7}]}))) == {"keys": [key]}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (rsa_key(1024) | {"n": "AQAB"}, "no RSA key"),
        (rsa_key(1024) | {"e": "!"}, "e must be base64url"),
        (rsa_key(1024) | {"e": "BQ"}, "exponent 3 or 65537"),
        (rsa_key(1024) | {"n": number((1 << 16500) + 1)}, "1024 to 8192 bits"),
        (OCT | {"kid": "\ud800"}, "kid must be text"),
        (rsa_key(1024) | {"alg": "ES256"}, "alg must be"),
        (ec_key() | {"crv": "P-192"}, "crv must be one of"),
        (ec_key() | {"x": "AQAB"}, "curve"),
        (ec_key() | {"y": None}, "y must be base64url"),
        (ed_key() | {"x": "AQAB"}, "32 bytes"),
        (ed_key() | {"crv": "X25519"}, "crv must be Ed25519"),
        (OCT | {"k": ""}, "k must be"),
        (OCT | {"use": "enc"}, "not for signatures"),
        ({"kty": "other"}, "kty must be"),
        ("text", "not an object"),
    ],
    ids=str,
)
def test_a_bad_key_is_left_out_and_a_set_of_bad_keys_is_none(key: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        usable(json.dumps({"keys": [key]}))
    assert json.loads(usable(json.dumps({"keys": [key, OCT]}))) == {"keys": [OCT]}


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"keys": {}}', '{"keys": []}', "[" * 100_000])
def test_what_is_no_set_is_told(text: str) -> None:
    with pytest.raises(ValueError):
        usable(text)
