"""The CustomResourceDefinitions of our policies."""

from __future__ import annotations

from seaway.api.gateway.definitions import AGE, Kind, Version, column, definition
from seaway.api.gateway.schema import Tree
from seaway.api.policies.clients import CLIENT_TRAFFIC_POLICY
from seaway.api.policies.security import SECURITY_POLICY
from seaway.api.policies.shared import GROUP_NAME, VERSION
from seaway.api.policies.traffic import BACKEND_TRAFFIC_POLICY

_COLUMNS = (
    column("Target", ".spec.targetRefs[0].name"),
    column("Accepted", '.status.ancestors[*].conditions[?(@.type=="Accepted")].status'),
    AGE,
)
KINDS = (
    Kind(
        "BackendTrafficPolicy",
        "backendtrafficpolicies",
        "How backends are used: balancing, stickiness, timeouts, retries, limits, health.",
        (Version(VERSION, BACKEND_TRAFFIC_POLICY, stored=True),),
        _COLUMNS,
        "btp",
    ),
    Kind(
        "ClientTrafficPolicy",
        "clienttrafficpolicies",
        "What listeners ask of and grant to clients.",
        (Version(VERSION, CLIENT_TRAFFIC_POLICY, stored=True),),
        _COLUMNS,
        "ctp",
    ),
    Kind(
        "SecurityPolicy",
        "securitypolicies",
        "Who may pass.",
        (Version(VERSION, SECURITY_POLICY, stored=True),),
        _COLUMNS,
        "secp",
    ),
)


def definitions() -> list[Tree]:
    return [definition(kind, GROUP_NAME, "gateway-policies", {}) for kind in KINDS]
