"""What one proxy has, by all that it said on its stream, and what may be sent or taken away by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from seaway.envoy.xds.resources import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    LISTENER,
    ORDER,
    ROUTES,
    SCOPES,
    SECRET,
    USERS,
    Name,
    Resource,
)
from seaway.envoy.xds.subscription import Refusal, Subscription
from seaway.envoy.xds.usage import Usage
from seaway.envoy.xds.warming import Warming

Wanted = Mapping[str, Mapping[str, Resource]]  # by type, by name
FETCHED = (ENDPOINT, SECRET)  # what a cluster fetches itself once the proxy has it


class Proxy:
    """The knowledge of a session; it decides nothing, and only the session changes it."""

    def __init__(self, wanted: Wanted) -> None:
        self.name = ""  # what it calls itself; for people to read only
        self.usage = Usage()
        self.warming = Warming()
        self.types: dict[str, Subscription] = {}
        self.keeping = False  # what an earlier controller brought, and is not wanted, may be wanted and not be known yet
        self._wanted = wanted

    def wanted(self, name: Name) -> Resource | None:
        return self._wanted.get(name.type, {}).get(name.name)

    def all_wanted(self, type: str) -> Mapping[str, Resource]:
        return self._wanted.get(type, {})

    # What may be sent, and what taken away

    def obstacle(self, wanted: Resource) -> tuple[Name, ...]:
        """Why this may not be sent yet: the way from it to a cluster that is not warm, or to what is not there; or nothing."""
        for need in wanted.needs:
            if need.type == CLUSTER:
                if need.name not in self.warming.warm:
                    return (need,)
            elif need.type == SECRET and wanted.name.type == CLUSTER:
                # Envoy would wait for it, and would acknowledge no cluster meanwhile.
                then = self.wanted(need)
                if (then is None or self.is_refused(then)) and not self.holds(need):
                    return (need,)
            elif need.type == SCOPES and need.type == wanted.name.type:
                if not self.holds(need):
                    then = self.wanted(need)
                    return (need, *(self.obstacle(then) if then is not None else ()))
            elif need.type in (EXTENSION, ROUTES):
                # It is fetched after this one, which had better not wait for it on the proxy. One scope of many, or one virtual
                # host, holds back nothing.
                if self.holds(need):
                    continue
                then = self.wanted(need)
                if then is not None and self.is_refused(then) and (wanted.name.type, need.type) == (LISTENER, EXTENSION):
                    continue  # without it filters do by default what they can; without a listener there is nothing
                if then is None or self.is_refused(then):
                    return (need,)
                further = self.obstacle(then) if ORDER.index(need.type) > ORDER.index(wanted.name.type) else ()
                if further:
                    return (need, *further)
        return ()

    def may_go(self, name: Name) -> bool:
        """Nothing that the proxy has, or may have, or may turn out to have, needs it."""
        if self.usage.used(name) or (self.keeping and name.name in self.types[name.type].foreign):
            return False
        for type in USERS[name.type]:
            user = self.types.get(type)
            if user is not None:
                if self.unknown(user) if type == name.type else user.foreign:
                    return False
            elif self.usage.uses_any(type):
                return False  # the proxy has such, and has not told yet which
            elif self.types[name.type].resumed and (type in (LISTENER, CLUSTER) or self.all_wanted(type)):
                return False  # the same: an earlier stream may have brought them
        return True

    def unknown(self, found: Subscription) -> bool:
        """It has some in versions of which nobody knows what they need, and is to get other versions of those."""
        return any(self.wanted(Name(found.type, name)) is not None for name in found.foreign)

    def holds(self, name: Name) -> bool:
        found = self.types.get(name.type)
        return found is not None and name.name in found.held

    def is_refused(self, wanted: Resource) -> bool:
        found = self.types.get(wanted.name.type)
        refused = found.refused.get(wanted.name.name) if found is not None else None
        return refused is not None and refused.version == wanted.version

    # What there is to tell

    def asks(self, name: Name) -> bool:
        """The proxy is interested in it."""
        found = self.types.get(name.type)
        return found is not None and found.covers(name.name)

    def version(self, name: Name) -> str | None:
        """The version that the proxy acknowledged and has."""
        found = self.types.get(name.type)
        has = found.held.get(name.name) if found is not None else None
        return has.version if has is not None else None

    def in_force(self, wanted: Resource) -> bool:
        """The proxy has this version, and of all that it needs some version that works."""
        return self.version(wanted.name) == wanted.version and self._works(wanted.name, set())

    def answered(self, wanted: Resource) -> bool:
        """The proxy works by this version, or has refused it."""
        return self.is_refused(wanted) or self.in_force(wanted)

    def _works(self, name: Name, seen: set[Name]) -> bool:
        if name.type == CLUSTER:
            return name.name in self.warming.warm
        found = self.types.get(name.type)
        has = found.held.get(name.name) if found is not None else None
        seen.add(name)
        return has is not None and all(n in seen or self._works(n, seen) for n in has.needs)

    def versions(self) -> dict[Name, str]:
        """All that the proxy acknowledged and has."""
        return {held.name: held.version for found in self.types.values() for held in found.held.values()}

    def refusals(self) -> dict[Name, Refusal]:
        """What it refused, in the version that is wanted."""
        return {
            name: refused
            for type, found in self.types.items()
            for short, refused in found.refused.items()
            if (now := self.wanted(name := Name(type, short))) is not None and now.version == refused.version
        }

    def stuck(self, waiting: Collection[Name]) -> dict[Name, Name]:
        """Which of these wait for what was refused or is not there (not for what is on its way), and for what."""
        found: dict[Name, Name] = {}
        for name in waiting:
            now = self.wanted(name)
            path = self.obstacle(now) if now is not None and self.version(name) != now.version else ()
            culprit = self._culprit(path[-1]) if path else None
            if culprit is not None:
                found[name] = culprit
        return found

    def _culprit(self, name: Name) -> Name | None:
        """It, or what it fetches, was refused or is not there; None: it is on its way."""
        wanted = self.wanted(name)
        if wanted is None or self.is_refused(wanted):
            return name
        fetched = [w for need in fetches(wanted) if (w := self.wanted(need)) is not None]
        return next((w.name for w in fetched if self.is_refused(w)), None)


class Bounds(NamedTuple):
    """What a stream may ask for at most."""

    names: int = 50_000
    name: int = 1_024
    message: int = 2_048  # characters kept of what a refusal says


def fetches(cluster: Resource | None) -> list[Name]:
    """What ends the warming of a cluster besides the cluster itself."""
    return [n for n in cluster.needs if n.type in FETCHED] if cluster is not None else []
