"""What Gateways and routes give to fleets: ways in from listeners, rules from HTTP routes, streams from the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from seaway.routing.gateway import hostnames
from seaway.routing.gateway.attaching import ROUTES, Place, attachments
from seaway.routing.gateway.httprules import compiled
from seaway.routing.gateway.listeners import Listener, fleet_of, listeners
from seaway.routing.gateway.streams import stream_of
from seaway.routing.incremental import View
from seaway.routing.ir import Chain, Cluster, Fleet, ServerTls
from seaway.routing.parts import Domain, Entry, Part, Parts, Way, order
from seaway.routing.policies.clients import certificates, client
from seaway.routing.policies.force import Force, force
from seaway.routing.policies.targets import CLIENTS, SECURITY, TRAFFIC, attached
from seaway.routing.policies.targets import Target as On
from seaway.routing.policies.traffic import value

Tree = dict[str, Any]


def serving(found: Iterable[Listener], port: int, plaintext: bool) -> list[Listener]:
    """The listeners among which requests at a port are told apart by host name."""
    protocols = ("HTTP",) if plaintext else ("HTTPS", "TLS")
    return [li for li in found if li.port == port and li.protocol in protocols and li.serves]


def client_force(view: View, listener: Listener, fleet: Fleet) -> Force:
    """What client policies say for a listener: those on it, then those on its Gateway."""
    own = (On(*fleet, listener.name),) if listener.where.kind == "Gateway" else ()
    return force(view, CLIENTS, (*own, On(*fleet)))


def server_tls(listener: Listener, policies: Force) -> tuple[ServerTls | None, bool]:
    """How a listener speaks TLS; and whether it may serve at all: not where clients' certificates are to be checked and cannot
    be. The check that the Gateway itself asks for comes first."""
    tls = listener.tls
    if tls is None or tls.passthrough:
        return None, True
    wanted = value(policies.fields, "tls")
    alpn = ("h2", "http/1.1") if listener.protocol == "HTTPS" else ()
    versions = str(wanted.get("minVersion") or ""), str(wanted.get("maxVersion") or "")
    may = not policies.closed or (tls.client is not None and tls.client.required)
    return ServerTls(tls.certificates, tls.client or certificates(policies.fields), alpn, *versions), may


def section_of(view: View, listener: Listener, fleet: Fleet) -> str:
    """The listener's name where policies are attached to it, "" where it is as all of its Gateway are: their routes' rules are
    made once for all of them."""
    if listener.where.kind != "Gateway":
        return ""
    found = (view.ask(attached, resource, *fleet) for resource in (TRAFFIC, SECURITY))
    return listener.name if any(section == listener.name for on in found for section, _ in on) else ""


def names_of(hostname: str) -> tuple[str, ...]:
    return (hostname,) if hostname and hostname != "*" else ()


def gateway_parts(view: View, namespace: str, name: str) -> Parts:
    """A decision: the HTTP and HTTPS ways into a Gateway's fleet, and whose each host name is. A host name of a listener is there
    with or without routes, so that its requests never fall to another listener's routes (HTTPListenerIsolation)."""
    found = view.ask(listeners, namespace, name)
    if found is None:
        return ()
    ways: list[Way] = []
    domains: list[Domain] = []
    by_udp = {li.port for li in found if li.protocol == "UDP" and li.serves}
    for listener in found:
        if not listener.serves or listener.protocol not in ("HTTP", "HTTPS"):
            continue
        if listener.protocol == "HTTP":
            first = serving(found, listener.port, True)[0]  # all of a port share a chain, and what the first has
            policies = client_force(view, first, fleet_of(namespace, name))
            chain = Chain("http", first.source, table=listener.table, client=client(policies.fields))
        else:
            policies = client_force(view, listener, fleet_of(namespace, name))
            tls, may = server_tls(listener, policies)
            if not may:
                continue
            chain = Chain(
                listener.title,
                listener.source,
                names_of(listener.hostname),
                tls,
                listener.table,
                client=client(policies.fields),
            )
            if chain.client is not None and listener.port in by_udp:
                # That listener's from the beginning, not from its first route on: no route changes another listener.
                chain = msgspec.structs.replace(chain, client=msgspec.structs.replace(chain.client, http3=False))
            # A client may use a connection for another host that its certificate covers: 421 sends it to the right one.
            for other in serving(found, listener.port, False):
                if other.title != listener.title:
                    domains.append(Domain(listener.table, other.hostname or "*", other.source, True))
        way = Way(listener.port, "tcp", chain)
        if way not in ways:
            ways.append(way)
        domains.append(Domain(listener.table, listener.hostname or "*", listener.source))
    return (Part(fleet_of(namespace, name), tuple(ways), tuple(domains)),)


def _by_fleet(view: View, resource: str, namespace: str, name: str) -> dict[Fleet, list[Place]]:
    found: dict[Fleet, list[Place]] = defaultdict(list)
    for one in view.ask(attachments, resource, namespace, name):
        known = found[fleet_of(*one.gateway)]
        known += [place for place in one.places if place.listener.serves and place not in known]
    return found


def http_parts(resource: str) -> Callable[[View, str, str], Parts]:
    """The decision for HTTPRoutes or GRPCRoutes: a rule under each domain of each listener."""

    def route_parts(view: View, namespace: str, name: str) -> Parts:
        tree = view.get(resource, namespace, name)
        if tree is None:
            return ()
        created = str(tree["metadata"].get("creationTimestamp") or "")
        return tuple(
            _http_part(view, resource, namespace, name, fleet, created, places)
            for fleet, places in sorted(_by_fleet(view, resource, namespace, name).items())
        )

    route_parts.__qualname__ = f"parts of {resource}"  # by which two routes of one name are in order
    return route_parts


def _http_part(
    view: View, resource: str, namespace: str, name: str, fleet: Fleet, created: str, places: list[Place]
) -> Part:
    known = view.ask(listeners, fleet.namespace, fleet.name) or ()
    entries: dict[tuple[Any, ...], Entry] = {}
    clusters: dict[str, Cluster] = {}
    for listener, domains in places:
        plaintext = listener.protocol == "HTTP"
        scheme, section = "http" if plaintext else "https", section_of(view, listener, fleet)
        found = view.ask(compiled, resource, namespace, name, fleet, scheme, listener.port, section)
        patterns = [li.hostname for li in serving(known, listener.port, plaintext)]
        for domain in domains:
            if hostnames.owner(patterns, domain) != listener.hostname:
                continue  # a more specific listener has these requests
            for place, rule in found.rules:
                entry = Entry(listener.table, domain, order(rule, created, place), rule)
                entries.setdefault((entry.table, domain, place), entry)
        clusters.update((c.name, c) for c in found.clusters)
    return Part(fleet, (), (), tuple(entries.values()), tuple(clusters[n] for n in sorted(clusters)))


def stream_parts(resource: str) -> Callable[[View, str, str], Parts]:
    """The decision for TLSRoutes, TCPRoutes or UDPRoutes: a chain at each listener, and for each of its server names."""

    def route_parts(view: View, namespace: str, name: str) -> Parts:
        tree = view.get(resource, namespace, name)
        if tree is None:
            return ()
        found = []
        age = (str(tree["metadata"].get("creationTimestamp") or ""), namespace, name)
        for fleet, places in sorted(_by_fleet(view, resource, namespace, name).items()):
            known = view.ask(listeners, fleet.namespace, fleet.name) or ()
            ways = []
            clusters: dict[str, Cluster] = {}
            for listener, domains in places:
                patterns = [li.hostname for li in serving(known, listener.port, False)]
                sealed = listener.tls is not None and listener.tls.passthrough
                section = section_of(view, listener, fleet)
                stream, used, _ = view.ask(stream_of, resource, namespace, name, fleet, sealed, section)
                clusters.update((c.name, c) for c in used)
                for domain in domains:
                    if listener.protocol in ("TLS", "HTTPS") and ROUTES[resource] == "TCPRoute":
                        domain = listener.hostname or "*"
                    elif listener.protocol == "TLS" and hostnames.owner(patterns, domain) != listener.hostname:
                        continue  # a more specific listener has these connections; two chains of one name are refused
                    title = f"{listener.title}/{domain}" if listener.protocol == "TLS" else listener.title
                    policies = client_force(view, listener, fleet)
                    tls, may = server_tls(listener, policies)
                    if not may:
                        continue
                    chain = Chain(
                        title, listener.source, names_of(domain), tls, stream=stream, client=client(policies.fields)
                    )
                    ways.append(Way(listener.port, listener.transport, chain, age))
            found.append(Part(fleet, tuple(ways), clusters=tuple(clusters[n] for n in sorted(clusters))))
        return tuple(found)

    route_parts.__qualname__ = f"parts of {resource}"
    return route_parts
