"""The rules of an Ingress as entries of its fleet's tables.

Two tables: `http`, and `https` for all chains with TLS, with the same domains and rules; only what is redirected to https
differs. A host that asks for certificates of clients has a table of its own for TLS, which only its chain leads to. Within a
domain the IR's order is the Ingress API's: Exact before Prefix, the longer path first, then the older Ingress; a default backend
comes behind all rules of its domains. Annotations say what else becomes of a line's requests.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from seaway.api.tree import Key
from seaway.re2 import syntax_error
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import Annotations
from seaway.routing.ingress.annotations.rewriting import groups, most_group, substitution
from seaway.routing.ingress.canaries import Second, second
from seaway.routing.ingress.classes import Settings
from seaway.routing.ingress.forwarding import Forwarding
from seaway.routing.ingress.given import said_by
from seaway.routing.ingress.hosts import (
    ALL,
    deeper,
    is_wildcard,
    one_label,
    own_domains,
    rule_domains,
    secured,
    taken,
    twins,
    wildcards,
)
from seaway.routing.ingress.hostwide import HostWide, host_wide
from seaway.routing.ingress.lines import Line, lines
from seaway.routing.ingress.problems import CLOSED, Problem
from seaway.routing.ingress.problems import PATH as BAD_PATH
from seaway.routing.ingress.targets import led
from seaway.routing.ir import (
    Action,
    Cluster,
    Forward,
    HeaderEdits,
    Match,
    PathMatch,
    Redirect,
    Respond,
    Rewrite,
    Rule,
    Source,
    ValueMatch,
)
from seaway.routing.parts import Domain, Entry, order
from seaway.routing.policies.rules import ForRules
from seaway.routing.policies.targets import Target as On
from seaway.routing.policy import RoutePolicy

Tree = dict[str, Any]
HTTP, HTTPS = "http", "https"
# Whoever proves by HTTP that a host is his must be heard over plain HTTP (RFC 8555 8.3), TLS or not.
PROOFS = "/.well-known/acme-challenge/"
TO_HTTPS = Redirect(scheme="https", code=308)
SHUT = Respond(500, "this host's annotations cannot be carried out\n")
FIRST = -1  # before exact paths


class Built(NamedTuple):
    domains: tuple[Domain, ...]
    entries: tuple[Entry, ...]
    clusters: tuple[Cluster, ...]
    problems: tuple[Problem, ...]


def secure_table(domain: str, wide: HostWide) -> str:
    """The table of a domain's chains with TLS."""
    return f"{HTTPS}/{domain}" if wide.check is not None else HTTPS


def build(
    view: View,
    settings: Settings,
    class_name: str,
    tree: Tree,
    annotations: Annotations,
    tables: tuple[str, ...],
) -> Built:
    """The entries of an Ingress in each of the tables."""
    builder = _Builder(view, settings, class_name, tree, annotations, tables)
    for line in lines(tree):
        if not line.alias or not taken(view, class_name, line.domain):
            builder.line(line)
    builder.hosts()
    return Built(
        tuple(builder.domains),
        tuple(builder.entries),
        tuple(builder.clusters.values()),
        tuple(builder.problems.values()),
    )


class _Builder:
    def __init__(
        self,
        view: View,
        settings: Settings,
        class_name: str,
        tree: Tree,
        annotations: Annotations,
        tables: tuple[str, ...],
    ) -> None:
        meta = tree["metadata"]
        self.view, self.settings, self.class_name, self.tree = view, settings, class_name, tree
        self.said, self.tables = annotations, tables
        self.key = Key(str(meta["namespace"]), str(meta["name"]))
        self.created = str(meta.get("creationTimestamp") or "")
        self.entries: list[Entry] = []
        self.domains: dict[Domain, None] = {}
        self.clusters: dict[str, Cluster] = {}
        self.problems: dict[str, Problem] = {}
        by_annotations = said_by(view, self.key, annotations)
        self.problems.update((p.message, p) for p in by_annotations.problems)
        on = On("Ingress", *self.key)
        wider = (On("IngressClass", "", class_name),)
        self.policies = ForRules(view, on, wider, by_annotations.given, lambda to: led(view, to)).rule("")
        self.clusters.update((c.name, c) for c in self.policies.clusters)
        self.forwarding = Forwarding(view, self.key, annotations, self.policies, by_annotations.mirrors)

    # lines

    def line(self, line: Line) -> None:
        wide = host_wide(self.view, self.settings, self.class_name, line.domain)
        other = second(self.view, self.settings, self.class_name, self.key, line)
        redirected = self._redirected(line, wide)
        path, rewrite = self._path(line, wide)
        # Who may not see a host's connections decrypted does not get its rules by another server name either.
        for secure in (False, True) if HTTPS in self.tables and wide.passed is None else (False,):
            table = secure_table(line.domain, wide) if secure else HTTP
            if redirected and not secure:
                self._put(line, table, path, TO_HTTPS, wide)
            elif wide.closed:
                self.problems[wide.closed] = Problem(CLOSED, f"{wide.closed}; {line.domain} is answered with 500")
                self._put(line, table, path, SHUT, wide)
            elif self.said.redirects.elsewhere is not None:
                self._put(line, table, path, self.said.redirects.elsewhere, wide)
            else:
                self._forwarded(line, table, path, rewrite, wide, other, secure)

    def _forwarded(
        self,
        line: Line,
        table: str,
        path: PathMatch,
        rewrite: Rewrite,
        wide: HostWide,
        other: Second | None,
        secure: bool,
    ) -> None:
        main = self.forwarding.main(line, secure)
        there = self.forwarding.canary(other, secure) if other is not None else None
        for served in filter(None, (main, there)):
            self.clusters.update((c.name, c) for c in served.clusters)
            if served.problem is not None:
                # A canary's missing Service its own Ingress is told of; here, that this one's annotations do not fit it.
                whose = "" if served is main or other is None else f"the canary {other.key}: "
                if served is main or served.problem.message.startswith("metadata"):
                    said = served.problem._replace(message=whose + served.problem.message)
                    self.problems[whose + line.field] = said
        always, never = (
            self.forwarding.finished(line, path, rewrite, served.action if served is not None else None)
            for served in (there, main)
        )
        assert never is not None
        rank = 0
        mixed: Action = never
        if other is not None and isinstance(always, Forward):
            for match, to_canary in other.canary.ways():
                self._put(line, table, path, always if to_canary else never, wide, (match,), rank)
                rank += 1
            if isinstance(never, Forward) and other.canary.weight:
                parts = (never.targets, other.canary.total - other.canary.weight), (always.targets, other.canary.weight)
                targets = tuple(
                    msgspec.structs.replace(t, weight=t.weight * share) for ts, share in parts for t in ts if share
                )
                mixed = msgspec.structs.replace(never, targets=targets)
        self._put(line, table, path, mixed, wide, (), rank)

    def _put(
        self,
        line: Line,
        table: str,
        path: PathMatch,
        action: Action,
        wide: HostWide,
        headers: tuple[ValueMatch, ...] = (),
        rank: int = 0,
    ) -> None:
        own = (one_label(line.domain),) if is_wildcard(line.domain) else ()
        places: list[tuple[str, tuple[ValueMatch, ...], int]] = [(line.domain, own, line.late)]
        if line.domain == ALL:
            places += [
                (w, (deeper(w),), 2 + line.late) for w in self.view.ask(wildcards, self.class_name) if table in self.tables
            ]
        source = Source("Ingress", *self.key, line.field.removeprefix("spec."))
        for domain, of_host, late in places:
            rule = self._rule(Match(path=path, headers=(*of_host, *headers)), action, source, wide)
            at = order(rule, self.created, (*line.place, rank), late)
            if path.kind == "regex":
                at = at._replace(length=-len(line.written))
            self.entries.append(Entry(table, domain, at, rule))

    def _rule(self, match: Match, action: Action, source: Source, wide: HostWide) -> Rule:
        """Who is redirected is not asked who he is: it is the same request that comes again."""
        if isinstance(action, Redirect) or action == self.said.redirects.elsewhere or action == SHUT:
            return Rule(match, action, source)
        policy, request = self.policies.route, self.forwarding.request
        if wide.check is not None and wide.clients is not None:
            peer, known = _peer(wide)
            policy = msgspec.structs.replace(policy or RoutePolicy(), peer=peer)
            request = HeaderEdits(set=(*request.set, *known), remove=() if known else ("ssl-client-verify",))
        return Rule(match, action, source, request, cors=self.policies.cors, policy=policy)

    def _path(self, line: Line, wide: HostWide) -> tuple[PathMatch, Rewrite]:
        """What a line matches, and what becomes of the path."""
        host = self.said.backends.host
        if not wide.regex or line.late:
            return line.path, Rewrite(host)
        pattern = f"(?:{line.written})"
        problem = syntax_error(pattern)
        if problem:
            said = f"{line.field}.path: {problem}; as the host's paths are regexes, it is taken literally"
            self.problems[f"{line.field}.path"] = Problem(BAD_PATH, said)
            pattern = "".join(c if c.isalnum() or c in "/_" else f"\\{c}" for c in line.written)
        match = PathMatch("regex", f"(?i){pattern}.*")
        target = self.said.rewriting.target
        if not target or target == line.written:
            return match, Rewrite(host)
        count = 0 if problem else groups(line.written)
        for number in range(count + 1, most_group(target) + 1):
            target = target.replace(f"${number}", "")  # nginx: a group that is not there is empty
        return match, Rewrite(host, "regex", substitution(target) or "/", f"(?i)^{pattern}.*$")

    def _redirected(self, line: Line, wide: HostWide) -> bool:
        """Whether plain HTTP is sent to https: where the domain has TLS, whatever became of its Secret (what is meant for TLS is
        not said in the clear)."""
        if f"{line.path.value}/".startswith(PROOFS):
            return False
        if self.said.redirects.force_ssl or wide.check is not None:
            return True
        if not self.said.redirects.ssl:
            return False
        return wide.passed is not None or self.view.ask(secured, self.settings, self.class_name, line.domain)

    # hosts

    def hosts(self) -> None:
        """The domains, and what is said of them besides paths."""
        owner = Source("Ingress", *self.key)
        root = self.said.rewriting.app_root
        for domain in rule_domains(self.tree):
            if domain not in own_domains(self.tree) and taken(self.view, self.class_name, domain):
                continue
            wide = host_wide(self.view, self.settings, self.class_name, domain)
            for table in self.tables:
                here = secure_table(domain, wide) if table == HTTPS else table
                passed = table == HTTPS and wide.passed is not None
                if domain != ALL:
                    self.domains[Domain(here, domain, owner, passed)] = None
                if passed:
                    continue
                if here not in self.tables:
                    self.domains[Domain(HTTPS, domain, owner, True)] = None
                    self.domains[Domain(here, ALL, owner, True)] = None
                if root:
                    line = Line(domain, PathMatch("exact", "/"), {}, (FIRST, 0), 0, "metadata.annotations")
                    to = Redirect(path_kind="full", path=root, code=302)
                    redirected = table == HTTP and self._redirected(line, wide)
                    self._early(line, here, TO_HTTPS if redirected else to)
        for twin, domain in twins(self.tree).items():
            if taken(self.view, self.class_name, twin):
                continue
            for table in self.tables:
                self.domains[Domain(table, twin, owner)] = None
                line = Line(twin, PathMatch("prefix", "/"), {}, (FIRST, 0), 0, "metadata.annotations")
                self._early(line, table, Redirect(host=domain, code=308))

    def _early(self, line: Line, table: str, action: Redirect) -> None:
        """A rule before all others of its domain."""
        headers = (one_label(line.domain),) if is_wildcard(line.domain) else ()
        rule = Rule(Match(path=line.path, headers=headers), action, Source("Ingress", *self.key, line.field))
        at = order(rule, self.created, (*line.place, 0))._replace(kind=FIRST)
        self.entries.append(Entry(table, line.domain, at, rule))


def _peer(wide: HostWide) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """(headers that tell of the client's certificate, headers whose values are known beforehand)."""
    assert wide.clients is not None and wide.check is not None
    found = [("ssl-client-subject-dn", "subject"), ("ssl-client-issuer-dn", "issuer"), ("ssl-client-cert", "certificate")]
    peer = tuple(found if wide.clients.passed else found[:2])
    return peer, (("ssl-client-verify", "SUCCESS"),) if wide.check.required else ()
