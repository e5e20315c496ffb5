"""Connections that are passed on undecrypted, by their server name (ingress-nginx's `ssl-passthrough`)."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import Key
from seaway.routing.backends import cluster_of, service_port
from seaway.routing.gateway.streams import checked
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import Annotations
from seaway.routing.ingress.annotations.reading import field
from seaway.routing.ingress.classes import Settings
from seaway.routing.ingress.given import said_by
from seaway.routing.ingress.hosts import ALL, own_domains, rule_domains, taken
from seaway.routing.ingress.hostwide import host_wide
from seaway.routing.ingress.lines import Line, lines
from seaway.routing.ingress.problems import ANNOTATION, BACKEND, CLOSED, HOST, Problem
from seaway.routing.ingress.targets import led, served
from seaway.routing.ir import Chain, Cluster, Forward, Source, Stream, Target
from seaway.routing.parts import Way
from seaway.routing.policies.force import force
from seaway.routing.policies.rules import ForRules
from seaway.routing.policies.security import ASKS
from seaway.routing.policies.targets import SECURITY
from seaway.routing.policies.targets import Target as On
from seaway.routing.policy import RoutePolicy

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
    policy, asked = _who(view, class_name, key, said)
    ways: list[Way] = []
    clusters: list[Cluster] = []
    problems: list[Problem] = []
    if asked:
        why = f"nobody can be asked for {', '.join(asked)} whose connection is not decrypted; connections are closed"
        problems.append(Problem(CLOSED, f"{where}: {why}"))
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
        stream = checked(Stream(targets, source), policy, bool(asked))
        ways.append(Way(PORT, "tcp", Chain(f"passed/{domain}", source, (domain,), stream=stream)))
    return Passed(tuple(ways), tuple(clusters), tuple(problems))


def _who(view: View, class_name: str, key: Key, said: Annotations) -> tuple[RoutePolicy | None, list[str]]:
    """Who may pass, and what the Ingress itself wants to know of who somebody is."""
    on, given = On("Ingress", *key), said_by(view, key, said).given
    own = {**given.security, **force(view, SECURITY, (on,)).fields}
    policies = ForRules(view, on, (On("IngressClass", "", class_name),), given, lambda to: led(view, to)).rule("")
    return policies.route, [name for name in ASKS if name in own]


def _sealed(view: View, namespace: str, line: Line) -> Cluster | None:
    """A backend that gets the client's own TLS."""
    answer = served(view, namespace, line.backend, line.field)
    if answer.cluster is None or not isinstance(answer.action, Forward) or answer.cluster.external:
        return None
    _, service, number = answer.cluster.name.split("/")[:3]
    port = service_port(view, namespace, service, int(number))
    return cluster_of(namespace, service, port, "tcp", sealed=True) if port is not None else None
