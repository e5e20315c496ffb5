"""The rules of an Ingress as entries of its fleet's tables.

Two tables: `http`, and `https` for all chains with TLS, with the same domains and rules; only what is redirected to https
differs. Within a domain the IR's order is the Ingress API's: Exact before Prefix, the longer path first, then the older
Ingress; a default backend comes behind all rules of its domains.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from seaway.api.tree import get
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import Annotations
from seaway.routing.ingress.classes import Settings
from seaway.routing.ingress.hosts import (
    ALL,
    deeper,
    domain_of,
    is_wildcard,
    one_label,
    rule_domains,
    secured,
    wildcards,
)
from seaway.routing.ingress.problems import Problem
from seaway.routing.ingress.targets import Served, led, served
from seaway.routing.ir import Action, Cluster, Forward, Match, PathMatch, Redirect, Rule, Source, ValueMatch
from seaway.routing.parts import Domain, Entry, order
from seaway.routing.policies.rules import ForRules, RulePolicies
from seaway.routing.policies.targets import Target as On

Tree = dict[str, Any]
HTTP, HTTPS = "http", "https"
# Whoever proves by HTTP that a host is his must be heard over plain HTTP (RFC 8555 8.3), TLS or not.
PROOFS = "/.well-known/acme-challenge/"
TO_HTTPS = Redirect(scheme="https", code=308)


class Line(NamedTuple):
    """A path of a rule, or the default backend (late 1) under one of its domains. `field`: where it stands in the Ingress."""

    domain: str
    path: PathMatch
    backend: Tree
    place: tuple[int, int]
    late: int
    field: str


class Built(NamedTuple):
    domains: tuple[Domain, ...]
    entries: tuple[Entry, ...]
    clusters: tuple[Cluster, ...]
    problems: tuple[Problem, ...]


def path_match(kind: str, path: str) -> PathMatch:
    """`Prefix` goes by whole segments, and a slash at its end says nothing. ImplementationSpecific is read as Prefix."""
    if kind == "Exact":
        return PathMatch("exact", path)
    return PathMatch("prefix", path.rstrip("/") or "/")


def lines(tree: Tree) -> list[Line]:
    """All that an Ingress serves, in the order in which it stands there."""
    found = []
    rules = get(tree, "spec", "rules") or ()
    for i, rule in enumerate(rules):
        for j, entry in enumerate(get(rule, "http", "paths") or ()):
            match = path_match(str(entry.get("pathType") or ""), str(entry.get("path") or "/"))
            field = f"spec.rules[{i}].http.paths[{j}]"
            found.append(Line(domain_of(rule), match, entry.get("backend") or {}, (i, j), 0, field))
    default = get(tree, "spec", "defaultBackend")
    if default:
        for i, domain in enumerate(rule_domains(tree)):
            place = (len(rules) + i, 0)
            found.append(Line(domain, PathMatch("prefix", "/"), default, place, 1, "spec.defaultBackend"))
    return found


def build(
    view: View,
    settings: Settings,
    class_name: str,
    tree: Tree,
    annotations: Annotations,
    tables: tuple[str, ...],
) -> Built:
    """The entries of an Ingress in each of the tables."""
    meta = tree["metadata"]
    namespace, name = str(meta["namespace"]), str(meta["name"])
    created = str(meta.get("creationTimestamp") or "")
    entries: list[Entry] = []
    clusters: dict[str, Cluster] = {}
    problems: dict[str, Problem] = {}
    whole = (On("IngressClass", "", class_name),)
    policies = ForRules(view, On("Ingress", namespace, name), whole, lead=lambda to: led(view, to)).rule("")
    clusters.update((c.name, c) for c in policies.clusters)
    for line in lines(tree):
        answer = served(view, namespace, line.backend, line.field if line.late else f"{line.field}.backend")
        if answer.problem is not None:
            problems[line.field] = answer.problem
        forwarded = _under(policies, answer, f"{namespace}/{name}/{line.field}", clusters)
        source = Source("Ingress", namespace, name, line.field.removeprefix("spec."))
        redirected = _redirected(view, settings, class_name, line, annotations)
        for table in tables:
            action: Action = TO_HTTPS if redirected and table == HTTP else forwarded
            own = (one_label(line.domain),) if is_wildcard(line.domain) else ()
            places: list[tuple[str, tuple[ValueMatch, ...], int]] = [(line.domain, own, line.late)]
            if line.domain == ALL:
                places += [(w, (deeper(w),), 2 + line.late) for w in view.ask(wildcards, class_name)]
            for domain, headers, late in places:
                rule = _rule(line.path, headers, action, source, policies)
                entries.append(Entry(table, domain, order(rule, created, line.place, late), rule))
    owner = Source("Ingress", namespace, name)
    domains = (Domain(table, d, owner) for table in tables for d in rule_domains(tree) if d != ALL)
    return Built(tuple(domains), tuple(entries), tuple(clusters.values()), tuple(problems.values()))


def _under(policies: RulePolicies, answer: Served, title: str, clusters: dict[str, Cluster]) -> Action:
    """What comes of the requests for a backend, as policies have it; notes the clusters that this takes."""
    action: Action = answer.action
    if answer.cluster is not None and isinstance(action, Forward):
        cluster = policies.cluster(answer.cluster)
        clusters[cluster.name] = cluster
        targets = tuple(msgspec.structs.replace(t, cluster=cluster.name) for t in action.targets)
        action = msgspec.structs.replace(action, targets=targets)
    return policies.action(action, {}, title)


def _rule(
    path: PathMatch, headers: tuple[ValueMatch, ...], action: Action, source: Source, policies: RulePolicies
) -> Rule:
    """Who is redirected is not asked who he is: it is the same request that comes again."""
    match = Match(path=path, headers=headers)
    if isinstance(action, Redirect):
        return Rule(match, action, source)
    return Rule(match, action, source, cors=policies.cors, policy=policies.route)


def _redirected(view: View, settings: Settings, class_name: str, line: Line, annotations: Annotations) -> bool:
    """Whether plain HTTP is sent to https: where the domain has TLS, whatever became of its Secret (what is meant for TLS is
    not said in the clear)."""
    if f"{line.path.value}/".startswith(PROOFS):
        return False
    if annotations.force_ssl_redirect:
        return True
    return annotations.ssl_redirect and view.ask(secured, settings, class_name, line.domain)
