"""One fleet's resources, with those of its rules and chains left out that its proxies will not have."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping

import msgspec

from seaway.envoy.quarantine import ACTION, Quarantine
from seaway.envoy.translation.fleet import Ban, Change, Translation
from seaway.envoy.translation.suspects import suspects
from seaway.envoy.xds.fleets import Fleets, Rejected
from seaway.envoy.xds.resources import LISTENER, SCOPES, SECRET, Name, Resource
from seaway.routing.ir import Chain, Fleet, Pieces, Rule, Socket, Source

log = logging.getLogger("seaway.gateway")
BANS = {ACTION: Ban.ACTION}
JUDGED = (SCOPES, LISTENER)  # resources that are made of several objects' parts


class Programmed:
    """Tells `fleets` what the fleet's proxies are to hold."""

    def __init__(self, fleet: Fleet, fleets: Fleets) -> None:
        self._fleet, self._fleets = fleet, fleets
        self._translation = Translation(fleet)
        self._before: dict[Name, Resource] = {}  # what was good, of resources whose next version is not in force yet
        self._rules: Quarantine[Name, Source] = Quarantine()
        self._chains: dict[str, tuple[Source, str]] = {}  # chains that are left out, by name; what the proxy said
        self._sockets: dict[str, Socket] = {}
        self._banned: dict[Source, tuple[Rule, ...]] = {}
        self._told: dict[Name, str] = {}

    @property
    def names(self) -> Collection[Name]:
        return self._translation.resources.keys()

    def change(self, pieces: Pieces) -> None:
        """What the fleet does has changed."""
        for name, socket in pieces.sockets.items():
            if socket is None:
                self._sockets.pop(name, None)
            else:
                self._sockets[name] = socket
        if self._chains:
            # A chain that is written anew, or a certificate, gets another chance.
            touched = {c.name for s in pieces.sockets.values() if s is not None for c in s.chains}
            if pieces.certificates or touched & self._chains.keys():
                self._chains.clear()
                pieces.sockets = {**self._sockets, **pieces.sockets}
            else:
                pieces.sockets = {n: self._without(s) for n, s in pieces.sockets.items()}
        self._send(self._translation.apply(pieces))
        if self._banned and self._rules.changed(self._rewritten(pieces)):
            self._ban()

    def clear(self) -> None:
        """The fleet does nothing any more."""
        self._fleets.update(self._fleet, (), tuple(self.names))
        self._translation = Translation(self._fleet)

    def _send(self, change: Change) -> None:
        for resource in change.put:
            held = self._fleets.wanted(self._fleet, resource.name)
            if held is not None and resource.name.type in JUDGED and resource.name not in self._before:
                self._before[resource.name] = held
        for name in change.gone:
            self._before.pop(name, None)
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
        for name in [n for n in self._told if n not in rejected]:
            del self._told[name]
        for name in [n for n in self._before if n not in rejected and self._fleets.in_force(self._fleet, n)]:
            del self._before[name]
        for name in self._rules.names():
            if name not in rejected and self._fleets.in_force(self._fleet, name):
                again = self._rules.accepted(name) or again
        if again:
            self._ban()

    def _judge(self, name: Name, one: Rejected) -> bool:
        """Looks for whose fault a refusal is; whether rules are to be left out for it."""
        refused = self._translation.resources.get(name)
        if refused is None or refused.version != one.version:
            return False
        if name.type == SCOPES:
            sources = suspects(refused, self._before.get(name))
            return self._rules.refused(name, one.version, sources, one.message)
        if name.type == LISTENER:
            sources = suspects(refused, self._before.get(name))
            self._leave_out([c for c in self._served(name.name) if c.source in sources], one.message)
        elif name.type == SECRET:
            users = [c for s in self._sockets.values() for c in s.chains if c.tls and name.name in c.tls.certificates]
            self._leave_out(users, one.message)
        return False

    def _served(self, socket: str) -> list[Chain]:
        found = self._sockets.get(socket)
        return [c for c in found.chains if c.name not in self._chains] if found is not None else []

    def _leave_out(self, chains: list[Chain], message: str) -> None:
        self._chains.update((c.name, (c.source, message)) for c in chains)
        if chains:
            self._send(self._translation.apply(Pieces(sockets={n: self._without(s) for n, s in self._sockets.items()})))

    def _without(self, socket: Socket | None) -> Socket | None:
        if socket is None:
            return None
        return msgspec.structs.replace(socket, chains=tuple(c for c in socket.chains if c.name not in self._chains))

    def _ban(self) -> None:
        bans = self._rules.bans
        self._banned = {source: self._of(source) for source in self._rules.bad}
        self._send(self._translation.ban({source: BANS.get(how, Ban.RULE) for source, how in bans.items()}))

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
        listeners = [n for n in self.names if n.type == LISTENER]
        return frozenset(n.name for n in listeners if not self._fleets.in_force(self._fleet, n))

    @property
    def refused_listeners(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((source.title, message) for source, message in self._chains.values()))

    @property
    def refusals(self) -> Mapping[str, tuple[str, ...]]:
        """KIND/NAMESPACE/NAME -> what proxies say of its rules."""
        found: dict[str, list[str]] = defaultdict(list)
        for source, message in {**self._translation.unspeakable, **self._rules.bad}.items():
            part = f"{source.part}: " if source.part else ""
            found[f"{source.kind}/{source.namespace}/{source.name}"].append(f"{part}{message}")
        return {place: tuple(sorted(messages)) for place, messages in found.items()}
