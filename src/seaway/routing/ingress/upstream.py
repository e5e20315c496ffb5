"""A Service port as an Ingress's annotations have it spoken to, and backends that annotations name by URL."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from seaway.api.tree import get
from seaway.routing.backends import cluster_of, protocol_of, service_port
from seaway.routing.certificates import checked_certificate, checked_trust
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations.backends import Backends
from seaway.routing.ingress.annotations.names import PREFIX
from seaway.routing.ingress.annotations.values import Unreadable, Url
from seaway.routing.ingress.problems import BACKEND, PROTOCOL, Problem
from seaway.routing.ingress.targets import own_address
from seaway.routing.ir import BackendTls, Cluster
from seaway.routing.references import Reference, permitted

Tree = dict[str, Any]
SPOKEN = {"HTTP": "http1", "HTTPS": "http1", "AUTO_HTTP": "http1", "GRPC": "h2", "GRPCS": "h2"}


def apart(cluster: Cluster, usual: Cluster) -> Cluster:
    """A cluster under a name of its own, if it is used otherwise than usual: all who use it so share it."""
    if msgspec.structs.replace(cluster, name=usual.name) == usual:
        return usual
    said = repr((cluster.protocol, cluster.tls, cluster.external, cluster.port))
    digest = hashlib.blake2b(said.encode(), digest_size=4).hexdigest()
    return msgspec.structs.replace(cluster, name=f"{usual.name}/{digest}")


def spoken(view: View, namespace: str, usual: Cluster, said: Backends, secure: bool) -> Cluster | Problem:
    """The cluster as annotations want it, or why it cannot be spoken to. `secure`: the client came by TLS."""
    if said.refused:
        return Problem(PROTOCOL, f"{said.refused}; requests are answered with 503")
    found = usual
    service = usual.name.split("/")[1]
    if said.protocol:
        with_tls = said.protocol in ("HTTPS", "GRPCS") or (said.protocol == "AUTO_HTTP" and secure)
        tls = (usual.tls or BackendTls(usual.external or f"{service}.{namespace}.svc")) if with_tls else None
        found = msgspec.structs.replace(found, protocol=SPOKEN[said.protocol], tls=tls)
    if found.tls is not None:
        tls_or_why = _tls(view, namespace, found.tls, said)
        if isinstance(tls_or_why, Problem):
            return tls_or_why
        found = msgspec.structs.replace(found, tls=tls_or_why)
    if said.by_service and not usual.external:
        address = str(get(view.get("services", namespace, service), "spec", "clusterIP") or "")
        if address in ("", "None"):
            why = f"Service {namespace}/{service} has no address of its own; requests are answered with 503"
            return Problem(BACKEND, f"metadata.annotations[{PREFIX}service-upstream]: {why}")
        found = msgspec.structs.replace(found, external=address)
    return apart(found, usual)


def _tls(view: View, namespace: str, tls: BackendTls, said: Backends) -> BackendTls | Problem:
    """What is shown to a backend, and how it is checked."""
    found = msgspec.structs.replace(tls, hostname=said.name or tls.hostname)
    if not said.secret:
        if said.verify:
            field = f"metadata.annotations[{PREFIX}proxy-ssl-verify]"
            why = "there is no proxy-ssl-secret with a ca.crt to check by; requests are answered with 503"
            return Problem(BACKEND, f"{field}: {why}")
        return found
    name = f"{namespace}/{said.secret}"
    field = f"metadata.annotations[{PREFIX}proxy-ssl-secret]"
    if view.get("secrets", namespace, said.secret) is None:
        return Problem(BACKEND, f"{field}: Secret {name} does not exist; requests are answered with 503")
    certificate = view.ask(checked_certificate, name)
    if not certificate.problem:
        found = msgspec.structs.replace(found, certificate=name)
    if said.verify:
        problem, _ = view.ask(checked_trust, f"Secret/{name}")
        if problem:
            return Problem(BACKEND, f"{field}: {problem}; requests are answered with 503")
        found = msgspec.structs.replace(found, trust=f"Secret/{name}")
    elif certificate.problem and view.ask(checked_trust, f"Secret/{name}")[0]:
        return Problem(BACKEND, f"{field}: {certificate.problem}; requests are answered with 503")
    return found


def named(view: View, namespace: str, url: Url) -> Cluster:
    """The cluster of a URL: a Service as `NAME.NAMESPACE.svc`, of another namespace where a ReferenceGrant lets Ingresses of this
    one, or a name that is resolved. Raises Unreadable."""
    labels = url.host.rstrip(".").split(".")
    if "svc" in labels[2:3]:
        if labels[3:] not in ([], ["cluster", "local"]):
            raise Unreadable(f"{url.host} is no Service: NAME.NAMESPACE.svc is")
        to = Reference("", "Service", labels[1], labels[0])
        if not permitted(view, "Ingress", namespace, to, "networking.k8s.io"):
            raise Unreadable(f"{to.title} may not be used from here: no ReferenceGrant there allows it")
        port = service_port(view, to.namespace, to.name, url.asked_port)
        if port is None:
            raise Unreadable(f"{to.title} has no TCP port {url.asked_port}")
        if port.external:
            raise Unreadable(f"{to.title} is of type ExternalName: name what it leads to")
        usual = cluster_of(to.namespace, to.name, port, protocol_of(port) or "http1")
        tls = BackendTls(url.host) if url.scheme == "https" else None
        return apart(msgspec.structs.replace(usual, tls=tls), usual)
    if len(labels) < 2 or labels[-2:] == ["cluster", "local"] or own_address(url.host) or labels[-1].isdigit():
        raise Unreadable(f"{url.host} is neither a Service (NAME.NAMESPACE.svc) nor a public name")
    # The dot at its end keeps the name from being looked for in the cluster's own domains.
    tls = BackendTls(url.host, system=True) if url.scheme == "https" else None
    name = f"{namespace}/{url.host}/{url.asked_port}{'/tls' if tls else ''}"
    return Cluster(name, "http1", tls, f"{'.'.join(labels)}.", url.asked_port)



