"""What the tests of sessions share: resources as JSON, a wire between a session and a proxy, and worlds to play with."""

from __future__ import annotations

import json
import random
from typing import Any

from fakeenvoy import FakeEnvoy

from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.messages import Request, Response
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, LISTENER, ROUTES, SCOPES, Name, Resource, resource
from seaway.envoy.xds.session import Session
from seaway.routing.ir import Fleet

FLEET = Fleet("Gateway", "web", "main")


def of(type: str, name: str, needs: tuple[Name, ...] = (), **body: Any) -> Resource:
    return resource(type, name, json.dumps(body, sort_keys=True).encode(), frozenset(needs))


def cluster(name: str, eds: bool = True, **more: Any) -> Resource:
    return of(CLUSTER, name, (Name(ENDPOINT, name),), eds=name, **more) if eds else of(CLUSTER, name, **more)


def endpoints(name: str, **more: Any) -> Resource:
    return of(ENDPOINT, name, **more)


def table(name: str, *clusters: str, **more: Any) -> Resource:
    return of(ROUTES, name, tuple(Name(CLUSTER, c) for c in clusters), clusters=sorted(clusters), **more)


def scope(name: str, to: str, **more: Any) -> Resource:
    return of(SCOPES, name, (Name(ROUTES, to),), tables=[to], **more)


def inline(name: str, *clusters: str, **more: Any) -> Resource:
    """A scope that has its routes itself."""
    return of(SCOPES, name, tuple(Name(CLUSTER, c) for c in clusters), clusters=sorted(clusters), **more)


def parted(name: str, *parts: str, **more: Any) -> Resource:
    """A scope that leads requests to other scopes."""
    return of(SCOPES, name, tuple(Name(SCOPES, p) for p in parts), tables=[], **more)


def listener(name: str, *tables: str, scopes: bool = False, clusters: tuple[str, ...] = (), **more: Any) -> Resource:
    needs = tuple(Name(ROUTES, t) for t in tables) + tuple(Name(CLUSTER, c) for c in clusters)
    return of(LISTENER, name, needs, tables=sorted(tables), scopes=scopes, clusters=sorted(clusters), **more)


class Stream:
    """One stream of a proxy to the server, in which each message takes its time."""

    def __init__(self, fleets: Fleets, proxy: FakeEnvoy, name: str = "p") -> None:
        self.fleets, self.proxy = fleets, proxy
        self.session: Session = fleets.open(FLEET)
        self.session.proxy.name = name
        self.up: list[Request] = []
        self.down: list[Response] = []
        self.log: list[str] = []
        proxy.connected()

    def close(self) -> None:
        self.fleets.close(FLEET, self.session)

    def ask(self) -> bool:
        found = self.proxy.requests()
        self.up += found
        return bool(found)

    def hear(self) -> bool:
        if not self.up:
            return False
        request = self.up.pop(0)
        answer = "" if not request.nonce else f" {'nack' if request.error else 'ack'} {request.nonce}"
        self.log.append(f">> {_short(request.type)}{answer}{_names(' +', request.subscribe)}{_names(' -', request.unsubscribe)}")
        assert self.fleets.receive(FLEET, self.session, request) is None
        return True

    def say(self) -> bool:
        response = self.session.next()
        if response is None:
            return False
        self.down.append(response)
        sent = _names(" ", [r.name.name for r in response.resources]) + _names(" -", response.removed)
        self.log.append(f"<< {_short(response.type)} {response.nonce}{sent}")
        return True

    def take(self) -> bool:
        if not self.down:
            return False
        self.proxy.receive(self.down.pop(0))
        return True

    def settle(self, steps: int = 2_000, timeouts: bool = False) -> None:
        """Plays until nobody has anything to say; `timeouts`: what Envoy fetches may time out, even when it has started."""
        for _ in range(steps):
            if not any([self.ask(), self.hear(), self.say(), self.take()]) and not self.proxy.fetch_timeout(timeouts):
                return
        raise AssertionError("they never come to an end:\n" + "\n".join(self.log[-30:]))

    def transcript(self) -> list[str]:
        found, self.log = self.log, []
        return found


def _short(type: str) -> str:
    return {CLUSTER: "CDS", ENDPOINT: "EDS", LISTENER: "LDS", ROUTES: "RDS", SCOPES: "SRDS"}.get(type, type)


def _names(before: str, names: Any) -> str:
    return "".join(before + n for n in names)


def started(*wanted: Resource, seed: int = 1) -> tuple[Fleets, FakeEnvoy, Stream]:
    """A fleet that wants this, and a proxy that has it."""
    fleets = Fleets()
    fleets.update(FLEET, wanted)
    proxy = FakeEnvoy(random.Random(seed))
    stream = Stream(fleets, proxy)
    stream.settle()
    stream.transcript()
    return fleets, proxy, stream
