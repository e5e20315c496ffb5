"""Certificate requests (PKCS 10): whether one can be read and is signed by its own key."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

BLOCK = b"-----BEGIN CERTIFICATE REQUEST-----"


def problem(pem_base64: str) -> str:
    """What is wrong with a request, base64 of PEM; empty where nothing is."""
    try:
        pem = base64.b64decode(pem_base64)
    except (binascii.Error, ValueError):
        return "PEM block type must be CERTIFICATE REQUEST"
    if BLOCK not in pem:
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_pem_x509_csr(pem)
        return "" if request.is_signature_valid else "x509: invalid signature"
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as e:
        return f"asn1: structure error: {e}"


def groups(pem_base64: str) -> list[str]:
    """The organizations that a request names: the groups of the user it is for."""
    request = x509.load_pem_x509_csr(base64.b64decode(pem_base64))
    return [str(a.value) for a in request.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)]
