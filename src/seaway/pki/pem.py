"""Whether what users give as certificates, keys and authorities can be used; what is wrong is said as a sentence's end."""

from __future__ import annotations

import functools

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

CURVES = ("secp256r1", "secp384r1", "secp521r1")
SMALLEST_RSA = 2048


@functools.lru_cache(4096)
def pair_problem(chain: bytes, key: bytes) -> str:
    """Why a certificate chain and a key cannot serve together, "" if they can."""
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError:
        return "tls.crt is not a certificate in PEM form"
    try:
        private = serialization.load_pem_private_key(key, None)
    except TypeError:
        return "tls.key is encrypted with a passphrase"
    except Exception:  # the library has errors of its own for keys that it does not know
        return "tls.key is not a private key in PEM form"
    if isinstance(private, rsa.RSAPrivateKey):
        if private.key_size < SMALLEST_RSA:
            return f"the RSA key has {private.key_size} bits, fewer than {SMALLEST_RSA}"
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        if private.curve.name not in CURVES:
            return f"the key is on curve {private.curve.name}, which proxies do not serve"
    else:
        return "the key is neither RSA nor ECDSA"
    try:
        matches = certificates[0].public_key() == private.public_key()
    except Exception:
        return "the certificate's public key cannot be read"
    return "" if matches else "tls.key does not belong to the first certificate of tls.crt"


@functools.lru_cache(4096)
def authorities_problem(pem: bytes) -> str:
    """Why certificates cannot be checked against these authorities, "" if they can."""
    try:
        x509.load_pem_x509_certificates(pem)
    except ValueError:
        return "ca.crt holds no certificate in PEM form"
    return ""


@functools.lru_cache(4096)
def server_names(chain: bytes) -> tuple[str, ...]:
    """The DNS names that a chain's first certificate is for, in lower case; of one without the extension its common name."""
    try:
        first = x509.load_pem_x509_certificates(chain)[0]
        extension = first.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return tuple(n.lower() for n in extension.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        common = first.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(c.value).lower() for c in common)
    except ValueError:
        return ()
