"""Certificates and keys as users give them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from seaway.pki.pem import authorities_problem, pair_problem, server_names

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def pem(key: Key, *names: str, common: str = "Common.Example.com") -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + timedelta(days=1))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def private(key: Key, password: bytes = b"", style: str = "PKCS8") -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, getattr(serialization.PrivateFormat, style), how)


EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("key", "style"),
    [(EC, "PKCS8"), (EC, "TraditionalOpenSSL"), (RSA, "PKCS8"), (RSA, "TraditionalOpenSSL")],
)
def test_keys_that_proxies_serve_are_good(key: Key, style: str) -> None:
    assert pair_problem(pem(key), private(key, style=style)) == ""


def test_a_chain_and_text_around_it_are_good() -> None:
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    chain = b"subject: x\n" + pem(EC) + pem(RSA)
    assert pair_problem(chain, parameters + private(EC, style="TraditionalOpenSSL")) == ""


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (ec.generate_private_key(ec.SECP256K1()), "the key is on curve secp256k1, which proxies do not serve"),
        (rsa.generate_private_key(65537, 1024), "the RSA key has 1024 bits, fewer than 2048"),
        (ed25519.Ed25519PrivateKey.generate(), "the key is neither RSA nor ECDSA"),
    ],
)
def test_keys_that_proxies_do_not_serve_are_named(key: Key, problem: str) -> None:
    assert pair_problem(pem(key), private(key)) == problem


def test_a_passphrase_another_key_and_nonsense_are_told_apart() -> None:
    assert pair_problem(pem(EC), private(EC, b"secret")) == "tls.key is encrypted with a passphrase"
    assert pair_problem(pem(EC), private(RSA)) == "tls.key does not belong to the first certificate of tls.crt"
    assert pair_problem(pem(EC), b"nonsense") == "tls.key is not a private key in PEM form"
    assert pair_problem(private(EC), private(EC)) == "tls.crt is not a certificate in PEM form"


def test_authorities_are_certificates() -> None:
    assert authorities_problem(pem(EC) + pem(RSA)) == ""
    assert authorities_problem(b"") == authorities_problem(private(EC)) == "ca.crt holds no certificate in PEM form"


def test_names_are_the_alternative_ones_or_the_common_one() -> None:
    assert server_names(pem(EC, "A.example.com", "*.example.com")) == ("a.example.com", "*.example.com")
    assert server_names(pem(EC)) == ("common.example.com",)
    assert server_names(b"nonsense") == ()
