"""The kinds that the gateway reads and writes, in the versions that an API server serves; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seaway.api.kinds import Kind
from seaway.client.rest import kind_of

GROUP = "gateway.networking.k8s.io"
VERBS = ("get", "list", "watch", "patch")
# The best first: objects are the same in all of them.
VERSIONS = ("v1", "v1beta1", "v1alpha3", "v1alpha2")
GATEWAY_API = {
    "gatewayclasses": ("GatewayClass", False),
    "gateways": ("Gateway", True),
    "httproutes": ("HTTPRoute", True),
    "grpcroutes": ("GRPCRoute", True),
    "tlsroutes": ("TLSRoute", True),
    "tcproutes": ("TCPRoute", True),
    "udproutes": ("UDPRoute", True),
    "listenersets": ("ListenerSet", True),
    "backendtlspolicies": ("BackendTLSPolicy", True),
    "referencegrants": ("ReferenceGrant", True),
}
BUILTIN = {
    "services": "services",
    "endpointslices": "endpointslices.discovery.k8s.io",
    "secrets": "secrets",
    "configmaps": "configmaps",
    "namespaces": "namespaces",
    "ingresses": "ingresses.networking.k8s.io",
    "ingressclasses": "ingressclasses.networking.k8s.io",
}


def builtin(resource: str) -> Kind:
    return kind_of(BUILTIN[resource])


POLICY_GROUP = "policy.seaway.dev"
POLICIES = {
    "backendtrafficpolicies": ("BackendTrafficPolicy", True),
    "clienttrafficpolicies": ("ClientTrafficPolicy", True),
    "securitypolicies": ("SecurityPolicy", True),
}
# group -> its kinds, and its versions, the best first
CUSTOM = {GROUP: (GATEWAY_API, VERSIONS), POLICY_GROUP: (POLICIES, ("v1alpha1",))}
KINDS = {**GATEWAY_API, **POLICIES}


def served(group: str, resources: Mapping[str, Iterable[str]]) -> dict[str, Kind]:
    """Of what discovery says of a group, version -> resources: each kind in the best version."""
    known, versions = CUSTOM[group]
    found: dict[str, Kind] = {}
    for version in versions:
        for resource in resources.get(version, ()):
            if resource in known:
                kind, namespaced = known[resource]
                found.setdefault(resource, Kind(group, version, resource, kind, namespaced, VERBS))
    return found
