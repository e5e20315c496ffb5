"""The features of Gateway API that are supported, named as in its conformance profiles, sorted as a GatewayClass lists them."""

from __future__ import annotations

_CORE = "Gateway HTTPRoute GRPCRoute TLSRoute TCPRoute UDPRoute ListenerSet BackendTLSPolicy ReferenceGrant"
_GATEWAY = """
AddressEmpty BackendClientCertificate FrontendClientCertificateValidation FrontendClientCertificateValidationInsecureFallback
HTTPListenerIsolation HTTPSListenerDetectMisdirectedRequests InfrastructurePropagation Port8080 StaticAddresses
"""
_HTTP = """
303RedirectStatusCode 307RedirectStatusCode 308RedirectStatusCode BackendProtocolH2C BackendProtocolWebSocket
BackendRequestHeaderModification BackendRequestRedirect
BackendTimeout BackendURLRewrite CORS DestinationPortMatching HostRewrite MethodMatching NamedRouteRule
ParentRefPort PathRedirect PathRewrite PortRedirect QueryParamMatching RequestMirror RequestMultipleMirrors
RequestPercentageMirror RequestTimeout ResponseHeaderModification Retry RetryBackendTimeout RetryConnectionError SchemeRedirect
"""
FEATURES = tuple(
    sorted(
        [
            *_CORE.split(),
            *(f"Gateway{f}" for f in _GATEWAY.split()),
            *(f"HTTPRoute{f}" for f in _HTTP.split()),
            "BackendTLSPolicySANValidation",
            "GRPCRouteNamedRouteRule",
            "TLSRouteModeMixed",
            "TLSRouteModeTerminate",
        ]
    )
)
