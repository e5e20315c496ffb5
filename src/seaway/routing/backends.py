"""Services as backends: which cluster a Service port is, who answers for it, and how backends are spoken to.

A cluster is a Service port; its name is NAMESPACE/SERVICE/PORT. Requests go to pod addresses, never to the ClusterIP.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import get
from seaway.routing.incremental import View
from seaway.routing.ir import BackendTls, Cluster, End, Endpoints
from seaway.services.resolve import Endpoint, endpoints_of

Tree = dict[str, Any]
SLICES_OF_SERVICE = "slices by service"  # index: "NAMESPACE/SERVICE" -> EndpointSlices
# KEP-3726 and GEP-1911; what else is seen in the wild says the same.
APP_PROTOCOLS = {
    "kubernetes.io/h2c": "h2",
    "kubernetes.io/ws": "http1",
    "kubernetes.io/wss": "http1",
    "grpc": "h2",
    "http": "http1",
    "https": "http1",
    "http2": "h2",
    "h2c": "h2",
}


class ServicePort(NamedTuple):
    """What routing needs to know of a Service port. `external`: the name of an ExternalName Service."""

    port: int
    name: str
    protocol: str
    app_protocol: str
    external: str


def cluster_name(namespace: str, service: str, port: int, suffix: str = "") -> str:
    return f"{namespace}/{service}/{port}{'/' + suffix if suffix else ''}"


def service_ports(view: View, namespace: str, name: str) -> tuple[ServicePort, ...] | None:
    """A decision: the ports of a Service, None where there is no such Service."""
    service = view.get("services", namespace, name)
    if service is None:
        return None
    spec = service.get("spec") or {}
    external = str(spec.get("externalName") or "") if spec.get("type") == "ExternalName" else ""
    return tuple(
        ServicePort(
            int(p["port"]),
            str(p.get("name") or ""),
            str(p.get("protocol") or "TCP"),
            str(p.get("appProtocol") or ""),
            external,
        )
        for p in spec.get("ports") or ()
    )


def service_port(
    view: View, namespace: str, service: str, port: int | str, protocol: str = "TCP"
) -> ServicePort | None:
    """One port of a Service, by number or by name."""
    found = view.ask(service_ports, namespace, service) or ()
    return next((p for p in found if port in (p.port, p.name) and p.protocol == protocol), None)


def protocol_of(port: ServicePort, fallback: str = "http1") -> str:
    """How the endpoints are spoken to: "http1" or "h2"; "" where the appProtocol is one that is not known."""
    word = port.app_protocol.lower()
    if word in APP_PROTOCOLS:
        return APP_PROTOCOLS[word]
    # A name with a domain means something precise, which to guess at would be wrong.
    return "" if "/" in word else fallback


def cluster_of(
    namespace: str, service: str, port: ServicePort, protocol: str, tls: BackendTls | None = None, sealed: bool = False
) -> Cluster:
    """The cluster of a Service port. One that speaks otherwise than the port's usual users do has a name of its own: also one
    whose bytes are `sealed` already, which must not be what others' TLS is left out by."""
    suffix = "" if protocol == protocol_of(port) else protocol  # "tcp", "udp", or a protocol that a route insists on
    suffix = "sealed" if sealed else suffix
    return Cluster(cluster_name(namespace, service, port.port, suffix), protocol, tls, port.external, port.port)


def _end(endpoint: Endpoint) -> End:
    return End(endpoint.address, endpoint.port, endpoint.zone, not endpoint.ready)


def endpoints(view: View, cluster: str) -> Endpoints:
    """A decision: who answers for a cluster. Endpoints that are ready; only where none is, those that terminate and still serve
    (KEP-1669), so that the last pods of a Service carry its requests to their end."""
    namespace, service, port, *suffixes = cluster.split("/")
    ports = view.ask(service_ports, namespace, service) or ()
    protocol = "UDP" if "udp" in suffixes else "TCP"  # a Service may have both on one port
    known = next((p for p in ports if p.port == int(port) and p.protocol == protocol), None)
    if known is None or known.external:
        return Endpoints(cluster, ())
    slices = []
    for key in view.find(SLICES_OF_SERVICE, f"{namespace}/{service}"):
        tree = view.get("endpointslices", *key)
        if tree is not None:
            slices.append(tree)
    found: list[Endpoint] = []
    for family in (4, 6):
        found += endpoints_of(slices, family, known.name, known.protocol)
    # Of a dual-stack Service the first family stands for both: an endpoint would count twice otherwise.
    families = get(view.get("services", namespace, service), "spec", "ipFamilies") or ()
    first = [e for e in found if (":" in e.address) == (families[:1] == ["IPv6"])]
    found = first or found
    chosen = [e for e in found if e.ready and not e.terminating] or [e for e in found if e.serving and e.terminating]
    return Endpoints(cluster, tuple(sorted(map(_end, chosen))))
