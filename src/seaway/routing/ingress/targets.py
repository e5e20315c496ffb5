"""A backend of an Ingress as what is done with its requests.

A Service or port that is not there answers 503, as ingress-nginx does, and so does one without endpoints (the proxy's own
answer). Requests go to pod addresses, never to the ClusterIP; those of an ExternalName Service to what its name resolves to.
"""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

import msgspec

from seaway.api.tree import get
from seaway.routing.backends import ServicePort, cluster_of, protocol_of, service_port, service_ports
from seaway.routing.incremental import View
from seaway.routing.ingress.problems import BACKEND, PROTOCOL, UNSUPPORTED, Problem
from seaway.routing.ir import BackendTls, Cluster, Forward, Respond, Target
from seaway.routing.policies.security import Led

Tree = dict[str, Any]
UNAVAILABLE = Respond(503)
REFUSED = "its requests are answered with 503"
# What appProtocol says of TLS to the endpoints. It names no authority, so nothing is checked, as with ingress-nginx's
# `backend-protocol: HTTPS`.
WITH_TLS = ("https", "kubernetes.io/wss")


class Served(NamedTuple):
    """`cluster` is what the action refers to. `problem`: why it does not reach the backend, said of its field."""

    action: Forward | Respond
    cluster: Cluster | None = None
    problem: Problem | None = None


def served(view: View, namespace: str, backend: Tree, field: str) -> Served:
    """What comes of the requests for a backend."""

    def refused(reason: str, why: str) -> Served:
        return Served(UNAVAILABLE, None, Problem(reason, f"{field}: {why}; {REFUSED}"))

    resource = backend.get("resource")
    if resource is not None:
        kind = "/".join(filter(None, (resource.get("apiGroup"), resource.get("kind"))))
        return refused(
            UNSUPPORTED, f"resource backends ({kind} {resource.get('name')}) cannot be served, only Services"
        )
    service = str(get(backend, "service", "name") or "")
    wanted = get(backend, "service", "port", "number") or get(backend, "service", "port", "name") or ""
    found = view.ask(target, namespace, service, wanted)
    if found.problem is not None:
        return refused(found.problem.reason, found.problem.message)
    return found


def target(view: View, namespace: str, service: str, wanted: int | str) -> Served:
    """A decision: a Service port as a target; the message of its problem lacks the field."""
    port = service_port(view, namespace, service, wanted) or _external_port(view, namespace, service, wanted)
    if port is None:
        if view.ask(service_ports, namespace, service) is None:
            return Served(UNAVAILABLE, None, Problem(BACKEND, f"Service {namespace}/{service} does not exist"))
        return Served(UNAVAILABLE, None, Problem(BACKEND, f"Service {namespace}/{service} has no TCP port {wanted}"))
    if port.external and own_address(port.external):
        why = f"Service {namespace}/{service} is an external name for the proxy itself ({port.external})"
        return Served(UNAVAILABLE, None, Problem(UNSUPPORTED, why))
    # Ingress has never said what an appProtocol of somebody's own is: it is HTTP, as without one.
    protocol = protocol_of(port) or ("" if port.app_protocol.lower().startswith("kubernetes.io/") else "http1")
    if not protocol:
        known = f"Service {namespace}/{service}: appProtocol {port.app_protocol} of port {port.port} is not known"
        return Served(UNAVAILABLE, None, Problem(PROTOCOL, known))
    name = port.external or f"{service}.{namespace}.svc"
    tls = BackendTls(name) if port.app_protocol.lower() in WITH_TLS else None
    cluster = cluster_of(namespace, service, port, protocol, tls)
    if port.external:
        cluster = msgspec.structs.replace(cluster, port=view.ask(_external_target, namespace, service, port.port))
    return Served(Forward((Target(cluster.name, title=f"{service}:{wanted}"),)), cluster)


def led(view: View, to: Led) -> Cluster | str:
    """The cluster of a Service that a policy asks, as that of a backend; one that must speak HTTP/2 has a name of its own."""
    found = view.ask(target, to.namespace, to.service, to.port)
    port = service_port(view, to.namespace, to.service, to.port)
    if found.cluster is None or port is None:
        return (
            found.problem.message if found.problem is not None else f"Service {to.namespace}/{to.service} is not there"
        )
    if to.protocol:
        return cluster_of(to.namespace, to.service, port, to.protocol, found.cluster.tls)
    return found.cluster


def _external_port(view: View, namespace: str, service: str, wanted: int | str) -> ServicePort | None:
    """A port of an ExternalName Service that does not list it: any number will do, as in ingress-nginx."""
    spec = view.ask(_external_spec, namespace, service)
    if spec is None or not isinstance(wanted, int):
        return None
    return ServicePort(wanted, "", "TCP", "", str(spec.get("externalName") or ""))


def _external_spec(view: View, namespace: str, service: str) -> Tree | None:
    """A decision: the spec of a Service, if it is an ExternalName."""
    spec = get(view.get("services", namespace, service), "spec")
    return spec if get(spec, "type") == "ExternalName" and get(spec, "externalName") else None


def _external_target(view: View, namespace: str, service: str, port: int) -> int:
    """A decision: where a port of an ExternalName Service leads: to its targetPort, where that is a number."""
    for entry in get(view.ask(_external_spec, namespace, service), "ports") or ():
        if entry.get("port") == port and isinstance(entry.get("targetPort"), int):
            return int(entry["targetPort"]) or port
    return port


def own_address(name: str) -> bool:
    """Whether an external name is the proxy itself or its node: what listens there believes who comes from there."""
    lower = name.lower().rstrip(".")
    if lower == "localhost" or lower.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(lower)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or address.is_link_local
