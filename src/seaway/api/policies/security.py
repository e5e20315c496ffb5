"""SecurityPolicy: who may pass. What cannot be carried out lets nobody pass."""

from __future__ import annotations

from seaway.api.gateway.conditions import POLICY_STATUS
from seaway.api.gateway.filters import CORS
from seaway.api.gateway.names import HEADER_NAME
from seaway.api.gateway.schema import Tree, choice, defaulted, listing, record, rule, text, told, unique
from seaway.api.policies.shared import (
    BACKEND,
    CIDR,
    COOKIE_NAME,
    IDENTITY_HEADER,
    INGRESSES,
    LASTING_DURATION,
    PATH,
    QUANTITY,
    ROUTED,
    SECRET,
    targets,
)

_PROVIDER = record(
    {
        "name!": text(1, 63, "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        "issuer": text(1, 1024),
        "audiences": unique(text(1, 1024), 16),
        "jwks": told(text(1, 65536), "The keys themselves, as a JWKS."),
        "remote": record({"backendRef!": BACKEND, "path!": PATH}),
        "claimsToHeaders": listing(record({"claim!": text(1, 256), "header!": IDENTITY_HEADER}), None, 16),
    },
    rule("has(self.jwks) != has(self.remote)", "exactly one of jwks and remote must be given"),
)
_ADDRESSES = record({"addresses!": listing(CIDR, 1, 256)})
FIELDS: dict[str, Tree] = {
    "cors": CORS,
    "basicAuth": record(
        {
            "users!": told(SECRET, "Its entry `auth` is an htpasswd file with SHA hashes."),
            "realm": text(1, 128, '^[^"\\\\\\x00-\\x1f]+$'),
            "forwardUserAs": IDENTITY_HEADER,
        }
    ),
    "apiKeys": record(
        {
            "secretRefs!": told(listing(SECRET, 1, 16), "Each entry is a client and its key."),
            "in!": listing(record({"type!": choice("Header", "QueryParam", "Cookie"), "name!": COOKIE_NAME}), 1, 8),
            "forwardClientAs": IDENTITY_HEADER,
        }
    ),
    "jwt": record({"providers!": listing(_PROVIDER, 1, 8)}),
    "externalAuth": record(
        {
            "protocol": defaulted(choice("HTTP", "GRPC"), "HTTP"),
            "backendRef!": BACKEND,
            "path": told(PATH, "Put before the request's own."),
            "timeout": LASTING_DURATION,
            "forwardHeaders": told(unique(HEADER_NAME, 32), "Of the request, to whom is asked."),
            "backendHeaders": told(unique(IDENTITY_HEADER, 32), "Of the answer, to the backend."),
            "maxBody": told(QUANTITY, "So much of the request's body is shown."),
        }
    ),
    "allow": told(_ADDRESSES, "Only clients with these addresses."),
    "deny": told(_ADDRESSES, "No clients with these addresses."),
}
TARGETS = (*ROUTED, *INGRESSES)
SECURITY_POLICY = {
    "spec!": record({"targetRefs!": targets(TARGETS), **FIELDS}),
    "status": POLICY_STATUS,
}
