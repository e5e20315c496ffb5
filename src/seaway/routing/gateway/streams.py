"""TLSRoute, TCPRoute and UDPRoute: where connections and datagrams go."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from seaway.routing.gateway.attaching import ROUTES
from seaway.routing.gateway.backing import backing
from seaway.routing.incremental import View
from seaway.routing.ir import Cluster, Fleet, Source, Stream, Target
from seaway.routing.policies.force import force
from seaway.routing.policies.rules import ForRules
from seaway.routing.policies.security import ASKS
from seaway.routing.policies.targets import SECURITY
from seaway.routing.policies.targets import Target as On
from seaway.routing.policy import RoutePolicy

Tree = dict[str, Any]


class Streamed(NamedTuple):
    """`unresolved`: (reason, message) of references that lead nowhere."""

    stream: Stream
    clusters: tuple[Cluster, ...]
    unresolved: tuple[tuple[str, str], ...]


def stream_of(
    view: View, resource: str, namespace: str, name: str, fleet: Fleet, sealed: bool = False, listener: str = ""
) -> Streamed:
    """A decision: the backends of a route, at a listener that passes TLS through (`sealed`) or not. Such routes have one rule; of
    more only the first could ever be met."""
    kind = ROUTES[resource]
    rules: list[Tree] = ((view.get(resource, namespace, name) or {}).get("spec") or {}).get("rules") or [{}]
    wider = (*((On(*fleet, listener),) if listener else ()), On(*fleet))
    policies = ForRules(view, On(kind, namespace, name), wider).rule(str(rules[0].get("name") or ""))
    targets: list[Target] = []
    clusters: dict[str, Cluster] = {}
    problems: list[tuple[str, str]] = []
    for ref in rules[0].get("backendRefs") or ():
        backed = backing(view, kind, namespace, ref, fleet, "udp" if kind == "UDPRoute" else "tcp", sealed)
        if backed.problem is not None:
            problems.append(backed.problem)
        if backed.cluster is not None:
            backed = backed._replace(cluster=policies.cluster(backed.cluster))
        if backed.cluster is not None:
            clusters[backed.cluster.name] = backed.cluster
        name_of = backed.cluster.name if backed.cluster is not None else ""
        targets.append(Target(name_of, int(ref.get("weight", 1)), why=backed.why, title=backed.title))
    source = Source(kind, namespace, name, str(rules[0].get("name") or "rules[0]"))
    own = force(view, SECURITY, (On(*fleet, listener),)).fields if listener else {}
    stream = checked(Stream(tuple(targets), source), policies.route, any(name in ASKS for name in own))
    return Streamed(stream, tuple(clusters[n] for n in sorted(clusters)), tuple(dict.fromkeys(problems)))


def checked(stream: Stream, policy: RoutePolicy | None, asked: bool) -> Stream:
    """Who may pass. Of a connection nothing is known but its address: what a Gateway's policy asks of requests is none of its
    business, but where policies of the listener itself want to know who somebody is (`asked`), nobody passes."""
    if policy is None:
        return stream
    if policy.closed or asked:
        return msgspec.structs.replace(stream, targets=())
    return msgspec.structs.replace(stream, allow=policy.allow, deny=policy.deny)
