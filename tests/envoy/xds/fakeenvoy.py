"""A proxy as a pure model: Envoy's delta subscriptions, its warming of clusters, what it acknowledges when, and what it refuses.

After source/common/upstream/cluster_manager_impl.cc, cds_api_helper.cc, eds.cc and source/extensions/config_subscription/grpc (Envoy
1.40): clusters that are warming hold back every request about clusters; a cluster in a new version does not ask again for the
endpoints that the old one asked for; a response with a bad cluster is applied but for it, one with a bad message is not at all, and
one with bad routes is applied up to them. A body is JSON: `eds` the assignment of a cluster, `clusters` what is routed to, `tables`
the route tables of a listener or a scope (which may have its routes itself), `extensions` and `secrets` what a listener
fetches, `scopes` whether it reads scopes, `bad` how it is refused ("alone" or "whole").

The proxy checks what must never be: `wrong` lists each request that would have failed.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from seaway.envoy.xds.messages import Request, Response
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTES, SCOPES, SECRET, Resource

WHAT = {CLUSTER: "cluster(s)", LISTENER: "listener(s)"}


@dataclass
class Interest:
    """One type's subscription: the versions of the names it has (None: waiting)."""

    wildcard: bool
    names: dict[str, str | None] = field(default_factory=dict)  # explicit
    others: dict[str, str] = field(default_factory=dict)  # by the wildcard
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    first: bool = True


class FakeEnvoy:
    """`receive` takes a response; `requests` takes the requests that it wants to send now."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.types: dict[str, Interest] = {CLUSTER: Interest(True)}
        self.acks: dict[str, list[tuple[str, str | None]]] = {}
        self.bodies: dict[str, dict[str, dict[str, Any]]] = {t: {} for t in (CLUSTER, EXTENSION, LISTENER, ROUTES, SCOPES, SECRET)}  # in force
        self.warming: dict[str, dict[str, Any]] = {}
        self.started = self.initialized = False
        self.wrong: list[str] = []
        self.received = 0

    # Requests

    def connected(self) -> None:
        """A new stream: what was not sent yet is forgotten, and each type says all again."""
        self.acks.clear()
        for interest in self.types.values():
            interest.first = True

    def requests(self) -> list[Request]:
        out = []
        for type in list(self.types):
            if type == CLUSTER and self.initialized and self.warming:
                continue  # paused
            interest = self.types[type]
            for nonce, error in self.acks.pop(type, []):
                out.append(self._request(type, interest, nonce, error))
            if (interest.first and (interest.wildcard or interest.names)) or interest.added or interest.removed:
                out.append(self._request(type, interest))
        return out

    def _request(self, type: str, interest: Interest, nonce: str = "", error: str | None = None) -> Request:
        versions: dict[str, str] = {}
        added, removed = interest.added, interest.removed
        if interest.first:
            interest.first = False
            added, removed = set(interest.names), set()
            versions = {n: v for n, v in interest.names.items() if v is not None} | interest.others
        interest.added, interest.removed = set(), set()
        return Request(type, tuple(sorted(added)), tuple(sorted(removed)), versions, nonce, error)

    def _watch(self) -> None:
        """What is in force says what is to be asked for."""
        self.initialized = self.initialized or (self.started and not self.warming)
        clusters = list(self.bodies[CLUSTER].values()) + list(self.warming.values())
        self._interest(ENDPOINT, {b["eds"] for b in clusters if b.get("eds")})
        if self.initialized:
            self.types.setdefault(LISTENER, Interest(True))
        listeners = self.bodies[LISTENER].values()
        if any(b.get("scopes") for b in listeners):
            self.types.setdefault(SCOPES, Interest(True))
        self._interest(EXTENSION, {e for b in listeners for e in b.get("extensions", ())})
        self._interest(SECRET, {e for b in listeners for e in b.get("secrets", ())})
        self._interest(ROUTES, {t for b in (*listeners, *self.bodies[SCOPES].values()) for t in b.get("tables", ())})

    def _interest(self, type: str, names: set[str]) -> None:
        if not names and type not in self.types:
            return
        interest = self.types.setdefault(type, Interest(False))
        for name in names - interest.names.keys():
            interest.names[name] = None
            interest.added.add(name)
            interest.removed.discard(name)
        for name in interest.names.keys() - names:
            del interest.names[name]
            interest.added.discard(name)
            interest.removed.add(name)
            self.bodies.get(type, {}).pop(name, None)

    # Responses

    def read(self, resource: Resource) -> dict[str, Any]:
        """What a resource says, in the words above."""
        body: dict[str, Any] = json.loads(resource.body)
        return body

    def receive(self, response: Response) -> None:
        type = response.type
        self.received += len(response.resources) + len(response.removed)
        names = [r.name.name for r in response.resources] + list(response.removed)
        assert len(names) == len(set(names)), "a name twice in a response"
        bodies = {r.name.name: self.read(r) for r in response.resources}
        error: str | None = None
        if any(b.get("bad") == "whole" for b in bodies.values()):
            error = "Proto constraint validation failed (field: value length must be at least 1 characters)"
        else:
            error = {CLUSTER: self._clusters, ENDPOINT: self._endpoints}.get(type, self._others)(type, bodies, response.removed)
        if error is None:
            self._remember(response)
        elif type == ENDPOINT:
            self._warm(set(self.warming))  # onConfigUpdateFailed: start-up goes on without them
        self.acks.setdefault(type, []).append((response.nonce, error))
        self.started = self.started or type == CLUSTER
        self._watch()

    def _remember(self, response: Response) -> None:
        interest = self.types[response.type]
        for found in response.resources:
            name = found.name.name
            if name in interest.names:
                interest.names[name] = found.version
            elif interest.wildcard:
                interest.others[name] = found.version
        for name in response.removed:
            if name in interest.names:
                interest.names[name] = None
            interest.others.pop(name, None)

    def _clusters(self, _type: str, bodies: dict[str, Any], removed: tuple[str, ...]) -> str | None:
        errors = []
        active = self.bodies[CLUSTER]
        for name in removed:
            self.warming.pop(name, None)
            if active.pop(name, None) is not None:
                self._check(f"cluster {name} was taken away")
        for name, body in bodies.items():
            if body.get("bad"):
                errors.append(f"{name}: no such thing")
            elif body != self.warming.get(name, active.get(name)):
                if body.get("eds"):
                    self.warming[name] = body
                else:
                    active[name] = body
        return f"Error adding/updating cluster(s) {', '.join(errors)}" if errors else None

    def _endpoints(self, _type: str, bodies: dict[str, Any], removed: tuple[str, ...]) -> str | None:
        for name in self.chance.sample(sorted(bodies), len(bodies)):
            if bodies[name].get("bad"):
                return f"malformed IP address in {self.chance.choice(sorted(bodies))}"
            self._answered(name)
        for name in removed:
            self._answered(name)
        return None

    def _answered(self, name: str) -> None:
        self._warm({c for c, body in self.warming.items() if body["eds"] == name})

    def _warm(self, clusters: set[str]) -> None:
        for cluster in clusters:
            self.bodies[CLUSTER][cluster] = self.warming.pop(cluster)

    def fetch_timeout(self, ever: bool) -> bool:
        """15 s end any warming (initial_fetch_timeout), with the endpoints known from before: allowed while it starts, or ever."""
        if not self.warming or (self.initialized and not ever):
            return False
        self._warm(set(self.warming))
        self._watch()
        return True

    def _others(self, type: str, bodies: dict[str, Any], removed: tuple[str, ...]) -> str | None:
        has = self.bodies[type]
        interest = self.types[type]
        if type not in (EXTENSION, ROUTES, SECRET):  # a table is let go of when nothing reads it
            for name in removed:
                has.pop(name, None)
        for name in self.chance.sample(sorted(bodies), len(bodies)):
            if bodies[name].get("bad"):
                return f"Error adding/updating {WHAT.get(type, type)} {name}: no such thing"
            if interest.wildcard or name in interest.names:
                has[name] = bodies[name]
                self._check(f"{type.rpartition('.')[2]} {name} came")
        return None

    def _check(self, when: str) -> None:
        for type in (LISTENER, ROUTES, SCOPES):
            for name, body in self.bodies[type].items():
                missing = [c for c in body.get("clusters", ()) if c not in self.bodies[CLUSTER]]
                if missing:
                    self.wrong.append(f"{when}: {type.rpartition('.')[2]} {name} goes to {missing}, which are not there")

    # What it has

    def holds(self) -> dict[tuple[str, str], str]:
        return {
            (type, name): version
            for type, interest in self.types.items()
            for name, version in {**interest.names, **interest.others}.items()
            if version is not None
        }
