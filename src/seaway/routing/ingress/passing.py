"""Connections that are passed on undecrypted, by their server name (ingress-nginx's `ssl-passthrough`)."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import Key
from seaway.routing.backends import cluster_of, service_port
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import Annotations
from seaway.routing.ingress.annotations.reading import field
from seaway.routing.ingress.classes import Settings
from seaway.routing.ingress.hosts import ALL, own_domains, rule_domains, taken
from seaway.routing.ingress.hostwide import host_wide
from seaway.routing.ingress.lines import Line, lines
from seaway.routing.ingress.problems import ANNOTATION, BACKEND, HOST, Problem
from seaway.routing.ingress.targets import served
from seaway.routing.ir import Chain, Cluster, Forward, Source, Stream, Target
from seaway.routing.parts import Way

Tree = dict[str, Any]
PORT = 443


class Passed(NamedTuple):
    ways: tuple[Way, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    problems: tuple[Problem, ...] = ()


def passed(view: View, settings: Settings, class_name: str, tree: Tree, said: Annotations) -> Passed:
    """The hosts of an Ingress whose connections go to the backend of their path `/`. One without such a backend has its
    connections closed: nobody else may decrypt them."""
    if not said.passthrough or said.canary is not None:
        return Passed()
    key = Key(str(tree["metadata"]["namespace"]), str(tree["metadata"]["name"]))
    where = field("ssl-passthrough")
    ways, clusters, problems = [], [], []
    for domain in rule_domains(tree):
        if domain not in own_domains(tree) and taken(view, class_name, domain):
            continue
        if domain == ALL:
            problems.append(Problem(ANNOTATION, f"{where}: connections are told apart by host, and a rule names none"))
            continue
        first = host_wide(view, settings, class_name, domain).passed
        if first != key:
            problems.append(Problem(HOST, f"{where}: {domain} is passed on as Ingress {first}, which is older, says"))
            continue
        roots = [line for line in lines(tree) if line.domain == domain and line.path.value == "/"]
        cluster = _sealed(view, key.namespace, roots[0]) if roots else None
        if cluster is None:
            why = f"there is no Service behind the path / of {domain}; its connections are closed"
            problems.append(Problem(BACKEND, f"{where}: {why}"))
        else:
            clusters.append(cluster)
        source = Source("Ingress", key.namespace, key.name, f"hosts[{domain}]")
        targets = (Target(cluster.name),) if cluster is not None else ()
        ways.append(Way(PORT, "tcp", Chain(f"passed/{domain}", source, (domain,), stream=Stream(targets, source))))
    return Passed(tuple(ways), tuple(clusters), tuple(problems))


def _sealed(view: View, namespace: str, line: Line) -> Cluster | None:
    """A backend that gets the client's own TLS."""
    answer = served(view, namespace, line.backend, line.field)
    if answer.cluster is None or not isinstance(answer.action, Forward) or answer.cluster.external:
        return None
    _, service, number = answer.cluster.name.split("/")[:3]
    port = service_port(view, namespace, service, int(number))
    return cluster_of(namespace, service, port, "tcp", sealed=True) if port is not None else None
