"""TLS contexts, towards clients and towards backends. Keys and authorities are named, never inside: they come by SDS."""

from __future__ import annotations

from typing import Any

from seaway.api.policies.clients import CIPHERS
from seaway.envoy import messages
from seaway.routing.ir import BackendTls, ServerTls
from seaway.routing.policy import ClientPolicy

_VERSIONS = {"1.0": 1, "1.1": 2, "1.2": 3, "1.3": 4}  # TlsParameters.TlsProtocol
# Where Envoy's own images keep the well-known authorities.
WELL_KNOWN = "/etc/ssl/certs/ca-certificates.crt"
_SANS = {"dns": 2, "uri": 3}  # SubjectAltNameMatcher.SanType: DNS, URI


def by_ads(source: Any) -> None:
    """Writes into a ConfigSource that the stream which brought this brings that too."""
    source.resource_api_version = 2  # V3
    source.ads.SetInParent()


def _secret(config: Any, name: str) -> None:
    config.name = name
    by_ads(config.sds_config)


def server(wanted: ServerTls, policy: ClientPolicy = ClientPolicy()) -> Any:  # noqa: B008
    """The DownstreamTlsContext of a filter chain."""
    found = messages.DownstreamTlsContext()
    common = found.common_tls_context
    common.alpn_protocols.extend(wanted.alpn)
    versions = (wanted.minimum or policy.minimum_tls, "minimum"), (wanted.maximum or policy.maximum_tls, "maximum")
    for version, name in versions:
        if version in _VERSIONS:
            setattr(common.tls_params, f"tls_{name}_protocol_version", _VERSIONS[version])
    # Of TLS 1.3 none can be left out. One that Envoy does not know would be refused with the whole socket.
    ciphers = [c for c in policy.ciphers if c in CIPHERS]
    if ciphers:
        common.tls_params.cipher_suites.extend(ciphers)
    for certificate in wanted.certificates:
        _secret(common.tls_certificate_sds_secret_configs.add(), certificate)
    if wanted.client is not None:
        combined = common.combined_validation_context
        _secret(combined.validation_context_sds_secret_config, wanted.client.trust)
        combined.default_validation_context.SetInParent()
        found.require_client_certificate.value = wanted.client.required
        if not wanted.client.required and not wanted.client.checked:
            # GEP-91, AllowInsecureFallback: a bad certificate is let in too, and the backend is told of none.
            context = combined.default_validation_context
            context.trust_chain_verification = context.ACCEPT_UNTRUSTED
    return found


def quic(wanted: ServerTls, policy: ClientPolicy) -> Any:
    """The QuicDownstreamTransport of a filter chain: TLS 1.3, and HTTP/3 alone."""
    found = messages.QuicDownstreamTransport()
    found.downstream_tls_context.CopyFrom(server(wanted, policy))
    common = found.downstream_tls_context.common_tls_context
    common.ClearField("tls_params")
    del common.alpn_protocols[:]
    common.alpn_protocols.append("h3")
    # What came early could be played again by somebody else (RFC 8470).
    found.enable_early_data.value = False
    return found


def backend(wanted: BackendTls, protocol: str) -> Any:
    """The UpstreamTlsContext of a cluster. Checked unless neither authorities nor the system's are named."""
    found = messages.UpstreamTlsContext(sni=wanted.hostname)
    common = found.common_tls_context
    if protocol == "h2":
        common.alpn_protocols.append("h2")
    elif protocol == "http1":
        common.alpn_protocols.append("http/1.1")
    if wanted.certificate:
        _secret(common.tls_certificate_sds_secret_configs.add(), wanted.certificate)
    if not wanted.trust and not wanted.system:
        return found
    if wanted.trust:
        combined = common.combined_validation_context
        _secret(combined.validation_context_sds_secret_config, wanted.trust)
        context = combined.default_validation_context
    else:
        context = common.validation_context
        context.trusted_ca.filename = WELL_KNOWN
    for kind, value in wanted.names or (("dns", wanted.hostname),):
        name = context.match_typed_subject_alt_names.add(san_type=_SANS[kind])
        # RFC 6125: a certificate's `*.example.com` stands for the name that is asked for.
        name.matcher.exact = value
    return found


def secrets_of_server(wanted: ServerTls | None) -> set[str]:
    if wanted is None:
        return set()
    return set(wanted.certificates) | ({wanted.client.trust} if wanted.client else set())


def secrets_of_backend(wanted: BackendTls | None) -> set[str]:
    if wanted is None:
        return set()
    return {wanted.certificate, wanted.trust} - {""}
