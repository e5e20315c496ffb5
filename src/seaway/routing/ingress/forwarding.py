"""Where a line's requests go: its backend and its canary's, as annotations and policies have them spoken to."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from seaway.api.tree import Key
from seaway.routing.backends import service_ports
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import Annotations
from seaway.routing.ingress.canaries import Second
from seaway.routing.ingress.hostwide import annotations_of
from seaway.routing.ingress.lines import Line
from seaway.routing.ingress.problems import BACKEND, Problem
from seaway.routing.ingress.targets import UNAVAILABLE, Served, served
from seaway.routing.ingress.upstream import spoken
from seaway.routing.ir import Action, Cluster, Forward, HeaderEdits, Mirror, PathMatch, Rewrite
from seaway.routing.policies.rules import RulePolicies


class Led(NamedTuple):
    """What becomes of requests, and the clusters that this takes."""

    action: Action
    clusters: tuple[Cluster, ...] = ()
    problem: Problem | None = None


class Forwarding:
    """Of one Ingress's lines."""

    def __init__(
        self, view: View, key: Key, said: Annotations, policies: RulePolicies, mirrors: tuple[Mirror, ...]
    ) -> None:
        self._view, self._key, self._said, self._policies, self._mirrors = view, key, said, policies, mirrors
        prefix = said.rewriting.prefix
        self.request = HeaderEdits(set=(("x-forwarded-prefix", prefix),)) if prefix else HeaderEdits()

    def main(self, line: Line, secure: bool) -> Led:
        """To the line's own backend. `secure`: requests that came by TLS."""
        answer = served(self._view, self._key.namespace, line.backend, line.field if line.late else f"{line.field}.backend")
        if answer.problem is not None and answer.problem.reason == BACKEND and self._said.backends.default:
            instead = self._default()
            if instead is not None:
                return self._led(instead, secure)._replace(problem=answer.problem)
        return self._led(answer, secure)

    def canary(self, other: Second, secure: bool) -> Led:
        """To a canary's backend: all but the balancing is as the main Ingress says."""
        answer = served(self._view, other.key.namespace, other.line.backend, other.line.field)
        said = self._view.ask(annotations_of, *other.key).backends
        own = said if said.protocol else self._said.backends
        return self._led(answer, secure, msgspec.structs.replace(self._said, backends=own))

    def _default(self) -> Served | None:
        """The Service of `default-backend`, at its first port."""
        name = self._said.backends.default
        ports = self._view.ask(service_ports, self._key.namespace, name)
        if not ports:
            return None
        backend = {"service": {"name": name, "port": {"number": ports[0].port}}}
        found = served(self._view, self._key.namespace, backend, "")
        return found if found.problem is None else None

    def _led(self, answer: Served, secure: bool, said: Annotations | None = None) -> Led:
        if answer.cluster is None or not isinstance(answer.action, Forward):
            return Led(answer.action, (), answer.problem)
        found = spoken(self._view, self._key.namespace, answer.cluster, (said or self._said).backends, secure)
        if isinstance(found, Problem):
            return Led(UNAVAILABLE, (), found)
        cluster = self._policies.cluster(found)
        targets = tuple(msgspec.structs.replace(t, cluster=cluster.name) for t in answer.action.targets)
        return Led(msgspec.structs.replace(answer.action, targets=targets), (cluster,), answer.problem)

    def finished(self, line: Line, path: PathMatch, rewrite: Rewrite, action: Action | None) -> Action | None:
        """The action with what annotations and policies say of the whole request."""
        if action is None:
            return None
        if isinstance(action, Forward):
            action = msgspec.structs.replace(
                action, rewrite=rewrite, mirrors=self._mirrors, read_timeout=float(self._said.timeouts.read)
            )
        action = self._policies.action(action, {}, f"{self._key}/{line.field}")
        if isinstance(action, Forward) and action.session is not None and not action.session.path:
            where = line.path.value if path.kind != "regex" else "/"
            action = msgspec.structs.replace(action, session=msgspec.structs.replace(action.session, path=where))
        return action
