"""What a backendRef of a route leads to: a cluster of a fleet, or the reason why there is none."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.routing.backends import cluster_of, protocol_of, service_port, service_ports
from seaway.routing.gateway.backendtls import client_certificate, policy_of
from seaway.routing.incremental import View
from seaway.routing.ir import BackendTls, Cluster, Fleet
from seaway.routing.policies.security import Led
from seaway.routing.references import permitted, reference

Tree = dict[str, Any]
Problem = tuple[str, str]


class Backing(NamedTuple):
    """`problem` is one of the reference, for ResolvedRefs; `why` says why there is no cluster, also where the reference itself
    is good."""

    cluster: Cluster | None
    problem: Problem | None
    why: str = ""
    title: str = ""


def backing(
    view: View, kind: str, namespace: str, ref: Tree, fleet: Fleet, insisted: str = "", sealed: bool = False
) -> Backing:
    """The backend of a `kind` of route in `namespace`. `insisted`: the protocol that the route speaks, whatever the Service says:
    "h2", "tcp", "udp". `sealed`: what is passed on is the client's own TLS, to which none is added."""
    to = reference(ref, namespace, "Service")
    title = f"{to.namespace}/{to.name}:{ref.get('port') or ''}"
    if (to.group, to.kind) != ("", "Service"):
        what = f"{to.kind}{'.' + to.group if to.group else ''}"
        return _none(("InvalidKind", f"{what} cannot be a backend; a Service can"), title)
    if not permitted(view, kind, namespace, to):
        return _none(
            ("RefNotPermitted", f"{to.title} may not be used from here: no ReferenceGrant there allows it"), title
        )
    if view.ask(service_ports, to.namespace, to.name) is None:
        return _none(("BackendNotFound", f"{to.title} does not exist"), title)
    protocol = "UDP" if insisted == "udp" else "TCP"
    port = service_port(view, to.namespace, to.name, int(ref.get("port") or 0), protocol)
    if port is None:
        return _none(("BackendNotFound", f"{to.title} has no port {ref.get('port')} ({protocol})"), title)
    if port.external:
        # Nothing is behind it that the cluster vouches for: a name can lead anywhere, also back in (CVE-2021-25740).
        return _none(("BackendNotFound", f"{to.title} is of type ExternalName, which has no endpoints"), title)
    spoken = insisted or protocol_of(port)
    if not spoken:
        return _none(
            ("UnsupportedProtocol", f"{to.title}: appProtocol {port.app_protocol} of port {port.port} is not known"),
            title,
        )
    tls: BackendTls | None = None
    if insisted != "udp" and not sealed:
        policy = view.ask(policy_of, to.namespace, to.name, port.name)
        if policy is not None:
            if policy.tls is None:
                # BackendTLSPolicy: requests must not reach a backend that a policy says to check, unchecked.
                return Backing(None, None, f"BackendTLSPolicy {policy.key}: {policy.message}", title)
            certificate = (
                view.ask(client_certificate, fleet.namespace, fleet.name)[0] if fleet.kind == "Gateway" else ""
            )
            tls = BackendTls(policy.tls.hostname, policy.tls.trust, policy.tls.system, policy.tls.names, certificate)
    return Backing(cluster_of(to.namespace, to.name, port, spoken, tls, sealed), None, "", title)


def _none(problem: Problem, title: str) -> Backing:
    return Backing(None, problem, problem[1], title)


def led(view: View, fleet: Fleet, to: Led) -> Cluster | str:
    """The cluster of a Service that a policy asks, whose reference has been judged: in the Service's own name."""
    found = backing(view, "Service", to.namespace, {"name": to.service, "port": to.port}, fleet, to.protocol)
    return found.cluster if found.cluster is not None else found.why
