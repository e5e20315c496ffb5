"""ClientTrafficPolicy: what the listeners of a Gateway, or of an IngressClass, ask of and grant to clients."""

from __future__ import annotations

from seaway.api.gateway.conditions import POLICY_STATUS
from seaway.api.gateway.schema import Tree, choice, defaulted, flag, listing, record, rule, told, unique, whole
from seaway.api.policies.shared import (
    AUTHORITY,
    CIDR,
    COUNT,
    GATEWAY_GROUP,
    LASTING_DURATION,
    NETWORKING,
    targets,
)

_TLS_VERSION = choice("1.2", "1.3")
# Those that BoringSSL knows: a proxy refuses a listener with any other, as a whole.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
)
FIELDS: dict[str, Tree] = {
    "tls": record(
        {
            "minVersion": _TLS_VERSION,
            "maxVersion": _TLS_VERSION,
            "ciphers": told(unique(choice(*CIPHERS), 32), "Of TLS 1.2, by OpenSSL's names."),
            "clientCertificates": record(
                {"caCertificateRefs!": listing(AUTHORITY, 1, 8), "optional": defaulted(flag(), False)}
            ),
        },
        rule(
            "!has(self.minVersion) || !has(self.maxVersion) || self.minVersion <= self.maxVersion",
            "minVersion must not be above maxVersion",
        ),
    ),
    "proxyProtocol": told(flag(), "Connections begin with a PROXY header, which says who the client is."),
    "trustedForwarders": told(
        record(
            {"hops": whole(1, 16), "addresses": listing(CIDR, None, 64)},
            rule("has(self.hops) != has(self.addresses)", "exactly one of hops and addresses must be given"),
        ),
        "Whose X-Forwarded-For counts.",
    ),
    "http2": record({"maxConcurrentStreams": whole(1, 2147483647, "int64")}),
    "http3": told(flag(), "Also served over QUIC, on the same port by UDP."),
    "maxHeaderKiB": whole(1, 8192),
    "timeouts": record({"idle": LASTING_DURATION, "request": told(LASTING_DURATION, "To receive a request, whole.")}),
    "maxConnections": COUNT,
}
TARGETS = ((GATEWAY_GROUP, "Gateway"), (NETWORKING, "IngressClass"))
CLIENT_TRAFFIC_POLICY = {
    "spec!": record({"targetRefs!": targets(TARGETS), **FIELDS}),
    "status": POLICY_STATUS,
}
