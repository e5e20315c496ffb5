"""The Ingress front end: what each Ingress gives to its class's fleet, its status, and what its user is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api.tree import Key, get
from seaway.routing.engine import FrontEnd, Status
from seaway.routing.fleets import Addresses, FleetSpec
from seaway.routing.incremental import View
from seaway.routing.ingress import canaries, certificates, clients, passing, shadows, streams
from seaway.routing.ingress.classes import (
    ANNOTATION,
    DEFAULTS,
    NAMED,
    Settings,
    class_of,
    fleet_of,
    has_some,
    named_class,
    ours,
    parameters,
)
from seaway.routing.ingress.hosts import NAMED_DOMAINS, SECURED, TAKEN, TLS, WILDCARDS
from seaway.routing.ingress.hostwide import HOST_WIDE, PASSED, annotations_of
from seaway.routing.ingress.lines import LINES
from seaway.routing.ingress.problems import CLASS, PARAMETERS, Problem
from seaway.routing.ingress.rules import HTTP, HTTPS, Built, build
from seaway.routing.ir import Chain, Fleet, Source
from seaway.routing.parts import Part, Parts, Way

Tree = dict[str, Any]
RESOURCES = ("ingresses", "ingressclasses")
INDEXES = (DEFAULTS, NAMED, NAMED_DOMAINS, SECURED, TAKEN, TLS, WILDCARDS, HOST_WIDE, PASSED, LINES, streams.CLASSES)


class Decided(NamedTuple):
    """All about an Ingress of ours."""

    fleet: Fleet
    parts: Parts
    problems: tuple[Problem, ...]


def decide(view: View, settings: Settings, namespace: str, name: str) -> Decided | None:
    """A decision on an Ingress, None where it is none of ours."""
    class_name = view.ask(class_of, settings, namespace, name)
    tree = view.get("ingresses", namespace, name)
    if not class_name or tree is None:
        return None
    fleet = fleet_of(class_name)
    key = Key(namespace, name)
    read = view.ask(annotations_of, namespace, name)
    tls = view.ask(certificates.served_with_tls, class_name)
    built = Built((), (), (), ())  # of a canary: others have its paths
    if read.canary is None:
        built = build(view, settings, class_name, tree, read, (HTTP, HTTPS) if tls else (HTTP,))
    passed = passing.passed(view, settings, class_name, tree, read)
    plain = Way(80, "tcp", Chain(HTTP, Source(fleet.kind, "", fleet.name), table=HTTP), share=True)
    ways = (
        plain,
        *(certificates.ways(view, settings, class_name, namespace, name) if tls else ()),
        *passed.ways,
    )
    conflicts = (
        shadows.problems(view, settings, class_name, tree)
        if read.canary is None
        else canaries.problems(view, settings, class_name, key, tree)
    )
    problems = (
        *_class_problems(tree),
        *read.problems,
        *built.problems,
        *(certificates.problems(view, settings, class_name, namespace, name) if get(tree, "spec", "tls") else ()),
        *conflicts,
        *passed.problems,
    )
    clusters = (*built.clusters, *passed.clusters)
    asked = clients.asked(view, class_name, ways)
    return Decided(fleet, (Part(fleet, asked, built.domains, built.entries, clusters),), problems)


def _class_problems(tree: Tree) -> list[Problem]:
    annotation = (tree["metadata"].get("annotations") or {}).get(ANNOTATION)
    named = named_class(tree)
    if not annotation or annotation == named:
        return []
    said = f'metadata.annotations[{ANNOTATION}]: "{annotation}" is not read, since spec.ingressClassName is "{named}"'
    return [Problem(CLASS, said)]


def parts(view: View, settings: Settings, namespace: str, name: str) -> Parts:
    """What an Ingress gives to its fleet."""
    found = view.ask(decide, settings, namespace, name)
    return found.parts if found is not None else ()


ADDRESS = {"IPAddress": "ip", "Hostname": "hostname"}


def load_balancer(addresses: Addresses | None) -> Tree:
    """`status.loadBalancer` of an Ingress, from the fact ("addresses", *fleet)."""
    usable = addresses.usable if addresses is not None else ()
    found = [{ADDRESS[kind]: value} for kind, value in usable if kind in ADDRESS]
    return {"ingress": found} if found else {}


def status(view: View, settings: Settings, namespace: str, name: str) -> Status | None:
    """The status of an Ingress of ours, and what its user is told."""
    found = view.ask(decide, settings, namespace, name)
    if found is None:
        return None
    tree = {"loadBalancer": load_balancer(view.fact("addresses", *found.fleet))}
    return Status("ingresses", namespace, name, tree, tuple(dict.fromkeys(p.event for p in found.problems)))


def left_behind(tree: Tree, addresses: Iterable[str]) -> bool:
    """Whether the status of an Ingress that is none of ours still says what we once wrote: it names nothing but addresses of
    our fleets. The process asks when an Ingress ends to be ours and, having restarted, of those that it finds."""
    ours = set(addresses)
    written = get(tree, "status", "loadBalancer", "ingress") or ()
    return bool(written) and all((e.get("ip") or e.get("hostname")) in ours for e in written)


def fleet_spec(view: View, settings: Settings, name: str) -> FleetSpec | None:
    """The fleet of an IngressClass of ours: it is wanted from its first Ingress on, or its first port of a ConfigMap."""
    if not view.ask(ours, settings, name):
        return None
    opened = [way for found in streams.all_streams(view, name) for way in found.ways]
    if not opened and not has_some(view, NAMED, name):
        return None
    ports = [("http", 80, "TCP")] if has_some(view, NAMED, name) else []
    tls = view.ask(certificates.served_with_tls, name)
    if tls or has_some(view, PASSED, name):
        ports.append(("https", certificates.PORT, "TCP"))
        if tls and clients.over_quic(view, name, certificates.PORT):
            ports.append(("https", certificates.PORT, "UDP"))
    ports += [(f"{way.transport}-{way.port}", way.port, way.transport.upper()) for way in opened]
    chosen = view.ask(parameters, name)
    uid = str(get(view.get("ingressclasses", "", name), "metadata", "uid") or "")
    return FleetSpec(fleet_of(name), uid, name, tuple(ports), parameters=(chosen,) if chosen else ())


def class_parts(view: View, settings: Settings, name: str) -> Parts:
    """What an IngressClass of ours itself gives to its fleet: the ports of its ConfigMaps."""
    if not view.ask(ours, settings, name):
        return ()
    found = streams.all_streams(view, name)
    ways = tuple(way for one in found for way in one.ways)
    clusters = {c.name: c for one in found for c in one.clusters}
    return (Part(fleet_of(name), ways, clusters=tuple(clusters.values())),) if ways else ()


def class_status(view: View, settings: Settings, name: str) -> Status | None:
    """What the owner of an IngressClass of ours is told of its parameters; None where there is nothing to tell. The class has
    no status of its own."""
    if not view.ask(ours, settings, name):
        return None
    found = [
        *certificates.parameter_problems(view, name),
        *filter(None, [view.fact("parameters problem", "IngressClass", "", name)]),
    ]
    events = tuple(Problem(PARAMETERS, f"spec.parameters: {why}").event for why in found)
    return Status("ingressclasses", "", name, {}, events) if events else None


def ingress_front_end(settings: Settings) -> FrontEnd:
    """The front end for the IngressClasses of some controllers."""

    def ingress_parts(view: View, namespace: str, name: str) -> Parts:
        return parts(view, settings, namespace, name)

    def ingress_status(view: View, namespace: str, name: str) -> Status | None:
        return status(view, settings, namespace, name)

    def ingress_class_parts(view: View, _: str, name: str) -> Parts:
        return class_parts(view, settings, name)

    def stream_map_status(view: View, namespace: str, name: str) -> Status | None:
        return streams.map_status(view, settings, namespace, name)

    def ingress_fleet(view: View, _: str, name: str) -> FleetSpec | None:
        return fleet_spec(view, settings, name)

    def ingress_class_status(view: View, _: str, name: str) -> Status | None:
        return class_status(view, settings, name)

    return FrontEnd(
        RESOURCES,
        INDEXES,
        parts={"ingresses": ingress_parts, "ingressclasses": ingress_class_parts},
        statuses={
            "ingresses": ingress_status,
            "ingressclasses": ingress_class_status,
            "configmaps": stream_map_status,
        },
        fleets={"ingressclasses": ingress_fleet},
    )


INGRESS = ingress_front_end(Settings())
