"""The policies of a route's rules: what each rule, and each cluster that it uses, gets from them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from seaway.routing.backends import cluster_of, protocol_of, service_port, service_ports
from seaway.routing.incremental import View
from seaway.routing.ir import Action, Cluster, Cors, Forward, Respond
from seaway.routing.policies import traffic
from seaway.routing.policies.force import Force, force
from seaway.routing.policies.security import Asked, Led, made
from seaway.routing.policies.targets import SECURITY, TRAFFIC, Target, Won
from seaway.routing.policy import ApiKeys, BackendPolicy, BasicAuth, External, JwtProvider, RoutePolicy

Tree = dict[str, Any]
ANY_TRAFFIC, ANY_SECURITY = "any traffic policy", "any security policy"  # indexes that tell whether there are any
CLOSED = Respond(500, "the security policy of this route cannot be carried out\n")


class Given(NamedTuple):
    """What the route itself says in fields of policies (an Ingress's annotations): the route's policies come before it, field
    by field. A value is the field's tree, or what the tree would become. `closed`: why nobody may pass; `clusters`: what the
    values refer to."""

    traffic: Mapping[str, Won] = {}
    security: Mapping[str, Won] = {}
    closed: str = ""
    clusters: tuple[Cluster, ...] = ()


NOTHING = Given()
# A Service port as a cluster of the fleet, or why it cannot be one.
Lead = Callable[[Led], Cluster | str]


class Security(NamedTuple):
    """Who may pass. `clusters`: of authorizers and of keys. `closed`: why nobody may, "" for nothing."""

    cors: Cors | None = None
    basic: BasicAuth | None = None
    api_keys: ApiKeys | None = None
    jwt: tuple[JwtProvider, ...] = ()
    external: External | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    closed: str = ""


class ForRules:
    """`route` is what the rules belong to, `wider` what holds where it says nothing, the more specific first; `given`: what the
    route says itself. Without a policy in the cluster nothing is looked for."""

    def __init__(
        self, view: View, route: Target, wider: tuple[Target, ...], given: Given = NOTHING, lead: Lead | None = None
    ) -> None:
        self._view, self._route, self._wider, self._given = view, route, wider, given
        self._any = view.has(ANY_TRAFFIC) or view.has(ANY_SECURITY)
        self._lead: Lead = lead or (lambda led: plain(view, led))
        self._known: dict[str, RulePolicies] = {}

    def rule(self, name: str) -> RulePolicies:
        """Of the rule of this name; rules without one share what holds for the route."""
        if name not in self._known:
            self._known[name] = self._made(name)
        return self._known[name]

    def _made(self, name: str) -> RulePolicies:
        given = self._given
        if not self._any:
            return RulePolicies(
                self._view, given != NOTHING, given.traffic, {}, Force(given.security), given, self._lead
            )
        own = (*((self._route._replace(section=name),) if name else ()), self._route)
        of_route = {**given.traffic, **force(self._view, TRAFFIC, own).fields}
        of_wider = force(self._view, TRAFFIC, self._wider).fields
        here, there = force(self._view, SECURITY, own), force(self._view, SECURITY, self._wider)
        # What one of them cannot carry out closes the route, though another should have been asked first for that field.
        of_security = Force({**there.fields, **given.security, **here.fields}, here.closed or there.closed)
        return RulePolicies(self._view, True, of_route, of_wider, of_security, given, self._lead)


class RulePolicies:
    """What holds for a rule."""

    def __init__(
        self,
        view: View,
        any_policy: bool,
        of_route: Mapping[str, Won],
        of_wider: Mapping[str, Won],
        of_security: Force,
        given: Given,
        lead: Lead,
    ) -> None:
        self._view, self._any, self._of_route, self._of_wider = view, any_policy, of_route, of_wider
        self._traffic = {**of_wider, **of_route}
        self._given = given
        self._security = self._secured(of_security, lead)

    def _secured(self, held: Force, lead: Lead) -> Security:
        closed = held.closed or self._given.closed
        if closed or not held.fields:
            return Security(closed=closed)
        values = {}
        for name, won in held.fields.items():
            values[name] = won.value
            if isinstance(won.value, dict):  # given as a tree
                found, problem = made(self._view, won.policy.namespace, {name: won.value})
                if problem:
                    return Security(closed=problem)
                values.update(found)
        clusters: dict[str, Cluster] = {}
        problems: list[str] = []

        def asked(field: str, one: Any) -> Any:
            """With the cluster of whom is asked."""
            if not isinstance(one, Asked):
                return one
            if one.led is None:
                return one.value
            cluster = lead(one.led)
            if isinstance(cluster, str):
                problems.append(f"spec.{field}: {cluster}")
                return one.value
            cluster = self._of_service(cluster)
            clusters[cluster.name] = cluster
            return msgspec.structs.replace(one.value, cluster=cluster.name)

        jwt = tuple(asked("jwt", provider) for provider in values.get("jwt") or ())
        external = asked("externalAuth", values.get("externalAuth"))
        if problems:
            return Security(closed=problems[0])
        return Security(
            values.get("cors"),
            values.get("basicAuth"),
            values.get("apiKeys"),
            jwt,
            external,
            values.get("allow") or (),
            values.get("deny") or (),
            tuple(clusters[n] for n in sorted(clusters)),
        )

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """Those that the policies themselves use."""
        return (*self._security.clusters, *self._given.clusters)

    @property
    def cors(self) -> Cors | None:
        return self._security.cors

    @property
    def route(self) -> RoutePolicy | None:
        found = RoutePolicy(
            traffic.limits(self._traffic),
            traffic.hash_on(self._traffic),
            self._security.basic,
            self._security.api_keys,
            self._security.jwt,
            self._security.external,
            self._security.allow,
            self._security.deny,
            traffic.largest_body(self._traffic),
            self._security.closed,
        )
        return found if found != RoutePolicy() else None

    def action(self, action: Action, entry: Tree, title: str) -> Action:
        """What a rule does, with what policies say where the rule itself says nothing. `entry` is the rule."""
        if self._security.closed:
            return CLOSED
        if not self._traffic or not isinstance(action, Forward):
            return action
        request, attempt = traffic.timeouts(self._traffic)
        own = entry.get("timeouts") or {}
        return msgspec.structs.replace(
            action,
            timeout=action.timeout if "request" in own or request is None else request,
            try_timeout=action.try_timeout if "backendRequest" in own or attempt is None else attempt,
            retry=action.retry or traffic.retry(self._traffic),
            session=action.session or traffic.session(self._traffic, f"seaway-{_digest(title)}"),
        )

    def cluster(self, cluster: Cluster) -> Cluster:
        """A cluster as the rule uses it: what the route says, else what the Service has, else what the Gateway has."""
        if not self._any:
            return cluster
        of_service = self._service_fields(cluster)
        policy = traffic.backend({**self._of_wider, **of_service, **self._of_route})
        own = "loadBalancing" in of_service and "loadBalancing" not in self._of_route
        return used(cluster, _hashing(policy, of_service, cluster) if own else policy)

    def _of_service(self, cluster: Cluster) -> Cluster:
        """A cluster as its Service alone says, for who asks it about others' requests."""
        of_service = self._service_fields(cluster)
        return used(cluster, _hashing(traffic.backend(of_service), of_service, cluster))

    def _service_fields(self, cluster: Cluster) -> dict[str, Won]:
        namespace, service, number, *_ = cluster.name.split("/")
        whole = Target("Service", namespace, service)
        ports = self._view.ask(service_ports, namespace, service) or ()
        protocol = "UDP" if cluster.protocol == "udp" else "TCP"
        names = [p.name for p in ports if (str(p.port), p.protocol) == (number, protocol) and p.name]
        chain = (*(whole._replace(section=section) for section in (*names, number)), whole)
        found = force(self._view, TRAFFIC, chain).fields
        return {n: w for n, w in found.items() if n in traffic.OF_BACKENDS}


def _hashing(policy: BackendPolicy | None, of_service: Mapping[str, Won], cluster: Cluster) -> BackendPolicy | None:
    """A policy whose balancing is the Service's own: what it goes by is, too, whatever rule leads there. Streams have nothing but
    the client's address to go by."""
    if policy is None or policy.balancing is None or cluster.protocol in ("tcp", "udp"):
        return policy
    balancing = msgspec.structs.replace(policy.balancing, hash_on=traffic.hash_on(of_service))
    return msgspec.structs.replace(policy, balancing=balancing)


def used(cluster: Cluster, policy: BackendPolicy | None) -> Cluster:
    """A cluster as a policy wants it used: who want the same share one."""
    if policy is not None and cluster.protocol == "udp":
        # Datagrams have no connections that could be counted, checked or begun with a header.
        policy = BackendPolicy(policy.balancing) if policy.balancing is not None else None
    if policy is None:
        return cluster
    return msgspec.structs.replace(cluster, name=f"{cluster.name}/{_digest(policy)}", policy=policy)


def plain(view: View, led: Led) -> Cluster | str:
    """A Service port as a cluster, where the front end has nothing to say of TLS."""
    port = service_port(view, led.namespace, led.service, led.port)
    if port is None:
        return f"Service {led.namespace}/{led.service} has no port {led.port}"
    return cluster_of(led.namespace, led.service, port, led.protocol or protocol_of(port) or "http1")


def _digest(value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=4).hexdigest()
