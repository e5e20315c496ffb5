"""What a fleet's proxies are to hold, kept as resources; a change of the intermediate representation gives those that differ."""

from __future__ import annotations

import enum
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from seaway.envoy.translation import clusters, limits, listeners, scopes, secrets, shards, tls, tokens
from seaway.envoy.translation.names import ANY, LIMIT_FILTER, TOKEN_FILTER, Scope
from seaway.envoy.translation.redirects import portless
from seaway.envoy.translation.routes import routes, shut, used
from seaway.envoy.xds.resources import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    LISTENER,
    SCOPES,
    SECRET,
    Name,
    Resource,
    resource,
)
from seaway.routing import http3
from seaway.routing.ir import Chain, Endpoints, Fleet, Host, Match, Pieces, Respond, Rule, Socket, Source
from seaway.routing.policy import RateLimit

T = TypeVar("T")

# Route objects of a fleet that have counters of their own; where there are more none has, so that metrics stay bounded.
MOST_MEASURED = 200
TOKENS, LIMITED = Name(EXTENSION, TOKEN_FILTER), Name(EXTENSION, LIMIT_FILTER)


def _refusing(rule: Rule) -> tuple[bytes, ...]:
    """What the rule would have taken is answered with an error: it must not fall to another, which may ask less of it."""
    try:
        return routes(Rule(rule.match, Respond(500), rule.source, name=rule.name))
    except Exception:  # as in Translation._made
        return shut(rule)


class Change(NamedTuple):
    """Resources that are new or differ, and names of those that are to go. Both sorted by name."""

    put: tuple[Resource, ...] = ()
    gone: tuple[Name, ...] = ()


class Ban(enum.Enum):
    """What becomes of the rules of a source that proxies have refused. The match may stay, so that what it would have taken
    gets an error instead of another rule's answer; where the match itself is refused the rule is left out."""

    ACTION = "answered with 500"
    RULE = "left out"


class _Part(NamedTuple):
    """What a scope's resource was made of; `routes` by the id of the rule that they hold."""

    hosts: tuple[Host, ...]
    routes: dict[int, tuple[Rule, tuple[bytes, ...]]]


class Translation:
    """The resources of one fleet. `address`: what listeners bind to, `::` for both families.

    `apply` takes what has changed and answers with what differs; equal values are not translated again.
    """

    def __init__(self, fleet: Fleet, address: str = "::") -> None:
        self.fleet = fleet
        self.address = address
        self.resources: dict[Name, Resource] = {}
        self._sockets: dict[str, Socket] = {}
        self._scopes: dict[Scope, dict[str, Host]] = {}
        self._members: dict[Scope, set[Name]] = {}
        self._parts: dict[Name, _Part] = {}
        self._unspeakable: dict[tuple[Source, Match], str] = {}  # rules that cannot be said to Envoy, and why
        self.unsaid: dict[Name, str] = {}  # the same of what they need
        self.unsaid_chains: dict[Name, dict[Source, str]] = {}  # and of listeners' chains
        self._bans: dict[Source, Ban] = {}
        self._objects: Counter[tuple[str, str, str]] = Counter()  # the route objects that there are rules of
        self._measured = True
        self._issuers: Counter[tokens.Providers] = Counter()  # what routes require of tokens
        self._required: frozenset[tokens.Providers] = frozenset()
        self._serving: set[str] = set()  # sockets with tables
        self._limits: Counter[RateLimit] = Counter()  # the kinds of limits that rules have
        self._limited: frozenset[RateLimit] | None = None  # those that proxies know
        self._put: dict[Name, Resource] = {}
        self._gone: set[Name] = set()

    def apply(self, pieces: Pieces) -> Change:
        """Takes what has changed of the fleet."""
        for name, certificate in pieces.certificates.items():
            self._made(Name(SECRET, name), certificate, secrets.certificate)
        for name, trust in pieces.trusts.items():
            self._made(Name(SECRET, name), trust, secrets.trust)
        for name, cluster in pieces.clusters.items():
            needs: frozenset[Name] = frozenset()
            if cluster is not None:
                needs = frozenset(Name(SECRET, s) for s in tls.secrets_of_backend(cluster.tls))
                if not cluster.external:
                    needs |= {Name(ENDPOINT, name)}
            self._made(Name(CLUSTER, name), cluster, clusters.cluster, needs)
        for name, endpoints in pieces.endpoints.items():
            self._made(Name(ENDPOINT, name), endpoints, clusters.endpoints)
            if endpoints is not None and Name(ENDPOINT, name) not in self.resources:
                self._one(Name(ENDPOINT, name), clusters.endpoints(Endpoints(name, ())))  # it would be waited for
        for name, socket in pieces.sockets.items():
            self._sockets.pop(name, None)
            if socket is not None and socket.chains:
                self._sockets[name] = socket
        for port in sorted({int(name.rpartition("-")[2]) for name in pieces.sockets}):
            self._port(port)
        self._hosts(pieces.hosts)
        self._tokens()
        self._limit()
        return self._taken()

    def _made(self, name: Name, piece: T | None, make: Callable[[T], bytes], needs: frozenset[Name] = frozenset()) -> None:
        """A piece as a resource. What cannot be said to Envoy stays as it was, is told of, and hurts no other piece."""
        self.unsaid.pop(name, None)
        try:
            body = make(piece) if piece is not None else None
        except Exception as e:  # whatever it is: the engine tells of each change once, so that none may be lost
            self.unsaid[name] = str(e) or type(e).__name__
            return
        self._one(name, body, needs)

    def _port(self, port: int) -> None:
        """The listeners of a port: TCP, UDP, and QUIC where nobody else has the port by UDP."""
        tcp, udp = self._sockets.get(f"tcp-{port}"), self._sockets.get(f"udp-{port}")
        quic = tcp is not None and udp is None and bool(http3.chains(tcp))
        self._socket(Name(LISTENER, f"udp-{port}"), udp)
        said = self._socket(Name(LISTENER, f"tcp-{port}"), tcp, quic)
        name = Name(LISTENER, listeners.quic_name(port))
        body = listeners.quic(self.fleet, said, self.address) if quic and said is not None else None
        needs = {Name(SECRET, s) for s in listeners.quic_secrets(said)} if said is not None else set()
        self._one(name, body, frozenset({TOKENS, LIMITED, *needs}))

    def _socket(self, name: Name, socket: Socket | None, quic: bool = False) -> Socket | None:
        """A listener, without those of its chains that cannot be said: with what is left."""
        self.unsaid_chains.pop(name, None)
        if socket is not None:
            try:
                self._listener(name, socket, quic)
                return socket
            except Exception:  # as in _made
                bad = {c: why for c in socket.chains if (why := self._unsayable(socket, c))}
                self.unsaid_chains[name] = {c.source: why for c, why in bad.items()}
                left = tuple(c for c in socket.chains if c not in bad)
                socket = msgspec.structs.replace(socket, chains=left if bad else ())
        self._listener(name, socket, quic)
        return socket

    def _unsayable(self, socket: Socket, chain: Chain) -> str:
        try:
            listeners.listener(self.fleet, msgspec.structs.replace(socket, chains=(chain,)), self.address)
        except Exception as e:  # as in _made
            return str(e) or type(e).__name__
        return ""

    def _listener(self, name: Name, socket: Socket | None, quic: bool) -> None:
        self._serving.discard(name.name)
        if socket is None or not socket.chains:
            return self._one(name, None)
        needs = frozenset(Name(SECRET, s) for s in listeners.secrets(socket))
        needs |= {Name(CLUSTER, c) for c in listeners.clusters(socket)}
        if any(chain.table for chain in socket.chains):
            self._serving.add(name.name)
            needs |= {TOKENS, LIMITED}
        return self._one(name, listeners.listener(self.fleet, socket, self.address, quic), needs)

    def ban(self, bans: Mapping[Source, Ban]) -> Change:
        """Sets whose rules are answered with an error or left out, because a proxy would not have them; an empty mapping lifts
        all bans."""
        touched = {s for s in self._bans.keys() | bans.keys() if self._bans.get(s) is not bans.get(s)}
        self._bans = dict(bans)
        for scope, hosts in self._scopes.items():
            if any(rule.source in touched for host in hosts.values() for rule in host.rules):
                for name in self._members.get(scope, ()):
                    self._parts.pop(name, None)
                self._scope(scope)
        return self._taken()

    @property
    def unspeakable(self) -> dict[Source, str]:
        """Of which rules cannot be said to Envoy, and why."""
        return {source: why for (source, _), why in self._unspeakable.items()}

    def has(self, source: Source) -> bool:
        """There are rules of the object that this is a part of."""
        return source[:3] in self._objects

    def rules(self) -> Iterator[Rule]:
        """All rules that there are, also those that are banned."""
        for hosts in self._scopes.values():
            for host in hosts.values():
                yield from host.rules

    def _hosts(self, tables: Mapping[str, Mapping[str, Host | None]]) -> None:
        touched: set[Scope] = set()
        changed: dict[Scope, dict[str, Host | None]] = defaultdict(dict)
        for table, hosts in tables.items():
            for domain, host in hosts.items():
                changed[scopes.scope_of(table, domain)][domain] = host
        for scope, differing in changed.items():
            held = self._scopes.setdefault(scope, {})
            for domain, host in differing.items():
                if held.get(domain) == host:
                    continue
                touched.add(scope)
                before = held.get(domain)
                self._count(before.rules if before else (), host.rules if host else ())
                if host is None:
                    del held[domain]
                else:
                    held[domain] = host
            if not held:
                del self._scopes[scope]
        if self._measured != (len(self._objects) <= MOST_MEASURED):
            self._measured = not self._measured
            self._parts.clear()
            touched |= self._scopes.keys()
        for scope in sorted(touched):
            self._scope(scope)

    def _tokens(self) -> None:
        """Issuers that no route requires any more stay until the next change: proxies learn of routes after issuers."""
        now = frozenset(self._issuers)
        if now == self._required and (TOKENS in self.resources or not self._serving):
            return
        wanted = sorted(now | self._required, key=tokens.requirement)
        self._required = now
        # Where key sets are fetched from is not waited for: it is everybody's issuers, and listeners wait for them. A proxy that
        # does not know a cluster, or will not have it, fetches again a second later (jwks_async_fetcher.cc).
        self._one(TOKENS, tokens.tokens(wanted))

    def _limit(self) -> None:
        """The kinds of limits: one more or less starts all counts of the proxies anew, so that they are told of nothing else."""
        wanted = frozenset(self._limits) if self._serving else None
        if wanted != self._limited:
            self._limited = wanted
            self._one(LIMITED, limits.filter_of(wanted) if wanted is not None else None)

    def _count(self, old: Sequence[Rule], new: Sequence[Rule]) -> None:
        self._issuers.update(rule.policy.jwt for rule in new if rule.policy is not None and rule.policy.jwt)
        for rule in old:
            if rule.policy is not None and rule.policy.jwt:
                self._issuers[rule.policy.jwt] -= 1
                if not self._issuers[rule.policy.jwt]:
                    del self._issuers[rule.policy.jwt]
        self._limits.update(limit for rule in new for limit in limits.local(rule.policy))
        self._limits.subtract(limit for rule in old for limit in limits.local(rule.policy))
        self._limits = +self._limits
        self._objects.subtract(rule.source[:3] for rule in old)
        self._objects.update(rule.source[:3] for rule in new)
        for name in {rule.source[:3] for rule in old}:
            if not self._objects[name]:
                del self._objects[name]
        if self._unspeakable:
            for gone in {(rule.source, rule.match) for rule in old} - {(rule.source, rule.match) for rule in new}:
                self._unspeakable.pop(gone, None)

    def _scope(self, scope: Scope) -> None:
        """Makes a scope anew, or those of its shards that differ."""
        hosts = tuple(host for _, host in sorted(self._scopes.get(scope, {}).items()))
        previous = self._members.pop(scope, set())
        members: set[Name] = set()
        plan = shards.plan(hosts)
        if plan is not None:
            for i, part in enumerate(plan.shards):
                members.add(self._part(Scope(scope.table, scope.domain, f"{plan.depth}.{i}"), part))
            name = Name(SCOPES, scope.name)
            # It leads to the shards: all of them come before it, and go after it.
            self._one(name, scopes.sharded(scope, plan.depth), frozenset(members))
            self._parts.pop(name, None)
            members.add(name)
        elif hosts:
            members.add(self._part(scope, hosts))
        if members:
            self._members[scope] = members
        for name in previous - members:
            self._parts.pop(name, None)
            self._one(name, None)

    def _part(self, scope: Scope, hosts: tuple[Host, ...]) -> Name:
        """A scope or shard with its rules; the routes of rules that it had already are kept as they are."""
        name = Name(SCOPES, scope.name)
        known = self._parts.get(name)
        if known is not None and known.hosts == hosts:
            return name
        before = known.routes if known is not None else {}
        routes: dict[int, tuple[Rule, tuple[bytes, ...]]] = {}

        def rendered(rule: Rule) -> tuple[bytes, ...]:
            # By identity, which costs nothing to look up: what holds the rule here also keeps its id from being another's.
            found = before.get(id(rule)) or (rule, self._rendered(rule, scope.domain))
            routes[id(rule)] = found
            return found[1]

        body = scopes.whole(scope, hosts, rendered)
        # What is left out needs nothing: its cluster may be what was refused.
        served = (
            rule
            for host in hosts
            for rule in host.rules
            if rule.source not in self._bans and (rule.source, rule.match) not in self._unspeakable
        )
        needs = frozenset(Name(CLUSTER, c) for rule in served for c in used(rule))
        if any(rule.policy is not None and rule.policy.jwt for host in hosts for rule in host.rules):
            needs |= {TOKENS}
        self._one(name, body, needs)
        self._parts[name] = _Part(hosts, routes)
        return name

    def _rendered(self, rule: Rule, domain: str) -> tuple[bytes, ...]:
        ban = self._bans.get(rule.source)
        if ban is Ban.RULE:
            return shut(rule)
        if ban is Ban.ACTION:
            return _refusing(rule)
        try:
            found = routes(rule if domain == ANY else portless(rule, domain), self._measured)
        except Exception as e:  # as in _made
            # What Envoy's messages cannot hold: told like what a proxy refuses, and no other rule has to suffer for it.
            self._unspeakable[rule.source, rule.match] = str(e) or type(e).__name__
            return _refusing(rule)
        if self._unspeakable:
            self._unspeakable.pop((rule.source, rule.match), None)
        return found

    def _one(self, name: Name, body: bytes | None, needs: frozenset[Name] = frozenset()) -> None:
        before = self.resources.get(name)
        if body is None:
            if before is not None:
                del self.resources[name]
                self._put.pop(name, None)
                self._gone.add(name)
            return
        after = resource(name.type, name.name, body, needs)
        if after != before:
            self.resources[name] = self._put[name] = after
            self._gone.discard(name)

    def _taken(self) -> Change:
        change = Change(tuple(r for _, r in sorted(self._put.items())), tuple(sorted(self._gone)))
        self._put, self._gone = {}, set()
        return change
