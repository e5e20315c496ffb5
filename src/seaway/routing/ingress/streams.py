"""ConfigMaps `tcp-services` and `udp-services` as ingress-nginx reads them: ports of a class that lead to Services.

`"9000": NAMESPACE/SERVICE:PORT[:PROXY[:PROXY]]`: the first PROXY is expected from clients, the second said to backends (TCP
only). Which ConfigMaps a class has its parameters say (`tcpServices`, `udpServices`); the class `seaway` has by itself those of
these names in the namespace `seaway-system`. Who may write them may open ports that lead to Services of any namespace.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from seaway.api.tree import get
from seaway.routing.backends import cluster_of, service_port, service_ports
from seaway.routing.engine import Index, Status
from seaway.routing.gateway.streams import checked
from seaway.routing.incremental import View
from seaway.routing.ingress.classes import Settings, ours, parameters
from seaway.routing.ingress.problems import STREAM, Problem
from seaway.routing.ir import Chain, Cluster, Source, Stream, Target
from seaway.routing.parts import Way
from seaway.routing.policies.force import force
from seaway.routing.policies.rules import used
from seaway.routing.policies.security import OF_ADDRESSES
from seaway.routing.policies.targets import SECURITY
from seaway.routing.policies.targets import Target as On
from seaway.routing.policy import BackendPolicy, ClientPolicy, RoutePolicy

Tree = dict[str, Any]
CLASS, NAMESPACE = "seaway", "seaway-system"
# transport -> key of a class's parameters, name of the ConfigMap that the class `seaway` has
MAPS = {"tcp": ("tcpServices", "tcp-services"), "udp": ("udpServices", "udp-services")}
# What listens already: the Ingresses' own ports (443 also for HTTP/3), and what the proxy itself needs.
RESERVED = {
    "tcp": frozenset([80, 443, 18000, *range(19000, 19010)]),
    "udp": frozenset([443, 18000, *range(19000, 19010)]),
}
VALUE = re.compile(
    r"(?P<namespace>[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)/(?P<service>[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)"
    r":(?P<port>[0-9]{1,5}|[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?)(:(?P<decode>PROXY)?)?(:(?P<encode>PROXY)?)?\Z",
    re.IGNORECASE,
)
CLASSES = Index("ingress classes", "ingressclasses", lambda t: [""])


class Streams(NamedTuple):
    """What a ConfigMap opens, and what is wrong with it."""

    ways: tuple[Way, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    problems: tuple[Problem, ...] = ()


def map_of(view: View, class_name: str, transport: str) -> str:
    """The ConfigMap NAMESPACE/NAME with a class's ports, "" for none."""
    key, usual = MAPS[transport]
    chosen = dict(view.ask(parameters, class_name)).get(key, "").strip().strip("\"'")
    if chosen:
        return chosen if chosen.count("/") == 1 else ""
    return f"{NAMESPACE}/{usual}" if class_name == CLASS else ""


def streams(view: View, class_name: str, transport: str) -> Streams:
    """A decision: the ports of a class by one of its ConfigMaps. One that cannot be read leaves the others working."""
    where = map_of(view, class_name, transport)
    tree = view.get("configmaps", *where.split("/")) if where else None
    ways: dict[int, Way] = {}
    clusters: dict[str, Cluster] = {}
    problems: list[Problem] = []
    for text, value in sorted((get(tree, "data") or {}).items()):
        found = _way(view, where, transport, str(text), str(value))
        if isinstance(found, str):
            problems.append(Problem(STREAM, f"data[{str(text)[:100]}]: {found}"))
            continue
        way, cluster = found
        way = _guarded(view, class_name, way)
        if way.port in ways:
            problems.append(Problem(STREAM, f"data[{text}]: Duplicate value: {way.port}"))
            continue
        ways[way.port] = way
        clusters[cluster.name] = cluster
    return Streams(tuple(ways[port] for port in sorted(ways)), tuple(clusters.values()), tuple(problems))


def _way(view: View, where: str, transport: str, text: str, value: str) -> tuple[Way, Cluster] | str:
    """The way that an entry opens, or why it opens none."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        return f'Invalid value: "{text[:100]}": must be a port between 1 and 65535, inclusive'
    number = int(text)
    if number in RESERVED[transport]:
        return f"Forbidden: port {number} is one that the proxy itself needs"
    match = VALUE.match(value.strip())
    if match is None:
        return f'Invalid value: "{value[:100]}": must be NAMESPACE/SERVICE:PORT[:PROXY[:PROXY]]'
    if transport == "udp" and (match["decode"] or match["encode"]):
        return f'Invalid value: "{value[:100]}": datagrams have no PROXY header'
    namespace, service = match["namespace"], match["service"]
    wanted: int | str = int(match["port"]) if match["port"].isdigit() else match["port"]
    port = service_port(view, namespace, service, wanted, transport.upper())
    if port is None:
        missing = view.ask(service_ports, namespace, service) is None
        return f"Service {namespace}/{service} " + (
            "does not exist" if missing else f"has no {transport.upper()} port {wanted}"
        )
    if port.external:
        return f"Service {namespace}/{service} is of type ExternalName, which has no endpoints"
    cluster = cluster_of(namespace, service, port, transport)
    if match["encode"]:
        cluster = used(cluster, BackendPolicy(proxy_protocol=1))
    space, _, name = where.partition("/")
    source = Source("ConfigMap", space, name, f"data[{number}]")
    client = ClientPolicy(proxy_protocol=True) if match["decode"] else None
    chain = Chain(
        "stream", source, stream=Stream((Target(cluster.name, title=f"{service}:{wanted}"),), source), client=client
    )
    return Way(number, transport, chain), cluster


def _guarded(view: View, class_name: str, way: Way) -> Way:
    """A way that is open to whom the class's policies let pass by their addresses."""
    held = force(view, SECURITY, (On("IngressClass", "", class_name),))
    addresses = {name: held.fields[name].value for name in OF_ADDRESSES if name in held.fields}
    stream = checked(way.chain.stream, RoutePolicy(closed=held.closed, **addresses), False) if way.chain.stream else None
    return way._replace(chain=msgspec.structs.replace(way.chain, stream=stream))


def all_streams(view: View, class_name: str) -> list[Streams]:
    return [view.ask(streams, class_name, transport) for transport in MAPS]


def maps_of_classes(view: View, settings: Settings) -> tuple[tuple[str, str, str], ...]:
    """A decision: (ConfigMap NAMESPACE/NAME, class, transport) of all classes of ours."""
    found = []
    for key in view.find(CLASSES.name):
        if view.ask(ours, settings, key.name):
            found += [(map_of(view, key.name, transport), key.name, transport) for transport in MAPS]
    return tuple(sorted(entry for entry in found if entry[0]))


def map_status(view: View, settings: Settings, namespace: str, name: str) -> Status | None:
    """What the owner of a ConfigMap with ports of ours is told of it; None for others."""
    own = [m for m in view.ask(maps_of_classes, settings) if m[0] == f"{namespace}/{name}"]
    if not own:
        return None
    found = [p.event for _, class_name, transport in own for p in view.ask(streams, class_name, transport).problems]
    return Status("configmaps", namespace, name, {}, tuple(dict.fromkeys(found)))
