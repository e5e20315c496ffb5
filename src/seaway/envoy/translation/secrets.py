"""Certificates with their keys, and authorities, as secrets of SDS."""

from __future__ import annotations

from seaway.envoy import messages
from seaway.envoy.translation.wire import serialised
from seaway.routing.ir import Certificate, Trust


def certificate(wanted: Certificate) -> bytes:
    found = messages.Secret(name=wanted.name)
    found.tls_certificate.certificate_chain.inline_bytes = wanted.chain
    found.tls_certificate.private_key.inline_bytes = wanted.key
    return serialised(found)


def trust(wanted: Trust) -> bytes:
    found = messages.Secret(name=wanted.name)
    found.validation_context.trusted_ca.inline_bytes = wanted.authorities
    return serialised(found)
