"""What a certificate says: whom it names, from when to when, and who signed it; PEM in, plain values out."""

from __future__ import annotations

from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature


class Certificate(NamedTuple):
    """The first certificate of a chain. Times are seconds since the epoch."""

    common_name: str
    begins: float
    ends: float
    uris: tuple[str, ...]
    dns_names: tuple[str, ...]


def _first(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except Exception as e:  # the library has errors of its own for what it does not know
        raise ValueError(f"no certificate can be read: {e}") from None


def certificate(pem: bytes) -> Certificate:
    """ValueError where there is none that can be read."""
    found = _first(pem)
    common = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
        dns_names = tuple(names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        uris = dns_names = ()
    except ValueError as e:
        raise ValueError(f"no certificate can be read: {e}") from None
    return Certificate(
        str(common[0].value) if common else "",
        found.not_valid_before_utc.timestamp(),
        found.not_valid_after_utc.timestamp(),
        uris,
        dns_names,
    )


def is_signed_by(pem: bytes, authority: bytes) -> bool:
    """Whether the authority's own key signed the certificate."""
    try:
        _first(pem).verify_directly_issued_by(_first(authority))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
