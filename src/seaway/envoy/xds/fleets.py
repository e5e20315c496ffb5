"""What is wanted of each fleet, its open sessions, and what is in force on its proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from seaway.envoy.xds.messages import Request
from seaway.envoy.xds.proxy import Bounds
from seaway.envoy.xds.resources import LISTENER, SCOPES, Name, Resource
from seaway.envoy.xds.session import Session
from seaway.routing.ir import Fleet

EARLY = 32  # requests kept of a stream until its fleet is known: a proxy sends one for each type


class Rejected(NamedTuple):
    """A proxy refused this version, alone and whatever came with it; the proxies keep what they had, and take all others."""

    fleet: Fleet
    name: Name
    version: str
    message: str


class Held(NamedTuple):
    """This version waits, on some proxy, for something that was refused or that is not there; the old one stays in force."""

    fleet: Fleet
    name: Name
    version: str
    waits_for: Name


class _Fleet:
    """One fleet. Not known: nothing is wanted yet, and its proxies are left as they are."""

    def __init__(self) -> None:
        self.known = False
        self.wanted: dict[str, dict[str, Resource]] = {}
        self.suspects: dict[Name, str] = {}
        self.rejected: dict[Name, Rejected] = {}
        self.sessions: dict[Session, None] = {}
        self.early: dict[Session, list[Request]] = {}
        self.sent = 0  # by sessions that ended


class Fleets:
    """All fleets. `on_change` is called once when something in force or refused changed, until `changes` is asked."""

    def __init__(self, on_change: Callable[[], None] | None = None, bounds: Bounds = Bounds()) -> None:  # noqa: B008
        self._fleets: dict[Fleet, _Fleet] = {}
        self._changed: set[Fleet] = set()
        self._keeping = False
        self._on_change = on_change
        self._bounds = bounds

    # What is wanted

    def update(self, fleet: Fleet, changed: Iterable[Resource], gone: Iterable[Name] = ()) -> set[Session]:
        """These are wanted now, and those no longer; the sessions that have work by it, which are told too.

        A fleet's first update says all that is wanted of it: until then nothing is answered, so that a proxy that outlived the
        controller loses nothing to one that does not know yet what it should have.
        """
        found = self._fleets.setdefault(fleet, _Fleet())
        touched: list[Name] = []
        for resource in changed:
            name = resource.name
            of_type = found.wanted.setdefault(name.type, {})
            old = of_type.get(name.name)
            if old is None or old.version != resource.version or old.needs != resource.needs:
                of_type[name.name] = resource
                touched.append(name)
        for name in gone:
            if found.wanted.get(name.type, {}).pop(name.name, None) is not None:
                touched.append(name)
        if not found.known:
            found.known = True
            working = self._catch_up(fleet, found)
        else:
            working = {session for session in found.sessions if touched and session.touch(touched)}
        if touched:
            self._review(fleet, found)
            self._mark(fleet)
        for session in working:
            session.on_work()
        return working

    def forget(self, fleet: Fleet) -> None:
        """The fleet is no more: its proxies are left as they are, until they end."""
        found = self._fleets.get(fleet)
        if found is not None:
            for session in found.sessions:
                session.on_end()
            del self._fleets[fleet]
            self._changed.discard(fleet)

    def keep(self, keeping: bool) -> None:
        """Whether proxies keep what they have of an earlier controller and is not wanted: not all that is wanted is known yet."""
        if keeping == self._keeping:
            return
        self._keeping = keeping
        for session in [s for found in self._fleets.values() for s in found.sessions]:
            session.proxy.keeping = keeping
            session.reconsider()
            session.on_work()

    def wanted(self, fleet: Fleet, name: Name) -> Resource | None:
        found = self._fleets.get(fleet)
        return found.wanted.get(name.type, {}).get(name.name) if found is not None else None

    # The proxies

    def open(self, fleet: Fleet) -> Session:
        found = self._fleets.setdefault(fleet, _Fleet())
        session = Session(found.wanted, found.suspects, self._bounds)
        session.proxy.keeping = self._keeping
        found.sessions[session] = None
        if not found.known:
            found.early[session] = []
        self._mark(fleet)
        return session

    def close(self, fleet: Fleet, session: Session) -> None:
        found = self._fleets.get(fleet)
        if found is not None and session in found.sessions:
            del found.sessions[session]
            found.sent += session.sent
            found.early.pop(session, None)
            if not found.known and not found.sessions:
                del self._fleets[fleet]
            self._mark(fleet)

    def receive(self, fleet: Fleet, session: Session, request: Request) -> str | None:
        """A proxy's request; a reason when the stream is to end for it."""
        found = self._fleets.get(fleet)
        if found is None or session not in found.sessions:
            return "this fleet is no more"
        early = found.early.get(session)
        if early is not None:
            early.append(request)
            names = sum(len(r.subscribe) + len(r.versions) for r in early)
            much = len(early) > EARLY or names > 4 * self._bounds.names
            return "too much is asked before there is anything" if much else session.too_much(request)
        before = session.told
        reason = session.receive(request)
        if session.told != before:
            if found.rejected or session.proxy.refusals():
                self._review(fleet, found)
            self._mark(fleet)
        return reason

    def _catch_up(self, fleet: Fleet, found: _Fleet) -> set[Session]:
        working = set()
        for session, requests in found.early.items():
            for request in requests:
                session.receive(request)
            working.add(session)
        found.early.clear()
        return working

    def sessions(self, fleet: Fleet) -> tuple[Session, ...]:
        found = self._fleets.get(fleet)
        return tuple(found.sessions) if found is not None else ()

    def early(self, fleet: Fleet) -> int:
        """How many requests wait for the fleet to be known."""
        found = self._fleets.get(fleet)
        return sum(map(len, found.early.values())) if found is not None else 0

    def knows(self, fleet: Fleet) -> bool:
        """There is such a fleet, by all that the controller has seen."""
        found = self._fleets.get(fleet)
        return found is not None and found.known

    def streams(self, fleet: Fleet) -> int:
        found = self._fleets.get(fleet)
        return len(found.sessions) if found is not None else 0

    def sent(self, fleet: Fleet) -> int:
        """How many resources, and removals of such, this fleet's proxies were sent so far."""
        found = self._fleets.get(fleet)
        return found.sent + sum(session.sent for session in found.sessions) if found is not None else 0

    # What there is to tell

    def changes(self) -> frozenset[Fleet]:
        """The fleets of which something changed since this was asked last."""
        found = frozenset(self._changed)
        self._changed.clear()
        return found

    def state(self, fleet: Fleet) -> Mapping[str, Mapping[Name, str]]:
        """By proxy: the versions that it acknowledged and has."""
        return {proxy: session.proxy.versions() for proxy, session in self._proxies(fleet).items()}

    def in_force(self, fleet: Fleet, name: Name) -> bool:
        """There are proxies, and each has what is wanted by this name, and something that works of all that it needs. Those that
        have not begun yet serve nobody: they count when there is no other."""
        resource = self.wanted(fleet, name)
        proxies = self._proxies(fleet).values()
        counted = [s for s in proxies if s.begun] or proxies
        return resource is not None and bool(counted) and all(s.proxy.in_force(resource) for s in counted)

    def begun(self, fleet: Fleet) -> bool:
        """There is a proxy that has taken, or refused, all listeners that it was to begin with."""
        found = self._fleets.get(fleet)
        wanted = found.wanted.get(LISTENER, {}).values() if found is not None and found.known else ()
        for session in self._proxies(fleet).values():
            session.begun = session.begun or (
                LISTENER in session.proxy.types and all(map(session.proxy.answered, wanted))
            )
        return any(s.begun for s in self._proxies(fleet).values())

    def held_now(self, fleet: Fleet, name: Name) -> tuple[Resource, ...]:
        """What a proxy has by this name, where its content is known: it is good. Of a shard that no proxy has: all that it has of
        the same scope, otherwise split, or not at all."""
        for session in self._proxies(fleet).values():
            found = session.proxy.types.get(name.type)
            has = found.held.get(name.name) if found is not None else None
            if has is not None and has.body:
                return (has,)
        scope, shard, _ = name.name.partition("#")
        for session in self._proxies(fleet).values() if shard and name.type == SCOPES else ():
            found = session.proxy.types.get(name.type)
            all_held = found.held.items() if found is not None else ()
            kin = tuple(r for n, r in all_held if r.body and n.partition("#")[0] == scope)
            if kin:
                return kin
        return ()

    def rejected(self, fleet: Fleet) -> tuple[Rejected, ...]:
        found = self._fleets.get(fleet)
        return tuple(found.rejected[n] for n in sorted(found.rejected)) if found is not None else ()

    def held(self, fleet: Fleet) -> tuple[Held, ...]:
        found = self._fleets.get(fleet)
        stuck: dict[Name, Name] = {}
        for session in found.sessions if found is not None else ():
            stuck.update(session.stuck())
        return tuple(
            Held(fleet, name, now.version, waits_for)
            for name, waits_for in sorted(stuck.items())
            if (now := self.wanted(fleet, name)) is not None
        )

    def _proxies(self, fleet: Fleet) -> dict[str, Session]:
        """The newest stream of each proxy: one that lost its connection comes back before its old stream is seen to be dead."""
        found = self._fleets.get(fleet)
        sessions = found.sessions if found is not None else {}
        return {session.proxy.name or f"stream {n}": session for n, session in enumerate(sessions)}

    def _review(self, fleet: Fleet, found: _Fleet) -> None:
        """What was refused is told until what is wanted instead is in force somewhere, and refused nowhere."""
        refused: dict[Name, Rejected] = {}
        for session in found.sessions:
            for name, refusal in session.proxy.refusals().items():
                refused[name] = Rejected(fleet, name, refusal.version, refusal.message)
        for name in [n for n in found.rejected if n not in refused]:
            now = self.wanted(fleet, name)
            if now is None or any(s.proxy.version(name) == now.version for s in found.sessions):
                del found.rejected[name]
        found.rejected |= refused
        found.suspects.clear()
        found.suspects |= {name: rejected.version for name, rejected in found.rejected.items()}

    def _mark(self, fleet: Fleet) -> None:
        first = not self._changed
        self._changed.add(fleet)
        if first and self._on_change is not None:
            self._on_change()
