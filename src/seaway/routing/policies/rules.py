"""The policies of a route's rules: what each rule, and each cluster that it uses, gets from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from seaway.routing.backends import service_ports
from seaway.routing.incremental import View
from seaway.routing.ir import Action, Cluster, Cors, Forward, Respond
from seaway.routing.policies import traffic
from seaway.routing.policies.security import Security, security
from seaway.routing.policies.targets import SECURITY, TRAFFIC, Target, Won, fields
from seaway.routing.policy import RoutePolicy

Tree = dict[str, Any]
ANY_TRAFFIC, ANY_SECURITY = "any traffic policy", "any security policy"  # indexes that tell whether there are any


class Given(NamedTuple):
    """What the route itself says in fields of policies (an Ingress's annotations): the route's policies come before it, field
    by field. A value is the field's tree, or what the tree would become. `closed`: why nobody may pass; `clusters`: what the
    values refer to."""

    traffic: Mapping[str, Won] = {}
    security: Mapping[str, Won] = {}
    closed: str = ""
    clusters: tuple[Cluster, ...] = ()


NOTHING = Given()


class ForRules:
    """`route` is what the rules belong to, `wider` what holds where it says nothing, the more specific first; `given`: what the
    route says itself. Without a policy in the cluster nothing is looked for."""

    def __init__(self, view: View, route: Target, wider: tuple[Target, ...], given: Given = NOTHING) -> None:
        self._view, self._route, self._wider, self._given = view, route, wider, given
        self._any = view.has(ANY_TRAFFIC) or view.has(ANY_SECURITY)
        self._known: dict[str, RulePolicies] = {}

    def rule(self, name: str) -> RulePolicies:
        """Of the rule of this name; rules without one share what holds for the route."""
        if name not in self._known:
            self._known[name] = self._made(name)
        return self._known[name]

    def _made(self, name: str) -> RulePolicies:
        given = self._given
        if not self._any:
            said = given != NOTHING
            return RulePolicies(self._view, said, dict(given.traffic), {}, dict(given.security), given)
        own = (*((self._route._replace(section=name),) if name else ()), self._route)
        of_route = {**given.traffic, **fields(self._view, TRAFFIC, own)}
        of_wider = fields(self._view, TRAFFIC, self._wider)
        of_security = {
            **fields(self._view, SECURITY, self._wider),
            **given.security,
            **fields(self._view, SECURITY, own),
        }
        return RulePolicies(self._view, True, of_route, of_wider, of_security, given)


class RulePolicies:
    """What holds for a rule."""

    def __init__(
        self,
        view: View,
        any_policy: bool,
        of_route: dict[str, Won],
        of_wider: dict[str, Won],
        of_security: dict[str, Won],
        given: Given = NOTHING,
    ) -> None:
        self._view, self._any, self._of_route, self._of_wider = view, any_policy, of_route, of_wider
        self._traffic = {**of_wider, **of_route}
        self._security = security(view, of_security) if of_security else Security()
        if given.closed and not self._security.closed:
            self._security = Security(closed=given.closed)
        self._given = given

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
            return Respond(500, "the security policy of this route cannot be carried out\n")
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
        namespace, service, number = cluster.name.split("/")[:3]
        whole = Target("Service", namespace, service)
        ports = self._view.ask(service_ports, namespace, service) or ()
        names = [p.name for p in ports if str(p.port) == number and p.name]
        chain = (*(whole._replace(section=section) for section in (*names, number)), whole)
        of_service = fields(self._view, TRAFFIC, chain)
        backends = {n: w for n, w in of_service.items() if n in traffic.OF_BACKENDS}
        policy = traffic.backend({**self._of_wider, **backends, **self._of_route})
        if policy is None:
            return cluster
        return msgspec.structs.replace(cluster, name=f"{cluster.name}/{_digest(policy)}", policy=policy)


def _digest(value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=4).hexdigest()
