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


def custom(resource: str, version: str) -> Kind:
    """A kind of Gateway API."""
    kind, namespaced = GATEWAY_API[resource]
    return Kind(GROUP, version, resource, kind, namespaced, VERBS)


def served(resources: Mapping[str, Iterable[str]]) -> dict[str, Kind]:
    """Of what discovery says, version -> resources: each kind in the best version."""
    found: dict[str, Kind] = {}
    for version in VERSIONS:
        for resource in resources.get(version, ()):
            if resource in GATEWAY_API:
                found.setdefault(resource, custom(resource, version))
    return found
