"""One proxy's stream: requests in, the next response out, make before break.

A name that may need sending is dirty; each is looked at once and is sent, dropped, or put aside until what it waits for is there,
so that the work follows what changed. One response of a type is on its way at a time; what comes meanwhile goes with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from seaway.envoy.xds import blame
from seaway.envoy.xds.messages import Request, Response
from seaway.envoy.xds.proxy import FETCHED, Bounds, Proxy, Wanted, fetches
from seaway.envoy.xds.resources import (
    CLUSTER,
    ENDPOINT,
    LET_GO,
    ORDER,
    SCOPES,
    USERS,
    Name,
    Resource,
    held_elsewhere,
)
from seaway.envoy.xds.subscription import WILDCARD, Flight, Refusal, Subscription

GONE: Literal["gone"] = "gone"
LARGEST = 4 << 20  # bytes of bodies in a response: what a client of gRPC takes by default


class Session:
    """The state of one stream. `suspects` are the versions that other proxies of the fleet refused: each is sent alone."""

    def __init__(self, wanted: Wanted, suspects: Mapping[Name, str] | None = None, bounds: Bounds = Bounds()) -> None:  # noqa: B008
        self.proxy = Proxy(wanted)
        self.on_work: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None  # the fleet is no more
        self.begun = False  # it took, or refused, all listeners that it was to begin with: set by who knows these
        self.told = 0  # how often the proxy said something about what it has
        self.sent = 0  # resources and removals, since the stream began
        self._suspects: Mapping[Name, str] = suspects if suspects is not None else {}
        self._bounds = bounds
        self._types = self.proxy.types
        self._warming = self.proxy.warming
        self._waiting: dict[Name, set[Name]] = {}  # what waits for a name to be warm, or there
        self._owed: set[str] = set()  # endpoints of clusters that went out before the proxy spoke of endpoints
        self._responses = 0

    # What the proxy says

    def receive(self, request: Request) -> str | None:
        """Takes a request in; a reason when it asks for more than a stream may."""
        if request.type not in USERS:
            return None  # a type that nobody here serves
        reason = self.too_much(request)
        if reason:
            return reason
        found = self._types.get(request.type)
        if found is None:
            found = self._types[request.type] = Subscription(request.type, self.proxy.usage)
            self.told += 1
            self._first(found, request)
        else:
            flight = found.flight
            # A nonce that is not the last one's answers nothing: the last one is still to be answered.
            if flight is not None and request.nonce == flight.nonce:
                found.flight = None
                self.told += 1
                if request.error is None:
                    self._acked(found, flight)
                else:
                    self._refused(found, flight, request.error)
            self._subscribe(found, request.subscribe)
            self._unsubscribe(found, request.unsubscribe)
        self._free()
        return None

    def too_much(self, request: Request) -> str | None:
        """Why a request is more than a stream may ask for."""
        found = self._types.get(request.type)
        if (
            len(set(request.subscribe) | (found.names if found is not None and request.subscribe else set()))
            > self._bounds.names
        ):
            return f"a stream may subscribe to {self._bounds.names} names of a type"
        if len(request.versions) > self._bounds.names:
            return f"a stream may bring {self._bounds.names} versions of a type"
        longest = max((len(n) for names in (request.subscribe, request.versions) for n in names), default=0)
        if longest > self._bounds.name:
            return f"a name may have {self._bounds.name} characters"
        return None

    def _first(self, found: Subscription, request: Request) -> None:
        """The first request of a type says all: what it is interested in, and what it holds from earlier streams."""
        found.names = set(request.subscribe) - {WILDCARD}
        # Without a name it is the old form of the wildcard (xds_protocol.rst, "How the client specifies...").
        found.wildcard = WILDCARD in request.subscribe or not (request.subscribe or request.unsubscribe)
        wanted = self.proxy.all_wanted(found.type)
        for name, version in request.versions.items():
            if not found.covers(name):
                continue
            now = wanted.get(name)
            if now is not None and now.version == version:
                found.hold(name, now)
            else:
                found.hold(name, held_elsewhere(Name(found.type, name), version), foreign=True)
                found.dirty.add(name)
        found.resumed = bool(found.held)
        found.unanswered = found.wildcard and not found.held
        asked = found.names - found.held.keys()
        found.forced |= asked
        found.dirty |= asked
        if found.wildcard:
            found.dirty |= wanted.keys() - found.held.keys()
        if found.type == CLUSTER:
            for name in found.held:
                self._warming.sent(name, [n for n in fetches(wanted.get(name)) if not self.proxy.holds(n)], -1)
                self._warmed(self._warming.acked(name))
        elif found.type in FETCHED:
            for name in found.held:
                self._warmed(self._warming.answered(Name(found.type, name), self._answer_of(found, 0)))
            if found.type == ENDPOINT:
                # Envoy's clusters speak first, unless one of them is warming in a new version and waits for the endpoints that it
                # does not ask for again: they were asked for by the old one (cluster_manager_impl.cc updateClusterCounts).
                owed = found.names & self._owed if CLUSTER in self._types else found.names
                found.forced |= owed
                found.dirty |= owed
                self._owed.clear()
        self.reconsider()

    def _answer_of(self, found: Subscription, at: int) -> int:
        """When an answer counts as given: a secret once it is there, endpoints anew for each version of a cluster."""
        return at if found.type == ENDPOINT else self._responses + 1

    def _subscribe(self, found: Subscription, names: Iterable[str]) -> None:
        for name in names:
            if name == WILDCARD:
                found.wildcard = found.unanswered = True
                found.dirty |= self.proxy.all_wanted(found.type).keys()
            else:
                # Asked for again, it may have been forgotten: it is sent again.
                found.names.add(name)
                found.forced.add(name)
                found.dirty.add(name)

    def _unsubscribe(self, found: Subscription, names: Iterable[str]) -> None:
        for name in names:
            if name == WILDCARD:
                found.wildcard = found.unanswered = False
                for lost in found.held.keys() - found.names:
                    self._lost(found, lost)
            elif name in found.names:
                found.names.discard(name)
                if found.wildcard:
                    # It does not know whether the wildcard covers it: it is told.
                    found.forced.add(name)
                    found.dirty.add(name)
                else:
                    self._lost(found, name)

    def _acked(self, found: Subscription, flight: Flight) -> None:
        foreign = self._unknown(found)
        for name, sent in flight.sent.items():
            full = Name(found.type, name)
            if sent is None or not found.covers(name):
                self._lost(found, name)
            else:
                found.hold(name, sent)
                now = self.proxy.wanted(Name(found.type, name))
                refused = found.refused.get(name)
                if refused and (sent.version == refused.version or now is None or now.version != refused.version):
                    del found.refused[name]
            found.settle(name)
            if found.type == CLUSTER and sent is not None:
                self._warmed(self._warming.acked(name))
            elif found.type in FETCHED and (sent is not None or name not in found.refused):
                self._warmed(self._warming.answered(full, self._answer_of(found, flight.at)))
            self._wake(full)
        if flight.sent:
            # What has the address of a listener, or the key of a scope, may have left it: what was refused for it may do now.
            for name in [n for n, refused in found.refused.items() if refused.collides()]:
                del found.refused[name]
                found.dirty.add(name)
        if foreign != self._unknown(found):
            self.reconsider()

    def _refused(self, found: Subscription, flight: Flight, message: str) -> None:
        names = [n for n, sent in flight.sent.items() if sent is not None]
        for name in flight.sent.keys() - set(names):
            if names:  # it may be gone all the same
                found.dirty.add(name)
                if name in found.held:
                    found.may_hold(name, found.held[name])
            else:  # it does not want to let go: nothing can be done, and nothing is gained by asking again
                self._lost(found, name)
        if len(names) == 1:
            name = names[0]
            sent = flight.sent[name]
            assert sent is not None
            found.never_held(name, sent)
            found.refused[name] = Refusal(sent.version, blame.reason(message)[: self._bounds.message])
            if found.type == CLUSTER and not found.has(name):
                self._warming.gone(name)
            found.dirty.add(name)  # it may have changed meanwhile
        elif names:
            found.trials.extendleft(reversed(blame.groups(names, message)))

    # What is wanted

    def touch(self, names: Iterable[Name]) -> bool:
        """These changed in what is wanted; whether there is anything to do."""
        for name in names:
            found = self._types.get(name.type)
            if found is not None and (found.covers(name.name) or found.has(name.name)):
                found.dirty.add(name.name)
                if name.type == SCOPES and name.name in found.foreign:
                    found.dirty |= found.leaving  # one scope less may need them
            self._wake(name)
        return self._has_work()

    # What the proxy is sent

    def next(self) -> Response | None:
        """The next response, if there is anything to say. It counts as sent."""
        while True:
            for type in ORDER:
                found = self._types.get(type)
                if found is not None and found.flight is None and not found.idle():
                    response = self._compose(found)
                    if response is not None:
                        return response
            if not self._has_work():  # looking at one type may have freed what was looked at before
                return None

    def _has_work(self) -> bool:
        return any(t.flight is None and (t.dirty or t.trials) for t in self._types.values())

    def _compose(self, found: Subscription) -> Response | None:
        while found.trials:
            chosen = self._choose(found, found.trials.popleft())
            if chosen:
                return self._send(found, chosen)
        names = sorted(found.dirty)
        found.dirty.clear()
        chosen = self._choose(found, names)
        self._free()
        wanted = self.proxy.all_wanted(found.type)
        if chosen:
            alone = [
                n for n, sent in chosen.items() if sent and self._suspects.get(Name(found.type, n)) == sent.version
            ]
            if alone and len(chosen) > 1:
                for name in alone:
                    del chosen[name]
                found.trials.extend((name,) for name in alone)
                if not chosen:
                    return self._compose(found)
        elif not found.unanswered or any(n not in found.refused for n in wanted):
            return None
        return self._send(found, chosen)

    def _choose(self, found: Subscription, names: Iterable[str]) -> dict[str, Resource | None]:
        chosen: dict[str, Resource | None] = {}
        size = 0
        for name in names:
            verdict = self._verdict(found, name)
            if verdict is None:
                continue
            size += len(verdict.body) if isinstance(verdict, Resource) else 0
            if size > LARGEST and chosen:
                found.dirty.add(name)
                continue
            chosen[name] = verdict if isinstance(verdict, Resource) else None
        if found.type == CLUSTER and len(set(map(type, chosen.values()))) > 1:
            # A refused response takes clusters away all the same, and the proxy would say later that it has them: so they go in a
            # response of their own, which nothing in it can spoil. (A listener may need the address of one that goes with it.)
            for name in [n for n, sent in chosen.items() if sent is None]:
                del chosen[name]
                found.dirty.add(name)
        return chosen

    def _verdict(self, found: Subscription, name: str) -> Resource | Literal["gone"] | None:
        """What is to be sent of this name now: a version, that it is gone, or nothing."""
        full = Name(found.type, name)
        now = self.proxy.wanted(Name(found.type, name))
        has = found.held.get(name)
        asked = name in found.forced
        if not found.covers(name):
            if asked or found.has(name):
                self._lost(found, name)
            return None
        again = has if asked and has is not None and name not in found.foreign else None
        if now is None:
            if not found.has(name):
                return GONE if asked else None
            if found.type not in LET_GO and self.proxy.may_go(full):
                return GONE
            found.leaving.add(name)
            # A cluster that is about to go may wait for an answer, and all others for its warming.
            return again or (GONE if asked and found.type in LET_GO else None)
        found.leaving.discard(name)
        if has is not None and has.version == now.version and name not in found.possible:
            if has is not now:  # the same again, whatever it was in between, and now its needs are known
                known = name not in found.foreign
                found.hold(name, now)
                if not known and not found.foreign:
                    self.reconsider()
            return now if asked else None
        refused = found.refused.get(name)
        if refused is not None and refused.version == now.version:
            return again or (GONE if asked and not found.has(name) else None)
        path = self.proxy.obstacle(now)
        if path:
            for need in path:
                self._waiting.setdefault(need, set()).add(full)
            return again
        return now

    def _send(self, found: Subscription, chosen: dict[str, Resource | None]) -> Response:
        self._responses += 1
        at = self._responses
        found.unanswered = False
        for name, sent in chosen.items():
            found.forced.discard(name)
            if sent is not None:
                found.may_hold(name, sent)
            if found.type == CLUSTER:
                self._cluster_goes_out(name, sent, at)
        found.flight = Flight(str(at), at, chosen)
        self.sent += len(chosen)
        removed = tuple(n for n, sent in chosen.items() if sent is None)
        return Response(found.type, str(at), tuple(sent for sent in chosen.values() if sent is not None), removed)

    def _cluster_goes_out(self, name: str, sent: Resource | None, at: int) -> None:
        if sent is None:
            self._warming.gone(name)
            return
        needs = fetches(sent)
        self._warming.sent(name, [n for n in needs if n.type == ENDPOINT or not self.proxy.holds(n)], at)
        # A cluster in a new version waits for its endpoints, which Envoy does not ask for again: the old one has asked.
        endpoints = self._types.get(ENDPOINT)
        for need in needs:
            if need.type == ENDPOINT and endpoints is None:
                self._owed.add(need.name)
            elif need.type == ENDPOINT and endpoints is not None and endpoints.covers(need.name):
                endpoints.forced.add(need.name)
                endpoints.dirty.add(need.name)

    # What waits for what

    def _lost(self, found: Subscription, name: str) -> None:
        foreign = bool(found.foreign)
        found.lose(name)
        if found.flight is None or name not in found.flight.sent:
            found.settle(name)
        if not found.covers(name):
            found.forced.discard(name)
        if found.type == CLUSTER:
            self._warming.gone(name)
        if foreign and not found.foreign:
            self.reconsider()

    def _unknown(self, found: Subscription) -> tuple[bool, bool]:
        """Whether it has what nobody knows the needs of; and whether such are to stay, of scopes, which other scopes may need."""
        return bool(found.foreign), found.type == SCOPES and self.proxy.unknown(found)

    def _free(self) -> None:
        """What has lost its last user may go, if it was to."""
        while self.proxy.usage.freed:
            name = self.proxy.usage.freed.pop()
            found = self._types.get(name.type)
            if found is not None and name.name in found.leaving:
                found.dirty.add(name.name)

    def reconsider(self) -> None:
        """More is known of what the proxy has, or of what is wanted: all that was to go is looked at again."""
        for found in self._types.values():
            found.dirty |= found.leaving

    def _warmed(self, clusters: Iterable[str]) -> None:
        for cluster in clusters:
            self._wake(Name(CLUSTER, cluster))

    def _wake(self, name: Name) -> None:
        for waiting in self._waiting.pop(name, ()):
            found = self._types.get(waiting.type)
            if found is not None and found.covers(waiting.name):
                found.dirty.add(waiting.name)

    def stuck(self) -> dict[Name, Name]:
        """What is held back, by name, for what was refused or is not there (not for what is on its way)."""
        return self.proxy.stuck({n for waiting in self._waiting.values() for n in waiting})

    def idle(self) -> bool:
        """Nothing is left to send, and nothing on its way."""
        return all(t.idle() for t in self._types.values())
