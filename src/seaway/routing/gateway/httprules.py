"""The rules of an HTTPRoute or GRPCRoute as a fleet's listener serves them."""

from __future__ import annotations

from typing import Any

import msgspec

from seaway.routing.durations import seconds
from seaway.routing.gateway import filters
from seaway.routing.gateway.backing import Backing, backing, led
from seaway.routing.gateway.filters import Filters, Incompatible
from seaway.routing.gateway.matches import Unsupported, grpc_matches, http_matches
from seaway.routing.incremental import View
from seaway.routing.ir import (
    Action,
    Cluster,
    Fleet,
    Forward,
    Match,
    Respond,
    Retry,
    Rewrite,
    Rule,
    Session,
    Source,
    Target,
)
from seaway.routing.policies.rules import ForRules, RulePolicies
from seaway.routing.policies.targets import Target as On

Tree = dict[str, Any]
Problem = tuple[str, str]
KINDS = {"httproutes": "HTTPRoute", "grpcroutes": "GRPCRoute"}
OF_RULES = ("RequestMirror", "CORS")  # filters that are for all backends of a rule or for none


class Compiled(msgspec.Struct, frozen=True):
    """`rules`: ((rule, match), Rule) in the route's order. `unresolved`: problems of references. `dropped`: (rule, reason,
    message) of rules that cannot be served."""

    rules: tuple[tuple[tuple[int, int], Rule], ...] = ()
    clusters: tuple[Cluster, ...] = ()
    unresolved: tuple[Problem, ...] = ()
    dropped: tuple[tuple[int, str, str], ...] = ()
    count: int = 0


def compiled(
    view: View, resource: str, namespace: str, name: str, fleet: Fleet, scheme: str, port: int, listener: str = ""
) -> Compiled:
    """A decision: a route's rules at a listener of a fleet."""
    tree = view.get(resource, namespace, name)
    if tree is None:
        return Compiled()
    reader = _Reader(view, KINDS[resource], namespace, name, fleet, scheme, port, listener)
    rules: list[tuple[tuple[int, int], Rule]] = []
    dropped = []
    entries: list[Tree] = tree["spec"].get("rules") or [{}]
    for i, entry in enumerate(entries):
        try:
            rules += [((i, m), rule) for m, rule in enumerate(reader.rules(entry, i))]
        except Unsupported as e:
            dropped.append((i, "UnsupportedValue", str(e)))
        except Incompatible as e:
            dropped.append((i, "IncompatibleFilters", str(e)))
    clusters = tuple(reader.clusters[n] for n in sorted(reader.clusters))
    return Compiled(tuple(rules), clusters, tuple(dict.fromkeys(reader.problems)), tuple(dropped), len(entries))


class _Reader:
    def __init__(
        self,
        view: View,
        kind: str,
        namespace: str,
        name: str,
        fleet: Fleet,
        scheme: str,
        port: int,
        listener: str,
    ) -> None:
        wider = (*((On(*fleet, listener),) if listener else ()), On(*fleet))
        self.policies = ForRules(view, On(kind, namespace, name), wider, lead=lambda to: led(view, fleet, to))
        self.view, self.kind, self.namespace, self.name = view, kind, namespace, name
        self.fleet, self.scheme, self.port = fleet, scheme, port
        self.clusters: dict[str, Cluster] = {}
        self.problems: list[Problem] = []

    def rules(self, entry: Tree, index: int) -> list[Rule]:
        field = f"rules[{index}]"
        source = Source(self.kind, self.namespace, self.name, field)
        matches = list((http_matches if self.kind == "HTTPRoute" else grpc_matches)(entry, field))
        title = str(entry.get("name") or "")
        policies = self.policies.rule(title)
        found = self._filters(entry.get("filters"), f"{field}.filters", policies)
        whole = f"{self.namespace}/{self.name}/{title or field}"
        action = policies.action(self._action(entry, field, found, policies), entry, whole)
        self.clusters.update((c.name, c) for c in policies.clusters)
        cors = found.cors or policies.cors
        return [
            Rule(match, _for_match(action, match), source, found.request, found.response, cors, title, policies.route)
            for match in matches
        ]

    def _filters(self, entries: Any, field: str, policies: RulePolicies) -> Filters:
        def mirrored(ref: Tree) -> str:
            backed = self._backing(ref, policies)
            return backed.cluster.name if backed.cluster is not None else ""

        return filters.read(entries, field, self.scheme, self.port, mirrored)

    def _action(self, entry: Tree, field: str, found: Filters, policies: RulePolicies) -> Action:
        if found.broken:
            self.problems.append(("InvalidKind", f"{field}: {found.broken}"))
            return Respond(500)
        if found.redirect is not None:
            return found.redirect
        timeouts = entry.get("timeouts") or {}
        return Forward(
            tuple(
                self._target(ref, f"{field}.backendRefs[{i}]", policies)
                for i, ref in enumerate(entry.get("backendRefs") or ())
            ),
            found.mirrors,
            seconds(timeouts.get("request")),
            seconds(timeouts.get("backendRequest")),
            _retry(entry.get("retry")),
            _session(entry.get("sessionPersistence"), f"{self.namespace}/{self.name}/{field}"),
            found.rewrite,
        )

    def _target(self, ref: Tree, field: str, policies: RulePolicies) -> Target:
        backed = self._backing(ref, policies)
        weight = int(ref.get("weight", 1))
        if not ref.get("filters"):
            return Target(backed.cluster.name if backed.cluster else "", weight, why=backed.why, title=backed.title)
        for i, entry in enumerate(ref["filters"]):
            if entry["type"] in OF_RULES:
                raise Unsupported(f"{field}.filters[{i}].type: {entry['type']} is a filter of rules, not of backends")
        own = self._filters(ref["filters"], f"{field}.filters", policies)
        if own.mirrors or own.cors:
            raise Unsupported(
                f"{field}.filters: RequestMirror and CORS hold for a whole rule: put them among its filters"
            )
        if own.broken:
            self.problems.append(("InvalidKind", f"{field}: {own.broken}"))
            return Target("", weight, why=own.broken, title=backed.title)
        return Target(
            backed.cluster.name if backed.cluster else "",
            weight,
            own.request,
            own.response,
            own.rewrite,
            own.redirect,
            backed.why,
            backed.title,
        )

    def _backing(self, ref: Tree, policies: RulePolicies) -> Backing:
        insisted = "h2" if self.kind == "GRPCRoute" else ""
        backed = backing(self.view, self.kind, self.namespace, ref, self.fleet, insisted)
        if backed.cluster is not None:
            backed = backed._replace(cluster=policies.cluster(backed.cluster))
        if backed.problem is not None:
            self.problems.append(backed.problem)
        if backed.cluster is not None:
            self.clusters[backed.cluster.name] = backed.cluster
        return backed


def _retry(tree: Tree | None) -> Retry | None:
    if tree is None:
        return None
    return Retry(
        int(tree.get("attempts", 1)),
        tuple(int(c) for c in tree.get("codes") or ()),
        seconds(tree.get("backoff")) or Retry().backoff,
    )


def _session(tree: Tree | None, title: str) -> Session | None:
    if tree is None:
        return None
    kind = "header" if tree.get("type") == "Header" else "cookie"
    named = str(tree.get("sessionName") or "")
    lasting = (tree.get("cookieConfig") or {}).get("lifetimeType") == "Permanent"
    return Session(
        kind,
        named or "seaway-session" + _suffix(title),
        int(seconds(tree.get("absoluteTimeout"))),
        permanent=lasting,
    )


def _suffix(title: str) -> str:
    """Rules of different routes must not share a session by accident."""
    found = 0
    for c in title:
        found = (found * 31 + ord(c)) % 0xFFFFFF
    return f"-{found:06x}"


def _for_match(action: Action, match: Match) -> Action:
    """A prefix that is replaced is the match's: with another kind of match the whole path is."""
    if match.path.kind == "prefix":
        return action
    if isinstance(action, Forward) and action.rewrite.path_kind == "prefix":
        # An exact path has itself as its prefix; what a regex matched has no prefix to be replaced.
        kind = "full" if match.path.kind == "exact" else ""
        changed = Rewrite(action.rewrite.host, kind, action.rewrite.path if kind else "")
        return msgspec.structs.replace(action, rewrite=changed)
    return action
