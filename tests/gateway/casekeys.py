"""Authorities and certificates for the cases: made once a run, by name; also with URIs and with times that are over."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Pair(NamedTuple):
    """A certificate and its key, PEM."""

    certificate: str
    key: str


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def _builder(name: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    start, end = sorted((now - timedelta(hours=1), now + timedelta(days=days)))
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end))


@cache
def _authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, None, key, 3650).add_extension(x509.BasicConstraints(True, None), True)
    return builder.sign(key, hashes.SHA256()), key


def authority(name: str) -> str:
    """The certificate of the authority of this name, PEM."""
    return _authority(name)[0].public_bytes(serialization.Encoding.PEM).decode()


@cache
def issue(signed_by: str, names: tuple[str, ...], days: int = 30) -> Pair:
    """A certificate for hosts, addresses and URIs; the first is its common name. With negative days it is over."""
    certificate, issuer_key = _authority(signed_by)
    key = ec.generate_private_key(ec.SECP256R1())
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name))
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (_builder(names[0][:64], certificate.subject, key, days)
               .add_extension(x509.BasicConstraints(False, None), True)
               .add_extension(x509.SubjectAlternativeName(found), False)
               .add_extension(x509.ExtendedKeyUsage(usages), False))
    return Pair(builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(), _pem(key))


def names(pem: str | bytes) -> list[str]:
    """For whom a certificate is."""
    found = x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
    try:
        entries = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(e.value) for e in entries]
