"""A certificate authority in memory: issues server and client certificates (X.509, ECDSA P-256)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class RequestError(ValueError):
    """A certificate signing request that cannot be read, or whose signature is not its own."""


@dataclass(frozen=True, slots=True)
class Request:
    """A certificate signing request (PKCS 10), as a signer judges it."""

    pem: bytes
    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def new_key() -> bytes:
    """A fresh P-256 key, PEM (PKCS 8)."""
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def read_request(pem: bytes) -> Request:
    """A request in PEM; RequestError says what is wrong with it."""
    try:
        found = x509.load_pem_x509_csr(pem)
        valid = found.is_signature_valid
    except (ValueError, TypeError) as e:
        raise RequestError(str(e)) from None
    except Exception as e:  # the library has errors of its own for keys and hashes that it does not know
        raise RequestError(f"{type(e).__name__}: {e}") from None
    if not valid:
        raise RequestError("the signature is not that of its key")
    common = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    organizations = found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    names: x509.SubjectAlternativeName | None = None
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass

    def of(kind: type[x509.DNSName] | type[x509.RFC822Name] | type[x509.UniformResourceIdentifier]) -> tuple[str, ...]:
        return tuple(names.get_values_for_type(kind)) if names is not None else ()

    return Request(
        pem,
        str(common[0].value) if common else "",
        tuple(str(o.value) for o in organizations),
        of(x509.DNSName),
        tuple(str(a) for a in names.get_values_for_type(x509.IPAddress)) if names is not None else (),
        of(x509.RFC822Name),
        of(x509.UniformResourceIdentifier),
    )


# Kubernetes' names of usages (certificates.k8s.io/v1 KeyUsage): places in KeyUsage, and extended ones.
KEY_USAGES = (
    ("digital signature", "signing"),
    ("content commitment",),
    ("key encipherment",),
    ("data encipherment",),
    ("key agreement",),
    ("cert sign",),
    ("crl sign",),
    ("encipher only",),
    ("decipher only",),
)
EXTENDED_USAGES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
}


class Authority:
    """Signs with one key. `now` and lifetimes are the caller's."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key

    @classmethod
    def new(cls, name: str, now: float, days: int = 3650) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        start = datetime.fromtimestamp(now, UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start - timedelta(minutes=5))
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.KeyUsage(True, False, True, False, False, True, False, False, False), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        return cls(Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)))

    def issue(
        self,
        name: str,
        now: float,
        organizations: tuple[str, ...] = (),
        hosts: tuple[str, ...] = (),
        server: bool = False,
        days: int = 365,
        uris: tuple[str, ...] = (),
    ) -> Pair:
        """A certificate for `name`: a client's (its groups are the organizations), or a server's for `hosts`; `uris` are
        names of workloads (SPIFFE)."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if server else [])
        start = datetime.fromtimestamp(now, UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(parts))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start - timedelta(minutes=5))
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.KeyUsage(True, False, True, False, False, False, False, False, False), True)
            .add_extension(x509.ExtendedKeyUsage(usages), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
        )
        if hosts or uris:
            names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(u) for u in uris]
            for host in hosts:
                try:
                    names.append(x509.IPAddress(ipaddress.ip_address(host)))
                except ValueError:
                    names.append(x509.DNSName(host))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))

    def sign(self, request: Request, usages: tuple[str, ...], now: float, seconds: int) -> bytes:
        """The certificate of a request, with its subject and names, and these usages; PEM."""
        found = x509.load_pem_x509_csr(request.pem)
        start = datetime.fromtimestamp(now, UTC)
        end = min(start + timedelta(seconds=seconds), self._certificate.not_valid_after_utc)
        places = [any(n in usages for n in names) for names in KEY_USAGES]
        if not places[4]:
            places[7] = places[8] = False  # encipher and decipher only speak of key agreement
        builder = (
            x509.CertificateBuilder()
            .subject_name(found.subject)
            .issuer_name(self._certificate.subject)
            .public_key(found.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start - timedelta(minutes=5))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
        )
        if any(places):
            builder = builder.add_extension(x509.KeyUsage(*places), True)
        extended = list(dict.fromkeys(EXTENDED_USAGES[u] for u in usages if u in EXTENDED_USAGES))
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), False)
        try:
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            builder = builder.add_extension(names.value, names.critical)
        except x509.ExtensionNotFound:
            pass
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
