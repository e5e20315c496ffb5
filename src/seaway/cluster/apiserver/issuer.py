"""What others need to check ServiceAccount tokens by themselves: OpenID discovery and the keys (KEP-1393); pure."""

from __future__ import annotations

from typing import Any

from seaway.pki.tokens import Signer

Tree = dict[str, Any]
CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
KEYS_TYPE = "application/jwk-set+json"
CACHE_CONTROL = "public, max-age=3600"


def configuration(address: str, signer: Signer) -> Tree:
    """`address`: HOST:PORT of the API server."""
    return {
        "issuer": signer.issuer,
        "jwks_uri": f"https://{address}{KEYS}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }


def keys(signer: Signer) -> Tree:
    return {"keys": [signer.public()]}
