"""One fleet's resources, with those of its rules and chains left out that its proxies will not have."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec

from seaway.envoy.quarantine import ACTION, RULE, Quarantine
from seaway.envoy.translation.fleet import Ban, Change, Translation
from seaway.envoy.translation.parts import parts, sources
from seaway.envoy.translation.routes import used
from seaway.envoy.translation.streams import clusters
from seaway.envoy.translation.tls import secrets_of_server
from seaway.envoy.xds.fleets import Fleets, Rejected
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, LISTENER, SCOPES, SECRET, Name, Resource
from seaway.routing.ir import Chain, Fleet, Pieces, Rule, Socket, Source

log = logging.getLogger("seaway.gateway")
BANS = {ACTION: Ban.ACTION}


def _secrets(chain: Chain) -> set[str]:
    """The names of the secrets that a chain shows or trusts."""
    return secrets_of_server(chain.tls)


class Programmed:
    """Tells `fleets` what the fleet's proxies are to hold. `recalled`, KIND/NAMESPACE/NAME, are suspected first where it is not
    known what was good before."""

    def __init__(self, fleet: Fleet, fleets: Fleets, recalled: Collection[str] = ()) -> None:
        self._fleet, self._fleets, self._recalled = fleet, fleets, recalled
        self._translation = Translation(fleet)
        self._rules: Quarantine[Name, Source] = Quarantine()
        self._listening: Quarantine[Name, Source] = Quarantine(RULE)
        self._chains: dict[str, tuple[Source, str]] = {}  # left out for their certificate, by name; what the proxy said
        self._backends: dict[str, str] = {}  # clusters that proxies will not have; what they said
        self._astray: dict[Source, str] = {}  # rules that lead to these, with what proxies say of them
        self._sockets: dict[str, Socket] = {}
        self._banned: dict[Source, tuple[Rule, ...]] = {}
        self._told: dict[Name, str] = {}
        self._proven: dict[Name, str] = {}  # while it is looked for bad ones: versions whose parts are known to be good
        self._good: set[bytes] = set()  # these parts

    @property
    def names(self) -> Collection[Name]:
        return self._translation.resources.keys()

    def change(self, pieces: Pieces) -> None:
        """What the fleet does has changed."""
        fresh: list[Chain] = []
        for name, socket in pieces.sockets.items():
            old = self._sockets.pop(name, None)
            before = set(old.chains) if old is not None else set()
            if socket is None:
                self._listening.gone(Name(LISTENER, name))
            else:
                self._sockets[name] = socket
                fresh += [c for c in socket.chains if c not in before]
        # A chain that is written anew, or that has another certificate, gets another chance.
        again = {c.name for c in fresh} | {c.name for c in self._chained() if self._renewed(c, pieces)}
        lifted = self._chains.keys() & again
        for name in lifted:
            del self._chains[name]
        if self._listening.changed({c.source for c in fresh}) or lifted:
            self._listening.take()
            pieces.sockets = {**self._sockets, **pieces.sockets}
        pieces.sockets = {n: self._without(s) for n, s in pieces.sockets.items()}
        self._send(self._translation.apply(pieces))
        others = self._rewritten(pieces) | {s for s in self._banned if not self._translation.has(s)}
        if self._rules.changed(others) or (self._backends and pieces.hosts):
            self._ban()

    def clear(self) -> None:
        """The fleet does nothing any more."""
        self._fleets.update(self._fleet, (), tuple(self.names))
        self._translation = Translation(self._fleet)

    def _send(self, change: Change) -> None:
        for name in change.gone:
            self._rules.gone(name)
            self._told.pop(name, None)
        self._fleets.update(self._fleet, change.put, change.gone)

    # what proxies say

    def review(self) -> None:
        """Something that proxies hold or refuse has changed."""
        rejected = {r.name: r for r in self._fleets.rejected(self._fleet)}
        # What cannot be said to a proxy at all is as bad as what it refuses.
        unsaid = [Rejected(self._fleet, name, why, why) for name, why in self._translation.unsaid.items()]
        fresh = [r for r in (*rejected.values(), *unsaid) if self._told.get(r.name) != r.version]
        for one in fresh:
            log.warning("%s: %s is refused: %s", self._fleet.title, one.name.title, one.message)
        self._told = {r.name: r.version for r in (*rejected.values(), *unsaid)}
        self._prove()
        # What is refused for no fault that can be found holds nobody else up; neither does what waits for what is not there.
        idle = {h.name for h in self._fleets.held(self._fleet)} if self._rules.names or self._listening.names else set()
        again, chained = False, self._blame([r for r in fresh if r.version == self._version(r.name)] + unsaid)
        for name, one in rejected.items():
            now = self._translation.resources.get(name)
            if now is None or now.version != one.version:
                continue
            if name.type == SCOPES and self._rules.refused(name, self._suspects(now, self._rules), one.message):
                again = True
            elif name.type == LISTENER and self._listening.refused(
                name, self._suspects(now, self._listening), one.message
            ):
                chained = True
            else:
                idle.add(name)
        backends = self._refused_backends((*rejected.values(), *unsaid))
        if backends != self._backends:
            self._backends, again, chained = backends, True, True
        if again:
            self._ban()
        if chained:
            self._socket_again()
        while self._through(self._rules, idle) and self._rules.accepted():
            self._ban()
        while self._through(self._listening, idle) and self._listening.accepted():
            self._socket_again()
        if not self._rules.names and not self._listening.names:
            self._proven.clear()
            self._good.clear()

    def _through(self, search: Quarantine[Name, Source], idle: Collection[Name]) -> bool:
        """All that a search has changed is in force, and tells no more. A socket all of whose chains are left out is, too."""
        names = [n for n in search.names if n in self.names and n not in idle]
        return bool(search.names or search.trying) and all(self._fleets.in_force(self._fleet, n) for n in names)

    def _prove(self) -> None:
        """While it is looked for bad ones: what is in force on all proxies is good."""
        for name in (*self._rules.names, *self._listening.names):
            now = self._translation.resources.get(name)
            if now and self._proven.get(name) != now.version and self._fleets.in_force(self._fleet, name):
                self._proven[name] = now.version
                self._good.update(part.body for part in parts(now))

    def _refused_backends(self, rejected: Iterable[Rejected]) -> dict[str, str]:
        """Clusters that are refused themselves, or that need a secret, or endpoints, that are."""
        found: dict[str, str] = {}
        for one in rejected:
            if one.name.type in (CLUSTER, ENDPOINT):
                found[one.name.name] = one.message
            elif one.name.type == SECRET:
                users = [
                    n.name for n, r in self._translation.resources.items() if n.type == CLUSTER and one.name in r.needs
                ]
                found.update(dict.fromkeys(users, one.message))
        return found

    def _blame(self, refused: Iterable[Rejected]) -> bool:
        """Chains with certificates that proxies will not have are left out; whether there are more of them."""
        found = {
            c.name: (c.source, one.message)
            for one in refused
            if one.name.type == SECRET
            for c in self._chained()
            if one.name.name in _secrets(c) and c.name not in self._chains
        }
        self._chains.update(found)
        return bool(found)

    def _version(self, name: Name) -> str:
        now = self._translation.resources.get(name)
        return now.version if now is not None else ""

    def _suspects(self, refused: Resource, search: Quarantine[Name, Source]) -> tuple[Source, ...]:
        """Where to look: in what no proxy has taken yet; where that does not tell, in what is recalled first, then everywhere."""
        now = parts(refused)
        held = [part for one in self._fleets.held_now(self._fleet, refused.name) for part in parts(one)]
        good = {part.body for part in held} | self._good
        found = sources(part for part in now if part.body not in good)
        if held and found:
            return found
        recalled = [s for s in found or sources(now) if f"{s.kind}/{s.namespace}/{s.name}" in self._recalled]
        return tuple(s for s in recalled if s not in search.bans) or found or sources(now)

    def _chained(self) -> list[Chain]:
        return [c for s in self._sockets.values() for c in s.chains]

    def _renewed(self, chain: Chain, pieces: Pieces) -> bool:
        changed = pieces.certificates.keys() | pieces.trusts.keys()
        return chain.name in self._chains and not changed.isdisjoint(_secrets(chain))

    def _socket_again(self) -> None:
        self._listening.take()
        self._send(self._translation.apply(Pieces(sockets={n: self._without(s) for n, s in self._sockets.items()})))

    def _without(self, socket: Socket | None) -> Socket | None:
        out = self._listening.bans
        if socket is None or (not self._chains and not out and not self._backends):
            return socket
        chains = tuple(
            c for c in socket.chains if c.name not in self._chains and c.source not in out and not self._broken(c)
        )
        return msgspec.structs.replace(socket, chains=chains)

    def _broken(self, chain: Chain) -> list[str]:
        """Which clusters that a chain leads to are refused."""
        return sorted(self._backends.keys() & clusters(chain.stream)) if chain.stream and self._backends else []

    def _ban(self) -> None:
        bans = {source: BANS.get(how, Ban.RULE) for source, how in self._rules.take().items()}
        self._look_at_rules()
        change = self._translation.ban({**dict.fromkeys(self._astray, Ban.ACTION), **bans})
        if self._rules.names:
            self._rules.concerns(r.name for r in change.put if r.name.type == SCOPES)
        self._send(change)

    def _look_at_rules(self) -> None:
        """Which rules are those of sources that are found to be bad, and which lead to clusters that are refused; in one go, for
        there may be many."""
        bad: dict[Source, list[Rule]] = {source: [] for source in self._rules.bad}
        self._astray = {}
        for rule in self._translation.rules() if bad or self._backends else ():
            if rule.source in bad:
                bad[rule.source].append(rule)
            if self._backends:
                for name in sorted(self._backends.keys() & used(rule)):
                    self._astray[rule.source] = f"backend {name}: {self._backends[name]}"
        self._banned = {source: tuple(rules) for source, rules in bad.items()}

    def _rewritten(self, pieces: Pieces) -> set[Source]:
        """The banned sources whose rules are others now."""
        found: dict[Source, list[Rule]] = defaultdict(list)
        for hosts in pieces.hosts.values():
            for host in hosts.values():
                for rule in host.rules if host is not None else ():
                    if rule.source in self._banned:
                        found[rule.source].append(rule)
        return {source for source, rules in found.items() if any(r not in self._banned[source] for r in rules)}

    # what is to be told

    @property
    def waiting(self) -> frozenset[str]:
        """Sockets that not all proxies have in force."""
        listeners = [n for s in self._sockets if (n := Name(LISTENER, s)) in self.names]
        return frozenset(n.name for n in listeners if not self._fleets.in_force(self._fleet, n))

    @property
    def refused_listeners(self) -> tuple[tuple[str, str], ...]:
        found = [*self._chains.values(), *self._listening.bad.items()]
        found += [pair for bad in self._translation.unsaid_chains.values() for pair in bad.items()]
        for chain in self._chained() if self._backends else ():
            found += [(chain.source, f"backend {name}: {self._backends[name]}") for name in self._broken(chain)]
        return tuple(sorted((source.title, message) for source, message in found))

    @property
    def settled(self) -> bool:
        """Proxies have taken, or refused, all routes."""
        refused = {r.name for r in self._fleets.rejected(self._fleet)}
        routes = [n for n in self.names if n.type == SCOPES and n not in refused]
        return all(self._fleets.in_force(self._fleet, n) for n in routes)

    @property
    def trying(self) -> bool:
        """It is not known yet what of it proxies refuse."""
        return self._rules.trying or self._listening.trying

    @property
    def refusals(self) -> Mapping[str, tuple[str, ...]]:
        """KIND/NAMESPACE/NAME -> what proxies say of its rules."""
        found: dict[str, list[str]] = defaultdict(list)
        for source, message in {**self._astray, **self._translation.unspeakable, **self._rules.bad}.items():
            part = f"{source.part}: " if source.part else ""
            found[f"{source.kind}/{source.namespace}/{source.name}"].append(f"{part}{message}")
        return {place: tuple(sorted(messages)) for place, messages in found.items()}
