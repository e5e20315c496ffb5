"""One fleet's resources, with those of its rules and chains left out that its proxies will not have."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec

from seaway.envoy.quarantine import ACTION, RULE, Quarantine
from seaway.envoy.translation.fleet import Ban, Change, Translation
from seaway.envoy.translation.routes import used
from seaway.envoy.translation.streams import clusters
from seaway.envoy.translation.suspects import suspects
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
        self._sockets: dict[str, Socket] = {}
        self._banned: dict[Source, tuple[Rule, ...]] = {}
        self._told: dict[Name, str] = {}

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
            pieces.sockets = {**self._sockets, **pieces.sockets}
        pieces.sockets = {n: self._without(s) for n, s in pieces.sockets.items()}
        self._send(self._translation.apply(pieces))
        if (self._banned and self._rules.changed(self._rewritten(pieces))) or (self._backends and pieces.hosts):
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
        again = False
        for name, one in rejected.items():
            if self._told.get(name) != one.version:
                self._told[name] = one.version
                log.warning("%s: %s is refused: %s", self._fleet.title, name.title, one.message)
                again = self._judge(name, one) or again
        backends = self._refused_backends(rejected.values())
        if backends != self._backends:
            self._backends, again = backends, True
            self._socket_again()
        for name in [n for n in self._told if n not in rejected]:
            del self._told[name]
        for name in self._rules.names():
            if name not in rejected and self._fleets.in_force(self._fleet, name):
                again = self._rules.accepted(name) or again
        if again:
            self._ban()
        if self._listen(rejected):
            self._socket_again()

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

    def _listen(self, rejected: Collection[Name]) -> bool:
        """Goes on with looking for bad chains; a socket of which all are left out is as good as accepted."""
        again = False
        for name in self._listening.names():
            if name not in rejected and (name not in self.names or self._fleets.in_force(self._fleet, name)):
                again = self._listening.accepted(name) or again
        return again

    def _judge(self, name: Name, one: Rejected) -> bool:
        """Looks for whose fault a refusal is; whether rules are to be left out for it."""
        refused = self._translation.resources.get(name)
        if refused is None or refused.version != one.version:
            return False
        if name.type == SCOPES:
            return self._rules.refused(name, one.version, self._suspects(name, refused), one.message)
        if name.type == LISTENER:
            if self._listening.refused(name, one.version, self._suspects(name, refused), one.message):
                self._socket_again()
        elif name.type == SECRET:
            users = [c for c in self._chained() if name.name in _secrets(c)]
            self._chains.update((c.name, (c.source, one.message)) for c in users)
            if users:
                self._socket_again()
        return False

    def _suspects(self, name: Name, refused: Resource) -> tuple[Source, ...]:
        """Where to look first: what differs from what was good, then what is recalled, then everything that is not left out."""
        out = self._listening.bans.keys() | self._rules.bans.keys()
        good = self._fleets.held_now(self._fleet, name)
        differing = suspects(refused, good) if good is not None else ()
        # Where all that differs is left out already, the version that shows it is on its way, and nobody else is to blame.
        found = tuple(s for s in differing if s not in out) or differing
        if found:
            return found
        everything = suspects(refused)
        recalled = (s for s in everything if f"{s.kind}/{s.namespace}/{s.name}" in self._recalled and s not in out)
        return tuple(recalled) or everything

    def _chained(self) -> list[Chain]:
        return [c for s in self._sockets.values() for c in s.chains]

    def _renewed(self, chain: Chain, pieces: Pieces) -> bool:
        changed = pieces.certificates.keys() | pieces.trusts.keys()
        return chain.name in self._chains and not changed.isdisjoint(_secrets(chain))

    def _socket_again(self) -> None:
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
        bans = {source: BANS.get(how, Ban.RULE) for source, how in self._rules.bans.items()}
        self._banned = {source: self._of(source) for source in self._rules.bad}
        self._send(self._translation.ban({**dict.fromkeys(self._led_astray(), Ban.ACTION), **bans}))

    def _led_astray(self) -> dict[Source, str]:
        """Rules that lead to clusters that are refused, with what proxies say of these."""
        if not self._backends:
            return {}
        return {
            rule.source: f"backend {name}: {self._backends[name]}"
            for rule in self._translation.rules()
            for name in sorted(self._backends.keys() & set(used(rule)))
        }

    def _of(self, source: Source) -> tuple[Rule, ...]:
        return tuple(rule for rule in self._translation.rules() if rule.source == source)

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
        for source, message in {**self._led_astray(), **self._translation.unspeakable, **self._rules.bad}.items():
            part = f"{source.part}: " if source.part else ""
            found[f"{source.kind}/{source.namespace}/{source.name}"].append(f"{part}{message}")
        return {place: tuple(sorted(messages)) for place, messages in found.items()}
